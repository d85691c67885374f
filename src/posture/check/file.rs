//! One file or one running program, by the path of the executable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::{Fact, Posture, Process};
use crate::posture::fold::eq_folded;
use crate::posture::inventory::File;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::platform::Family;

/// Passes when the file is there, is not there, or runs, with the wanted digest and signer where those are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRule {
    /// The system the path is written for: it says how paths are compared and variables spelled.
    pub system: Family,
    /// The path as written, variables and all.
    pub path: String,
    /// What must be true of it.
    pub state: FileState,
    /// The wanted SHA-256, bare lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// The wanted fingerprint of the signing certificate, SHA-1 or SHA-256, bare lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thumbprint: Option<String>,
}

/// What must be true of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// A process runs from it.
    Running,
}

const NOT_REPORTED: Outcome = Outcome::NoResult(NoResultReason::NotReported);

/// Where a path leads on one device.
enum Place<'a> {
    Path(Cow<'a, str>),
    /// It uses a variable that the device's daemon does not have: there is no such file.
    Nowhere,
    /// It uses variables of which nothing is known.
    Unknown,
}

impl FileRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let (place, place_until) = self.current_place(posture, max_age, now);
        let answer = match self.state {
            FileState::Running => match self.process_at(&place, posture) {
                Some(fact) => judged(fact, max_age, now, |process| self.judge_process(process)),
                None => self.unseen(&place),
            },
            FileState::Present | FileState::Absent => match (self.file_at(&place, posture), &posture.inventory().files)
            {
                (Some(file), Some(fact)) => judged(fact, max_age, now, |_| self.judge_file(file)),
                _ => self.unseen(&place),
            },
        };
        Assessment::until(answer.outcome, answer.valid_until.min(place_until))
    }

    /// What the device reported about the path.
    pub(super) fn find_file<'a>(&self, posture: &'a Posture) -> Option<&'a File> {
        self.file_at(&self.place(posture.inventory().environment.as_ref()), posture)
    }

    /// The newest report of a process that runs from the path.
    pub(super) fn find_process<'a>(&self, posture: &'a Posture) -> Option<&'a Fact<Process>> {
        self.process_at(&self.place(posture.inventory().environment.as_ref()), posture)
    }

    fn file_at<'a>(&self, place: &Place<'_>, posture: &'a Posture) -> Option<&'a File> {
        let files = &posture.inventory().files.as_ref()?.value;
        files.iter().rev().find(|file| self.leads_to(&file.path, place))
    }

    fn process_at<'a>(&self, place: &Place<'_>, posture: &'a Posture) -> Option<&'a Fact<Process>> {
        posture.processes.iter().rev().find(|fact| self.leads_to(&fact.value.path, place))
    }

    /// The answer when nothing was reported about the path. That alone never passes: a path that nobody looked for is not a
    /// path where nothing is. Only a variable that the device is known not to have leads nowhere for certain.
    fn unseen(&self, place: &Place<'_>) -> Assessment {
        Assessment::lasting(match (place, self.state) {
            (Place::Nowhere, FileState::Present) => Outcome::Fail(FailReason::FileAbsent),
            (Place::Nowhere, FileState::Absent) => Outcome::Pass,
            (Place::Nowhere, FileState::Running) => Outcome::Fail(FailReason::ProcessNotRunning),
            (Place::Path(_) | Place::Unknown, _) => NOT_REPORTED,
        })
    }

    fn judge_file(&self, file: &File) -> Outcome {
        match (self.state, file.exists) {
            (FileState::Absent, true) => Outcome::Fail(FailReason::FilePresent),
            (FileState::Absent, false) => Outcome::Pass,
            (_, false) => Outcome::Fail(FailReason::FileAbsent),
            (_, true) => both(
                matches(self.sha256.as_deref(), file.sha256.as_deref().into_iter(), FailReason::FileHashMismatch),
                self.judge_signer(&file.thumbprints, FailReason::FileSignerMismatch),
            ),
        }
    }

    fn judge_process(&self, process: &Process) -> Outcome {
        if !process.running {
            return Outcome::Fail(FailReason::ProcessNotRunning);
        }
        both(
            matches(self.sha256.as_deref(), process.digests(), FailReason::ProcessHashMismatch),
            self.judge_signer(&process.signer_fingerprints, FailReason::ProcessSignerMismatch),
        )
    }

    /// Fingerprints of another digest than the wanted one cannot be compared with it. On Linux files have no signature.
    fn judge_signer(&self, reported: &[String], mismatch: FailReason) -> Outcome {
        let Some(wanted) = &self.thumbprint else {
            return Outcome::Pass;
        };
        if self.system == Family::Linux {
            return Outcome::Fail(mismatch);
        }
        let mut comparable = reported.iter().filter(|thumbprint| thumbprint.len() == wanted.len()).peekable();
        if comparable.peek().is_none() {
            return NOT_REPORTED;
        }
        match comparable.any(|thumbprint| thumbprint.eq_ignore_ascii_case(wanted)) {
            true => Outcome::Pass,
            false => Outcome::Fail(mismatch),
        }
    }

    /// Whether a reported path is the rule's, as it is written or with its variables expanded.
    fn leads_to(&self, reported: &str, place: &Place<'_>) -> bool {
        let same = |path: &str| match self.system {
            Family::Windows => eq_folded(&reported.replace('/', "\\"), &path.replace('/', "\\")),
            _ => reported == path,
        };
        match place {
            Place::Path(path) if same(path) => true,
            _ => same(&self.path),
        }
    }

    /// Where the path leads as far as the device's variables count, and how long they do.
    fn current_place<'a>(
        &'a self,
        posture: &'a Posture,
        max_age: Option<Duration>,
        now: Timestamp,
    ) -> (Place<'a>, Timestamp) {
        let environment = posture.inventory().environment.as_ref();
        match environment.and_then(|fact| fact.counts_until(max_age, now)) {
            Some(end) => (self.place(environment), end),
            None => (self.place(None), Timestamp::MAX),
        }
    }

    fn place<'a>(&'a self, environment: Option<&'a Fact<BTreeMap<String, String>>>) -> Place<'a> {
        if variables(self.system, &self.path).next().is_none() {
            return Place::Path(Cow::Borrowed(&self.path));
        }
        match environment {
            None => Place::Unknown,
            Some(environment) => expand(self.system, &self.path, &environment.value)
                .map_or(Place::Nowhere, |path| Place::Path(path.into())),
        }
    }
}

