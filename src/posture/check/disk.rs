//! Encrypted volumes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::fold::eq_folded;
use crate::posture::inventory::Volume;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Family;

/// Passes when every selected volume is there and encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskRule {
    /// Whether every reported volume is selected.
    pub every_volume: bool,
    /// Volumes that are selected by name.
    pub volumes: Vec<String>,
}

impl DiskRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        if !self.every_volume && self.volumes.is_empty() {
            return Assessment::lasting(Outcome::Fail(FailReason::NoVolumesSelected));
        }
        let Some(fact) = &posture.inventory().volumes else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        match fact.counts_until(max_age, now) {
            None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
            Some(end) => Assessment::until(self.judge(&fact.value, posture.family()), end),
        }
    }

    fn judge(&self, reported: &[Volume], family: Option<Family>) -> Outcome {
        if reported.is_empty() {
            return Outcome::Fail(FailReason::NoVolumesReported);
        }
        let named = |name: &str| {
            let wanted = plain(name).to_owned();
            reported.iter().filter(move |volume| match family {
                Some(Family::Windows) => eq_folded(plain(&volume.name), &wanted),
                _ => plain(&volume.name) == wanted,
            })
        };
        if self.volumes.iter().any(|name| named(name).next().is_none()) {
            return Outcome::Fail(FailReason::VolumeAbsent);
        }
        let every = reported.iter().filter(|_| self.every_volume);
        let mut answer = Outcome::Pass;
        for volume in every.chain(self.volumes.iter().flat_map(|name| named(name))) {
            match volume.encrypted {
                Some(true) => {}
                Some(false) => return Outcome::Fail(FailReason::VolumeNotEncrypted),
                None => answer = Outcome::NoResult(NoResultReason::NotReported),
            }
        }
        answer
    }
}

/// A volume's name without what may stand at its end: `C:` and `C:\` are `C`; the root stays `/`.
fn plain(name: &str) -> &str {
    let name = name.trim();
    match name.trim_end_matches([':', '\\', '/']) {
        "" => name,
        plain => plain,
    }
}
