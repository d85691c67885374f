//! What a new snapshot can change for whom: so that only those are asked again whose answer may be another one.
//!
//! What is named here may have changed, and what is not named has not: naming too much costs time, naming too little would
//! leave somebody with access that they have lost.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::objects::{Identity, Service, ServicePolicy};
use super::snapshot::{CheckSlot, CompiledPolicy, PolicyIndex, Snapshot};
use super::subject::Subject;
use crate::clock::checkpoint;
use crate::id::{CheckId, IdentityId, PolicyId, ServiceId};

/// The difference between two snapshots, as far as decisions go.
#[derive(Debug, Default)]
pub struct Changes {
    identities: HashSet<IdentityId>,
    /// Certificate names that identities have now and had not before.
    names: HashSet<Subject>,
    services: HashSet<ServiceId>,
    policies: HashSet<PolicyId>,
    /// Nothing is known about what was before.
    all: bool,
}

impl Changes {
    /// What is different in `new`.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        if !old.is_loaded() || !new.is_loaded() {
            return Changes { all: true, ..Changes::default() };
        }
        let (before, after) = (old.objects(), new.objects());
        let mut services = differing(&before.services, &after.services, same_service);
        services.extend(led_to_by_others(old, new));
        let identities = differing(&before.identities, &after.identities, same_identity);
        Changes {
            names: gained(&identities, old, new),
            identities,
            services,
            policies: changed_policies(old, new),
            all: false,
        }
    }

    /// Whether no answer can have changed.
    pub fn is_empty(&self) -> bool {
        !self.all && self.identities.is_empty() && self.services.is_empty() && self.policies.is_empty()
    }

    /// Whether anything about an identity's access as a whole may be different.
    pub fn touch_identity(&self, identity: &IdentityId) -> bool {
        self.all || !self.services.is_empty() || !self.policies.is_empty() || self.identities.contains(identity)
    }

    /// Whether a certificate with these names may be somebody else's: it is that of the first name that anybody has, so that one
    /// who is not different at all can lose it to one who is.
    pub fn touch_names(&self, names: &[Subject]) -> bool {
        self.all || (!self.names.is_empty() && names.iter().any(|name| self.names.contains(name)))
    }

    /// Whether the answer for an identity and a service may be different.
    pub fn touch(&self, old: &Snapshot, new: &Snapshot, identity: &IdentityId, service: &ServiceId) -> bool {
        self.all
            || self.identities.contains(identity)
            || self.services.contains(service)
            || (!self.policies.is_empty()
                && [old, new].into_iter().any(|snapshot| self.leads_through_change(snapshot, identity, service)))
    }

    fn leads_through_change(&self, snapshot: &Snapshot, identity: &IdentityId, service: &ServiceId) -> bool {
        let (Some(identity), Some(service)) = (snapshot.find_identity(identity), snapshot.find_service(service)) else {
            return true;
        };
        snapshot.dial_policies(identity, service).any(|(_, policy)| self.policies.contains(&policy.object().id))
    }
}

/// Ids of objects that are not the same in both, or not in both.
fn differing<K: Ord + Hash + Eq + Clone, V>(
    old: &BTreeMap<K, Arc<V>>,
    new: &BTreeMap<K, Arc<V>>,
    same: fn(&V, &V) -> bool,
) -> HashSet<K> {
    let unlike = |id: &K, object: &Arc<V>, others: &BTreeMap<K, Arc<V>>| {
        others.get(id).is_none_or(|other| !Arc::ptr_eq(other, object) && !same(other, object))
    };
    let changed = new.iter().inspect(|_| checkpoint()).filter(|(id, object)| unlike(id, object, old));
    let gone = old.iter().inspect(|_| checkpoint()).filter(|(id, _)| !new.contains_key(*id));
    changed.chain(gone).map(|(id, _)| id.clone()).collect()
}

/// The names that these identities have in `new` and not in `old`.
fn gained(identities: &HashSet<IdentityId>, old: &Snapshot, new: &Snapshot) -> HashSet<Subject> {
    let subjects = |snapshot: &Snapshot, id: &IdentityId| {
        snapshot.objects().identities.get(id).map(|identity| identity.subjects.clone()).unwrap_or_default()
    };
    let gained = |id| {
        let before = subjects(old, id);
        subjects(new, id).into_iter().filter(move |name| !before.contains(name))
    };
    identities.iter().flat_map(gained).collect()
}

// Each of these takes an object apart, so that nobody adds a member without saying here whether access depends on it. Times, tags
// and places say nothing about access: whoever saves a file again changes nothing.

