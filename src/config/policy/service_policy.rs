//! Service policies in policy files, with their posture expressions.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::json;

use super::object::{Register, RoleText, Source, Tags};
use super::places::ObjectPlaces;
use crate::config::document::{Field, Located, NodeId, OrMapping, Session};
use crate::config::findings::excerpt;
use crate::config::values::NameText;
use crate::dialect::cloudflare::{AccessRule, access_expression};
use crate::id::PolicyId;
use crate::limits::NAME_BYTES_MAX;
use crate::policy::expression::Expression;
use crate::policy::objects::{PolicyType, ServicePolicy};
use crate::policy::roles::{Role, Semantic};

/// These identities may reach these services, provided these checks pass.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "service_roles"]))]
pub(super) struct RawServicePolicy {
    /// Its name, unique over service policies.
    name: Field<NameText>,
    /// Its id, unique over service policies. Default: the name.
    id: Field<NameText>,
    /// `Dial` to reach a service. `Bind` (to host one) is stored and shown only. Default: Dial.
    #[serde(rename = "type")]
    policy_type: Field<PolicyType>,
    /// Whether an entity needs all listed `#attributes` (`AllOf`) or one of them (`AnyOf`) to be selected. It never says
    /// which checks must pass: every selected check must. Default: AllOf.
    semantic: Field<Semantic>,
    /// Which identities: `#attribute`, `@id`, `@name`, or `#all` alone.
    identity_roles: Field<Vec<Field<RoleText>>>,
    /// Whether it also lets in requests without a certificate, where `tls.client_auth` lets them come; `identity_roles` may
    /// then be left out. They have no posture, so no check passes. Default: false.
    anonymous: Field<bool>,
    /// Which services: `#attribute`, `@id`, `@name`, or `#all` alone.
    service_roles: Field<Vec<Field<RoleText>>>,
    /// Which posture checks must pass: `#attribute`, `@id`, `@name`, or `#all` alone. Default: none.
    posture_check_roles: Field<Vec<Field<RoleText>>>,
    /// A posture expression that must pass as well: the name of a check, or `all`, `any` or `not` over expressions.
    require: Field<RawExpression>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// The name of a check, or a mapping with `all`, `any` or `not`, or with the lists of a Cloudflare Access policy.
type RawExpression = OrMapping<CheckReference, RawBranch>;

/// Expressions combined: exactly one of `all`, `any` and `not`, or the lists of an Access policy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RawExpression", extend("anyOf" = ways_to_combine()))]
struct RawBranch {
    /// Every part must pass.
    all: Field<Vec<Field<RawExpression>>>,
    /// At least one part must pass.
    any: Field<Vec<Field<RawExpression>>>,
    /// The part must fail. A part without a result stays without one.
    not: Field<Box<RawExpression>>,
    /// Access: at least one of these entries must hold.
    include: Field<Vec<Field<AccessEntry>>>,
    /// Access: each of these entries must hold.
    require: Field<Vec<Field<AccessEntry>>>,
    /// Access: none of these entries may hold. One without a result does not exclude: `not` is stricter.
    exclude: Field<Vec<Field<AccessEntry>>>,
}

/// An entry of one of Access's lists, read by the dialect that knows them.
#[derive(Clone, Debug)]
struct AccessEntry(AccessRule);

impl<'de> Deserialize<'de> for AccessEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = serde_json::Value::deserialize(deserializer)?;
        serde_json::from_value(entry).map(AccessEntry).map_err(D::Error::custom)
    }
}

impl JsonSchema for AccessEntry {
    fn inline_schema() -> bool {
        AccessRule::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        AccessRule::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        AccessRule::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        AccessRule::json_schema(generator)
    }
}

/// The schema's rule for which keys stand together.
fn ways_to_combine() -> serde_json::Value {
    let alone = |key: &str| json!({ "required": [key], "maxProperties": 1 });
    let access = |key: &str| json!({ "required": [key], "properties": { "all": false, "any": false, "not": false } });
    json!([alone("all"), alone("any"), alone("not"), access("include"), access("require")])
}

/// A check by `@id`, `@name` or bare name.
#[derive(Clone, Debug)]
struct CheckReference(String);

impl<'de> Deserialize<'de> for CheckReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('#') {
            return Err(D::Error::custom(format!(
                "{} is an attribute; an expression names single checks",
                excerpt(&text)
            )));
        }
        if text.trim_start_matches('@').is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(D::Error::custom(format!("{} is not the name of a check", excerpt(&text))));
        }
        Ok(CheckReference(text))
    }
}

impl JsonSchema for CheckReference {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CheckReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[^#]" })
    }
}

