//! The compiled policy: immutable, numbered, and laid out for the decision.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock;
use crate::id::{CheckId, IdentityId, PolicyId, ServiceId};
use crate::posture::check::Check;

use super::expression::Expression;
use super::objects::{Identity, Objects, PolicyType, PostureCheck, Service, ServicePolicy};
use super::roles::Semantic;
use super::routes::Routes;
use super::service::ServiceProtocol;
use super::subject::Subject;

/// An immutable, numbered compilation of all identities, services, policies and checks.
///
/// Positions ([`ServiceIndex`] and its siblings) belong to the snapshot that gave them out.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) generation: u64,
    pub(super) loaded: bool,
    pub(super) objects: Objects,
    pub(super) identities: Vec<CompiledIdentity>,
    /// Who comes without a certificate.
    pub(super) anonymous: Arc<Identity>,
    pub(super) identity_by_id: HashMap<IdentityId, IdentityIndex>,
    pub(super) identity_by_subject: HashMap<Subject, IdentityIndex>,
    /// Identities with a one-time token, by its digest.
    pub(super) identity_by_token: HashMap<Arc<str>, IdentityIndex>,
    pub(super) services: Vec<CompiledService>,
    pub(super) service_by_id: HashMap<ServiceId, ServiceIndex>,
    pub(super) routes: Routes,
    pub(super) policies: Vec<CompiledPolicy>,
    /// Policies whose service list is `#all`, kept once instead of with every service.
    pub(super) policies_of_every_service: Box<[PolicyIndex]>,
    /// The same of Bind policies, which are shown and nothing more.
    pub(super) bind_policies_of_every_service: Box<[PolicyIndex]>,
    pub(super) checks: Vec<Arc<Check>>,
}

