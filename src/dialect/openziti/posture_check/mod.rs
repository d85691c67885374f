//! Posture checks: bodies that create, replace and change them, and how they are shown (`openziti.md` 1).

mod detail;
mod rule;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::entity::{name, role_attributes, tags};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;
use crate::policy::objects::{Meta, Origin, PostureCheck};
use crate::posture::Evidence;
use crate::posture::check::{Check, Predicate};

pub(super) use detail::{OperatingSystem, ProcessDetail, ProcessMultiDetail, timeout_seconds};
pub use detail::{PostureCheckDetail, posture_check};

/// The kind of a check as OpenZiti names it, and the discriminator of its bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum TypeId {
    /// The operating system.
    #[serde(rename = "OS")]
    Os,
    /// The domain.
    #[serde(rename = "DOMAIN")]
    Domain,
    /// A hardware address.
    #[serde(rename = "MAC")]
    Mac,
    /// One process.
    #[serde(rename = "PROCESS")]
    Process,
    /// Several processes.
    #[serde(rename = "PROCESS_MULTI")]
    ProcessMulti,
    /// Multi-factor authentication.
    #[serde(rename = "MFA")]
    Mfa,
}

impl TypeId {
    /// Every kind.
    pub const ALL: [TypeId; 6] =
        [TypeId::Os, TypeId::Domain, TypeId::Mac, TypeId::Process, TypeId::ProcessMulti, TypeId::Mfa];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            TypeId::Os => "OS",
            TypeId::Domain => "DOMAIN",
            TypeId::Mac => "MAC",
            TypeId::Process => "PROCESS",
            TypeId::ProcessMulti => "PROCESS_MULTI",
            TypeId::Mfa => "MFA",
        }
    }

    /// The kind of a question; `None` for one that OpenZiti has no word for.
    pub fn of(predicate: &Predicate) -> Option<Self> {
        match predicate {
            Predicate::Os(_) => Some(TypeId::Os),
            Predicate::Domain(_) => Some(TypeId::Domain),
            Predicate::Mac(_) => Some(TypeId::Mac),
            Predicate::Process(_) => Some(TypeId::Process),
            Predicate::Processes(_) => Some(TypeId::ProcessMulti),
            Predicate::Mfa(_) => Some(TypeId::Mfa),
            _ => None,
        }
    }

    fn read(members: &Members<'_>) -> Result<Self, ApiError> {
        let given = members.get("typeId").unwrap_or(&Value::Null);
        let known = TypeId::ALL.into_iter().find(|kind| given.as_str() == Some(kind.as_str()));
        known.ok_or_else(|| {
            let reason = "must be one of OS, DOMAIN, MAC, PROCESS, PROCESS_MULTI, MFA";
            ApiError::unparsable(members.field("typeId"), reason, given)
        })
    }
}

/// How a body is to be taken.
#[derive(Clone, Copy)]
enum Write<'a> {
    /// It describes a new check.
    Create,
    /// It describes the whole check anew. What OpenZiti does not know, its clients cannot repeat: additions of ours stay as they
    /// are unless the body names them, so that nothing loosens silently.
    Replace(&'a PostureCheck),
    /// It names what is to change.
    Patch(&'a PostureCheck),
}

impl<'a> Write<'a> {
    /// What a member of OpenZiti's that the body leaves out keeps its value from.
    fn kept(self) -> Option<&'a PostureCheck> {
        match self {
            Write::Create | Write::Replace(_) => None,
            Write::Patch(known) => Some(known),
        }
    }

    /// What a member of ours that the body leaves out keeps its value from.
    fn kept_addition(self) -> Option<&'a PostureCheck> {
        match self {
            Write::Create => None,
            Write::Replace(known) | Write::Patch(known) => Some(known),
        }
    }
}

/// Reads the body of a creation.
pub fn create_posture_check(body: &[u8], id: CheckId, now: Timestamp) -> Result<PostureCheck, ApiError> {
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    read(body, id, meta, Write::Create)
}

/// Reads the body of a PUT: everything is replaced but the type, which never changes.
pub fn replace_posture_check(body: &[u8], known: &PostureCheck, now: Timestamp) -> Result<PostureCheck, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    read(body, known.check.id.clone(), meta, Write::Replace(known))
}

/// Reads the body of a PATCH: only what it names changes.
pub fn patch_posture_check(body: &[u8], known: &PostureCheck, now: Timestamp) -> Result<PostureCheck, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read(body, known.check.id.clone(), meta, Write::Patch(known))
}

fn read(body: &[u8], id: CheckId, mut meta: Meta, write: Write<'_>) -> Result<PostureCheck, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    let kind = TypeId::read(&members)?;
    if let Some(known) = write.kept_addition()
        && TypeId::of(&known.check.predicate) != Some(kind)
    {
        return Err(members.wrong("typeId", "of a posture check cannot be changed").into());
    }
    let name = match (members.get("name"), write.kept()) {
        (None, Some(known)) if !members.names("name") => Arc::clone(&known.check.name),
        _ => name(&members)?,
    };
    if members.names("tags") {
        meta.tags = tags(&members)?;
    }
    let role_attributes = match write.kept() {
        Some(known) if !members.names("roleAttributes") => known.role_attributes.clone(),
        _ => role_attributes(&members)?,
    };
    let check = Check {
        id,
        name,
        predicate: rule::read(kind, &members, write)?,
        applies_to: None,
        max_age: match write.kept_addition() {
            Some(known) if !members.names("maxAge") => known.check.max_age,
            _ => max_age(&members)?,
        },
        evidence: match write.kept_addition() {
            Some(known) if !members.names("evidence") => known.check.evidence,
            _ => evidence(&members)?,
        },
        remediation: match write.kept_addition() {
            Some(known) if !members.names("remediation") => known.check.remediation.clone(),
            _ => remediation(&members)?,
        },
    };
    Ok(PostureCheck { check: Arc::new(check), role_attributes, meta, as_written: None })
}

fn max_age(members: &Members<'_>) -> Result<Option<Duration>, FieldError> {
    let Some(text) = members.text("maxAge")? else {
        return Ok(None);
    };
    match humantime::parse_duration(text) {
        Ok(age) if age >= Duration::from_millis(1) => Ok(Some(age)),
        Ok(_) => Err(members.wrong("maxAge", "must be longer than nothing")),
        Err(error) => {
            Err(members.wrong("maxAge", format!("is not a length of time such as `15m` or `1h 30m`: {error}")))
        }
    }
}

fn evidence(members: &Members<'_>) -> Result<Evidence, FieldError> {
    let Some(text) = members.text("evidence")? else {
        return Ok(Evidence::Any);
    };
    let known = Evidence::ALL.into_iter().find(|evidence| evidence.as_str() == text);
    known.ok_or_else(|| members.wrong("evidence", "must be `any` or `signed`"))
}

fn remediation(members: &Members<'_>) -> Result<Option<Arc<str>>, FieldError> {
    let text = members.text("remediation")?.filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > limits::REMEDIATION_BYTES_MAX) {
        return Err(members.wrong("remediation", format!("is longer than {} bytes", limits::REMEDIATION_BYTES_MAX)));
    }
    Ok(text.map(Arc::from))
}