/// Reads one service policy, and remembers where it names other objects.
pub(super) fn read(
    source: &Source<'_>,
    register: &mut Register,
    places: &mut ObjectPlaces,
    raw: Located<RawServicePolicy>,
) -> Option<ServicePolicy> {
    let Located { node, value: raw } = raw;
    let session = source.session;
    let anonymous = raw.anonymous.or_default();
    let lists = [("identity_roles", &raw.identity_roles, !anonymous), ("service_roles", &raw.service_roles, true)];
    for (key, list, needed) in lists {
        if needed && !list.is_given() {
            session.missing(node, key);
        }
    }
    let mut references = Vec::new();
    let identity_roles = roles(session, raw.identity_roles, &mut references);
    let service_roles = roles(session, raw.service_roles, &mut references);
    let posture_check_roles = roles(session, raw.posture_check_roles, &mut references);
    // INVARIANT: an expression that cannot be read is an error in `session`, and an error refuses the whole load: a policy
    // never goes on without the expression it was given.
    let require = raw.require.located().and_then(|require| {
        let expression = expression(session, require.node, require.value, &mut references)?;
        if let Err(problem) = expression.validate() {
            session.error(require.node, problem.to_string());
        }
        Some(expression)
    });
    let head = source.head(register, node, raw.name, raw.id, raw.tags)?;
    let id = PolicyId::new(head.id);
    for (text, node) in references {
        places.add_reference(&id, text, source.place(node));
    }
    Some(ServicePolicy {
        id,
        name: head.name,
        policy_type: raw.policy_type.or(PolicyType::Dial),
        semantic: raw.semantic.or(Semantic::AllOf),
        identity_roles,
        anonymous,
        service_roles,
        posture_check_roles,
        expression: require,
        meta: head.meta,
    })
}

/// A role list, sorted, each entry once; `#all` must be alone in it.
fn roles(session: &Session, list: Field<Vec<Field<RoleText>>>, references: &mut Vec<(String, NodeId)>) -> Vec<Role> {
    let items = list.items();
    let mut roles = Vec::with_capacity(items.len());
    for item in &items {
        let RoleText(role) = &item.value;
        if *role == Role::All && items.len() > 1 {
            session.error(item.node, "`#all` must be the only entry of its list");
        }
        if let Role::Entity(name) = role {
            references.push((name.clone(), item.node));
        }
        roles.push(role.clone());
    }
    roles.sort();
    roles.dedup();
    roles
}

fn expression(
    session: &Session,
    node: NodeId,
    raw: RawExpression,
    references: &mut Vec<(String, NodeId)>,
) -> Option<Expression<Arc<str>>> {
    let branch = match raw {
        OrMapping::Short(CheckReference(name)) => {
            let bare = name.strip_prefix('@').unwrap_or(&name);
            references.push((bare.to_owned(), node));
            return Some(Expression::Check(name.into()));
        }
        OrMapping::Mapping(branch) => branch,
    };
    let given = [branch.all.is_given(), branch.any.is_given(), branch.not.is_given()];
    let access = branch.include.is_given() || branch.require.is_given() || branch.exclude.is_given();
    if given.into_iter().filter(|given| *given).count() != usize::from(!access) {
        session.error(node, "expected exactly one of `all`, `any` and `not`, or the lists of an Access policy");
        return None;
    }
    if access {
        return access_group(session, node, branch, references);
    }
    if branch.all.is_given() {
        return parts(session, branch.all, references).map(Expression::All);
    }
    if branch.any.is_given() {
        return parts(session, branch.any, references).map(Expression::Any);
    }
    let part = branch.not.located()?;
    let inner = expression(session, part.node, *part.value, references)?;
    Some(Expression::Not(Box::new(inner)))
}

/// The lists of an Access policy.
fn access_group(
    session: &Session,
    node: NodeId,
    branch: RawBranch,
    references: &mut Vec<(String, NodeId)>,
) -> Option<Expression<Arc<str>>> {
    let [include, require, exclude] = [branch.include, branch.require, branch.exclude].map(Field::items);
    let lists = [&include, &require, &exclude];
    for entry in lists.into_iter().flatten() {
        if let AccessEntry(AccessRule::DevicePosture(posture)) = &entry.value {
            references.push((posture.integration_uid.clone(), entry.node));
        }
    }
    let [include, require, exclude] = [include, require, exclude]
        .map(|entries| entries.into_iter().map(|entry| entry.value.0).collect::<Vec<AccessRule>>());
    match access_expression(&include, &require, &exclude) {
        Ok(Some(expression)) => Some(expression),
        Ok(None) => {
            session.error(node, "asks nothing of anybody; a policy that opens without checks has no `require`");
            None
        }
        Err(invalid) => {
            session.error(node, invalid.to_string());
            None
        }
    }
}

/// The parts of `all` or `any`: every one of them, or nothing.
fn parts(
    session: &Session,
    list: Field<Vec<Field<RawExpression>>>,
    references: &mut Vec<(String, NodeId)>,
) -> Option<Vec<Expression<Arc<str>>>> {
    let Located { node, value } = list.located()?;
    if value.is_empty() {
        session.error(node, "needs at least one part");
        return None;
    }
    let read = |part: Field<RawExpression>| {
        let part = part.located()?;
        expression(session, part.node, part.value, references)
    };
    // Every part is read before the first broken one drops the list, so that all findings are made.
    let parts: Vec<Option<_>> = value.into_iter().map(read).collect();
    parts.into_iter().collect()
}
