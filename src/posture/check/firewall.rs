//! The firewall, on or off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::inventory::Firewall;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Family;

/// Passes when the firewall of the system is as wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirewallRule {
    /// The system: it says which of its firewalls counts.
    pub system: Family,
    /// Whether it must be on, or off.
    pub enabled: bool,
}

impl FirewallRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.inventory().firewall else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let outcome = match (self.is_on(fact.value), self.enabled) {
            (None, _) => Outcome::NoResult(NoResultReason::NotReported),
            (Some(on), wanted) if on == wanted => Outcome::Pass,
            (Some(true), _) => Outcome::Fail(FailReason::FirewallOn),
            (Some(false), _) => Outcome::Fail(FailReason::FirewallOff),
        };
        Assessment::until(outcome, end)
    }

    /// On a Mac either firewall will do; both must be known to be off before it counts as off.
    fn is_on(&self, firewall: Firewall) -> Option<bool> {
        match self.system {
            Family::Windows => firewall.public_profile,
            Family::Mac => match (firewall.application, firewall.packet_filter) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Family::Linux => firewall.packet_filter,
            Family::Android | Family::Ios | Family::ChromeOs => None,
        }
    }
}