fn same_identity(a: &Identity, b: &Identity) -> bool {
    let Identity {
        id: _,
        name,
        subjects,
        role_attributes,
        disabled,
        enrolment: _,
        certificates: _,
        service_configs: _,
        kept: _,
        meta: _,
    } = a;
    *name == b.name && *subjects == b.subjects && *role_attributes == b.role_attributes && *disabled == b.disabled
}

fn same_service(a: &Service, b: &Service) -> bool {
    let Service {
        id: _,
        name,
        protocol,
        matching: _,
        upstreams: _,
        transport: _,
        configs: _,
        role_attributes,
        concealed: _,
        disclosure: _,
        kept: _,
        meta: _,
    } = a;
    *name == b.name && *role_attributes == b.role_attributes && *protocol == b.protocol
}

fn same_policy(a: &ServicePolicy, b: &ServicePolicy) -> bool {
    let ServicePolicy {
        id: _,
        name: _,
        policy_type,
        semantic,
        identity_roles,
        anonymous,
        service_roles,
        posture_check_roles,
        expression,
        meta: _,
    } = a;
    *policy_type == b.policy_type
        && *semantic == b.semantic
        && *identity_roles == b.identity_roles
        && *anonymous == b.anonymous
        && *service_roles == b.service_roles
        && *posture_check_roles == b.posture_check_roles
        && *expression == b.expression
}

/// Services that other policies lead to than before.
fn led_to_by_others(old: &Snapshot, new: &Snapshot) -> Vec<ServiceId> {
    let everywhere = ids(old, &old.policies_of_every_service) == ids(new, &new.policies_of_every_service);
    let other = |id: &ServiceId| {
        let leading = |snapshot: &Snapshot| {
            let service = snapshot.find_service(id).and_then(|index| snapshot.services.get(index.position()));
            service.map(|service| service.dial_policies.clone())
        };
        match (leading(old), leading(new)) {
            (Some(before), Some(after)) => !everywhere || ids(old, &before) != ids(new, &after),
            _ => true,
        }
    };
    new.objects().services.keys().inspect(|_| checkpoint()).filter(|id| other(id)).cloned().collect()
}

fn ids<'a>(snapshot: &'a Snapshot, policies: &[PolicyIndex]) -> HashSet<&'a PolicyId> {
    policies.iter().filter_map(|index| Some(&snapshot.policies.get(index.position())?.object.id)).collect()
}

/// Policies that are written otherwise, select others, or ask something else.
fn changed_policies(old: &Snapshot, new: &Snapshot) -> HashSet<PolicyId> {
    let mut changed = differing(&old.objects().policies, &new.objects().policies, same_policy);
    let checks = changed_checks(old, new);
    for policy in &new.policies {
        checkpoint();
        let id = &policy.object.id;
        if changed.contains(id) {
            continue;
        }
        let Some(before) = old.compiled_policy(id) else { continue };
        let (asked, asked_before) = (asked(new, policy), asked(old, before));
        let asks_changed = asked.iter().any(|check| checks.contains(check));
        if asks_changed || asked != asked_before || named(new, policy) != named(old, before) {
            changed.insert(id.clone());
        }
    }
    changed
}

fn changed_checks(old: &Snapshot, new: &Snapshot) -> HashSet<CheckId> {
    let before: BTreeMap<_, _> = old.checks.iter().map(|check| (check.id.clone(), Arc::clone(check))).collect();
    let after: BTreeMap<_, _> = new.checks.iter().map(|check| (check.id.clone(), Arc::clone(check))).collect();
    differing(&before, &after, |a, b| a == b)
}

/// The checks a policy asks for in any way; a hole counts by the name that leads nowhere.
fn asked(snapshot: &Snapshot, policy: &CompiledPolicy) -> HashSet<CheckId> {
    let mut asked = HashSet::new();
    let mut ask = |slot: &CheckSlot| match slot {
        CheckSlot::Known(index) => asked.extend(snapshot.check(*index).map(|check| check.id.clone())),
        CheckSlot::Dangling(name) => asked.extend([CheckId::new(Arc::clone(name))]),
    };
    policy.checks.iter().for_each(&mut ask);
    if let Some(expression) = &policy.expression {
        expression.visit(&mut ask);
    }
    asked
}

/// The identities a policy names one by one.
fn named<'a>(snapshot: &'a Snapshot, policy: &CompiledPolicy) -> Vec<&'a IdentityId> {
    let position = |position: &u32| snapshot.identities.get(*position as usize);
    policy.identities.entities.iter().filter_map(position).map(|identity| &identity.object.id).collect()
}
