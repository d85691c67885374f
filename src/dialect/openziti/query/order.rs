//! The order of a list. Equal things stay in the order of the whole list, which is that of their ids.

use std::cmp::Ordering;

use super::field::{Field, Listed, Scalar};
use super::syntax::SortField;

/// The first `wanted` things in order. Only these are sorted out of a long list, and what is compared first is looked up once.
pub(super) fn first<'a, T: Listed>(things: &[&'a T], sort: &[SortField], wanted: usize) -> Vec<&'a T> {
    let Some((leading, further)) = sort.split_first() else {
        return things.iter().take(wanted).copied().collect();
    };
    let mut rows: Vec<Row<'a, T>> =
        things.iter().enumerate().map(|(place, &thing)| Row { key: key(thing, leading), place, thing }).collect();
    let order = |a: &Row<'a, T>, b: &Row<'a, T>| {
        let mut ordering = directed(a.key, b.key, leading);
        for field in further {
            ordering = ordering.then_with(|| directed(key(a.thing, field), key(b.thing, field), field));
        }
        ordering.then(a.place.cmp(&b.place))
    };
    if wanted < rows.len() {
        rows.select_nth_unstable_by(wanted, order);
        rows.truncate(wanted);
    }
    rows.sort_unstable_by(order);
    rows.into_iter().map(|row| row.thing).collect()
}

struct Row<'a, T> {
    key: Scalar<'a>,
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
