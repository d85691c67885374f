//! A client that reports for the device now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes while the device's client is present.
///
/// A client of this gateway is present for a while after each of its reports, which come over a connection with the device's own
/// certificate. Where any client will do, a tunnel that the device says it is connected to counts as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TunnelRule {
    /// Whether only a client of this gateway counts.
    pub own_only: bool,
    /// How long a client counts as present after a report.
    pub presence: Duration,
}

impl TunnelRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let presence = max_age.map_or(self.presence, |max_age| max_age.saturating_add(Duration::from_millis(1)));
        let present_until = posture.checked_in_at.map(|at| at.after(presence)).filter(|until| now < *until);
        if let Some(until) = present_until {
            return Assessment::until(Outcome::Pass, until);
        }
        let Some(fact) = &posture.inventory().tunnel else {
            return Assessment::lasting(match (posture.checked_in_at, max_age) {
                (None, _) => Outcome::NoResult(NoResultReason::NotReported),
                (Some(_), Some(_)) => Outcome::NoResult(NoResultReason::Stale),
                (Some(_), None) => Outcome::Fail(FailReason::NoClientSession),
            });
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let outcome = match (fact.value.connected, self.own_only) {
            (true, false) => Outcome::Pass,
            (true, true) => Outcome::Fail(FailReason::OtherOrganization),
            (false, _) => Outcome::Fail(FailReason::NoClientSession),
        };
        Assessment::until(outcome, end)
    }
}
