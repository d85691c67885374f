//! The order of a list. Equal things stay in the order of the whole list, which is that of their ids.

use std::cmp::Ordering;
use std::ops::Range;

use super::field::{Scalar, fetch_texts, in_parts};
use super::typing::SortKey;

/// The things in order whose places in it are `places`. Only these are sorted out of a long list; what is compared is looked up
/// once, and most comparisons are those of two numbers.
pub(super) fn places<'a, T>(things: &[&'a T], sort: &[SortKey<T>], places: Range<usize>) -> Vec<&'a T> {
    let columns: Vec<Column<'a>> = sort.iter().map(|key| Column::of(things, key)).collect();
    let first = columns.first();
    let image = |place: usize| first.and_then(|column| column.images.get(place)).copied().unwrap_or_default();
    let mut rows: Vec<Row<'a, T>> =
        things.iter().enumerate().map(|(place, &thing)| Row { image: image(place), place, thing }).collect();
    let order = |a: &Row<'a, T>, b: &Row<'a, T>| {
        let further = || columns.iter().map(|column| column.compare(a.place, b.place));
        let all_fields = || further().find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal);
        a.image.cmp(&b.image).then_with(all_fields).then(a.place.cmp(&b.place))
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

struct Row<'a, T> {
    /// That of the first field.
    image: u64,
    place: usize,
    thing: &'a T,
}

/// The values of one field, and of each a number: of two numbers that differ, the lower one is that of the lower value.
struct Column<'a> {
    values: Vec<Scalar<'a>>,
    images: Vec<u64>,
    descending: bool,
}

impl<'a> Column<'a> {
    fn of<T>(things: &[&'a T], key: &SortKey<T>) -> Self {
        let mut values = Vec::with_capacity(things.len());
        in_parts(things.iter().copied(), |some| {
            let of_some = key.of.values(some);
            fetch_texts(&of_some);
            values.extend(of_some);
        });
        let shared = shared_bytes(&values);
        let turn = |image: u64| if key.descending { !image } else { image };
        let images = values.iter().map(|value| turn(image(value, shared))).collect();
        Column { values, images, descending: key.descending }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        self.images.get(a).cmp(&self.images.get(b)).then_with(|| match (self.values.get(a), self.values.get(b)) {
            (Some(a), Some(b)) if self.descending => b.order(*a),
            (Some(a), Some(b)) => a.order(*b),
            _ => Ordering::Equal,
        })
    }
}

/// With how many bytes all texts begin that are the same: they say nothing of the order.
fn shared_bytes(values: &[Scalar<'_>]) -> usize {
    let mut texts = values.iter().filter_map(|value| match value {
        Scalar::Text(text) => Some(text.as_bytes()),
        Scalar::Null | Scalar::Flag(_) | Scalar::Number(_) | Scalar::Instant(_) => None,
    });
    let Some(mut shared) = texts.next() else {
        return 0;
    };
    for text in texts {
        if !text.starts_with(shared) {
            let same = shared.iter().zip(text).take_while(|(a, b)| a == b).count();
            shared = shared.get(..same).unwrap_or_default();
        }
        if shared.is_empty() {
            break;
        }
    }
    shared.len()
}

/// A number for a value: what is missing has the lowest, of texts the first bytes after the shared ones make it.
fn image(value: &Scalar<'_>, shared: usize) -> u64 {
    match value {
        Scalar::Null => 0,
        Scalar::Flag(flag) => 1 + u64::from(*flag),
        // Times before 1970 do not occur; all of them are the lowest.
        Scalar::Instant(instant) => u64::try_from(instant.as_millis()).unwrap_or_default(),
        // Numbers are not sorted by.
        Scalar::Number(_) => 0,
        Scalar::Text(text) => {
            let mut image = [0; 8];
            let told = text.as_bytes().get(shared..).unwrap_or_default();
            image.iter_mut().zip(told).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(image)
        }
    }
}
