//! Lists of device names in policy files.

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::{Register, Source, Tags};
use crate::config::document::{Field, Located};
use crate::config::values::NameText;
use crate::id::ListId;
use crate::policy::device_list::{DeviceList, ListItem};
use crate::posture::check::listed::DeviceName;

/// What some devices are called, for checks that look in it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "type", "items"]))]
pub(super) struct RawDeviceList {
    /// Its name, unique over lists.
    name: Field<NameText>,
    /// Its id, unique over lists; rules name it. Default: the name.
    id: Field<NameText>,
    /// What is in it: `SERIAL` for serial numbers, `DEVICE` for the ids that device management gives out.
    #[serde(rename = "type")]
    list_type: Field<ListType>,
    /// What it is for.
    description: Field<String>,
    /// The entries.
    items: Field<Vec<Field<NameText>>>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// What a list holds, in Cloudflare's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum ListType {
    #[serde(rename = "SERIAL")]
    Serial,
    #[serde(rename = "DEVICE")]
    Device,
}

/// Reads one list. Entries that name no device are pointed out and left out.
pub(super) fn read(source: &Source<'_>, register: &mut Register, raw: Located<RawDeviceList>) -> Option<DeviceList> {
    let Located { node, value: raw } = raw;
    let session = source.session;
    let list_type = raw.list_type.required(session, node, "type");
    if !raw.items.is_given() {
        session.missing(node, "items");
    }
    let written = raw.items.items();
    let head = source.head(register, node, raw.name, raw.id, raw.tags)?;
    let holds = match list_type?.value {
        ListType::Serial => DeviceName::SerialNumber,
        ListType::Device => DeviceName::UniqueClientId,
    };
    let mut items: Vec<ListItem> = Vec::with_capacity(written.len());
    for item in written {
        if holds.comparable(&item.value.0).is_none() {
            session.warn(item.node, "names no device: manufacturers put it on every board");
            continue;
        }
        items.push(ListItem { value: item.value.0.into(), description: None, created_at: source.modified });
    }
    Some(DeviceList {
        id: ListId::new(head.id),
        name: head.name,
        holds,
        description: raw.description.value().map(Into::into),
        items,
        meta: head.meta,
    })
}
