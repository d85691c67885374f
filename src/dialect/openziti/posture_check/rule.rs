//! The members that differ from kind to kind (`openziti.md` 1.2 to 1.7).

use std::time::Duration;

use serde_json::Value;

use super::super::error::FieldError;
use super::super::members::Members;
use super::{TypeId, Write};
use crate::posture::Platform;
use crate::posture::check::Predicate;
use crate::posture::check::domain::{DomainMatching, DomainRule};
use crate::posture::check::mac::MacRule;
use crate::posture::check::mfa::{self, MfaRule};
use crate::posture::check::os::{OsRequirement, OsRule};
use crate::posture::check::process::{ProcessRequirement, ProcessRule, ProcessesRule, Semantic};
use crate::posture::fold::bare_hex;
use crate::posture::version::{VersionRange, VersionReading};

/// Reads the rule of a body of a known kind. The check it is written over, if any, is of the same kind.
pub(super) fn read(kind: TypeId, members: &Members<'_>, write: Write<'_>) -> Result<Predicate, FieldError> {
    let kept = write.kept().map(|known| &known.check.predicate);
    let kept_addition = write.kept_addition().map(|known| &known.check.predicate);
    match kind {
        TypeId::Os => os(members, kept, kept_addition).map(Predicate::Os),
        TypeId::Domain => domain(members, kept).map(Predicate::Domain),
        TypeId::Mac => mac(members, kept).map(Predicate::Mac),
        TypeId::Process => process(members, kept).map(Predicate::Process),
        TypeId::ProcessMulti => processes(members, kept).map(Predicate::Processes),
        TypeId::Mfa => mfa(members, kept, kept_addition).map(Predicate::Mfa),
    }
}

/// A member as given, or else as kept; an error if it is neither.
fn required<T>(members: &Members<'_>, name: &str, given: Option<T>, kept: Option<T>) -> Result<T, FieldError> {
    given.or(kept).ok_or_else(|| members.missing(name))
}

fn not_empty<T>(members: &Members<'_>, name: &str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, FieldError> {
    match list {
        Some(list) if list.is_empty() => Err(members.wrong(name, "needs at least one entry")),
        list => Ok(list),
    }
}

fn os(
    members: &Members<'_>,
    kept: Option<&Predicate>,
    kept_addition: Option<&Predicate>,
) -> Result<OsRule, FieldError> {
    let rule = |predicate: Option<&Predicate>| match predicate {
        Some(Predicate::Os(rule)) => Some(rule.clone()),
        _ => None,
    };
    let reading = match members.text("versionReading")? {
        Some("strict") => VersionReading::Strict,
        Some("tolerant") => VersionReading::Tolerant,
        Some(_) => return Err(members.wrong("versionReading", "must be `strict` or `tolerant`")),
        // In OpenZiti's language a version has three parts unless the check says otherwise.
        None => rule(kept_addition).map_or(VersionReading::Strict, |rule| rule.version_reading),
    };
    let systems = required(members, "operatingSystems", systems(members)?, rule(kept).map(|rule| rule.systems))?;
    Ok(OsRule { systems, version_reading: reading })
}

/// Of entries for the same system the last counts; they are kept in the order of their spelling.
fn systems(members: &Members<'_>) -> Result<Option<Vec<OsRequirement>>, FieldError> {
    let Some(items) = not_empty(members, "operatingSystems", members.objects("operatingSystems")?)? else {
        return Ok(None);
    };
    let mut systems = std::collections::BTreeMap::new();
    for item in items {
        let platform = platform(&item, "type")?;
        let texts = item.texts("versions")?.ok_or_else(|| item.missing("versions"))?;
        let ranges = texts.iter().enumerate().map(|(index, text)| {
            VersionRange::parse(text).map_err(|error| {
                let reason = format!("is not a version range: {}", error.reason());
                FieldError::new(item.item("versions", index), reason, &Value::from(text.as_str()))
            })
        });
        systems.insert(platform, OsRequirement { platform, versions: ranges.collect::<Result<_, _>>()? });
    }
    Ok(Some(systems.into_values().collect()))
}

fn platform(members: &Members<'_>, name: &str) -> Result<Platform, FieldError> {
    let text = members.required_text(name)?;
    let known = Platform::ALL.into_iter().find(|platform| platform.as_str() == text);
    known.ok_or_else(|| members.wrong(name, "must be one of Windows, WindowsServer, Android, iOS, Linux, macOS"))
}

fn domain(members: &Members<'_>, kept: Option<&Predicate>) -> Result<DomainRule, FieldError> {
    let given = not_empty(members, "domains", members.texts("domains")?)?;
    let kept = match kept {
        Some(Predicate::Domain(rule)) => Some(rule.domains.clone()),
        _ => None,
    };
    let domains = required(members, "domains", given, kept)?;
    Ok(DomainRule { domains, matching: DomainMatching::Folded })
}

