//! Service policies, shown (`openziti.md` 2.1).

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::envelope::{Entity, Links};
use crate::policy::Objects;
use crate::policy::expression::Expression;
use crate::policy::objects::{Identity, PolicyType, PostureCheck, Service, ServicePolicy};
use crate::policy::roles::{Role, Semantic};

/// A service policy as lists and details show it. Entities are shown by id, also where the policy names them by name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePolicyDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    #[serde(rename = "type")]
    policy_type: PolicyType,
    semantic: Semantic,
    identity_roles: Vec<String>,
    identity_roles_display: Vec<NamedRole>,
    service_roles: Vec<String>,
    service_roles_display: Vec<NamedRole>,
    posture_check_roles: Vec<String>,
    posture_check_roles_display: Vec<NamedRole>,
    /// An expression over checks that must pass as well; an addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    posture_expression: Option<&'a Expression<Arc<str>>>,
}

/// A role as it is compared and as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct NamedRole {
    role: String,
    name: String,
}

/// Shows a service policy.
pub fn service_policy<'a>(policy: &'a ServicePolicy, names: &RoleNames<'_>) -> ServicePolicyDetail<'a> {
    let id = policy.id.as_str();
    let identities = names.identities.show(&policy.identity_roles);
    let services = names.services.show(&policy.service_roles);
    let checks = names.checks.show(&policy.posture_check_roles);
    ServicePolicyDetail {
        entity: Entity::new(id, &policy.meta, Links::own("service-policies", id)),
        name: &policy.name,
        policy_type: policy.policy_type,
        semantic: policy.semantic,
        identity_roles: roles(&identities),
        identity_roles_display: identities,
        service_roles: roles(&services),
        service_roles_display: services,
        posture_check_roles: roles(&checks),
        posture_check_roles_display: checks,
        posture_expression: policy.expression.as_ref(),
    }
}

fn roles(named: &[NamedRole]) -> Vec<String> {
    named.iter().map(|role| role.role.clone()).collect()
}

/// Finds the ids and names of entities in role lists. Make it once for a whole list of policies.
#[derive(Debug)]
pub struct RoleNames<'a> {
    identities: Directory<'a, crate::id::IdentityId, Identity>,
    services: Directory<'a, crate::id::ServiceId, Service>,
    checks: Directory<'a, crate::id::CheckId, PostureCheck>,
}

impl<'a> RoleNames<'a> {
    /// The names of a set of objects.
    pub fn of(objects: &'a Objects) -> Self {
        RoleNames {
            identities: Directory::new(&objects.identities, |identity| (identity.id.as_str(), &identity.name)),
            services: Directory::new(&objects.services, |service| (service.id.as_str(), &service.name)),
            checks: Directory::new(&objects.checks, |object| (object.check.id.as_str(), &object.check.name)),
        }
    }

    /// The identities of a policy, as shown.
    pub(super) fn identity_roles(&self, policy: &ServicePolicy) -> Vec<String> {
        roles(&self.identities.show(&policy.identity_roles))
    }

    /// The services of a policy, as shown.
    pub(super) fn service_roles(&self, policy: &ServicePolicy) -> Vec<String> {
        roles(&self.services.show(&policy.service_roles))
    }

    /// The checks of a policy, as shown.
    pub(super) fn posture_check_roles(&self, policy: &ServicePolicy) -> Vec<String> {
        roles(&self.checks.show(&policy.posture_check_roles))
    }
}

impl RoleNames<'_> {
    /// Whether an identity has this id or name.
    pub(super) fn know_identity(&self, written: &str) -> bool {
        self.identities.find(written).is_some()
    }

    /// Whether a service has this id or name.
    pub(super) fn know_service(&self, written: &str) -> bool {
        self.services.find(written).is_some()
    }

    /// Whether a posture check has this id or name.
    pub(super) fn know_check(&self, written: &str) -> bool {
        self.checks.find(written).is_some()
    }
}

/// Entities of one kind by id and, once a name is asked for, by name.
#[derive(Debug)]
struct Directory<'a, Id, T> {
    by_id: &'a BTreeMap<Id, Arc<T>>,
    by_name: OnceCell<HashMap<&'a str, &'a T>>,
    id_and_name: fn(&T) -> (&str, &str),
}

impl<'a, Id: Borrow<str> + Ord, T> Directory<'a, Id, T> {
    fn new(by_id: &'a BTreeMap<Id, Arc<T>>, id_and_name: fn(&T) -> (&str, &str)) -> Self {
        Directory { by_id, by_name: OnceCell::new(), id_and_name }
    }

    fn show(&self, roles: &[Role]) -> Vec<NamedRole> {
        let mut named: Vec<NamedRole> = roles.iter().map(|role| self.named(role)).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    fn named(&self, role: &Role) -> NamedRole {
        if let Role::Entity(written) = role
            && let Some(entity) = self.find(written)
        {
            let (id, name) = (self.id_and_name)(entity);
            return NamedRole { role: format!("@{id}"), name: format!("@{name}") };
        }
        // An attribute is its own name; an entity that does not exist has no other.
        let written = String::from(role.clone());
        NamedRole { role: written.clone(), name: written }
    }

    fn find(&self, written: &str) -> Option<&'a T> {
        if let Some(entity) = self.by_id.get(written) {
            return Some(entity);
        }
        let by_name = self
            .by_name
            .get_or_init(|| self.by_id.values().map(|entity| ((self.id_and_name)(entity).1, &**entity)).collect());
        by_name.get(written).copied()
    }
}
