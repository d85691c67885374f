//! Whether the fields of a query exist and can be compared as they are.

use super::field::{FieldType, Listed};
use super::refused::Refused;
use super::syntax::{Bounds, Expression, Literal, Name, Number, Operand, Query, Relation, SortField, Test, Values};

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

/// Checks a query for lists of `T`, and prepares it: numbers that are compared with texts become texts, and texts that are
/// looked for in either case are written in upper case.
pub(super) fn check<T: Listed>(query: &mut Query) -> Result<(), Refused> {
    expression::<T>(&mut query.filter)?;
    check_sort::<T>(&query.sort)
}

/// Checks the fields of an order.
pub(super) fn check_sort<T: Listed>(fields: &[SortField]) -> Result<(), Refused> {
    for field in fields {
        let sortable = match known::<T>(&field.name)? {
            Some(FieldType::Text | FieldType::Flag | FieldType::Instant) => true,
            Some(FieldType::Set | FieldType::Tags) | None => false,
        };
        if !sortable {
            return Err(wrong(&field.name, "sets and tags have no order"));
        }
    }
    Ok(())
}

fn expression<T: Listed>(checked: &mut Expression) -> Result<(), Refused> {
    match checked {
        Expression::Constant(_) => Ok(()),
        Expression::Flag(name) => match kind_of_field::<T>(name)? {
            Kind::Flag | Kind::Any => Ok(()),
            Kind::Text | Kind::Number | Kind::Instant => {
                Err(wrong(name, "only a field that is true or false can stand alone; a comparison must follow"))
            }
        },
        Expression::IsEmpty(name) => set::<T>(name),
        Expression::Comparison(operand, compared) => {
            let (kind, name) = match operand {
                Operand::Field(name) => (kind_of_field::<T>(name)?, name),
                Operand::AnyOf(name) | Operand::AllOf(name) => {
                    set::<T>(name)?;
                    (Kind::Text, name)
                }
                Operand::Count(name) => {
                    set::<T>(name)?;
                    if let Test::Relation(_, Literal::Null) = compared {
                        return Err(wrong(name, "a count is never null"));
                    }
                    (Kind::Number, name)
                }
            };
            test(kind, name, compared)
        }
        Expression::Not(inner) => expression::<T>(inner),
        Expression::And(all) | Expression::Or(all) => all.iter_mut().try_for_each(expression::<T>),
    }
}

fn test(kind: Kind, name: &Name, test: &mut Test) -> Result<(), Refused> {
    let other = match test {
        Test::Relation(relation, literal) => return relation_with(kind, name, *relation, literal),
        Test::Contains { .. } if matches!(kind, Kind::Flag | Kind::Instant) => Kind::Text,
        Test::Contains { folded, text, .. } => {
            if *folded {
                *text = text.to_uppercase();
            }
            return Ok(());
        }
        Test::In { values: Values::Numbers(numbers), .. } if kind == Kind::Text => {
            let texts = numbers.iter().copied().map(Number::plain).collect();
            if let Test::In { values, .. } = test {
                *values = Values::Texts(texts);
            }
            return Ok(());
        }
        Test::In { values: Values::Texts(_), .. } => Kind::Text,
        Test::In { values: Values::Numbers(_), .. } | Test::Between { bounds: Bounds::Numbers(_, _), .. } => {
            Kind::Number
        }
        Test::In { values: Values::Instants(_), .. } | Test::Between { bounds: Bounds::Instants(_, _), .. } => {
            Kind::Instant
        }
    };
    comparable(kind, name, other)
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

fn kind_of_field<T: Listed>(name: &Name) -> Result<Kind, Refused> {
    match known::<T>(name)? {
        None => Ok(Kind::Any),
        Some(FieldType::Text) => Ok(Kind::Text),
        Some(FieldType::Flag) => Ok(Kind::Flag),
        Some(FieldType::Instant) => Ok(Kind::Instant),
        Some(FieldType::Set) => Err(wrong(name, "this field is a set: ask by anyOf, allOf, count or isEmpty")),
        Some(FieldType::Tags) => Err(wrong(name, "a tag must be named, as in `tags.environment`")),
    }
}

fn set<T: Listed>(name: &Name) -> Result<(), Refused> {
    match known::<T>(name)? {
        Some(FieldType::Set) => Ok(()),
        Some(FieldType::Text | FieldType::Flag | FieldType::Instant | FieldType::Tags) | None => {
            Err(wrong(name, "this field is not a set"))
        }
    }
}

/// The type of a field; `None` for a tag.
fn known<T: Listed>(name: &Name) -> Result<Option<FieldType>, Refused> {
    let named = |wanted: &str| T::FIELDS.iter().find(|(known, _)| *known == wanted).map(|(_, kind)| *kind);
    if let Some(kind) = named(&name.text) {
        return Ok(Some(kind));
    }
    if name.text.strip_prefix(super::TAGS).is_some_and(|tag| !tag.is_empty()) && named("tags").is_some() {
        return Ok(None);
    }
    let fields: Vec<_> = T::FIELDS.iter().map(|(field, _)| *field).collect();
    Err(wrong(name, &format!("there is no such field; there are {}", fields.join(", "))))
}

fn wrong(name: &Name, reason: &str) -> Refused {
    Refused::new(name.character, reason, &name.text)
}