macro_rules! index_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) u32);

        impl $name {
            /// The position as a number, for tables kept beside the snapshot.
            pub fn position(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

index_types! {
    /// Position of an identity in its snapshot.
    IdentityIndex;
    /// Position of a service in its snapshot.
    ServiceIndex;
    /// Position of a policy in its snapshot.
    PolicyIndex;
    /// Position of a check in its snapshot.
    CheckIndex;
    /// Number of an interned role attribute.
    AttributeIndex;
}

impl IdentityIndex {
    /// The position of who comes without a certificate; no identity's position comes near.
    const ANONYMOUS: IdentityIndex = IdentityIndex(u32::MAX);
}

/// An identity with its attributes interned.
#[derive(Debug)]
pub struct CompiledIdentity {
    pub(super) object: Arc<Identity>,
    /// Sorted, each once.
    pub(super) attributes: Box<[AttributeIndex]>,
}

/// A service with the policies that lead to it.
#[derive(Debug)]
pub struct CompiledService {
    pub(super) object: Arc<Service>,
    /// Dial policies that select it, those of `#all` not repeated; sorted.
    pub(super) dial_policies: Box<[PolicyIndex]>,
    /// The same of Bind policies.
    pub(super) bind_policies: Box<[PolicyIndex]>,
}

/// A policy with its selectors and checks resolved.
#[derive(Debug)]
pub struct CompiledPolicy {
    pub(super) object: Arc<ServicePolicy>,
    pub(super) identities: Selector,
    /// Whether its service list selects anything at all.
    pub(super) reaches_services: bool,
    pub(super) checks: Box<[CheckSlot]>,
    pub(super) expression: Option<Expression<CheckSlot>>,
}

/// A check a policy asks for, or the hole where one should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckSlot {
    /// A check of this snapshot.
    Known(CheckIndex),
    /// A reference to nothing: never passes.
    Dangling(Arc<str>),
}

/// A compiled role list: which entities it selects.
#[derive(Debug, Default)]
pub struct Selector {
    pub(super) everyone: bool,
    /// Entities named with `@`, by position, sorted.
    pub(super) entities: Box<[u32]>,
    /// Attributes named with `#`, sorted, each once. An attribute nobody carries is kept as an unmatched one.
    pub(super) attributes: Box<[AttributeIndex]>,
    pub(super) semantic: Option<Semantic>,
}

impl Selector {
    /// Whether the entity at `position` with these sorted `attributes` is selected (`openziti.md` 2.1).
    pub fn selects(&self, position: u32, attributes: &[AttributeIndex]) -> bool {
        if self.everyone || self.entities.binary_search(&position).is_ok() {
            return true;
        }
        if self.attributes.is_empty() {
            return false;
        }
        let carried = |wanted: &AttributeIndex| attributes.binary_search(wanted).is_ok();
        match self.semantic {
            Some(Semantic::AllOf) => self.attributes.iter().all(carried),
            Some(Semantic::AnyOf) => self.attributes.iter().any(carried),
            None => false,
        }
    }
}

impl Snapshot {
    /// Lets go of a snapshot piece by piece; a large one takes as long as to compile it.
    pub fn let_go(self) {
        clock::let_go(self.identities);
        clock::let_go(self.identity_by_id);
        clock::let_go(self.identity_by_subject);
        clock::let_go(self.services);
        clock::let_go(self.service_by_id);
        clock::let_go(self.policies);
        self.objects.let_go();
    }

    /// The snapshot of a gateway that has loaded nothing: it denies everything with `no-policy-loaded`.
    pub fn deny_all() -> Self {
        Snapshot {
            generation: 0,
            loaded: false,
            objects: Objects::default(),
            identities: Vec::new(),
            anonymous: Arc::new(Identity::anonymous()),
            identity_by_id: HashMap::new(),
            identity_by_subject: HashMap::new(),
            identity_by_token: HashMap::new(),
            services: Vec::new(),
            service_by_id: HashMap::new(),
            routes: Routes::default(),
            policies: Vec::new(),
            policies_of_every_service: Box::default(),
            bind_policies_of_every_service: Box::default(),
            checks: Vec::new(),
        }
    }

    /// The snapshot's number; a later one is larger.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether this is a policy at all, and not the absence of one.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// The objects it was compiled from.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The identity that one of `names` belongs to, the first that is known.
    pub fn identify<'a>(&self, names: impl IntoIterator<Item = &'a Subject>) -> Option<&Arc<Identity>> {
        names.into_iter().find_map(|name| self.identity_by_subject.get(name)).and_then(|index| self.identity(*index))
    }

    /// The identity that waits for the one-time token with this digest.
    pub fn enrolling(&self, digest: &str) -> Option<&Arc<Identity>> {
        self.identity_by_token.get(digest).and_then(|index| self.identity(*index))
    }

    /// The position of an identity, or of who comes without a certificate ([`Identity::ANONYMOUS`]).
    pub fn find_identity(&self, id: &IdentityId) -> Option<IdentityIndex> {
        let nobody = || (self.loaded && *id == self.anonymous.id).then_some(IdentityIndex::ANONYMOUS);
        self.identity_by_id.get(id).copied().or_else(nobody)
    }

    /// The identity at a position.
    pub fn identity(&self, index: IdentityIndex) -> Option<&Arc<Identity>> {
        if index == IdentityIndex::ANONYMOUS {
            return Some(&self.anonymous);
        }
        self.identities.get(index.position()).map(|identity| &identity.object)
    }

    /// The service a request for `host` and `path` is meant for; the host is matched without letter case and port.
    pub fn route(&self, host: &str, path: &str) -> Option<ServiceIndex> {
        self.routes.find(host, path)
    }

    /// The TCP service that connections for a server name are meant for.
    pub fn tcp_service(&self, server_name: &str) -> Option<ServiceIndex> {
        let index = self.routes.any_of_host(server_name)?;
        self.service(index).filter(|service| service.protocol == ServiceProtocol::Tcp).map(|_| index)
    }

    /// The services that answer under `host`, whatever the path.
    pub fn knows_host(&self, host: &str) -> bool {
        self.routes.knows_host(host)
    }

    /// The position of a service.
    pub fn find_service(&self, id: &ServiceId) -> Option<ServiceIndex> {
        self.service_by_id.get(id).copied()
    }

    /// The service at a position.
    pub fn service(&self, index: ServiceIndex) -> Option<&Arc<Service>> {
        self.services.get(index.position()).map(|service| &service.object)
    }

    /// All services in the order of their positions.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Arc<Service>> {
        self.services.iter().map(|service| &service.object)
    }

    /// Dial policies that select the service and the identity, in the order of their positions.
    pub fn dial_policies(
        &self,
        identity: IdentityIndex,
        service: ServiceIndex,
    ) -> impl Iterator<Item = (PolicyIndex, &CompiledPolicy)> {
        let attributes = self.identities.get(identity.position()).map_or(&[][..], |identity| &identity.attributes);
        self.policies_leading_to(service).filter(move |(_, policy)| policy.admits(identity, attributes))
    }

    /// Dial policies that select the service, whoever they are for.
    pub(super) fn policies_leading_to(
        &self,
        service: ServiceIndex,
    ) -> impl Iterator<Item = (PolicyIndex, &CompiledPolicy)> {
        let own = self.services.get(service.position()).map_or(&[][..], |service| &service.dial_policies);
        own.iter()
            .chain(&self.policies_of_every_service)
            .filter_map(|index| Some((*index, self.policies.get(index.position())?)))
    }

    /// Dial policies that select the identity and at least one service, in the order of their positions.
    pub fn policies_of(&self, identity: IdentityIndex) -> impl Iterator<Item = &CompiledPolicy> {
        let compiled = self.identities.get(identity.position());
        let attributes = compiled.map_or(&[][..], |compiled| &compiled.attributes);
        let known = compiled.is_some() || identity == IdentityIndex::ANONYMOUS;
        self.policies.iter().filter(move |policy| {
            known
                && policy.object.policy_type == PolicyType::Dial
                && policy.reaches_services
                && policy.admits(identity, attributes)
        })
    }

    /// Whether any Dial policy selects the identity and at least one service: the question of admission.
    pub fn reaches_anything(&self, identity: IdentityIndex) -> bool {
        self.policies_of(identity).next().is_some()
    }

    /// The check at a position.
    pub fn check(&self, index: CheckIndex) -> Option<&Arc<Check>> {
        self.checks.get(index.position())
    }

    /// The position of a check. Checks lie in the order of their ids.
    pub fn find_check(&self, id: &CheckId) -> Option<CheckIndex> {
        let position = self.checks.binary_search_by(|check| check.id.cmp(id)).ok()?;
        u32::try_from(position).ok().map(CheckIndex)
    }

    /// The policies that ask a check, however they came to select it.
    pub fn policies_asking(&self, check: &CheckId) -> Vec<&ServicePolicy> {
        let Some(index) = self.find_check(check) else {
            return Vec::new();
        };
        let wanted = CheckSlot::Known(index);
        let asks = |policy: &&CompiledPolicy| {
            let mut asks = policy.checks.contains(&wanted);
            if let Some(expression) = &policy.expression {
                expression.visit(&mut |slot| asks |= *slot == wanted);
            }
            asks
        };
        self.policies.iter().filter(asks).map(|policy| &*policy.object).collect()
    }

    /// The posture check object of an id.
    pub fn posture_check(&self, id: &CheckId) -> Option<&Arc<PostureCheck>> {
        self.objects.checks.get(id)
    }

    /// The compiled form of a policy.
    pub fn compiled_policy(&self, id: &PolicyId) -> Option<&CompiledPolicy> {
        // Policies lie in the order of their ids.
        let position = self.policies.binary_search_by(|policy| policy.object.id.cmp(id)).ok()?;
        self.policies.get(position)
    }

    /// The service policy object of an id.
    pub fn policy(&self, id: &PolicyId) -> Option<&Arc<ServicePolicy>> {
        self.objects.policies.get(id)
    }
}

impl CompiledPolicy {
    /// Whether it is for an identity with these sorted `attributes`. `#all` is everybody who is known, and nobody else.
    fn admits(&self, identity: IdentityIndex, attributes: &[AttributeIndex]) -> bool {
        if identity == IdentityIndex::ANONYMOUS {
            return self.object.anonymous;
        }
        self.identities.selects(identity.0, attributes)
    }

    /// The policy as written.
    pub fn object(&self) -> &Arc<ServicePolicy> {
        &self.object
    }

    /// Checks that must all pass.
    pub fn checks(&self) -> &[CheckSlot] {
        &self.checks
    }

    /// The expression that must pass as well.
    pub fn expression(&self) -> Option<&Expression<CheckSlot>> {
        self.expression.as_ref()
    }

    /// Every check it asks, those of its expression included.
    pub fn slots(&self) -> Vec<&CheckSlot> {
        let mut slots: Vec<&CheckSlot> = self.checks.iter().collect();
        if let Some(expression) = &self.expression {
            expression.visit(&mut |slot| slots.push(slot));
        }
        slots
    }

    /// Whether it opens without asking anything.
    pub fn is_unconditional(&self) -> bool {
        self.checks.is_empty() && self.expression.is_none()
    }
}
