//! The entries of a list: each once, in the order they were added, and none that names no device.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::ApiError;
use super::super::members::Members;
use super::super::notes::{Notes, excerpt};
use crate::clock::Timestamp;
use crate::limits;
use crate::policy::device_list::ListItem;
use crate::posture::check::listed::DeviceName;

/// The entries of a list while it is changed.
#[derive(Debug)]
pub(super) struct Items {
    holds: DeviceName,
    /// `None` where an entry was removed.
    kept: Vec<Option<ListItem>>,
    /// Where each entry stands, by the form in which it is compared.
    places: HashMap<Box<str>, usize>,
}

/// The items of a body; `None` when it has no such member.
pub(super) fn read(
    members: &Members<'_>,
    name: &str,
    holds: DeviceName,
    now: Timestamp,
    notes: &mut Notes,
) -> Result<Option<Items>, ApiError> {
    let mut items = Items::of(holds, &[]);
    Ok(items.append(members, name, now, notes)?.then_some(items))
}

impl Items {
    pub(super) fn of(holds: DeviceName, known: &[ListItem]) -> Self {
        let mut items = Items { holds, kept: Vec::new(), places: HashMap::new() };
        for item in known {
            // An entry of a policy file may name no device; it stays where it is and is never found.
            if let Some(comparable) = holds.comparable(&item.value) {
                items.places.insert(comparable, items.kept.len());
            }
            items.kept.push(Some(item.clone()));
        }
        items
    }

    /// Adds the items of a member. Says whether there is such a member.
    pub(super) fn append(
        &mut self,
        members: &Members<'_>,
        name: &str,
        now: Timestamp,
        notes: &mut Notes,
    ) -> Result<bool, ApiError> {
        let Some(given) = members.objects(name, limits::LIST_ITEMS_MAX)? else {
            return Ok(false);
        };
        for item in given {
            let value = value(&item)?;
            let description = item.text_within("description", limits::LIST_DESCRIPTION_BYTES_MAX)?;
            let description = description.map(|text| plain(text).map_err(|reason| item.wrong("description", reason)));
            let description = description.transpose()?.map(Arc::from);
            let Some(comparable) = self.holds.comparable(value) else {
                notes.add(format!("{} names no single device and was left out", excerpt(value)));
                continue;
            };
            if self.places.contains_key(&comparable) {
                notes.add(format!("{} is in the list already and was left out", excerpt(value)));
                continue;
            }
            self.places.insert(comparable, self.kept.len());
            self.kept.push(Some(ListItem { value: value.into(), description, created_at: now }));
        }
        Ok(true)
    }

    /// Takes out the values of a member.
    pub(super) fn remove(&mut self, members: &Members<'_>, name: &str, notes: &mut Notes) -> Result<(), ApiError> {
        for value in members.texts(name, limits::LIST_ITEMS_MAX)?.unwrap_or_default() {
            let place = self.holds.comparable(value).and_then(|comparable| self.places.remove(&comparable));
            match place.and_then(|place| self.kept.get_mut(place)) {
                Some(item) => *item = None,
                None => notes.add(format!("{} is not in the list", excerpt(value))),
            }
        }
        Ok(())
    }

    /// Entries that were there before keep the time they were added at.
    pub(super) fn with_ages_of(mut self, known: &[ListItem]) -> Self {
        let known = Items::of(self.holds, known);
        for (comparable, place) in &self.places {
            let before = known.places.get(comparable).and_then(|place| known.kept.get(*place)?.as_ref());
            if let (Some(Some(item)), Some(before)) = (self.kept.get_mut(*place), before) {
                item.created_at = before.created_at;
            }
        }
        self
    }

    pub(super) fn into_items(self) -> Vec<ListItem> {
        self.kept.into_iter().flatten().collect()
    }
}

/// The value of an item, without blanks around it.
fn value<'a>(item: &Members<'a>) -> Result<&'a str, ApiError> {
    let value = item.text("value")?.ok_or_else(|| item.missing("value"))?.trim();
    if value.is_empty() {
        return Err(item.wrong("value", "must not be empty"));
    }
    if value.len() > limits::LIST_VALUE_BYTES_MAX {
        return Err(item.wrong("value", format!("is longer than {} bytes", limits::LIST_VALUE_BYTES_MAX)));
    }
    plain(value).map_err(|reason| item.wrong("value", reason))
}

/// A control character takes six letters in a stored record; no serial number has one.
fn plain(text: &str) -> Result<&str, &'static str> {
    if text.chars().any(char::is_control) { Err("must not hold control characters") } else { Ok(text) }
}

/// Whether there is room for all the entries. `name` is the member that adds to them.
pub(super) fn check_size(items: &[ListItem], members: &Members<'_>, name: &str) -> Result<(), ApiError> {
    if items.len() > limits::LIST_ITEMS_MAX {
        let reason = format!("makes the list longer than {} items", limits::LIST_ITEMS_MAX);
        return Err(members.wrong(name, reason));
    }
    let bytes = |item: &ListItem| item.value.len() + item.description.as_ref().map_or(0, |text| text.len());
    if items.iter().map(bytes).sum::<usize>() > limits::LIST_TEXT_BYTES_MAX {
        let reason = format!("makes the texts of the list longer than {} bytes", limits::LIST_TEXT_BYTES_MAX);
        return Err(members.wrong(name, reason));
    }
    Ok(())
}
