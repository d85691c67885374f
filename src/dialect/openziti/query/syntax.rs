//! What a filter says, and how it is written: printing it and reading it again gives the same.

use std::collections::BTreeSet;
use std::fmt;

use super::lexer;
use crate::clock::Timestamp;

/// A whole query: what is kept, in which order, and which part of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) filter: Expression,
    pub(super) sort: Vec<SortField>,
    pub(super) skip: Option<i64>,
    /// [`UNLIMITED`](super::super::paging::UNLIMITED) for `none`.
    pub(super) limit: Option<i64>,
}

/// One field of an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SortField {
    pub(super) name: Name,
    pub(super) descending: bool,
}

/// A question that is answered by yes or no. Lists of `and` and `or` have at least two entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Constant(bool),
    /// A field that is a flag.
    Flag(Name),
    IsEmpty(Name),
    Comparison(Operand, Test),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Field(Name),
    AnyOf(Name),
    AllOf(Name),
    Count(Name),
}

/// The name of a field, and where it was read. Two are equal wherever they stand.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) character: usize,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What it is compared with, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Relation(Relation, Literal),
    Contains {
        negated: bool,
        folded: bool,
        text: String,
    },
    In {
        negated: bool,
        values: Values,
    },
    /// The lower bound belongs to it, the upper one does not.
    Between {
        negated: bool,
        bounds: Bounds,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(Number),
    Instant(Timestamp),
    Flag(bool),
    Null,
}

/// A number, exact as long as it is whole and not too large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number.
    Whole(i64),
    /// Any other; never infinite.
    Decimal(f64),
}

impl Number {
    /// As a text that is compared with texts: never with an exponent.
    pub(super) fn plain(self) -> String {
        match self {
            Number::Whole(number) => number.to_string(),
            Number::Decimal(number) => number.to_string(),
        }
    }
}

/// The entries of a list; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Texts(BTreeSet<String>),
    Numbers(Vec<Number>),
    Instants(BTreeSet<Timestamp>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bounds {
    Numbers(Number, Number),
    Instants(Timestamp, Timestamp),
}

impl fmt::Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.filter)?;
        if !self.sort.is_empty() {
            formatter.write_str(" sort by ")?;
            list(formatter, &self.sort)?;
        }
        if let Some(skip) = self.skip {
            write!(formatter, " skip {skip}")?;
        }
        match self.limit {
            Some(limit) if limit < 0 => formatter.write_str(" limit none"),
            Some(limit) => write!(formatter, " limit {limit}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SortField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.name, if self.descending { " desc" } else { "" })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Constant(flag) => write!(formatter, "{flag}"),
            Expression::Flag(name) => write!(formatter, "{name}"),
            Expression::IsEmpty(name) => write!(formatter, "isEmpty({name})"),
            Expression::Comparison(operand, test) => write!(formatter, "{operand} {test}"),
            Expression::Not(inner) => write!(formatter, "not ({inner})"),
            Expression::And(all) => chain(formatter, all, " and "),
            Expression::Or(all) => chain(formatter, all, " or "),
        }
    }
}

/// Entries that would take in what follows them are put in parentheses.
fn chain(formatter: &mut fmt::Formatter<'_>, all: &[Expression], between: &str) -> fmt::Result {
    for (index, expression) in all.iter().enumerate() {
        if index > 0 {
            formatter.write_str(between)?;
        }
        match expression {
            Expression::Not(_) | Expression::And(_) | Expression::Or(_) => write!(formatter, "({expression})")?,
            Expression::Constant(_) | Expression::Flag(_) | Expression::IsEmpty(_) | Expression::Comparison(_, _) => {
                write!(formatter, "{expression}")?
            }
        }
    }
    Ok(())
}

impl fmt::Display for Operand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Field(name) => write!(formatter, "{name}"),
            Operand::AnyOf(name) => write!(formatter, "anyOf({name})"),
            Operand::AllOf(name) => write!(formatter, "allOf({name})"),
            Operand::Count(name) => write!(formatter, "count({name})"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if lexer::is_plain_name(&self.text) {
            formatter.write_str(&self.text)
        } else {
            write!(formatter, "'{}'", self.text)
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: bool| if negated { "not " } else { "" };
        match self {
            Test::Relation(relation, literal) => write!(formatter, "{} {literal}", relation.as_str()),
            Test::Contains { negated, folded, text } => {
                let word = if *folded { "icontains" } else { "contains" };
                write!(formatter, "{}{word} {}", not(*negated), Quoted(text))
            }
            Test::In { negated, values } => write!(formatter, "{}in [{values}]", not(*negated)),
            Test::Between { negated, bounds } => write!(formatter, "{}between {bounds}", not(*negated)),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => write!(formatter, "{}", Quoted(text)),
            Literal::Number(number) => write!(formatter, "{number}"),
            Literal::Instant(instant) => write!(formatter, "{}", Dated(*instant)),
            Literal::Flag(flag) => write!(formatter, "{flag}"),
            Literal::Null => formatter.write_str("null"),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => write!(formatter, "{number}"),
            // Keeps the point or the exponent, so that it is not read as a whole number.
            Number::Decimal(number) => write!(formatter, "{number:?}"),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Texts(texts) => list(formatter, texts.iter().map(|text| Quoted(text))),
            Values::Numbers(numbers) => list(formatter, numbers),
            Values::Instants(instants) => list(formatter, instants.iter().copied().map(Dated)),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bounds::Numbers(low, high) => write!(formatter, "{low} and {high}"),
            Bounds::Instants(low, high) => write!(formatter, "{} and {}", Dated(*low), Dated(*high)),
        }
    }
}

fn list(formatter: &mut fmt::Formatter<'_>, all: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for (index, entry) in all.into_iter().enumerate() {
        write!(formatter, "{}{entry}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}

/// A text in quotes, with what cannot stand in them escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"")?;
        for character in self.0.chars() {
            match lexer::escape_of(character) {
                Some(escape) => write!(formatter, "\\{escape}")?,
                None => write!(formatter, "{character}")?,
            }
        }
        formatter.write_str("\"")
    }
}

struct Dated(Timestamp);

impl fmt::Display for Dated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "datetime({})", self.0)
    }
}
