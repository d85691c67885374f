//! The grammar of filters, read by recursive descent (`openziti.md` 5.2).
//!
//! As in OpenZiti, `not` takes in all that follows it, and what stands behind an `and` or an `or` is read as a whole:
//! `a and b or c` means `a and (b or c)`, and `not a or b` means `not (a or b)`. Parentheses say otherwise.

use std::collections::BTreeSet;

use super::super::paging::UNLIMITED;
use super::lexer::{Keyword, Symbol, Token, tokens};
use super::refused::Refused;
use super::syntax::{Bounds, Expression, Literal, Name, Number, Operand, Query, Relation, SortField, Test, Values};
use crate::limits;

/// Reads a filter. An empty text keeps everything.
pub(super) fn query(text: &str) -> Result<Query, Refused> {
    if text.is_empty() {
        return Ok(Query { filter: Expression::Constant(true), sort: Vec::new(), skip: None, limit: None });
    }
    let mut parser = Parser::new(text)?;
    let query = parser.query()?;
    parser.end()?;
    Ok(query)
}

/// Reads the fields of an order, such as `name desc, createdAt`.
pub(super) fn sort(text: &str) -> Result<Vec<SortField>, Refused> {
    let mut parser = Parser::new(text)?;
    let fields = parser.sort_fields()?;
    parser.end()?;
    Ok(fields)
}

struct Parser<'a> {
    tokens: std::vec::IntoIter<Token<'a>>,
    current: Token<'a>,
    leaves: usize,
}

