//! Whether a thing passes a filter. What is missing equals nothing, is less than nothing and contains nothing, as in OpenZiti:
//! of all comparisons only `!=`, `not contains`, `not in` and `not between` hold for it.

use std::cmp::Ordering;

use super::field::{Field, Listed, Scalar, Texts};
use super::syntax::{Bounds, Expression, Literal, Number, Operand, Relation, Test, Values};
use crate::clock::Timestamp;

impl Expression {
    /// Whether the thing passes. Of an expression that was checked for such things.
    pub(super) fn holds<T: Listed>(&self, thing: &T) -> bool {
        match self {
            Expression::Constant(flag) => *flag,
            Expression::Flag(name) => matches!(scalar(thing, &name.text), Scalar::Flag(true)),
            Expression::IsEmpty(name) => set(thing, &name.text).len() == 0,
            Expression::Comparison(operand, test) => compared(thing, operand, test),
            Expression::Not(inner) => !inner.holds(thing),
            Expression::And(all) => all.iter().all(|inner| inner.holds(thing)),
            Expression::Or(all) => all.iter().any(|inner| inner.holds(thing)),
        }
    }
}

fn scalar<'a, T: Listed>(thing: &'a T, name: &str) -> Scalar<'a> {
    match thing.field(name) {
        Field::One(value) => value,
        Field::Set(_) | Field::Unknown => Scalar::Null,
    }
}

fn set<'a, T: Listed>(thing: &'a T, name: &str) -> Texts<'a> {
    match thing.field(name) {
        Field::Set(texts) => texts,
        Field::One(_) | Field::Unknown => Texts::Shared(&[]),
    }
}

/// `not in` and `not between` deny the whole, so that `anyOf(x) not in […]` means that none of them is in the list.
fn compared<T: Listed>(thing: &T, operand: &Operand, test: &Test) -> bool {
    let negated = match test {
        Test::In { negated, .. } | Test::Between { negated, .. } => *negated,
        Test::Relation(_, _) | Test::Contains { .. } => false,
    };
    let holds = match operand {
        Operand::Field(name) => test.holds(scalar(thing, &name.text)),
        Operand::AnyOf(name) => set(thing, &name.text).any(|text| test.holds(Scalar::Text(text))),
        Operand::AllOf(name) => !set(thing, &name.text).any(|text| !test.holds(Scalar::Text(text))),
        Operand::Count(name) => {
            let count = i64::try_from(set(thing, &name.text).len()).unwrap_or(i64::MAX);
            test.holds(Scalar::Number(Number::Whole(count)))
        }
    };
    holds != negated
}

impl Test {
    /// Whether a value passes, before `not in` and `not between` are turned round.
    fn holds(&self, value: Scalar<'_>) -> bool {
        match self {
            Test::Relation(relation, literal) => related(value, *relation, literal),
            Test::Contains { negated, folded, text } => {
                let contained = value
                    .as_text()
                    .is_some_and(|whole| if *folded { contains_folded(&whole, text) } else { whole.contains(&**text) });
                contained != *negated
            }
            Test::In { values, .. } => listed(value, values),
            Test::Between { bounds, .. } => between(value, *bounds),
        }
    }
}

fn related(value: Scalar<'_>, relation: Relation, literal: &Literal) -> bool {
    let ordering = match literal {
        Literal::Null => return (value == Scalar::Null) == (relation == Relation::Equal),
        // A flag that is missing is false.
        Literal::Flag(flag) => Some(matches!(value, Scalar::Flag(true)).cmp(flag)),
        Literal::Text(text) => value.as_text().map(|value| (*value).cmp(text.as_str())),
        Literal::Number(number) => as_number(value).and_then(|value| value.compare(*number)),
        Literal::Instant(instant) => as_instant(value).map(|value| value.cmp(instant)),
    };
    match (relation, ordering) {
        (Relation::NotEqual, ordering) => ordering != Some(Ordering::Equal),
        (_, None) => false,
        (Relation::Equal, Some(ordering)) => ordering.is_eq(),
        (Relation::Less, Some(ordering)) => ordering.is_lt(),
        (Relation::LessOrEqual, Some(ordering)) => ordering.is_le(),
        (Relation::Greater, Some(ordering)) => ordering.is_gt(),
        (Relation::GreaterOrEqual, Some(ordering)) => ordering.is_ge(),
    }
}

fn listed(value: Scalar<'_>, values: &Values) -> bool {
    match values {
        Values::Texts(texts) => value.as_text().is_some_and(|text| texts.contains(&*text)),
        Values::Numbers(numbers) => as_number(value)
            .is_some_and(|value| numbers.iter().any(|number| value.compare(*number) == Some(Ordering::Equal))),
        Values::Instants(instants) => as_instant(value).is_some_and(|instant| instants.contains(&instant)),
    }
}

fn between(value: Scalar<'_>, bounds: Bounds) -> bool {
    match bounds {
        Bounds::Numbers(low, high) => as_number(value).is_some_and(|value| {
            value.compare(low).is_some_and(Ordering::is_ge) && value.compare(high).is_some_and(Ordering::is_lt)
        }),
        Bounds::Instants(low, high) => as_instant(value).is_some_and(|value| low <= value && value < high),
    }
}

fn as_number(value: Scalar<'_>) -> Option<Number> {
    match value {
        Scalar::Number(number) => Some(number),
        Scalar::Null | Scalar::Flag(_) | Scalar::Instant(_) | Scalar::Text(_) => None,
    }
}

fn as_instant(value: Scalar<'_>) -> Option<Timestamp> {
    match value {
        Scalar::Instant(instant) => Some(instant),
        Scalar::Null | Scalar::Flag(_) | Scalar::Number(_) | Scalar::Text(_) => None,
    }
}

/// Whether a text, written in upper case, holds one that is written so already; without writing it.
fn contains_folded(whole: &str, part: &str) -> bool {
    if whole.is_ascii() {
        return part.is_ascii() && contains_folded_ascii(whole.as_bytes(), part.as_bytes());
    }
    let mut rest = whole.chars();
    loop {
        let mut upper = rest.clone().flat_map(char::to_uppercase);
        if part.chars().all(|wanted| upper.next() == Some(wanted)) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

fn contains_folded_ascii(whole: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else {
        return true;
    };
    whole.iter().enumerate().any(|(at, byte)| {
        let following = || whole.get(at + 1..).and_then(|following| following.get(..rest.len()));
        byte.to_ascii_uppercase() == *first && following().is_some_and(|text| text.eq_ignore_ascii_case(rest))
    })
}
