//! Whether the fields of a query exist and can be compared as they are; what is left is a filter that cannot go wrong.

use super::field::{Asked, Field, Fields, Texts};
use super::filter::{self, Filter};
use super::refused::Refused;
use super::syntax::{Bounds, Expression, Literal, Name, Number, Operand, Relation, SortField, Test, Values};

/// What is compared: a field's type, or that of a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
    Instant,
    /// A tag: it is asked as what it is compared with.
    Any,
}

impl Kind {
    fn described(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Flag => "true or false",
            Kind::Instant => "a time",
            Kind::Any => "a tag",
        }
    }
}

/// One field of an order, and whether it goes backwards.
#[derive(Debug)]
pub(super) struct SortKey<T> {
    pub(super) of: Asked<T>,
    pub(super) descending: bool,
}

/// Finds the fields of an order.
pub(super) fn sort_keys<T>(written: &[SortField], fields: &Fields<T>) -> Result<Vec<SortKey<T>>, Refused> {
    let key = |written: &SortField| match known(&written.name, fields)? {
        of @ Asked::Field(Field::Text(_) | Field::Flag(_) | Field::Instant(_)) => {
            Ok(SortKey { of, descending: written.descending })
        }
        Asked::Field(Field::Set(_) | Field::Tags(_)) | Asked::Tag(_, _) => {
            Err(wrong(&written.name, "sets and tags have no order"))
        }
    };
    written.iter().map(key).collect()
}

/// Finds the fields of an expression, and prepares what they are compared with: numbers that are compared with texts become texts,
/// and texts that are looked for in either case are written in upper case.
pub(super) fn filter<T>(written: Expression, fields: &Fields<T>) -> Result<Filter<T>, Refused> {
    let all = |all: Vec<Expression>| all.into_iter().map(|inner| filter(inner, fields)).collect::<Result<Vec<_>, _>>();
    Ok(match written {
        Expression::Constant(flag) => Filter::Constant(flag),
        Expression::Flag(name) => {
            let (kind, of) = value(&name, fields)?;
            if !matches!(kind, Kind::Flag | Kind::Any) {
                let reason = "only a field that is true or false can stand alone; a comparison must follow";
                return Err(wrong(&name, reason));
            }
            let is_set = Test::Relation(Relation::Equal, Literal::Flag(true));
            Filter::Comparison(filter::Operand::One(of), is_set)
        }
        Expression::IsEmpty(name) => {
            let none = Test::Relation(Relation::Equal, Literal::Number(Number::Whole(0)));
            Filter::Comparison(filter::Operand::Count(set(&name, fields)?), none)
        }
        Expression::Comparison(operand, compared) => comparison(operand, compared, fields)?,
        Expression::Not(inner) => Filter::Not(Box::new(filter(*inner, fields)?)),
        Expression::And(inner) => Filter::And(all(inner)?),
        Expression::Or(inner) => Filter::Or(all(inner)?),
    })
}

fn comparison<T>(operand: Operand, compared: Test, fields: &Fields<T>) -> Result<Filter<T>, Refused> {
    let (kind, name, operand) = match operand {
        Operand::Field(name) => {
            let (kind, of) = value(&name, fields)?;
            (kind, name, filter::Operand::One(of))
        }
        Operand::AnyOf(name) => {
            let of = set(&name, fields)?;
            (Kind::Text, name, filter::Operand::AnyOf(of))
        }
        Operand::AllOf(name) => {
            let of = set(&name, fields)?;
            (Kind::Text, name, filter::Operand::AllOf(of))
        }
        Operand::Count(name) => {
            let of = set(&name, fields)?;
            if let Test::Relation(_, Literal::Null) = compared {
                return Err(wrong(&name, "a count is never null"));
            }
            (Kind::Number, name, filter::Operand::Count(of))
        }
    };
    Ok(Filter::Comparison(operand, test(kind, &name, compared)?))
}

