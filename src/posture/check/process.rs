//! Running processes, by the asking check's id or by path.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::posture::facts::{Fact, Posture, Process};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Platform;

/// Passes when the process reported under this check's id runs, with a listed digest and signer where those are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRule {
    /// The process.
    pub process: ProcessRequirement,
}

/// Passes when all or any of the listed processes do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessesRule {
    /// Whether all or any of `processes` must be satisfied.
    pub semantic: Semantic,
    /// The processes, sorted by `osType-path`, each once.
    pub processes: Vec<ProcessRequirement>,
}

/// One wanted process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRequirement {
    /// The system the path is meant for: a hint to the client, not compared.
    pub platform: Platform,
    /// The executable's path.
    pub path: String,
    /// Accepted digests in hex; none accepts any.
    pub hashes: Vec<String>,
    /// Accepted signers in hex; none accepts any.
    pub signer_fingerprints: Vec<String>,
}

/// How several processes combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Semantic {
    /// Every one.
    AllOf,
    /// At least one.
    AnyOf,
}

const NOT_REPORTED: Outcome = Outcome::NoResult(NoResultReason::NotReported);
const STALE: Outcome = Outcome::NoResult(NoResultReason::Stale);
const UNSATISFIABLE: Outcome = Outcome::NoResult(NoResultReason::Unsatisfiable);

impl ProcessRule {
    pub(super) fn assess(
        &self,
        own: &CheckId,
        posture: &Posture,
        max_age: Option<Duration>,
        now: Timestamp,
    ) -> Assessment {
        self.process.assess(self.find(own, posture), max_age, now)
    }

    /// The newest process reported under the check's own id, whatever its path.
    pub(super) fn find<'a>(&self, own: &CheckId, posture: &'a Posture) -> Option<&'a Fact<Process>> {
        posture.processes.iter().rev().find(|fact| fact.asked_by.as_ref() == Some(own))
    }
}

impl ProcessesRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let answers = self.satisfiable().map(|wanted| wanted.assess(latest(posture, &wanted.path), max_age, now));
        match self.semantic {
            // An entry without a path can never be satisfied, so neither can all of them.
            Semantic::AllOf if self.processes.iter().any(|wanted| wanted.path.is_empty()) => {
                Assessment::lasting(UNSATISFIABLE)
            }
            Semantic::AllOf => joined(answers, |outcome| match outcome {
                Outcome::Fail(_) => 2,
                Outcome::NoResult(_) => 1,
                Outcome::Pass => 0,
            }),
            Semantic::AnyOf => joined(answers, |outcome| match outcome {
                Outcome::Pass => 2,
                Outcome::NoResult(_) => 1,
                Outcome::Fail(_) => 0,
            }),
        }
    }

    /// What is known of each listed path that was reported, each path once.
    pub(super) fn find<'a>(&self, posture: &'a Posture) -> impl Iterator<Item = &'a Fact<Process>> {
        let mut paths: Vec<&str> = self.satisfiable().map(|wanted| wanted.path.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter().filter_map(|path| latest(posture, path))
    }

    fn satisfiable(&self) -> impl Iterator<Item = &ProcessRequirement> {
        self.processes.iter().filter(|wanted| !wanted.path.is_empty())
    }
}

/// The newest report about a path, whichever check it was made for.
fn latest<'a>(posture: &'a Posture, path: &str) -> Option<&'a Fact<Process>> {
    posture.processes.iter().rev().find(|fact| fact.value.path == path)
}

/// The first of the answers that weigh most. It holds until any of them may change; of no answers, nothing passes.
fn joined(answers: impl Iterator<Item = Assessment>, weight: impl Fn(Outcome) -> u8) -> Assessment {
    answers
        .reduce(|known, answer| {
            let outcome = if weight(answer.outcome) > weight(known.outcome) { answer.outcome } else { known.outcome };
            Assessment::until(outcome, known.valid_until.min(answer.valid_until))
        })
        .unwrap_or(Assessment::lasting(UNSATISFIABLE))
}

impl ProcessRequirement {
    fn assess(&self, fact: Option<&Fact<Process>>, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = fact else {
            return Assessment::lasting(NOT_REPORTED);
        };
        match fact.counts_until(max_age, now) {
            None => Assessment::lasting(STALE),
            Some(end) => Assessment::until(self.judge(&fact.value), end),
        }
    }

    fn judge(&self, process: &Process) -> Outcome {
        if !process.running {
            return Outcome::Fail(FailReason::ProcessNotRunning);
        }
        let hash = self.judge_hash(process);
        let signers = self.judge_signers(&process.signer_fingerprints);
        match (hash, signers) {
            (Outcome::Fail(reason), _) | (_, Outcome::Fail(reason)) => Outcome::Fail(reason),
            (Outcome::Pass, other) => other,
            (missing, _) => missing,
        }
    }

    fn judge_hash(&self, process: &Process) -> Outcome {
        let mut reported = process.digests().peekable();
        if self.hashes.is_empty() {
            Outcome::Pass
        } else if reported.peek().is_none() {
            NOT_REPORTED
        } else if reported.any(|digest| self.hashes.iter().any(|hash| hash.eq_ignore_ascii_case(digest))) {
            Outcome::Pass
        } else {
            Outcome::Fail(FailReason::ProcessHashMismatch)
        }
    }

    /// A report without signers may mean that there are none or that nobody looked, so it tells nothing.
    fn judge_signers(&self, reported: &[String]) -> Outcome {
        let listed =
            |signer: &String| self.signer_fingerprints.iter().any(|accepted| accepted.eq_ignore_ascii_case(signer));
        if self.signer_fingerprints.is_empty() {
            Outcome::Pass
        } else if reported.iter().all(String::is_empty) {
            NOT_REPORTED
        } else if reported.iter().filter(|signer| !signer.is_empty()).any(listed) {
            Outcome::Pass
        } else {
            Outcome::Fail(FailReason::ProcessSignerMismatch)
        }
    }
}
