//! What a device is called, looked up in a list.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::ListId;
use crate::posture::facts::{Fact, Posture};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes when what the device is called is in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedRule {
    /// What is looked up.
    pub name: DeviceName,
    /// The list's id.
    pub list: ListId,
    /// The list's entries, put here when a snapshot is compiled; `None` when there is no such list.
    #[serde(skip)]
    pub entries: Option<Entries>,
}

/// The entries of a list in the form in which they are compared.
pub type Entries = Arc<HashSet<Box<str>>>;

/// What a device can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceName {
    /// The hardware's serial number.
    SerialNumber,
    /// The id that device management gave to the client.
    UniqueClientId,
}

impl DeviceName {
    /// Its name, as checks are told apart by it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeviceName::SerialNumber => "serial_number",
            DeviceName::UniqueClientId => "unique_client_id",
        }
    }

    /// A text in the form in which it is compared; `None` when it names no device.
    ///
    /// Manufacturers that do not number their boards leave a placeholder, the same on every board.
    pub fn comparable(self, text: &str) -> Option<Box<str>> {
        const PLACEHOLDERS: [&str; 9] = [
            "",
            "0",
            "none",
            "default string",
            "to be filled by o.e.m.",
            "to be filled by oem",
            "system serial number",
            "not specified",
            "not applicable",
        ];
        let text = text.trim().to_ascii_lowercase();
        match self {
            DeviceName::SerialNumber => (!PLACEHOLDERS.contains(&text.as_str())).then(|| text.into()),
            DeviceName::UniqueClientId => {
                let bare = text.replace('-', "");
                (!bare.is_empty()).then(|| bare.into())
            }
        }
    }
}

impl ListedRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(entries) = &self.entries else {
            return Assessment::lasting(Outcome::Fail(FailReason::ListNotFound));
        };
        let Some(fact) = self.find(posture) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let outcome = match self.name.comparable(&fact.value) {
            None => Outcome::NoResult(NoResultReason::NotReported),
            Some(name) if entries.contains(&name) => Outcome::Pass,
            Some(_) => Outcome::Fail(FailReason::NotListed),
        };
        Assessment::until(outcome, end)
    }

    pub(super) fn find<'a>(&self, posture: &'a Posture) -> Option<&'a Fact<String>> {
        let inventory = posture.inventory();
        match self.name {
            DeviceName::SerialNumber => inventory.serial_number.as_ref(),
            DeviceName::UniqueClientId => inventory.unique_client_id.as_ref(),
        }
    }
}
