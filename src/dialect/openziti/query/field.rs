//! Things with named fields that filters and orders ask for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::syntax::Number;
use crate::clock::Timestamp;

/// What lists of one kind hold.
pub trait Listed {
    /// The fields that can be asked for, each with its type.
    const FIELDS: &'static [(&'static str, FieldType)];

    /// The value of a field; a tag's name is `tags.` and the tag.
    fn field(&self, name: &str) -> Field<'_>;
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// A time.
    Instant,
    /// Several texts, asked for by functions such as `anyOf`.
    Set,
    /// Values by name, of any type: the field itself cannot be asked for, its entries can.
    Tags,
}

/// The value of a field.
#[derive(Debug)]
pub enum Field<'a> {
    /// One value.
    One(Scalar<'a>),
    /// Several texts.
    Set(Texts<'a>),
    /// There is no such field.
    Unknown,
}

impl<'a> Field<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Field::One(Scalar::Text(text))
    }

    /// A tag; what is not a single value counts as missing.
    pub(super) fn tag(tags: &'a Map<String, Value>, tag: &str) -> Self {
        let nested = || {
            let (outer, inner) = tag.split_once('.')?;
            inner.split('.').try_fold(tags.get(outer)?, |value, name| value.get(name))
        };
        Field::One(match tags.get(tag).or_else(nested) {
            Some(Value::String(text)) => Scalar::Text(text),
            Some(Value::Bool(flag)) => Scalar::Flag(*flag),
            Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Scalar::Number(Number::Whole(whole)),
                (None, Some(decimal)) => Scalar::Number(Number::Decimal(decimal)),
                (None, None) => Scalar::Null,
            },
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Scalar::Null,
        })
    }
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing, or nothing that can be compared.
    Null,
    /// True or false.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A time.
    Instant(Timestamp),
    /// A text.
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    /// As a text: flags and numbers are written out, as OpenZiti does with tags.
    pub(super) fn as_text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Text(text) => Some(Cow::Borrowed(text)),
            Scalar::Flag(flag) => Some(Cow::Borrowed(if flag { "true" } else { "false" })),
            Scalar::Number(number) => Some(Cow::Owned(number.plain())),
            Scalar::Instant(instant) => Some(Cow::Owned(instant.to_string())),
            Scalar::Null => None,
        }
    }

    /// In an order: what is missing comes first, `false` before `true`.
    pub(super) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Scalar::Flag(a), Scalar::Flag(b)) => a.cmp(&b),
            (Scalar::Number(a), Scalar::Number(b)) => a.compare(b).unwrap_or(Ordering::Equal),
            (Scalar::Instant(a), Scalar::Instant(b)) => a.cmp(&b),
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(self) -> u8 {
        match self {
            Scalar::Null => 0,
            Scalar::Flag(_) => 1,
            Scalar::Number(_) => 2,
            Scalar::Instant(_) => 3,
            Scalar::Text(_) => 4,
        }
    }
}

impl Number {
    /// Whole numbers exactly, others as far as their precision goes.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.approximate().partial_cmp(&b.approximate()),
        }
    }

    fn approximate(self) -> f64 {
        match self {
            Number::Whole(whole) => whole as f64,
            Number::Decimal(decimal) => decimal,
        }
    }
}

/// The texts of a set.
#[derive(Debug)]
pub enum Texts<'a> {
    /// As the object holds them.
    Shared(&'a [Arc<str>]),
    /// Made for the question.
    Made(Vec<String>),
}

impl Texts<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Texts::Shared(texts) => texts.len(),
            Texts::Made(texts) => texts.len(),
        }
    }

    pub(super) fn any(&self, holds: impl Fn(&str) -> bool) -> bool {
        match self {
            Texts::Shared(texts) => texts.iter().any(|text| holds(text)),
            Texts::Made(texts) => texts.iter().any(|text| holds(text)),
        }
    }
}
