//! Posture checks in policy files.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::object::{Register, Source, Tags, attributes};
use crate::config::document::{Field, Located, NodeId, OrMapping, Session};
use crate::config::settings::positive;
use crate::config::values::{
    AttributeText, DurationText, HexText, MacAddress, NameText, PathText, RemediationText, Whole,
};
use crate::id::CheckId;
use crate::policy::objects::PostureCheck;
use crate::posture::check::domain::{DomainMatching, DomainRule};
use crate::posture::check::mac::MacRule;
use crate::posture::check::mfa::MfaRule;
use crate::posture::check::os::{OsRequirement, OsRule};
use crate::posture::check::process::{ProcessRequirement, ProcessRule, ProcessesRule, Semantic};
use crate::posture::check::{Check, Predicate};
use crate::posture::version::{VersionRange, VersionReading};
use crate::posture::{Evidence, Platform};

/// How long an MFA pass counts after waking or unlocking, as OpenZiti has it.
const MFA_GRACE: Duration = Duration::from_secs(5 * 60);

/// One question about the posture of a device. `type` says which, and which of the other keys it takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "type"], "allOf" = keys_by_type()))]
pub(super) struct RawCheck {
    /// Its name, unique over posture checks.
    name: Field<NameText>,
    /// Its id, unique over posture checks. Default: the name.
    id: Field<NameText>,
    /// What is asked: `OS`, `DOMAIN`, `MAC`, `PROCESS`, `PROCESS_MULTI` or `MFA`.
    #[serde(rename = "type", alias = "type_id")]
    check_type: Field<CheckType>,
    /// OS: the accepted systems, each with version ranges (any one suffices; none accepts any version).
    operating_systems: Field<Vec<Field<OrMapping<Platform, RawSystem>>>>,
    /// OS: how a reported version is read. `tolerant` takes `14.5` for 14.5.0 and does not compare the fourth part of
    /// `10.0.19045.2006`; `strict` cannot read either, as OpenZiti's controller. Default: tolerant.
    version_reading: Field<VersionReading>,
    /// DOMAIN: the accepted domains, in any letter case.
    domains: Field<Vec<Field<NameText>>>,
    /// MAC: the accepted hardware addresses; one reported address must be among them.
    mac_addresses: Field<Vec<Field<MacAddress>>>,
    /// PROCESS: the process that must run.
    process: Field<RawProcess>,
    /// PROCESS_MULTI: whether all processes must run (`AllOf`) or one of them (`AnyOf`).
    semantic: Field<Semantic>,
    /// PROCESS_MULTI: the processes.
    processes: Field<Vec<Field<RawProcess>>>,
    /// MFA: how long a pass lasts. Default: for ever.
    timeout: Field<DurationText>,
    /// MFA: how long a pass lasts, in seconds, as OpenZiti writes it; -1 is for ever.
    timeout_seconds: Field<Whole<-1, 31_622_400>>,
    /// MFA: whether waking the device asks for a fresh pass. Default: false.
    prompt_on_wake: Field<bool>,
    /// MFA: whether unlocking the device asks for a fresh pass. Default: false.
    prompt_on_unlock: Field<bool>,
    /// MFA: how long after waking or unlocking the old pass still counts. Default: 5m.
    grace: Field<DurationText>,
    /// MFA: kept for OpenZiti's clients; changes only the time shown to old ones. Default: false.
    ignore_legacy_endpoints: Field<bool>,
    /// Facts older than this have no result. Default: any age counts.
    max_age: Field<DurationText>,
    /// What is demanded of the facts: `any`, or `signed` for those that the device's key signed. MFA has none: the gateway
    /// itself sees the pass. Default: any.
    evidence: Field<Evidence>,
    /// What a person can do to pass, shown with a refusal as far as the service discloses it.
    remediation: Field<RemediationText>,
    /// Attributes by which policies select it (`#attribute`), written without the `#`.
    role_attributes: Field<Vec<Field<AttributeText>>>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// What a check asks, in OpenZiti's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum CheckType {
    #[serde(rename = "OS")]
    Os,
    #[serde(rename = "DOMAIN")]
    Domain,
    #[serde(rename = "MAC")]
    Mac,
    #[serde(rename = "PROCESS")]
    Process,
    #[serde(rename = "PROCESS_MULTI")]
    ProcessMulti,
    #[serde(rename = "MFA")]
    Mfa,
}

