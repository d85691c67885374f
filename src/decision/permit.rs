//! The only key to an upstream.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::policy::objects::{Identity, Service, ServicePolicy};

/// Leave for one identity to reach one service, until something changes.
///
/// Only [`super::engine`] can make one. Whoever opens an upstream asks for a `&Permit`, so a request that was not decided
/// cannot be forwarded by mistake.
#[derive(Debug)]
pub struct Permit {
    identity: Arc<Identity>,
    service: Arc<Service>,
    policy: Arc<ServicePolicy>,
    generation: u64,
    valid_until: Timestamp,
}

impl Permit {
    pub(super) fn new(
        identity: Arc<Identity>,
        service: Arc<Service>,
        policy: Arc<ServicePolicy>,
        generation: u64,
        valid_until: Timestamp,
    ) -> Self {
        Permit { identity, service, policy, generation, valid_until }
    }

    /// Who may pass.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The id of who may pass.
    pub fn identity_id(&self) -> &IdentityId {
        &self.identity.id
    }

    /// What may be reached.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The policy that passed.
    pub fn policy(&self) -> &Arc<ServicePolicy> {
        &self.policy
    }

    /// The generation of the snapshot that was asked.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The permit holds while `now < valid_until`, the snapshot and the posture stay the same.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }
}