fn mac(members: &Members<'_>, kept: Option<&Predicate>) -> Result<MacRule, FieldError> {
    let given = not_empty(members, "macAddresses", members.texts("macAddresses")?)?;
    let given = given.map(|addresses| addresses.iter().map(|address| bare_hex(address)).collect());
    let kept = match kept {
        Some(Predicate::Mac(rule)) => Some(rule.addresses.clone()),
        _ => None,
    };
    Ok(MacRule { addresses: required(members, "macAddresses", given, kept)? })
}

fn process(members: &Members<'_>, kept: Option<&Predicate>) -> Result<ProcessRule, FieldError> {
    let kept = match kept {
        Some(Predicate::Process(rule)) => Some(&rule.process),
        _ => None,
    };
    let given = members.object("process")?.map(|process| single(&process, kept)).transpose()?;
    Ok(ProcessRule { process: required(members, "process", given, kept.cloned())? })
}

/// Digests and the signer are lower-cased and nothing else; separators stay and never match. A change keeps what it does not name,
/// here as well: `ziti edge update posture-check process` sends the one member that is to change.
fn single(members: &Members<'_>, kept: Option<&ProcessRequirement>) -> Result<ProcessRequirement, FieldError> {
    let kept = |name: &str| kept.filter(|_| !members.names(name));
    let hashes = || Ok(lower_case(members.texts("hashes")?.unwrap_or_default()));
    let signer = || {
        let signer = members.text("signerFingerprint")?.filter(|signer| !signer.is_empty());
        Ok(lower_case(signer.into_iter().map(str::to_owned).collect()))
    };
    Ok(ProcessRequirement {
        platform: kept("osType").map_or_else(|| platform(members, "osType"), |known| Ok(known.platform))?,
        path: match kept("path") {
            Some(known) => known.path.clone(),
            None => members.required_text("path")?.to_owned(),
        },
        hashes: kept("hashes").map_or_else(hashes, |known| Ok(known.hashes.clone()))?,
        signer_fingerprints: kept("signerFingerprint")
            .map_or_else(signer, |known| Ok(known.signer_fingerprints.clone()))?,
    })
}

fn lower_case(digests: Vec<String>) -> Vec<String> {
    digests.iter().map(|digest| digest.to_lowercase()).collect()
}

fn processes(members: &Members<'_>, kept: Option<&Predicate>) -> Result<ProcessesRule, FieldError> {
    let kept = match kept {
        Some(Predicate::Processes(rule)) => Some(rule),
        _ => None,
    };
    let semantic = match members.text("semantic")? {
        Some("AllOf") => Some(Semantic::AllOf),
        Some("AnyOf") => Some(Semantic::AnyOf),
        Some(_) => return Err(members.wrong("semantic", "must be `AllOf` or `AnyOf`")),
        None => None,
    };
    Ok(ProcessesRule {
        semantic: required(members, "semantic", semantic, kept.map(|rule| rule.semantic))?,
        processes: required(members, "processes", several(members)?, kept.map(|rule| rule.processes.clone()))?,
    })
}

/// Of entries for the same system and path the last counts; they are kept in the order of `osType-path`. Digests and signers stay
/// as written.
fn several(members: &Members<'_>) -> Result<Option<Vec<ProcessRequirement>>, FieldError> {
    let Some(items) = not_empty(members, "processes", members.objects("processes")?)? else {
        return Ok(None);
    };
    let mut processes = std::collections::BTreeMap::new();
    for item in items {
        let process = ProcessRequirement {
            platform: platform(&item, "osType")?,
            path: item.required_text("path")?.to_owned(),
            hashes: item.texts("hashes")?.unwrap_or_default(),
            signer_fingerprints: item.texts("signerFingerprints")?.unwrap_or_default(),
        };
        processes.insert(format!("{}-{}", process.platform.as_str(), process.path), process);
    }
    Ok(Some(processes.into_values().collect()))
}

fn mfa(
    members: &Members<'_>,
    kept: Option<&Predicate>,
    kept_addition: Option<&Predicate>,
) -> Result<MfaRule, FieldError> {
    let rule = |predicate: Option<&Predicate>| match predicate {
        Some(Predicate::Mfa(rule)) => Some(rule.clone()),
        _ => None,
    };
    let kept = rule(kept);
    let flag = |name: &str, kept: Option<bool>| Ok(members.flag(name)?.or(kept).unwrap_or(false));
    Ok(MfaRule {
        timeout: match members.integer("timeoutSeconds")? {
            Some(seconds) => u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs),
            None => kept.as_ref().and_then(|rule| rule.timeout),
        },
        prompt_on_wake: flag("promptOnWake", kept.as_ref().map(|rule| rule.prompt_on_wake))?,
        prompt_on_unlock: flag("promptOnUnlock", kept.as_ref().map(|rule| rule.prompt_on_unlock))?,
        ignore_legacy_endpoints: flag("ignoreLegacyEndpoints", kept.as_ref().map(|rule| rule.ignore_legacy_endpoints))?,
        grace: match members.integer("promptGracePeriodSeconds")? {
            Some(seconds) => u64::try_from(seconds)
                .map(Duration::from_secs)
                .map_err(|_| members.wrong("promptGracePeriodSeconds", "must not be negative"))?,
            None => rule(kept_addition).map_or(mfa::GRACE, |rule| rule.grace),
        },
    })
}