impl CheckType {
    const ALL: [CheckType; 6] =
        [CheckType::Os, CheckType::Domain, CheckType::Mac, CheckType::Process, CheckType::ProcessMulti, CheckType::Mfa];

    const fn name(self) -> &'static str {
        match self {
            CheckType::Os => "OS",
            CheckType::Domain => "DOMAIN",
            CheckType::Mac => "MAC",
            CheckType::Process => "PROCESS",
            CheckType::ProcessMulti => "PROCESS_MULTI",
            CheckType::Mfa => "MFA",
        }
    }

    /// The keys it needs.
    const fn required(self) -> &'static [&'static str] {
        match self {
            CheckType::Os => &["operating_systems"],
            CheckType::Domain => &["domains"],
            CheckType::Mac => &["mac_addresses"],
            CheckType::Process => &["process"],
            CheckType::ProcessMulti => &["semantic", "processes"],
            CheckType::Mfa => &[],
        }
    }

    /// The keys it may have beside those.
    const fn optional(self) -> &'static [&'static str] {
        match self {
            CheckType::Os => &["version_reading", "evidence"],
            CheckType::Mfa => &[
                "timeout",
                "timeout_seconds",
                "prompt_on_wake",
                "prompt_on_unlock",
                "grace",
                "ignore_legacy_endpoints",
            ],
            CheckType::Domain | CheckType::Mac | CheckType::Process | CheckType::ProcessMulti => &["evidence"],
        }
    }

    fn takes(self, key: &str) -> bool {
        self.required().contains(&key) || self.optional().contains(&key)
    }
}

/// The schema's rules for which type takes which keys.
fn keys_by_type() -> serde_json::Value {
    let keys = || {
        let of_type = |kind: CheckType| kind.required().iter().chain(kind.optional());
        CheckType::ALL.into_iter().flat_map(of_type)
    };
    let rule = |kind: CheckType| {
        let foreign = keys().filter(|key| !kind.takes(key));
        let refused: serde_json::Map<_, _> = foreign.map(|key| ((*key).to_owned(), json!(false))).collect();
        json!({
            "if": { "properties": { "type": { "const": kind.name() } } },
            "then": { "required": kind.required(), "properties": refused },
        })
    };
    CheckType::ALL.into_iter().map(rule).collect()
}

/// An accepted operating system: its name alone for any version, or with version ranges.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
struct RawSystem {
    /// `Android`, `Linux`, `Windows`, `WindowsServer`, `iOS` or `macOS`.
    #[serde(rename = "type")]
    platform: Field<Platform>,
    /// Accepted version ranges, such as `>=14.4.0 <16.0.0`; any one suffices. Default: any version.
    versions: Field<Vec<Field<VersionText>>>,
}

/// A process that must run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["os_type", "path"]))]
struct RawProcess {
    /// The system the path is meant for: `Android`, `Linux`, `Windows`, `WindowsServer`, `iOS` or `macOS`.
    os_type: Field<Platform>,
    /// The path of the executable.
    path: Field<PathText>,
    /// Accepted digests of the executable, in hex. Default: any.
    hashes: Field<Vec<Field<HexText>>>,
    /// Accepted fingerprints of its signers, in hex; one suffices. Default: any.
    signer_fingerprints: Field<Vec<Field<HexText>>>,
    /// The one accepted fingerprint of its signer, as OpenZiti writes it for PROCESS.
    signer_fingerprint: Field<HexText>,
}

/// A version range in its written form.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct VersionText(VersionRange);

impl JsonSchema for VersionText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "VersionRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "examples": [">=14.4.0", ">=10.0.19041 <11.0.0", "22.x || >=24.0.0"],
        })
    }
}

