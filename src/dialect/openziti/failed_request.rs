//! One refused request with what stood in its way, as the management API shows it (`openziti.md` 4.2).
//!
//! Members of our own: `requestId`, `reasonCode`, `reason`, `sourceAddress`, `lock`; of a policy `otherChecks` and `missingChecks`; of a
//! check `reasonCode`, `observedAt` and `remediation`.

use serde::Serialize;
use serde_json::Value;

use super::posture_check::{OperatingSystem, ProcessDetail, ProcessMultiDetail, TypeId, timeout_seconds};
use crate::clock::Timestamp;
use crate::decision::{FailedCheck, FailedPolicy, Failure, Lock};
use crate::posture::check::mfa::{MfaRule, MfaState};
use crate::posture::check::process::Semantic;
use crate::posture::check::{Observed, Predicate};
use crate::posture::facts::Process;

/// A refused request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedServiceRequest<'a> {
    api_session_id: &'a str,
    service_id: &'a str,
    service_name: &'a str,
    session_type: &'static str,
    when: Timestamp,
    policy_failures: Vec<PolicyFailure<'a>>,
    request_id: &'a str,
    reason_code: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a Lock>,
}

/// Shows a failure.
pub fn failed_service_request(failure: &Failure) -> FailedServiceRequest<'_> {
    let service = failure.service.as_ref();
    FailedServiceRequest {
        api_session_id: &failure.connection_id,
        service_id: service.map_or("", |service| service.id.as_str()),
        service_name: service.map_or("", |service| &service.name),
        session_type: "Dial",
        when: failure.when,
        policy_failures: policy_failures(&failure.policies),
        request_id: &failure.request_id,
        reason_code: failure.reason.code(),
        reason: failure.reason.title(),
        source_address: failure.source_address.as_deref(),
        lock: failure.lock.as_deref(),
    }
}

/// Shows what stood in the way of each policy.
pub fn policy_failures(policies: &[FailedPolicy]) -> Vec<PolicyFailure<'_>> {
    policies.iter().map(PolicyFailure::of).collect()
}

/// A policy that did not let a request through, and what stood in its way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFailure<'a> {
    policy_id: &'a str,
    policy_name: &'a str,
    checks: Vec<CheckFailure<'a>>,
    /// Checks of kinds that OpenZiti has no type for: its clients cannot read them among the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_checks: Vec<OtherCheckFailure<'a>>,
    /// Checks the policy names and nobody defined: OpenZiti has no type for them, and its clients cannot read one without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_checks: Vec<&'a str>,
}