type Read<T> = Result<T, Refused>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Read<Self> {
        if text.len() > limits::FILTER_BYTES_MAX {
            let reason = format!("it goes on for more than {} bytes", limits::FILTER_BYTES_MAX);
            return Err(Refused::new(limits::FILTER_BYTES_MAX, reason, ""));
        }
        let mut tokens = tokens(text)?.into_iter();
        let current = tokens.next().unwrap_or(Token { symbol: Symbol::End, character: 1, text: "" });
        Ok(Parser { tokens, current, leaves: 0 })
    }

    fn query(&mut self) -> Read<Query> {
        let filter = match self.current.symbol {
            Symbol::Keyword(Keyword::Sort | Keyword::Skip | Keyword::Limit) => Expression::Constant(true),
            _ => self.expression(0)?,
        };
        let mut sort = Vec::new();
        if self.eat(Keyword::Sort) {
            self.expect(&Symbol::Keyword(Keyword::By), "`by` must follow `sort`")?;
            sort = self.sort_fields()?;
        }
        let skip = if self.eat(Keyword::Skip) { Some(self.whole_number()?.max(0)) } else { None };
        let mut limit = None;
        if self.eat(Keyword::Limit) {
            limit = Some(if self.eat(Keyword::None) { UNLIMITED } else { self.whole_number()?.max(UNLIMITED) });
        }
        Ok(Query { filter, sort, skip, limit })
    }

    fn sort_fields(&mut self) -> Read<Vec<SortField>> {
        let mut fields = Vec::new();
        loop {
            if fields.len() >= limits::SORT_FIELDS_MAX {
                return Err(self.refused(&format!("more than {} fields to sort by", limits::SORT_FIELDS_MAX)));
            }
            let name = self.name("the name of a field must stand here")?;
            let descending = self.eat(Keyword::Desc);
            if !descending {
                self.eat(Keyword::Asc);
            }
            fields.push(SortField { name, descending });
            if self.current.symbol != Symbol::Comma {
                return Ok(fields);
            }
            self.advance();
        }
    }

    fn expression(&mut self, depth: usize) -> Read<Expression> {
        let first = self.primary(depth)?;
        self.continued(first, depth)
    }

    /// What begins with an expression that has been read: its `and`s or `or`s. The other word begins a nested one.
    fn continued(&mut self, first: Expression, depth: usize) -> Read<Expression> {
        let word = match self.current.symbol {
            Symbol::Keyword(word @ (Keyword::And | Keyword::Or)) => word,
            _ => return Ok(first),
        };
        let mut all = vec![first];
        while self.eat(word) {
            let next = self.primary(depth + 1)?;
            let nested =
                matches!(self.current.symbol, Symbol::Keyword(other @ (Keyword::And | Keyword::Or)) if other != word);
            all.push(if nested { self.continued(next, depth + 1)? } else { next });
        }
        Ok(if word == Keyword::And { Expression::And(all) } else { Expression::Or(all) })
    }

    fn primary(&mut self, depth: usize) -> Read<Expression> {
        if depth > limits::FILTER_DEPTH_MAX {
            return Err(self.refused(&format!("it is nested deeper than {} levels", limits::FILTER_DEPTH_MAX)));
        }
        match self.current.symbol {
            Symbol::Open => {
                self.advance();
                let inside = self.expression(depth + 1)?;
                self.expect(&Symbol::Close, "`)` must close what `(` opened")?;
                Ok(inside)
            }
            Symbol::Keyword(Keyword::Not) => {
                self.advance();
                Ok(Expression::Not(Box::new(self.expression(depth + 1)?)))
            }
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> Read<Expression> {
        self.leaves += 1;
        if self.leaves > limits::FILTER_LEAVES_MAX {
            return Err(self.refused(&format!("it holds more than {} comparisons", limits::FILTER_LEAVES_MAX)));
        }
        match self.current.symbol {
            Symbol::Keyword(word @ (Keyword::True | Keyword::False)) => {
                self.advance();
                Ok(Expression::Constant(word == Keyword::True))
            }
            Symbol::Keyword(Keyword::IsEmpty) => Ok(Expression::IsEmpty(self.argument()?)),
            Symbol::Keyword(Keyword::AnyOf) => self.comparison(Operand::AnyOf),
            Symbol::Keyword(Keyword::AllOf) => self.comparison(Operand::AllOf),
            Symbol::Keyword(Keyword::Count) => self.comparison(Operand::Count),
            Symbol::Keyword(Keyword::From) => Err(self.sub_query()),
            Symbol::Name(_) => self.field(),
            _ => Err(self.refused("a field, a function, `not`, `true`, `false` or `(` must stand here")),
        }
    }

    /// A field that is compared, or that is a flag.
    fn field(&mut self) -> Read<Expression> {
        let name = self.name("a field must stand here")?;
        match self.current.symbol {
            Symbol::Open => {
                let reason = "there is no such function; there are anyOf, allOf, count and isEmpty";
                Err(Refused::new(name.character, reason, &name.text))
            }
            Symbol::Relation(_)
            | Symbol::Keyword(Keyword::Not | Keyword::Contains | Keyword::Icontains | Keyword::In | Keyword::Between) => {
                Ok(Expression::Comparison(Operand::Field(name), self.test()?))
            }
            _ => Ok(Expression::Flag(name)),
        }
    }

    fn comparison(&mut self, function: impl FnOnce(Name) -> Operand) -> Read<Expression> {
        let operand = function(self.argument()?);
        Ok(Expression::Comparison(operand, self.test()?))
    }

    /// The field in the parentheses of a function.
    fn argument(&mut self) -> Read<Name> {
        self.advance();
        self.expect(&Symbol::Open, "`(` must follow the name of a function")?;
        if self.current.symbol == Symbol::Keyword(Keyword::From) {
            return Err(self.sub_query());
        }
        let name = self.name("the name of a field must stand here")?;
        self.expect(&Symbol::Close, "`)` must follow the field of a function")?;
        Ok(name)
    }

    fn test(&mut self) -> Read<Test> {
        if let Symbol::Relation(relation) = self.current.symbol {
            self.advance();
            return Ok(Test::Relation(relation, self.literal(relation)?));
        }
        let negated = self.eat(Keyword::Not);
        match self.current.symbol {
            Symbol::Keyword(word @ (Keyword::Contains | Keyword::Icontains)) => {
                self.advance();
                let folded = word == Keyword::Icontains;
                Ok(Test::Contains { negated, folded, text: self.contained(folded)? })
            }
            Symbol::Keyword(Keyword::In) => {
                self.advance();
                Ok(Test::In { negated, values: self.values()? })
            }
            Symbol::Keyword(Keyword::Between) => {
                self.advance();
                Ok(Test::Between { negated, bounds: self.bounds()? })
            }
            _ if negated => Err(self.refused("`contains`, `icontains`, `in` or `between` must follow `not`")),
            _ => Err(self.refused("a comparison such as `=`, `contains`, `in` or `between` must stand here")),
        }
    }

    fn literal(&mut self, relation: Relation) -> Read<Literal> {
        let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let literal = match &self.current.symbol {
            Symbol::Text(text) => Literal::Text(text.clone()),
            Symbol::Number(number) => Literal::Number(*number),
            Symbol::Instant(instant) => Literal::Instant(*instant),
            Symbol::Keyword(Keyword::True) if equality => Literal::Flag(true),
            Symbol::Keyword(Keyword::False) if equality => Literal::Flag(false),
            Symbol::Keyword(Keyword::Null) if equality => Literal::Null,
            _ if equality => {
                return Err(
                    self.refused("a text in double quotes, a number, a time, true, false or null must stand here")
                );
            }
            _ => return Err(self.refused("a text in double quotes, a number or a time must stand here")),
        };
        self.advance();
        Ok(literal)
    }

    fn contained(&mut self, folded: bool) -> Read<String> {
        let text = match &self.current.symbol {
            Symbol::Text(text) => text.clone(),
            Symbol::Number(number) if !folded => number.plain(),
            _ => return Err(self.refused("a text in double quotes must stand here")),
        };
        self.advance();
        Ok(text)
    }

    fn values(&mut self) -> Read<Values> {
        self.expect(&Symbol::OpenList, "a list in `[` and `]` must follow `in`")?;
        let mut values = match &self.current.symbol {
            Symbol::Text(_) => Values::Texts(BTreeSet::new()),
            Symbol::Number(_) => Values::Numbers(Vec::new()),
            Symbol::Instant(_) => Values::Instants(BTreeSet::new()),
            _ => return Err(self.refused("a list holds at least one text, number or time")),
        };
        for _ in 0..limits::FILTER_LIST_ENTRIES_MAX {
            match (&mut values, &self.current.symbol) {
                (Values::Texts(texts), Symbol::Text(text)) => drop(texts.insert(text.clone())),
                (Values::Numbers(numbers), Symbol::Number(number)) => numbers.push(*number),
                (Values::Instants(instants), Symbol::Instant(instant)) => drop(instants.insert(*instant)),
                _ => return Err(self.refused("a list holds only texts, only numbers or only times")),
            }
            self.advance();
            if self.current.symbol == Symbol::CloseList {
                self.advance();
                return Ok(values);
            }
            self.expect(&Symbol::Comma, "`,` or `]` must stand here")?;
        }
        Err(self.refused(&format!("a list holds more than {} entries", limits::FILTER_LIST_ENTRIES_MAX)))
    }

    fn bounds(&mut self) -> Read<Bounds> {
        let low = self.literal(Relation::Less)?;
        self.expect(&Symbol::Keyword(Keyword::And), "`and` must follow the first bound")?;
        let high = self.current.clone();
        match (low, self.literal(Relation::Less)?) {
            (Literal::Number(low), Literal::Number(high)) => Ok(Bounds::Numbers(low, high)),
            (Literal::Instant(low), Literal::Instant(high)) => Ok(Bounds::Instants(low, high)),
            _ => Err(Refused::new(high.character, "`between` takes two numbers or two times", high.text)),
        }
    }

    fn whole_number(&mut self) -> Read<i64> {
        let Symbol::Number(Number::Whole(number)) = self.current.symbol else {
            return Err(self.refused("a whole number must stand here"));
        };
        self.advance();
        Ok(number)
    }

    fn name(&mut self, reason: &str) -> Read<Name> {
        let Symbol::Name(text) = &self.current.symbol else {
            return Err(self.refused(reason));
        };
        let name = Name { text: text.clone(), character: self.current.character };
        self.advance();
        Ok(name)
    }

    fn end(&self) -> Read<()> {
        match self.current.symbol {
            Symbol::End => Ok(()),
            _ => Err(self.refused("the end, or `and`, `or`, `sort by`, `skip` or `limit`, must stand here")),
        }
    }

    fn eat(&mut self, keyword: Keyword) -> bool {
        let found = self.current.symbol == Symbol::Keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &Symbol, reason: &str) -> Read<()> {
        if self.current.symbol != *symbol {
            return Err(self.refused(reason));
        }
        self.advance();
        Ok(())
    }

    /// The end stays where it is.
    fn advance(&mut self) {
        if let Some(next) = self.tokens.next() {
            self.current = next;
        }
    }

    fn refused(&self, reason: &str) -> Refused {
        Refused::new(self.current.character, reason, self.current.text)
    }

    fn sub_query(&self) -> Refused {
        self.refused("sub-queries (`from … where …`) are not supported")
    }
}