fn test(kind: Kind, name: &Name, mut test: Test) -> Result<Test, Refused> {
    let other = match &mut test {
        Test::Relation(relation, literal) => {
            relation_with(kind, name, *relation, literal)?;
            return Ok(test);
        }
        Test::Contains { .. } if matches!(kind, Kind::Flag | Kind::Instant) => Kind::Text,
        Test::Contains { folded, text, .. } => {
            if *folded {
                *text = text.to_uppercase();
            }
            return Ok(test);
        }
        Test::In { values, .. } => match values {
            Values::Numbers(numbers) if kind == Kind::Text => {
                *values = Values::Texts(numbers.iter().copied().map(Number::plain).collect());
                return Ok(test);
            }
            Values::Texts(_) => Kind::Text,
            Values::Numbers(_) => Kind::Number,
            Values::Instants(_) => Kind::Instant,
        },
        Test::Between { bounds: Bounds::Numbers(_, _), .. } => Kind::Number,
        Test::Between { bounds: Bounds::Instants(_, _), .. } => Kind::Instant,
    };
    comparable(kind, name, other)?;
    Ok(test)
}

fn relation_with(kind: Kind, name: &Name, relation: Relation, literal: &mut Literal) -> Result<(), Refused> {
    let other = match literal {
        Literal::Null => return Ok(()),
        Literal::Number(number) if kind == Kind::Text => {
            *literal = Literal::Text(number.plain());
            return Ok(());
        }
        Literal::Text(_) => Kind::Text,
        Literal::Number(_) => Kind::Number,
        Literal::Instant(_) => Kind::Instant,
        Literal::Flag(_) => Kind::Flag,
    };
    if other == Kind::Flag && !matches!(relation, Relation::Equal | Relation::NotEqual) {
        return Err(wrong(name, "true and false are compared by `=` and `!=` only"));
    }
    comparable(kind, name, other)
}

fn comparable(kind: Kind, name: &Name, other: Kind) -> Result<(), Refused> {
    if kind == other || kind == Kind::Any {
        return Ok(());
    }
    let (own, other) = (kind.described(), other.described());
    Err(wrong(name, &format!("{own} cannot be compared with {other} in this way")))
}

/// A field that has one value, or a tag.
fn value<T>(name: &Name, fields: &Fields<T>) -> Result<(Kind, Asked<T>), Refused> {
    let of = known(name, fields)?;
    let kind = match &of {
        Asked::Tag(_, _) => Kind::Any,
        Asked::Field(Field::Text(_)) => Kind::Text,
        Asked::Field(Field::Flag(_)) => Kind::Flag,
        Asked::Field(Field::Instant(_)) => Kind::Instant,
        Asked::Field(Field::Set(_)) => {
            return Err(wrong(name, "this field is a set: ask by anyOf, allOf, count or isEmpty"));
        }
        Asked::Field(Field::Tags(_)) => {
            return Err(wrong(name, "a tag must be named, as in `tags.environment`"));
        }
    };
    Ok((kind, of))
}

fn set<T>(name: &Name, fields: &Fields<T>) -> Result<for<'a> fn(&'a T) -> Texts<'a>, Refused> {
    match known(name, fields)? {
        Asked::Field(Field::Set(of)) => Ok(of),
        Asked::Field(Field::Text(_) | Field::Flag(_) | Field::Instant(_) | Field::Tags(_)) | Asked::Tag(_, _) => {
            Err(wrong(name, "this field is not a set"))
        }
    }
}

fn known<T>(name: &Name, fields: &Fields<T>) -> Result<Asked<T>, Refused> {
    let unknown = || wrong(name, &format!("there is no such field; there are {}", fields.names().join(", ")));
    fields.asked(&name.text).ok_or_else(unknown)
}

fn wrong(name: &Name, reason: &str) -> Refused {
    Refused::new(name.character, reason, &name.text)
}