impl<'a> PolicyFailure<'a> {
    fn of(policy: &'a FailedPolicy) -> Self {
        let missing = |failed: &&FailedCheck| failed.check.predicate == Predicate::Missing;
        let other = |failed: &&FailedCheck| TypeId::of(&failed.check.predicate).is_none() && !missing(failed);
        PolicyFailure {
            policy_id: policy.id.as_str(),
            policy_name: &policy.name,
            checks: policy.checks.iter().filter_map(CheckFailure::of).collect(),
            other_checks: policy.checks.iter().filter(other).map(OtherCheckFailure::of).collect(),
            missing_checks: policy.checks.iter().filter(missing).map(|failed| &*failed.check.name).collect(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckFailure<'a> {
    posture_check_type: TypeId,
    posture_check_id: &'a str,
    posture_check_name: &'a str,
    #[serde(flatten)]
    values: Values<'a>,
    reason_code: &'static str,
    observed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'a str>,
}

impl<'a> CheckFailure<'a> {
    fn of(failed: &'a FailedCheck) -> Option<Self> {
        let check = &failed.check;
        Some(CheckFailure {
            posture_check_type: TypeId::of(&check.predicate)?,
            posture_check_id: check.id.as_str(),
            posture_check_name: &check.name,
            values: Values::of(&check.predicate, &failed.observed)?,
            reason_code: failed.verdict.code(),
            observed_at: failed.observed_at,
            remediation: check.remediation.as_deref(),
        })
    }
}

/// A check of another language than OpenZiti's, in the words of the engine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherCheckFailure<'a> {
    posture_check_type: &'static str,
    posture_check_id: &'a str,
    posture_check_name: &'a str,
    actual_value: Value,
    expected_value: Value,
    reason_code: &'static str,
    observed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'a str>,
}

impl<'a> OtherCheckFailure<'a> {
    fn of(failed: &'a FailedCheck) -> Self {
        let check = &failed.check;
        OtherCheckFailure {
            posture_check_type: check.predicate.kind(),
            posture_check_id: check.id.as_str(),
            posture_check_name: &check.name,
            actual_value: failed.actual_value(),
            expected_value: failed.expected_value(),
            reason_code: failed.verdict.code(),
            observed_at: failed.observed_at,
            remediation: check.remediation.as_deref(),
        }
    }
}

/// What was seen and what was wanted, in the form of each kind.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Values<'a> {
    Os {
        actual_value: ActualOs<'a>,
        expected_value: Vec<OperatingSystem<'a>>,
    },
    Domain {
        actual_value: &'a str,
        expected_value: &'a [String],
    },
    Mac {
        actual_value: &'a [String],
        expected_value: &'a [String],
    },
    Process {
        actual_value: ActualProcess<'a>,
        expected_value: ProcessDetail<'a>,
    },
    ProcessMulti {
        actual_value: Vec<ActualProcess<'a>>,
        expected_value: Vec<ProcessMultiDetail<'a>>,
        semantic: Semantic,
    },
    Mfa {
        actual_value: MfaValues,
        expected_value: MfaValues,
        criteria: MfaCriteria,
    },
}

impl<'a> Values<'a> {
    /// `None` for a check that OpenZiti has no type for. Where the record does not fit the check, nothing counts as seen.
    fn of(predicate: &'a Predicate, observed: &'a Observed) -> Option<Self> {
        Some(match predicate {
            Predicate::Os(rule) => {
                Values::Os { actual_value: ActualOs::of(observed), expected_value: OperatingSystem::all_of(rule) }
            }
            Predicate::Domain(rule) => Values::Domain {
                actual_value: match observed {
                    Observed::Domain(Some(domain)) => domain,
                    _ => "",
                },
                expected_value: &rule.domains,
            },
            Predicate::Mac(rule) => Values::Mac {
                actual_value: match observed {
                    Observed::Macs(Some(addresses)) => addresses,
                    _ => &[],
                },
                expected_value: &rule.addresses,
            },
            Predicate::Process(rule) => Values::Process {
                actual_value: match observed {
                    Observed::Process(Some(process)) => ActualProcess::of(process, None),
                    _ => ActualProcess::default(),
                },
                expected_value: ProcessDetail::of(&rule.process),
            },
            Predicate::Processes(rule) => Values::ProcessMulti {
                actual_value: match observed {
                    Observed::Processes(processes) => {
                        processes.iter().map(|process| ActualProcess::of(process, Some(&process.path))).collect()
                    }
                    _ => Vec::new(),
                },
                expected_value: ProcessMultiDetail::all_of(&rule.processes),
                semantic: rule.semantic,
            },
            Predicate::Mfa(rule) => {
                let nothing = MfaState { timed_out: true, ..MfaState::default() };
                let state = match observed {
                    Observed::Mfa(state) => state,
                    _ => &nothing,
                };
                Values::Mfa {
                    actual_value: MfaValues::seen(state),
                    expected_value: MfaValues::wanted(rule),
                    criteria: MfaCriteria::of(rule, state),
                }
            }
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, Serialize)]
struct ActualOs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    version: &'a str,
}

impl<'a> ActualOs<'a> {
    fn of(observed: &'a Observed) -> Self {
        match observed {
            Observed::Os(Some(os)) => ActualOs { kind: &os.name, version: &os.version },
            _ => ActualOs { kind: "", version: "" },
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActualProcess<'a> {
    hash: &'a str,
    is_running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    /// `null` when nothing was reported.
    signer_fingerprints: Option<&'a [String]>,
}

impl<'a> ActualProcess<'a> {
    fn of(process: &'a Process, path: Option<&'a str>) -> Self {
        ActualProcess {
            hash: &process.hash,
            is_running: process.running,
            path,
            signer_fingerprints: Some(&process.signer_fingerprints),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MfaValues {
    passed_mfa: bool,
    passed_on_unlock: bool,
    passed_on_wake: bool,
    timed_out: bool,
}

impl MfaValues {
    fn seen(state: &MfaState) -> Self {
        MfaValues {
            passed_mfa: state.passed,
            passed_on_unlock: state.unlock_satisfied,
            passed_on_wake: state.wake_satisfied,
            timed_out: state.timed_out,
        }
    }

    fn wanted(rule: &MfaRule) -> Self {
        MfaValues {
            passed_mfa: true,
            passed_on_unlock: rule.prompt_on_unlock,
            passed_on_wake: rule.prompt_on_wake,
            timed_out: false,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MfaCriteria {
    passed_mfa_at: Option<Timestamp>,
    timeout_remaining_seconds: i64,
    timeout_seconds: i64,
    unlocked_at: Option<Timestamp>,
    woken_at: Option<Timestamp>,
}

impl MfaCriteria {
    fn of(rule: &MfaRule, state: &MfaState) -> Self {
        MfaCriteria {
            passed_mfa_at: state.passed_at,
            timeout_remaining_seconds: state.timeout_remaining_seconds,
            timeout_seconds: timeout_seconds(rule.timeout),
            unlocked_at: state.unlocked_at,
            woken_at: state.woken_at,
        }
    }
}