/// Reads one posture check.
pub(super) fn read(source: &Source<'_>, register: &mut Register, raw: Located<RawCheck>) -> Option<PostureCheck> {
    let Located { node, value: mut raw } = raw;
    let session = source.session;
    let check_type = std::mem::take(&mut raw.check_type).required(session, node, "type");
    let max_age = raw.max_age.node().map(|_| {
        let given = std::mem::take(&mut raw.max_age);
        positive(session, given, Duration::MAX)
    });
    let remediation = std::mem::take(&mut raw.remediation).value();
    let role_attributes = attributes(session, std::mem::take(&mut raw.role_attributes));
    let (name, id, tags) = (std::mem::take(&mut raw.name), std::mem::take(&mut raw.id), std::mem::take(&mut raw.tags));
    let head = source.head(register, node, name, id, tags);
    let check_type = check_type?.value;
    raw.refuse_foreign_keys(session, node, check_type);
    let evidence = std::mem::take(&mut raw.evidence).or_default();
    let predicate = raw.predicate(session, node, check_type)?;
    let head = head?;
    Some(PostureCheck {
        check: Arc::new(Check {
            id: CheckId::new(head.id),
            name: head.name,
            predicate,
            applies_to: None,
            max_age,
            evidence,
            remediation: remediation.map(|text| text.0.into()),
        }),
        role_attributes,
        meta: head.meta,
        as_written: None,
    })
}

impl RawCheck {
    fn refuse_foreign_keys(&self, session: &Session, node: NodeId, check_type: CheckType) {
        let given = [
            ("operating_systems", self.operating_systems.is_given()),
            ("version_reading", self.version_reading.is_given()),
            ("evidence", self.evidence.is_given()),
            ("domains", self.domains.is_given()),
            ("mac_addresses", self.mac_addresses.is_given()),
            ("process", self.process.is_given()),
            ("semantic", self.semantic.is_given()),
            ("processes", self.processes.is_given()),
            ("timeout", self.timeout.is_given()),
            ("timeout_seconds", self.timeout_seconds.is_given()),
            ("prompt_on_wake", self.prompt_on_wake.is_given()),
            ("prompt_on_unlock", self.prompt_on_unlock.is_given()),
            ("grace", self.grace.is_given()),
            ("ignore_legacy_endpoints", self.ignore_legacy_endpoints.is_given()),
        ];
        for (key, is_given) in given {
            if is_given && !check_type.takes(key) {
                let message = format!("has no meaning for a check of type {}", check_type.name());
                session.error_at_key(node, key, message);
            }
        }
    }

    fn predicate(self, session: &Session, node: NodeId, check_type: CheckType) -> Option<Predicate> {
        match check_type {
            CheckType::Os => {
                let systems = required_items(session, node, "operating_systems", self.operating_systems)?;
                let version_reading = self.version_reading.or_default();
                Some(Predicate::Os(OsRule { systems: required_systems(session, systems), version_reading }))
            }
            CheckType::Domain => {
                let domains = required_items(session, node, "domains", self.domains)?.into_iter();
                let domains = domains.map(|domain| domain.value.0).collect();
                Some(Predicate::Domain(DomainRule { domains, matching: DomainMatching::Folded }))
            }
            CheckType::Mac => {
                let macs = required_items(session, node, "mac_addresses", self.mac_addresses)?;
                let mut addresses: Vec<String> = macs.into_iter().map(|mac| mac.value.0).collect();
                addresses.sort();
                addresses.dedup();
                Some(Predicate::Mac(MacRule { addresses }))
            }
            CheckType::Process => {
                let process = self.process.required(session, node, "process")?;
                Some(Predicate::Process(ProcessRule { process: requirement(session, process, true)? }))
            }
            CheckType::ProcessMulti => {
                let semantic = self.semantic.required(session, node, "semantic");
                let processes = required_items(session, node, "processes", self.processes)?;
                Some(Predicate::Processes(ProcessesRule {
                    processes: requirements(session, processes),
                    semantic: semantic?.value,
                }))
            }
            CheckType::Mfa => Some(Predicate::Mfa(self.mfa_rule(session))),
        }
    }