/// The variables a path uses, with the text that stands before each: `%NAME%` on Windows, `${NAME}` elsewhere.
pub fn variables(system: Family, path: &str) -> impl Iterator<Item = (&str, &str)> {
    let (open, close) = match system {
        Family::Windows => ("%", "%"),
        _ => ("${", "}"),
    };
    let mut rest = path;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once(open)?;
        let (name, tail) = after.split_once(close)?;
        rest = tail;
        Some((before, name))
    })
}

/// The path with its variables replaced; `None` when one of them is not set.
pub fn expand(system: Family, path: &str, environment: &BTreeMap<String, String>) -> Option<String> {
    let mut expanded = String::new();
    let mut consumed = 0;
    let marks = if system == Family::Windows { "%%".len() } else { "${}".len() };
    for (before, name) in variables(system, path) {
        let value = match system {
            // Names of variables have no letter case on Windows.
            Family::Windows => environment.iter().find(|(known, _)| eq_folded(known, name)).map(|(_, value)| value),
            _ => environment.get(name),
        };
        expanded.push_str(before);
        expanded.push_str(value?);
        consumed += before.len() + name.len() + marks;
    }
    expanded.push_str(path.get(consumed..)?);
    Some(expanded)
}

fn judged<T>(
    fact: &Fact<T>,
    max_age: Option<Duration>,
    now: Timestamp,
    judge: impl FnOnce(&T) -> Outcome,
) -> Assessment {
    match fact.counts_until(max_age, now) {
        None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
        Some(end) => Assessment::until(judge(&fact.value), end),
    }
}

/// Whether one of the reported values is the wanted one, where one is wanted. An empty one was not told.
fn matches<'a>(wanted: Option<&str>, reported: impl Iterator<Item = &'a str>, mismatch: FailReason) -> Outcome {
    let Some(wanted) = wanted else {
        return Outcome::Pass;
    };
    let mut reported = reported.filter(|reported| !reported.is_empty()).peekable();
    if reported.peek().is_none() {
        return NOT_REPORTED;
    }
    if reported.any(|reported| reported.eq_ignore_ascii_case(wanted)) { Outcome::Pass } else { Outcome::Fail(mismatch) }
}

/// Both must pass; a fail says more than a missing value.
fn both(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Fail(reason), _) | (_, Outcome::Fail(reason)) => Outcome::Fail(reason),
        (Outcome::Pass, other) => other,
        (missing, _) => missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_in_each_systems_spelling() {
        let environment =
            BTreeMap::from([("ProgramFiles".to_owned(), "C:\\Programs".to_owned()), ("A".into(), "b".into())]);
        let expanded = |system, path| expand(system, path, &environment);
        assert_eq!(expanded(Family::Windows, "%PROGRAMFILES%\\x\\%a%.exe").as_deref(), Some("C:\\Programs\\x\\b.exe"));
        assert_eq!(expanded(Family::Linux, "/opt/${A}/${A}").as_deref(), Some("/opt/b/b"));
        assert_eq!(expanded(Family::Linux, "/opt/${a}"), None);
        assert_eq!(expanded(Family::Linux, "100%/${").as_deref(), Some("100%/${"));
        assert_eq!(variables(Family::Windows, "100% sure").count(), 0);
    }
}
