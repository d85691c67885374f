//! Checks: one question about posture each, with a three-valued answer.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::CheckId;

use super::facts::{Fact, Posture};
use super::outcome::{Assessment, NoResultReason, Outcome};

pub mod domain;
pub mod mac;
pub mod mfa;
pub mod os;
pub mod process;

/// One question about posture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The check's id; reports name it, and PROCESS looks facts up by it.
    pub id: CheckId,
    /// The check's name, unique over all checks.
    pub name: Arc<str>,
    /// What is asked.
    pub predicate: Predicate,
    /// Facts older than this count as stale; `None` accepts any age.
    pub max_age: Option<Duration>,
    /// What a person can do to pass, in the operator's words.
    pub remediation: Option<Arc<str>>,
}

/// What a check asks. Both dialects compile to these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Predicate {
    /// The operating system and its version.
    Os(os::OsRule),
    /// The joined domain.
    Domain(domain::DomainRule),
    /// A hardware address.
    Mac(mac::MacRule),
    /// One process, answered under this check's id.
    Process(process::ProcessRule),
    /// Several processes, looked up by path.
    Processes(process::ProcessesRule),
    /// Multi-factor authentication.
    Mfa(mfa::MfaRule),
    /// A check that a policy names and nobody defined: never has a result.
    Missing,
}

/// What was seen where a check looked: the "actual value" of a failure record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observed {
    /// The operating system, if reported.
    Os(Option<super::facts::Os>),
    /// The domain, if reported.
    Domain(Option<String>),
    /// The addresses, if reported.
    Macs(Option<Vec<String>>),
    /// The process answered under the check's id, if reported.
    Process(Option<super::facts::Process>),
    /// The latest report for each listed path that was reported.
    Processes(Vec<super::facts::Process>),
    /// The MFA state the check judged.
    Mfa(mfa::MfaState),
    /// Nothing: the check is missing.
    Nothing,
}

impl Predicate {
    /// The kind of question, as metrics and logs print it.
    pub fn kind(&self) -> &'static str {
        match self {
            Predicate::Os(_) => "os",
            Predicate::Domain(_) => "domain",
            Predicate::Mac(_) => "mac",
            Predicate::Process(_) => "process",
            Predicate::Processes(_) => "processes",
            Predicate::Mfa(_) => "mfa",
            Predicate::Missing => "missing",
        }
    }
}

impl Check {
    /// Answers the question at `now`. The answer's `valid_until` is the first moment at which time alone changes it.
    pub fn assess(&self, posture: &Posture, now: Timestamp) -> Assessment {
        Assessment::exact(now, |at| match &self.predicate {
            Predicate::Os(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Domain(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Mac(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Process(rule) => rule.assess(&self.id, posture, self.max_age, at),
            Predicate::Processes(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Mfa(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Missing => Assessment::lasting(Outcome::NoResult(NoResultReason::Dangling)),
        })
    }

    /// What a failure record shows as the actual value.
    pub fn observe(&self, posture: &Posture, now: Timestamp) -> Observed {
        match &self.predicate {
            Predicate::Os(_) => Observed::Os(value_of(posture.os.as_ref())),
            Predicate::Domain(_) => Observed::Domain(value_of(posture.domain.as_ref())),
            Predicate::Mac(_) => Observed::Macs(value_of(posture.macs.as_ref())),
            Predicate::Process(rule) => Observed::Process(value_of(rule.find(&self.id, posture))),
            Predicate::Processes(rule) => {
                Observed::Processes(rule.find(posture).map(|fact| fact.value.clone()).collect())
            }
            Predicate::Mfa(rule) => Observed::Mfa(rule.state(posture, now)),
            Predicate::Missing => Observed::Nothing,
        }
    }

    /// When the oldest fact this check looks at was observed; `None` when there is none.
    pub fn observed_at(&self, posture: &Posture) -> Option<Timestamp> {
        match &self.predicate {
            Predicate::Os(_) => posture.os.as_ref().map(|fact| fact.observed_at),
            Predicate::Domain(_) => posture.domain.as_ref().map(|fact| fact.observed_at),
            Predicate::Mac(_) => posture.macs.as_ref().map(|fact| fact.observed_at),
            Predicate::Process(rule) => rule.find(&self.id, posture).map(|fact| fact.observed_at),
            Predicate::Processes(rule) => rule.find(posture).map(|fact| fact.observed_at).min(),
            Predicate::Mfa(_) => posture.mfa.passed_at,
            Predicate::Missing => None,
        }
    }
}

fn value_of<T: Clone>(fact: Option<&Fact<T>>) -> Option<T> {
    fact.map(|fact| fact.value.clone())
}
