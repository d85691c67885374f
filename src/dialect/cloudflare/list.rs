//! Gateway lists of serial numbers and of device management's ids (`cloudflare.md` 1.9, 1.10 and 5).

mod items;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Map;

use super::error::ApiError;
use super::members::{Members, object};
use super::notes::Notes;
use super::source::source;
use super::written::Written;
use crate::clock::Timestamp;
use crate::id::ListId;
use crate::limits;
use crate::policy::device_list::{DeviceList, ListItem};
use crate::policy::objects::{Meta, Origin};
use crate::posture::check::listed::DeviceName;

/// What replies say about a list. A client that changes what it read sends these back.
const READ_ONLY: [&str; 5] = ["id", "count", "created_at", "updated_at", "source"];

/// The type of a list, as Cloudflare spells it.
const fn spelling(holds: DeviceName) -> &'static str {
    match holds {
        DeviceName::SerialNumber => "SERIAL",
        DeviceName::UniqueClientId => "DEVICE",
    }
}

/// The type of a list.
pub fn list_type(list: &DeviceList) -> &'static str {
    spelling(list.holds)
}

/// Reads the body of a creation.
pub fn create_list(body: &[u8], id: ListId, now: Timestamp) -> Result<Written<DeviceList>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    let name = name(&members)?;
    let holds = kind(&members)?.ok_or_else(|| members.missing("type"))?;
    let mut notes = Notes::default();
    notes.ignored(&members, "a list", |name| is_member(name, &["name", "type", "description", "items"]));
    let items = items::read(&members, "items", holds, now, &mut notes)?;
    let items = items.map_or_else(Vec::new, items::Items::into_items);
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let description = description(&members)?;
    let list = DeviceList { id, name, holds, description, items, meta };
    items::check_size(&list.items, &members, "items")?;
    Ok(Written { object: list, warnings: notes.into_messages() })
}

/// Reads the body of a PUT. A description that is left out is taken away. Items that are left out stay as they are, as Cloudflare
/// documents; an empty array empties the list, so that nobody keeps an access that was meant to end.
pub fn replace_list(body: &[u8], known: &DeviceList, now: Timestamp) -> Result<Written<DeviceList>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    let name = name(&members)?;
    keeps_its_type(&members, known)?;
    let mut notes = Notes::default();
    notes.ignored(&members, "a list", |name| is_member(name, &["name", "type", "description", "items"]));
    let items = match items::read(&members, "items", known.holds, now, &mut notes)? {
        Some(items) => items.with_ages_of(&known.items).into_items(),
        None => known.items.clone(),
    };
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    items::check_size(&items, &members, "items")?;
    let list = DeviceList { name, description: description(&members)?, items, meta, ..known.clone() };
    Ok(Written { object: list, warnings: notes.into_messages() })
}

/// Reads the body of a PATCH: values to remove, then items to append.
pub fn patch_list(body: &[u8], known: &DeviceList, now: Timestamp) -> Result<Written<DeviceList>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    keeps_its_type(&members, known)?;
    let mut notes = Notes::default();
    notes.ignored(&members, "a change to a list", |name| is_member(name, &["type", "append", "remove"]));
    let mut items = items::Items::of(known.holds, &known.items);
    items.remove(&members, "remove", &mut notes)?;
    items.append(&members, "append", now, &mut notes)?;
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    let items = items.into_items();
    items::check_size(&items, &members, "append")?;
    let list = DeviceList { items, meta, ..known.clone() };
    Ok(Written { object: list, warnings: notes.into_messages() })
}

fn is_member(name: &str, known: &[&str]) -> bool {
    known.contains(&name) || READ_ONLY.contains(&name)
}

fn name(members: &Members<'_>) -> Result<Arc<str>, ApiError> {
    members.required_text_within("name", limits::NAME_BYTES_MAX).map(Arc::from)
}

fn description(members: &Members<'_>) -> Result<Option<Arc<str>>, ApiError> {
    members.text_within("description", limits::LIST_DESCRIPTION_BYTES_MAX).map(|text| text.map(Arc::from))
}

fn kind(members: &Members<'_>) -> Result<Option<DeviceName>, ApiError> {
    let Some(given) = members.text("type")? else {
        return Ok(None);
    };
    let mut known = [DeviceName::SerialNumber, DeviceName::UniqueClientId].into_iter();
    match known.find(|holds| spelling(*holds) == given) {
        Some(holds) => Ok(Some(holds)),
        None => Err(members.wrong("type", "must be SERIAL or DEVICE: lists of other types are not kept here")),
    }
}

fn keeps_its_type(members: &Members<'_>, known: &DeviceList) -> Result<(), ApiError> {
    match members.get("type") {
        Some(given) if given.as_str() != Some(spelling(known.holds)) => {
            Err(members.wrong("type", "of a list cannot be changed"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether two lists were written alike. Clients send a creation again when they did not see the answer to the first.
pub fn same_list_content(one: &DeviceList, other: &DeviceList) -> bool {
    let values = |list: &DeviceList| list.items.iter().map(|item| Arc::clone(&item.value)).collect::<Vec<_>>();
    one.name == other.name
        && one.holds == other.holds
        && one.description == other.description
        && values(one) == values(other)
}

/// A list as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct GatewayList<'a> {
    id: &'a ListId,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<GatewayItem<'a>>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    source: String,
}

/// An entry of a list as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct GatewayItem<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    created_at: Timestamp,
}

impl<'a> GatewayItem<'a> {
    fn of(item: &'a ListItem) -> Self {
        let ListItem { value, description, created_at } = item;
        GatewayItem { value, description: description.as_deref(), created_at: *created_at }
    }
}

/// Shows a list, with its items or only their number.
pub fn gateway_list(list: &DeviceList, with_items: bool) -> GatewayList<'_> {
    GatewayList {
        id: &list.id,
        name: &list.name,
        kind: spelling(list.holds),
        description: list.description.as_deref(),
        count: list.items.len(),
        items: with_items.then(|| list_items(list)),
        created_at: list.meta.created_at,
        updated_at: list.meta.updated_at,
        source: source(&list.meta.origin),
    }
}

/// Shows the entries of a list: one flat array.
pub fn list_items(list: &DeviceList) -> Vec<GatewayItem<'_>> {
    list.items.iter().map(GatewayItem::of).collect()
}
