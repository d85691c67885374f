//! The order of a list. Equal things stay in the order of the whole list, which is that of their ids.

use std::cmp::Ordering;
use std::ops::Range;

use super::field::{Field, Listed, Scalar};
use super::syntax::SortField;

/// The things in order whose places in it are `places`. Only these are sorted out of a long list, and what is compared is looked
/// up once.
pub(super) fn places<'a, T: Listed>(things: &[&'a T], sort: &[SortField], places: Range<usize>) -> Vec<&'a T> {
    let mut keys = Vec::with_capacity(things.len().saturating_mul(sort.len()));
    for thing in things {
        keys.extend(sort.iter().map(|field| key(*thing, field)));
    }
    let mut rows: Vec<Row<'_, 'a, T>> = (things.iter().zip(keys.chunks_exact(sort.len().max(1))).enumerate())
        .map(|(place, (&thing, keys))| Row { keys, place, thing })
        .collect();
    let order = |a: &Row<'_, 'a, T>, b: &Row<'_, 'a, T>| {
        let compared = sort.iter().zip(a.keys.iter().zip(b.keys)).map(|(field, (a, b))| directed(*a, *b, field));
        compared.fold(Ordering::Equal, Ordering::then).then(a.place.cmp(&b.place))
    };
    let end = places.end.min(rows.len());
    if end < rows.len() {
        rows.select_nth_unstable_by(end, order);
        rows.truncate(end);
    }
    let begin = places.start.min(end);
    if begin < end {
        rows.select_nth_unstable_by(begin, order);
    }
    let mut rows = rows.split_off(begin);
    rows.sort_unstable_by(order);
    rows.into_iter().map(|row| row.thing).collect()
}

struct Row<'k, 'a, T> {
    keys: &'k [Scalar<'a>],
    place: usize,
    thing: &'a T,
}

fn key<'a, T: Listed>(thing: &'a T, field: &SortField) -> Scalar<'a> {
    match thing.field(&field.name.text) {
        Field::One(value) => value,
        Field::Set(_) | Field::Unknown => Scalar::Null,
    }
}

fn directed(a: Scalar<'_>, b: Scalar<'_>, field: &SortField) -> Ordering {
    if field.descending { b.order(a) } else { a.order(b) }
}
