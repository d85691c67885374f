//! The operating system and its version.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::{Os, Posture};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Platform;
use crate::posture::version::{VersionRange, VersionReading};

/// Passes when the reported system is listed and its version is in one of the ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OsRule {
    /// Accepted systems, sorted by spelling, each once.
    pub systems: Vec<OsRequirement>,
    /// How the reported version is read.
    #[serde(default)]
    pub version_reading: VersionReading,
}

/// One accepted operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OsRequirement {
    /// The system.
    pub platform: Platform,
    /// Accepted ranges; any one suffices, none means any version.
    pub versions: Vec<VersionRange>,
}

impl OsRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.os else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        match fact.counts_until(max_age, now) {
            None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
            Some(end) => Assessment::until(self.judge(&fact.value), end),
        }
    }

    fn judge(&self, os: &Os) -> Outcome {
        if os.name.is_empty() {
            return Outcome::NoResult(NoResultReason::NotReported);
        }
        let mut listed = self.systems.iter().filter(|system| system.platform.is_reported_as(&os.name)).peekable();
        if listed.peek().is_none() {
            return Outcome::Fail(FailReason::OsTypeNotAllowed);
        }
        let any_version = listed.clone().any(|system| system.versions.is_empty());
        if any_version {
            return Outcome::Pass;
        }
        if os.version.trim().is_empty() {
            return Outcome::NoResult(NoResultReason::NotReported);
        }
        let Some(version) = self.version_reading.read(&os.version) else {
            return Outcome::NoResult(NoResultReason::Unreadable);
        };
        let matched = listed.any(|system| system.versions.iter().any(|range| range.matches(&version)));
        if matched { Outcome::Pass } else { Outcome::Fail(FailReason::OsVersionNotAllowed) }
    }
}
