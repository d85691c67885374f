//! Bodies that create, replace and change service policies (`openziti.md` 2.1).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::entity::{Absent, name, tags};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use super::service_policy::RoleNames;
use crate::clock::Timestamp;
use crate::id::PolicyId;
use crate::policy::Objects;
use crate::policy::expression::Expression;
use crate::policy::objects::{Meta, Origin, PolicyType, ServicePolicy};
use crate::policy::roles::{Role, Semantic};

/// Reads the body of a creation. Entities that it names must be among the objects.
pub fn create_service_policy(
    body: &[u8],
    id: PolicyId,
    objects: &Objects,
    now: Timestamp,
) -> Result<ServicePolicy, ApiError> {
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let nothing = ServicePolicy {
        anonymous: false,
        id,
        name: "".into(),
        policy_type: PolicyType::Dial,
        semantic: Semantic::AllOf,
        identity_roles: Vec::new(),
        service_roles: Vec::new(),
        posture_check_roles: Vec::new(),
        expression: None,
        meta,
    };
    read(body, nothing, Absent::Missing, objects)
}

/// Reads the body of a PUT: everything is replaced. The posture expression, which OpenZiti's clients cannot repeat, stays unless
/// the body names it, so that nothing loosens silently.
pub fn replace_service_policy(
    body: &[u8],
    known: &ServicePolicy,
    objects: &Objects,
    now: Timestamp,
) -> Result<ServicePolicy, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    let (identity_roles, service_roles, posture_check_roles) = (Vec::new(), Vec::new(), Vec::new());
    let emptied = ServicePolicy { identity_roles, service_roles, posture_check_roles, meta, ..known.clone() };
    read(body, emptied, Absent::Missing, objects)
}

/// Reads the body of a PATCH: only what it names changes.
pub fn patch_service_policy(
    body: &[u8],
    known: &ServicePolicy,
    objects: &Objects,
    now: Timestamp,
) -> Result<ServicePolicy, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read(body, ServicePolicy { meta, ..known.clone() }, Absent::Kept, objects)
}

fn read(body: &[u8], mut policy: ServicePolicy, absent: Absent, objects: &Objects) -> Result<ServicePolicy, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    let told = |member: &str| absent.is_told(&members, member);
    if told("name") {
        policy.name = name(&members)?;
    }
    if told("type") {
        policy.policy_type = one_of(&members, "type", [("Dial", PolicyType::Dial), ("Bind", PolicyType::Bind)])?;
    }
    if told("semantic") {
        policy.semantic = one_of(&members, "semantic", [("AllOf", Semantic::AllOf), ("AnyOf", Semantic::AnyOf)])?;
    }
    let names = RoleNames::of(objects);
    if members.names("identityRoles") {
        policy.identity_roles = roles(&members, "identityRoles", "identities", |written| names.know_identity(written))?;
    }
    if members.names("serviceRoles") {
        policy.service_roles = roles(&members, "serviceRoles", "services", |written| names.know_service(written))?;
    }
    if members.names("postureCheckRoles") {
        policy.posture_check_roles =
            roles(&members, "postureCheckRoles", "postureChecks", |written| names.know_check(written))?;
    }
    if members.names("tags") {
        policy.meta.tags = tags(&members)?;
    }
    if members.names("postureExpression") {
        policy.expression = expression(&members)?;
    }
    Ok(policy)
}

fn one_of<T>(members: &Members<'_>, name: &str, known: [(&'static str, T); 2]) -> Result<T, FieldError> {
    let written = members.required_text(name)?;
    let [(first, _), (second, _)] = &known;
    let reason = format!("must be {first} or {second}");
    known
        .into_iter()
        .find(|(spelling, _)| *spelling == written)
        .map(|(_, value)| value)
        .ok_or_else(|| members.wrong(name, reason))
}

/// A list of roles, sorted, each once.
fn roles(
    members: &Members<'_>,
    list: &str,
    kind: &str,
    exists: impl Fn(&str) -> bool,
) -> Result<Vec<Role>, FieldError> {
    let mut roles = Vec::new();
    for (index, written) in members.texts(list)?.unwrap_or_default().into_iter().enumerate() {
        let wrong = |reason: String| FieldError::new(members.item(list, index), reason, &Value::from(written.as_str()));
        let role = Role::try_from(written.clone()).map_err(|error| wrong(error.to_string()))?;
        if let Role::Entity(entity) = &role
            && !exists(entity)
        {
            return Err(wrong(format!("no {kind} found with the given ids")));
        }
        roles.push(role);
    }
    roles.sort_unstable();
    roles.dedup();
    if roles.len() > 1 && roles.contains(&Role::All) {
        return Err(members.wrong(list, "must have no other entries beside `#all`"));
    }
    Ok(roles)
}

/// An expression in the spelling that replies show it in.
fn expression(members: &Members<'_>) -> Result<Option<Expression<Arc<str>>>, FieldError> {
    let read = |value: &Value| {
        serde_json::from_value(value.clone()).map_err(|error| members.wrong("postureExpression", error.to_string()))
    };
    members.get("postureExpression").map(read).transpose()
}
