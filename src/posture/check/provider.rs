//! What a posture provider says about the device.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::os_version::Numbers;
use crate::clock::Timestamp;
use crate::id::ConnectionId;
use crate::posture::compare::Comparison;
use crate::posture::facts::{Fact, Posture};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::provider::{ProviderMember, ProviderRecord, ProviderValue, ProviderValues, RiskLevel};

/// Passes when the provider knows the device and everything asked is true of what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRule {
    /// The connection to the provider.
    pub connection: ConnectionId,
    /// What must be true; nothing at all asks only whether the provider knows the device.
    pub criteria: Vec<Criterion>,
    /// Whether a record without a provider's own id and with score 0 means that the provider does not know the device.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unmatched_is_unknown: bool,
    /// Whether there is no such connection, put here when a snapshot is compiled.
    #[serde(skip)]
    pub unconnected: bool,
}

/// One thing that must be true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    /// Of which value.
    pub member: ProviderMember,
    /// What it must be.
    pub wanted: Wanted,
    /// Whether a provider that does not tell the value has no result instead of failing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub optional: bool,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// One of these texts, in any letter case.
    OneOf(Vec<String>),
    /// This.
    Flag(bool),
    /// A number that compares so.
    Number(Comparison, f64),
    /// A version that compares so.
    Version(Comparison, Numbers),
    /// A level of risk that compares so.
    Level(Comparison, RiskLevel),
    /// A moment so long ago.
    Age(Comparison, Duration),
    /// A moment that compares so.
    Instant(Comparison, Timestamp),
}

const MISSING: Outcome = Outcome::Fail(FailReason::FactMissing);
const MISMATCH: Outcome = Outcome::Fail(FailReason::ProviderMismatch);
const UNKNOWN: Outcome = Outcome::NoResult(NoResultReason::UnknownToProvider);

impl ProviderRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        // What was said once would otherwise count for ever: nobody is left to say anything else.
        if self.unconnected {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Dangling));
        }
        let Some(fact) = self.find(posture) else {
            return Assessment::lasting(UNKNOWN);
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let values = &fact.value.values;
        if self.unmatched_is_unknown && is_unmatched(values) {
            return Assessment::until(UNKNOWN, end);
        }
        let mut joined = Assessment::until(Outcome::Pass, end);
        for criterion in &self.criteria {
            let answer = criterion.assess(values, now);
            joined.valid_until = joined.valid_until.min(answer.valid_until);
            joined.outcome = worse(joined.outcome, answer.outcome);
        }
        joined
    }

    /// What the provider says about the device.
    pub(super) fn find<'a>(&self, posture: &'a Posture) -> Option<&'a Fact<ProviderRecord>> {
        posture.inventory().providers.iter().find(|fact| fact.value.connection == self.connection)
    }
}

/// Providers answer with score 0 and no id of their own for devices they cannot find (`cloudflare.md` 1.23).
fn is_unmatched(values: &ProviderValues) -> bool {
    let nameless = match values.get(&ProviderMember::ProviderId) {
        None => true,
        Some(ProviderValue::Text(id)) => id.is_empty(),
        Some(_) => false,
    };
    nameless && values.get(&ProviderMember::Score) == Some(&ProviderValue::Number(0.0))
}

/// A value that is wrong says more than one that is missing, and that more than a provider that tells nothing.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    let weight = |outcome: Outcome| match outcome {
        Outcome::Pass => 0,
        Outcome::NoResult(_) => 1,
        MISSING => 2,
        Outcome::Fail(_) => 3,
    };
    if weight(other) > weight(one) { other } else { one }
}

impl Criterion {
    fn assess(&self, values: &ProviderValues, now: Timestamp) -> Assessment {
        let told = |value: &&ProviderValue| !matches!(value, ProviderValue::Text(text) if text.is_empty());
        let Some(value) = values.get(&self.member).filter(told) else {
            return Assessment::lasting(if self.optional { UNKNOWN } else { MISSING });
        };
        let holds = match (&self.wanted, value) {
            (Wanted::OneOf(wanted), ProviderValue::Text(text)) => {
                wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(text))
            }
            (Wanted::Flag(wanted), ProviderValue::Flag(flag)) => wanted == flag,
            (Wanted::Number(comparison, wanted), ProviderValue::Number(number)) => {
                comparison.holds_of(*number, *wanted)
            }
            (Wanted::Version(comparison, wanted), ProviderValue::Text(text)) => match Numbers::leading(text) {
                Some(version) => comparison.holds(version.cmp(wanted)),
                None => return Assessment::lasting(MISSING),
            },
            (Wanted::Level(comparison, wanted), ProviderValue::Text(text)) => match RiskLevel::parse(text) {
                Some(level) => comparison.holds(level.cmp(wanted)),
                None => return Assessment::lasting(MISSING),
            },
            (Wanted::Age(comparison, wanted), ProviderValue::Instant(at)) => {
                return aged(*comparison, *wanted, *at, now);
            }
            (Wanted::Instant(comparison, wanted), ProviderValue::Instant(at)) => comparison.holds(at.cmp(wanted)),
            // A value of another kind tells nothing.
            _ => return Assessment::lasting(MISSING),
        };
        Assessment::lasting(if holds { Outcome::Pass } else { MISMATCH })
    }
}

/// Whether a moment is so long ago, and until when that stays so: ages pass the wanted one millisecond by millisecond.
fn aged(comparison: Comparison, wanted: Duration, at: Timestamp, now: Timestamp) -> Assessment {
    let outcome = if comparison.holds(now.since(at).cmp(&wanted)) { Outcome::Pass } else { MISMATCH };
    let reached = at.after(wanted);
    let changes = [reached, reached.after(Duration::from_millis(1))];
    let until = changes.into_iter().find(|change| now < *change).unwrap_or(Timestamp::MAX);
    Assessment::until(outcome, until)
}
