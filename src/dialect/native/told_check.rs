//! What a client may learn of a check that stands in its way: the one place that weighs a service's disclosure.

use serde::Serialize;
use serde_json::Value;

use crate::decision::{Denial, DenialReason, FailedCheck};
use crate::limits::REFUSAL_CHECKS_MAX;
use crate::policy::service::Disclosure;

/// A check that stands in the way, as far as it may be told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldCheck<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// The check's name.
    pub name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The stable code of what is wrong.
    pub reason: &'static str,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<&'a str>,
    /// What was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Value>,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
}

/// The checks that stand in the way, each once; `None` when nothing may be told of them.
pub fn told_checks(denial: &Denial, disclosure: Disclosure) -> Option<Vec<ToldCheck<'_>>> {
    if disclosure < Disclosure::Checks || denial.reason != DenialReason::PostureFailed {
        return None;
    }
    let mut told: Vec<&FailedCheck> = Vec::new();
    for failed in denial.policies.iter().flat_map(|policy| &policy.checks) {
        if told.len() < REFUSAL_CHECKS_MAX && !told.iter().any(|known| known.check.id == failed.check.id) {
            told.push(failed);
        }
    }
    Some(told.into_iter().map(|failed| ToldCheck::of(failed, disclosure >= Disclosure::Values)).collect())
}

impl<'a> ToldCheck<'a> {
    fn of(failed: &'a FailedCheck, values: bool) -> Self {
        ToldCheck {
            id: values.then(|| failed.check.id.as_str()),
            name: &failed.check.name,
            kind: failed.check.predicate.kind(),
            reason: failed.verdict.code(),
            remediation: failed.check.remediation.as_deref(),
            expected: values.then(|| failed.expected_value()),
            actual: values.then(|| failed.actual_value()),
        }
    }
}
