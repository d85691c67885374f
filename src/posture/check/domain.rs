//! The joined domain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::fold::eq_folded;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes when the reported domain is listed, under simple case folding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainRule {
    /// Accepted domains, as written. An empty one accepts a device that reports that it is joined to none.
    pub domains: Vec<String>,
}

impl DomainRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.domain else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let listed = self.domains.iter().any(|domain| eq_folded(domain, &fact.value));
        let outcome = if listed { Outcome::Pass } else { Outcome::Fail(FailReason::DomainNotAllowed) };
        Assessment::until(outcome, end)
    }
}
