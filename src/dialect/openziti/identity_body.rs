//! Bodies that create, replace and change identities.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::auth_policy::AuthPolicy;
use super::entity::{Absent, name, role_attributes, tags};
use super::error::{ApiError, FieldError};
use super::kept;
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::policy::Subject;
use crate::policy::objects::{Identity, Meta, Origin};

/// A new identity, and whether it is to get its certificate for a one-time token.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIdentity {
    /// The identity.
    pub identity: Identity,
    /// Whether a token was asked for.
    pub wants_token: bool,
}

/// Reads the body of a creation.
///
/// Certificates are recognised by the `subjects`, an addition of ours, or issued for a one-time token.
pub fn create_identity(body: &[u8], id: IdentityId, now: Timestamp) -> Result<NewIdentity, ApiError> {
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let nobody = Identity {
        id,
        name: "".into(),
        subjects: Vec::new(),
        role_attributes: Vec::new(),
        disabled: false,
        enrolment: None,
        certificates: Vec::new(),
        service_configs: Vec::new(),
        kept: Map::new(),
        meta,
    };
    let mut body = json(body)?;
    // Not a member of the identity itself, and refused in every other body.
    let enrollment = body.as_object_mut().and_then(|members| members.remove("enrollment"));
    let wants_token = enrollment.as_ref().map(wants_token).transpose()?.unwrap_or_default();
    Ok(NewIdentity { identity: read_members(&body, nobody, Absent::Missing)?, wants_token })
}

/// Whether the ways to enrol that a body names are the one that there is.
fn wants_token(written: &Value) -> Result<bool, FieldError> {
    if written.is_null() {
        return Ok(false);
    }
    let ways = Members::of(written, "enrollment")?;
    for name in ["ottca", "updb"] {
        if ways.text(name)?.is_some_and(|way| !way.is_empty()) {
            return Err(ways.wrong(name, "is not offered: a certificate is issued for a one-time token, by `ott`"));
        }
    }
    Ok(ways.flag("ott")?.unwrap_or_default())
}

/// Reads the body of a PUT: everything is replaced. The certificate names, which OpenZiti's clients cannot repeat, stay unless
/// the body names them, and so does whether it is disabled, which has requests of its own.
pub fn replace_identity(body: &[u8], known: &Identity, now: Timestamp) -> Result<Identity, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    read(body, Identity { role_attributes: Vec::new(), kept: Map::new(), meta, ..known.clone() }, Absent::Missing)
}

/// Reads the body of a PATCH: only what it names changes.
pub fn patch_identity(body: &[u8], known: &Identity, now: Timestamp) -> Result<Identity, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read(body, Identity { meta, ..known.clone() }, Absent::Kept)
}

/// Reads the body that says for how many minutes an identity is to be disabled. Only for good can be done.
pub fn read_disabling(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    match members.integer("durationMinutes")? {
        None | Some(0) => Ok(()),
        Some(_) => Err(members.wrong("durationMinutes", "must be 0: an identity stays disabled until enabled").into()),
    }
}

fn read(body: &[u8], identity: Identity, absent: Absent) -> Result<Identity, ApiError> {
    read_members(&json(body)?, identity, absent)
}

fn read_members(body: &Value, mut identity: Identity, absent: Absent) -> Result<Identity, ApiError> {
    let members = Members::of(body, "")?;
    let told = |member: &str| absent.is_told(&members, member);
    if told("name") {
        identity.name = name(&members)?;
    }
    if told("type") {
        members.required_text("type")?;
    }
    if told("isAdmin") && members.flag("isAdmin")?.ok_or_else(|| members.missing("isAdmin"))? {
        return Err(members.wrong("isAdmin", "must be false: operators are named in the configuration").into());
    }
    if members.get("enrollment").is_some_and(|enrolment| enrolment.as_object().is_none_or(|ways| !ways.is_empty())) {
        let reason = "is begun with the identity, or by `POST /enrollments`";
        return Err(members.wrong("enrollment", reason).into());
    }
    if members.text("authPolicyId")?.is_some_and(|policy| !policy.is_empty() && policy != AuthPolicy::ID) {
        let reason = format!("must be `{}`: there is no other", AuthPolicy::ID);
        return Err(members.wrong("authPolicyId", reason).into());
    }
    if members.texts("permissions")?.is_some_and(|permissions| !permissions.is_empty()) {
        return Err(members.wrong("permissions", "must be empty: operators are named in the configuration").into());
    }
    kept::read(&members, kept::OF_IDENTITIES, &mut identity.kept)?;
    if members.names("roleAttributes") {
        identity.role_attributes = role_attributes(&members)?;
    }
    if members.names("subjects") {
        identity.subjects = subjects(&members)?;
        let kept = &identity.subjects;
        let is_kept = |fingerprint: &Arc<str>| kept.contains(&Subject::Fingerprint(Arc::clone(fingerprint)));
        identity.certificates.retain(|certificate| is_kept(&certificate.fingerprint));
    }
    if members.names("tags") {
        identity.meta.tags = tags(&members)?;
    }
    Ok(identity)
}

fn subjects(members: &Members<'_>) -> Result<Vec<Subject>, FieldError> {
    let mut subjects = Vec::new();
    for (index, written) in members.texts("subjects")?.unwrap_or_default().into_iter().enumerate() {
        let wrong =
            |reason: String| FieldError::new(members.item("subjects", index), reason, &Value::from(written.as_str()));
        subjects.push(written.parse::<Subject>().map_err(|error| wrong(error.to_string()))?);
    }
    subjects.sort_unstable();
    subjects.dedup();
    Ok(subjects)
}
