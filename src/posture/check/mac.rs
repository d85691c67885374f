//! A hardware address.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes when at least one reported address is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MacRule {
    /// Accepted addresses, bare lower-case hex ([`bare_hex`](crate::posture::fold::bare_hex)). An empty one matches nothing.
    pub addresses: Vec<String>,
}

impl MacRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.macs else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        match fact.counts_until(max_age, now) {
            None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
            Some(end) => Assessment::until(self.judge(&fact.value), end),
        }
    }

    fn judge(&self, reported: &[String]) -> Outcome {
        let mut addresses = reported.iter().filter(|address| !address.is_empty()).peekable();
        // Every device that can speak to us has an address: a list without any tells nothing.
        if addresses.peek().is_none() {
            return Outcome::NoResult(NoResultReason::NotReported);
        }
        match addresses.any(|address| self.addresses.contains(address)) {
            true => Outcome::Pass,
            false => Outcome::Fail(FailReason::MacNotAllowed),
        }
    }
}
