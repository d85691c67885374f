//! Things with named fields that filters and orders ask for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::TAGS;
use super::syntax::Number;
use crate::clock::Timestamp;

/// What lists of one kind hold.
pub trait Listed: Sized {
    /// The fields that can be asked for.
    fn fields() -> Fields<Self>;
}

/// The fields of one kind of things, by name.
#[derive(Debug)]
pub struct Fields<T>(Vec<(&'static str, Field<T>)>);

impl<T> Fields<T> {
    /// Fields by name, in any order.
    pub(super) fn new<const N: usize>(fields: [(&'static str, Field<T>); N]) -> Self {
        Fields(Vec::new()).and(fields)
    }

    /// Also these.
    #[must_use]
    pub(super) fn and<const N: usize>(mut self, more: [(&'static str, Field<T>); N]) -> Self {
        self.0.extend(more);
        self.0.sort_unstable_by_key(|(name, _)| *name);
        self
    }

    /// The names, sorted; what a list's `meta` tells.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    /// The field of a name.
    pub fn get(&self, name: &str) -> Option<Field<T>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// What is asked for by a name: a field, or a tag by `tags.` and its name.
    pub(super) fn asked(&self, name: &str) -> Option<Asked<T>> {
        if let Some(field) = self.get(name) {
            return Some(Asked::Field(field));
        }
        let tag = name.strip_prefix(TAGS).filter(|tag| !tag.is_empty())?;
        match self.get("tags")? {
            Field::Tags(of) => Some(Asked::Tag(of, tag.into())),
            Field::Text(_) | Field::Flag(_) | Field::Instant(_) | Field::Set(_) => None,
        }
    }
}

/// A field: of which type it is, and where it is in a thing.
#[derive(Debug)]
pub enum Field<T> {
    /// A text, or nothing.
    Text(for<'a> fn(&'a T) -> Option<&'a str>),
    /// True or false, or nothing.
    Flag(fn(&T) -> Option<bool>),
    /// A time.
    Instant(fn(&T) -> Timestamp),
    /// Several texts, asked for by functions such as `anyOf`.
    Set(for<'a> fn(&'a T) -> Texts<'a>),
    /// Values by name, of any type: the field itself cannot be asked for, its entries can.
    Tags(for<'a> fn(&'a T) -> &'a Map<String, Value>),
}

/// What a name in a filter or an order stands for.
#[derive(Debug)]
pub(super) enum Asked<T> {
    Field(Field<T>),
    Tag(for<'a> fn(&'a T) -> &'a Map<String, Value>, String),
}

// Functions are copied whatever they are functions of, which cannot be derived.
impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> Asked<T> {
    /// What each of some things has there, in their order. Sets are not one value, and count as missing.
    ///
    /// Things lie all over the memory. A processor that looks into one after the other waits for each; asked first for what all
    /// of them point at, it fetches that at once. So everything here goes through all things before it takes the next step.
    pub(super) fn values<'a>(&self, things: &[&'a T]) -> Vec<Scalar<'a>> {
        let things = things.iter().copied();
        match self {
            Asked::Field(Field::Text(of)) => things.map(|thing| of(thing).map_or(Scalar::Null, Scalar::Text)).collect(),
            Asked::Field(Field::Flag(of)) => things.map(|thing| of(thing).map_or(Scalar::Null, Scalar::Flag)).collect(),
            Asked::Field(Field::Instant(of)) => things.map(|thing| Scalar::Instant(of(thing))).collect(),
            Asked::Field(Field::Set(_) | Field::Tags(_)) => things.map(|_| Scalar::Null).collect(),
            Asked::Tag(of, tag) => {
                let all: Vec<_> = things.map(of).collect();
                fetch_tags(&all);
                all.into_iter().map(|tags| Scalar::of_tag(tags, tag)).collect()
            }
        }
    }
}

/// Things that are looked at together: as many as stay at hand while each step of a comparison goes through all of them.
const TOGETHER: usize = 128;

/// Gives out things in parts of a size that can be looked at together.
pub(super) fn in_parts<'a, T: 'a>(things: impl Iterator<Item = &'a T>, mut look: impl FnMut(&[&'a T])) {
    let mut things = things.fuse();
    let mut some = Vec::with_capacity(TOGETHER);
    loop {
        some.extend(things.by_ref().take(TOGETHER));
        if some.is_empty() {
            return;
        }
        look(&some);
        some.clear();
    }
}

/// Entries of each map that are looked at ahead: most things have few tags.
const TAGS_FETCHED: usize = 4;

fn fetch_tags(all: &[&Map<String, Value>]) {
    fetch(all.iter().map(|tags| tags.len()));
    let entries = || all.iter().flat_map(|tags| tags.iter().take(TAGS_FETCHED));
    fetch(all.iter().filter_map(|tags| tags.iter().next()).map(|(name, _)| name.len()));
    fetch(entries().map(|(name, value)| first_byte(name) ^ value.as_str().map_or(0, str::len)));
    fetch(entries().filter_map(|(_, value)| value.as_str()).map(first_byte));
}

/// The texts that each of some things carries, at hand.
pub(super) fn shared_texts<'a, T>(things: &[&'a T], of: for<'t> fn(&'t T) -> &'t [Arc<str>]) -> Vec<&'a [Arc<str>]> {
    let all: Vec<&'a [Arc<str>]> = things.iter().copied().map(of).collect();
    fetch_shared(all.iter().copied());
    all
}

fn fetch_shared<'a>(all: impl Iterator<Item = &'a [Arc<str>]> + Clone) {
    fetch(all.clone().filter_map(<[_]>::first).map(|text| text.len()));
    fetch(all.flatten().map(|text| first_byte(text)));
}

/// Has the texts at hand when they are compared next.
pub(super) fn fetch_texts(values: &[Scalar<'_>]) {
    fetch(values.iter().filter_map(|value| match value {
        Scalar::Text(text) => Some(first_byte(text)),
        Scalar::Null | Scalar::Flag(_) | Scalar::Number(_) | Scalar::Instant(_) => None,
    }));
}

fn first_byte(text: &str) -> usize {
    text.as_bytes().first().copied().map_or(0, usize::from)
}

/// Reads what is given, and does nothing with it.
fn fetch(read: impl Iterator<Item = usize>) {
    std::hint::black_box(read.fold(0, |seen, part| seen ^ part));
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
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
    /// A tag; what is not a single value counts as missing.
    fn of_tag(tags: &'a Map<String, Value>, tag: &str) -> Self {
        let nested = || {
            let (outer, inner) = tag.split_once('.')?;
            inner.split('.').try_fold(tags.get(outer)?, |value, name| value.get(name))
        };
        match tags.get(tag).or_else(nested) {
            Some(Value::String(text)) => Scalar::Text(text),
            Some(Value::Bool(flag)) => Scalar::Flag(*flag),
            Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Scalar::Number(Number::Whole(whole)),
                (None, Some(decimal)) => Scalar::Number(Number::Decimal(decimal)),
                (None, None) => Scalar::Null,
            },
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Scalar::Null,
        }
    }

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
    /// The sets of some things, in their order, what they hold at hand.
    pub(super) fn of<'a, T>(things: &[&'a T], of: for<'t> fn(&'t T) -> Texts<'t>) -> Vec<Texts<'a>> {
        let sets: Vec<Texts<'a>> = things.iter().copied().map(of).collect();
        fetch_shared(sets.iter().map(Texts::shared));
        sets
    }

    fn shared(&self) -> &[Arc<str>] {
        match self {
            Texts::Shared(texts) => texts,
            Texts::Made(_) => &[],
        }
    }

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
