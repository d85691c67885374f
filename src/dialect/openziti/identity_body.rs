//! Bodies that create, replace and change identities.

use serde_json::{Map, Value};

use super::auth_policy::AuthPolicy;
use super::entity::{Absent, name, role_attributes, tags};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::policy::Subject;
use crate::policy::objects::{Identity, Meta, Origin};

/// Reads the body of a creation.
///
/// Certificates are recognised by the `subjects`, an addition of ours: there are no one-time tokens to enrol with.
pub fn create_identity(body: &[u8], id: IdentityId, now: Timestamp) -> Result<Identity, ApiError> {
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let (subjects, role_attributes) = (Vec::new(), Vec::new());
    let nobody = Identity { id, name: "".into(), subjects, role_attributes, disabled: false, meta };
    read(body, nobody, Absent::Missing)
}

/// Reads the body of a PUT: everything is replaced. The certificate names, which OpenZiti's clients cannot repeat, stay unless
/// the body names them, and so does whether it is disabled, which has requests of its own.
pub fn replace_identity(body: &[u8], known: &Identity, now: Timestamp) -> Result<Identity, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    read(body, Identity { role_attributes: Vec::new(), meta, ..known.clone() }, Absent::Missing)
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

fn read(body: &[u8], mut identity: Identity, absent: Absent) -> Result<Identity, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
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
        let reason = "is not offered: give the names of its certificate in `subjects`, or let the CA's clients enrol";
        return Err(members.wrong("enrollment", reason).into());
    }
    if members.text("authPolicyId")?.is_some_and(|policy| !policy.is_empty() && policy != AuthPolicy::ID) {
        let reason = format!("must be `{}`: there is no other", AuthPolicy::ID);
        return Err(members.wrong("authPolicyId", reason).into());
    }
    if members.texts("permissions")?.is_some_and(|permissions| !permissions.is_empty()) {
        return Err(members.wrong("permissions", "must be empty: operators are named in the configuration").into());
    }
    if members.names("roleAttributes") {
        identity.role_attributes = role_attributes(&members)?;
    }
    if members.names("subjects") {
        identity.subjects = subjects(&members)?;
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
