//! The joined domain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::fold::eq_folded;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes when the reported domain is an accepted one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainRule {
    /// Accepted domains, as written. An empty one accepts a device that reports that it is joined to none.
    pub domains: Vec<String>,
    /// How they are compared with the reported one.
    #[serde(skip_serializing_if = "DomainMatching::is_folded", default)]
    pub matching: DomainMatching,
}

/// How domains are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DomainMatching {
    /// Under simple case folding.
    #[default]
    Folded,
    /// Letter for letter.
    Exact,
    /// Not at all: any domain will do, whatever is listed.
    Any,
}

impl DomainMatching {
    fn is_folded(&self) -> bool {
        *self == DomainMatching::Folded
    }
}

impl DomainRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.domain else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        Assessment::until(self.judge(&fact.value), end)
    }

    fn judge(&self, joined: &str) -> Outcome {
        let accepted = match self.matching {
            DomainMatching::Folded => self.domains.iter().any(|domain| eq_folded(domain, joined)),
            DomainMatching::Exact => self.domains.iter().any(|domain| domain == joined),
            DomainMatching::Any if joined.is_empty() => return Outcome::Fail(FailReason::DomainNotJoined),
            DomainMatching::Any => true,
        };
        if accepted { Outcome::Pass } else { Outcome::Fail(FailReason::DomainNotAllowed) }
    }
}