    fn mfa_rule(self, session: &Session) -> MfaRule {
        if let (Some(_), Some(node)) = (self.timeout.node(), self.timeout_seconds.node()) {
            session.error(node, "give either `timeout` or `timeout_seconds`");
        }
        let seconds = self.timeout_seconds.value().map(Whole::to::<u64>);
        let timeout = match self.timeout.is_given() {
            true => Some(positive(session, self.timeout, Duration::MAX)),
            // -1 and 0 are OpenZiti's way to say for ever; neither fits an unsigned number above zero.
            false => seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        };
        MfaRule {
            timeout,
            prompt_on_wake: self.prompt_on_wake.or(false),
            prompt_on_unlock: self.prompt_on_unlock.or(false),
            grace: self.grace.value().map_or(MFA_GRACE, |grace| grace.0),
            ignore_legacy_endpoints: self.ignore_legacy_endpoints.or(false),
        }
    }
}

/// The readable items of a required list that must not be empty.
fn required_items<T>(
    session: &Session,
    parent: NodeId,
    key: &str,
    list: Field<Vec<Field<T>>>,
) -> Option<Vec<Located<T>>> {
    let list = list.required(session, parent, key)?;
    if list.value.is_empty() {
        session.error(list.node, "needs at least one entry");
        return None;
    }
    Some(list.value.into_iter().filter_map(Field::located).collect())
}

fn required_systems(session: &Session, list: Vec<Located<OrMapping<Platform, RawSystem>>>) -> Vec<OsRequirement> {
    let mut systems: Vec<OsRequirement> = Vec::new();
    for item in list {
        let (platform, versions) = match item.value {
            OrMapping::Short(platform) => (Some(platform), Vec::new()),
            OrMapping::Mapping(raw) => {
                let platform = raw.platform.required(session, item.node, "type");
                (platform.map(|platform| platform.value), raw.versions.items())
            }
        };
        let Some(platform) = platform else {
            continue;
        };
        if systems.iter().any(|other| other.platform == platform) {
            session.error(item.node, format!("`{}` is listed twice", platform.as_str()));
        }
        systems.push(OsRequirement { platform, versions: versions.into_iter().map(|range| range.value.0).collect() });
    }
    systems.sort_by_key(|system| system.platform.as_str());
    systems
}

fn requirements(session: &Session, list: Vec<Located<RawProcess>>) -> Vec<ProcessRequirement> {
    let mut processes: Vec<ProcessRequirement> = Vec::new();
    for raw in list {
        let node = raw.node;
        let Some(process) = requirement(session, raw, false) else {
            continue;
        };
        let same = |other: &ProcessRequirement| other.platform == process.platform && other.path == process.path;
        if processes.iter().any(same) {
            session.error(node, "this process is listed twice");
        }
        processes.push(process);
    }
    processes.sort_by_key(|process| format!("{}-{}", process.platform.as_str(), process.path));
    processes
}

/// Reads one wanted process; `single` is PROCESS, which may name its one signer as OpenZiti does.
fn requirement(session: &Session, raw: Located<RawProcess>, single: bool) -> Option<ProcessRequirement> {
    let Located { node, value: raw } = raw;
    let os_type = raw.os_type.required(session, node, "os_type");
    let path = raw.path.required(session, node, "path");
    if let Some(signer) = raw.signer_fingerprint.node() {
        if !single {
            session.error(signer, "a check of type PROCESS_MULTI takes `signer_fingerprints`");
        } else if raw.signer_fingerprints.is_given() {
            session.error(signer, "give either `signer_fingerprint` or `signer_fingerprints`");
        }
    }
    let signers = raw.signer_fingerprints.items().into_iter();
    let one_signer = raw.signer_fingerprint.value();
    let hashes = raw.hashes.items().into_iter();
    Some(ProcessRequirement {
        platform: os_type?.value,
        path: path?.value.0,
        hashes: hashes.map(|hash| hash.value.0).collect(),
        signer_fingerprints: signers.map(|signer| signer.value.0).chain(one_signer.map(|signer| signer.0)).collect(),
    })
}
