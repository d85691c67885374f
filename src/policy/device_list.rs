//! Lists of what devices are called, for checks that look in them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::objects::Meta;
use crate::clock::Timestamp;
use crate::id::ListId;
use crate::posture::check::listed::{DeviceName, Entries};

/// A list of serial numbers, or of the ids that device management gives out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceList {
    /// The id.
    pub id: ListId,
    /// The name.
    pub name: Arc<str>,
    /// What is in it.
    pub holds: DeviceName,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// The entries, in the order they were added, each once.
    pub items: Vec<ListItem>,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListItem {
    /// The value as written.
    pub value: Arc<str>,
    /// What it is.
    pub description: Option<Arc<str>>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl DeviceList {
    /// The entries in the form in which they are compared; those that name no device are left out.
    pub fn entries(&self) -> Entries {
        Arc::new(self.items.iter().filter_map(|item| self.holds.comparable(&item.value)).collect())
    }
}
