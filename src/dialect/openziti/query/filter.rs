//! Which things pass a filter. What is missing equals nothing, is less than nothing and contains nothing, as in OpenZiti:
//! of all comparisons only `!=`, `not contains`, `not in` and `not between` hold for it.

use std::cmp::Ordering;

use super::field::{Asked, Scalar, Texts, fetch_texts, in_parts};
use super::syntax::{Bounds, Literal, Number, Relation, Test, Values};
use crate::clock::Timestamp;

/// A question to things of one kind, its fields known.
#[derive(Debug)]
pub(super) enum Filter<T> {
    Constant(bool),
    Comparison(Operand<T>, Test),
    Not(Box<Filter<T>>),
    And(Vec<Filter<T>>),
    Or(Vec<Filter<T>>),
}

/// What is compared.
#[derive(Debug)]
pub(super) enum Operand<T> {
    One(Asked<T>),
    AnyOf(for<'a> fn(&'a T) -> Texts<'a>),
    AllOf(for<'a> fn(&'a T) -> Texts<'a>),
    Count(for<'a> fn(&'a T) -> Texts<'a>),
}

impl<T> Filter<T> {
    /// Whether everything passes.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Filter::Constant(true))
    }

    /// Those that pass, in their order.
    pub(super) fn passing<'a>(&self, all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
        let mut passing = Vec::new();
        in_parts(all, |some| {
            let mut kept = some.to_vec();
            self.keep(&mut kept);
            passing.append(&mut kept);
        });
        passing
    }

    fn keep(&self, things: &mut Vec<&T>) {
        match self {
            Filter::Constant(true) => {}
            Filter::Constant(false) => things.clear(),
            Filter::Comparison(operand, test) => test.keep(operand, things),
            Filter::Not(inner) => {
                let mut passing = things.clone();
                inner.keep(&mut passing);
                remove(things, &passing);
            }
            Filter::And(all) => all.iter().for_each(|inner| inner.keep(things)),
            Filter::Or(all) => {
                let mut left = things.clone();
                for inner in all {
                    let mut passing = left.clone();
                    inner.keep(&mut passing);
                    remove(&mut left, &passing);
                }
                remove(things, &left);
            }
        }
    }
}

/// Takes things out that come in the same order.
fn remove<T>(things: &mut Vec<&T>, gone: &[&T]) {
    let mut gone = gone.iter().peekable();
    things.retain(|thing| gone.next_if(|gone| std::ptr::eq(**gone, *thing)).is_none());
}

/// Keeps those for whose values something holds.
fn keep_by<T, V>(things: &mut Vec<&T>, values: Vec<V>, mut holds: impl FnMut(V) -> bool) {
    let mut values = values.into_iter();
    things.retain(|_| values.next().is_some_and(&mut holds));
}

impl Test {
    /// `not in` and `not between` deny the whole, so that `anyOf(x) not in […]` means that none of them is in the list.
    fn keep<T>(&self, operand: &Operand<T>, things: &mut Vec<&T>) {
        let negated = match self {
            Test::In { negated, .. } | Test::Between { negated, .. } => *negated,
            Test::Relation(_, _) | Test::Contains { .. } => false,
        };
        match operand {
            Operand::One(asked) => {
                let values = asked.values(things);
                fetch_texts(&values);
                keep_by(things, values, |value| self.holds(value) != negated);
            }
            Operand::AnyOf(of) => {
                let sets = Texts::of(things, *of);
                keep_by(things, sets, |set| set.any(|text| self.holds(Scalar::Text(text))) != negated);
            }
            Operand::AllOf(of) => {
                let sets = Texts::of(things, *of);
                keep_by(things, sets, |set| set.any(|text| !self.holds(Scalar::Text(text))) == negated);
            }
            Operand::Count(of) => {
                let counts: Vec<_> = things.iter().map(|thing| of(thing).len()).collect();
                keep_by(things, counts, |count| {
                    let count = i64::try_from(count).unwrap_or(i64::MAX);
                    self.holds(Scalar::Number(Number::Whole(count))) != negated
                });
            }
        }
    }

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
