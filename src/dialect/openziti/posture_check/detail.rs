//! How a posture check is shown.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::super::envelope::{Entity, Links};
use super::TypeId;
use crate::policy::objects::PostureCheck;
use crate::posture::check::Predicate;
use crate::posture::check::mfa::{self, MfaRule};
use crate::posture::check::os::{OsRequirement, OsRule};
use crate::posture::check::process::{ProcessRequirement, Semantic};
use crate::posture::version::{VersionRange, VersionReading};
use crate::posture::{Evidence, Platform};

/// A posture check as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureCheckDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    type_id: Option<TypeId>,
    version: u32,
    role_attributes: &'a [Arc<str>],
    #[serde(flatten)]
    rule: RuleDetail<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'a str>,
}

/// Shows a posture check.
pub fn posture_check(object: &PostureCheck) -> PostureCheckDetail<'_> {
    let check = &object.check;
    let id = check.id.as_str();
    PostureCheckDetail {
        entity: Entity::new(id, &object.meta, Links::own("posture-checks", id)),
        name: &check.name,
        type_id: TypeId::of(&check.predicate),
        version: 1,
        role_attributes: &object.role_attributes,
        rule: RuleDetail::of(&check.predicate),
        max_age: check.max_age.map(|age| humantime::format_duration(age).to_string()),
        evidence: (check.evidence != Evidence::Any).then(|| check.evidence.as_str()),
        remediation: check.remediation.as_deref(),
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum RuleDetail<'a> {
    #[serde(rename_all = "camelCase")]
    Os {
        operating_systems: Vec<OperatingSystem<'a>>,
        #[serde(skip_serializing_if = "is_strict")]
        version_reading: VersionReading,
    },
    Domain {
        domains: &'a [String],
    },
    #[serde(rename_all = "camelCase")]
    Mac {
        mac_addresses: &'a [String],
    },
    Process {
        process: ProcessDetail<'a>,
    },
    ProcessMulti {
        semantic: Semantic,
        processes: Vec<ProcessMultiDetail<'a>>,
    },
    Mfa(MfaDetail),
    Wordless {},
}

impl<'a> RuleDetail<'a> {
    fn of(predicate: &'a Predicate) -> Self {
        match predicate {
            Predicate::Os(rule) => RuleDetail::Os {
                operating_systems: OperatingSystem::all_of(rule),
                version_reading: rule.version_reading,
            },
            Predicate::Domain(rule) => RuleDetail::Domain { domains: &rule.domains },
            Predicate::Mac(rule) => RuleDetail::Mac { mac_addresses: &rule.addresses },
            Predicate::Process(rule) => RuleDetail::Process { process: ProcessDetail::of(&rule.process) },
            Predicate::Processes(rule) => RuleDetail::ProcessMulti {
                semantic: rule.semantic,
                processes: ProcessMultiDetail::all_of(&rule.processes),
            },
            Predicate::Mfa(rule) => RuleDetail::Mfa(MfaDetail::of(rule)),
            // OpenZiti has no words for the others; what can be said of any check is said.
            _ => RuleDetail::Wordless {},
        }
    }
}

fn is_strict(reading: &VersionReading) -> bool {
    *reading == VersionReading::Strict
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// One accepted system.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct OperatingSystem<'a> {
    #[serde(rename = "type")]
    platform: Platform,
    versions: &'a [VersionRange],
}

impl<'a> OperatingSystem<'a> {
    /// The systems of a rule.
    pub(in super::super) fn all_of(rule: &'a OsRule) -> Vec<Self> {
        let shown =
            |system: &'a OsRequirement| OperatingSystem { platform: system.platform, versions: &system.versions };
        rule.systems.iter().map(shown).collect()
    }
}

/// The process of a PROCESS check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ProcessDetail<'a> {
    os_type: Platform,
    path: &'a str,
    hashes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    signer_fingerprint: Option<&'a str>,
}

impl<'a> ProcessDetail<'a> {
    pub(in super::super) fn of(process: &'a ProcessRequirement) -> Self {
        ProcessDetail {
            os_type: process.platform,
            path: &process.path,
            hashes: &process.hashes,
            signer_fingerprint: process.signer_fingerprints.first().map(String::as_str),
        }
    }
}

/// One process of a PROCESS_MULTI check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ProcessMultiDetail<'a> {
    os_type: Platform,
    path: &'a str,
    hashes: &'a [String],
    signer_fingerprints: &'a [String],
}

impl<'a> ProcessMultiDetail<'a> {
    pub(in super::super) fn all_of(processes: &'a [ProcessRequirement]) -> Vec<Self> {
        let shown = |process: &'a ProcessRequirement| ProcessMultiDetail {
            os_type: process.platform,
            path: &process.path,
            hashes: &process.hashes,
            signer_fingerprints: &process.signer_fingerprints,
        };
        processes.iter().map(shown).collect()
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MfaDetail {
    timeout_seconds: i64,
    #[serde(skip_serializing_if = "is_false")]
    prompt_on_wake: bool,
    #[serde(skip_serializing_if = "is_false")]
    prompt_on_unlock: bool,
    #[serde(skip_serializing_if = "is_false")]
    ignore_legacy_endpoints: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_grace_period_seconds: Option<u64>,
}

impl MfaDetail {
    fn of(rule: &MfaRule) -> Self {
        MfaDetail {
            timeout_seconds: timeout_seconds(rule.timeout),
            prompt_on_wake: rule.prompt_on_wake,
            prompt_on_unlock: rule.prompt_on_unlock,
            ignore_legacy_endpoints: rule.ignore_legacy_endpoints,
            prompt_grace_period_seconds: (rule.grace != mfa::GRACE).then_some(rule.grace.as_secs()),
        }
    }
}

/// A time-out as OpenZiti shows it: -1 for none.
pub(in super::super) fn timeout_seconds(timeout: Option<Duration>) -> i64 {
    timeout.map_or(-1, |timeout| i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX))
}
