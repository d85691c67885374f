//! Where policy objects were written, and where they name one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::findings::Place;
use crate::id::{CheckId, IdentityId, PolicyId, ServiceId};

/// Places of objects from policy files, for findings of stages that come after loading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectPlaces {
    pub(super) identities: BTreeMap<Arc<str>, Place>,
    pub(super) services: BTreeMap<Arc<str>, Place>,
    pub(super) policies: BTreeMap<Arc<str>, Place>,
    pub(super) checks: BTreeMap<Arc<str>, Place>,
    /// By the policy's id, then by what it names.
    references: BTreeMap<PolicyId, BTreeMap<String, Place>>,
}

impl ObjectPlaces {
    /// Where an identity begins.
    pub fn identity(&self, id: &IdentityId) -> Option<&Place> {
        self.identities.get(id.as_str())
    }

    /// Where a service begins.
    pub fn service(&self, id: &ServiceId) -> Option<&Place> {
        self.services.get(id.as_str())
    }

    /// Where a service policy begins.
    pub fn policy(&self, id: &PolicyId) -> Option<&Place> {
        self.policies.get(id.as_str())
    }

    /// Where a posture check begins.
    pub fn check(&self, id: &CheckId) -> Option<&Place> {
        self.checks.get(id.as_str())
    }

    /// Where a policy first names `entity`, by id or name, with or without the `@`.
    pub fn reference(&self, policy: &PolicyId, entity: &str) -> Option<&Place> {
        let entity = entity.strip_prefix('@').unwrap_or(entity);
        self.references.get(policy)?.get(entity)
    }

    pub(super) fn add_reference(&mut self, policy: &PolicyId, entity: String, place: Place) {
        let of_policy = self.references.entry(policy.clone()).or_default();
        of_policy.entry(entity).or_insert(place);
    }
}
