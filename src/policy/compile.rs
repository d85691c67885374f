//! Objects to snapshot, whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::clock::checkpoint;
use crate::posture::check::{Check, Predicate};

use super::expression::InvalidExpression;
pub use super::locate::Misfit;
use super::locate::located;
use super::objects::{Identity, Objects, Origin, PolicyType, PostureCheck, Service, ServicePolicy};
use super::roles::{Role, Semantic};
use super::routes::Routes;
use super::service::ServiceProtocol;
use super::snapshot::{
    AttributeIndex, CheckIndex, CheckSlot, CompiledIdentity, CompiledPolicy, CompiledService, IdentityIndex,
    PolicyIndex, Selector, ServiceIndex, Snapshot,
};

/// Why a set of objects cannot become a snapshot. One entry for each thing wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind} `{name}`: {problem}")]
pub struct CompileError {
    /// `identity`, `service`, `service policy` or `posture check`.
    pub kind: &'static str,
    /// The object's id.
    pub id: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// Where the object was written.
    pub origin: Origin,
    /// What is wrong with it.
    #[source]
    pub problem: CompileProblem,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileProblem {
    /// Two objects of a kind share a name.
    #[error("its name is taken by the object with id `{0}`")]
    DuplicateName(Arc<str>),
    /// Two identities claim the same certificate name.
    #[error("certificate name `{subject}` already belongs to identity `{holder}`")]
    DuplicateSubject {
        /// The certificate name.
        subject: String,
        /// Who has it.
        holder: Arc<str>,
    },
    /// Two services claim the same host and path.
    #[error("host `{host}` with path prefix `{prefix}` already leads to service `{holder}`")]
    DuplicateRoute {
        /// The host pattern.
        host: String,
        /// The path prefix.
        prefix: String,
        /// Who has it.
        holder: Arc<str>,
    },
    /// A TCP service and another one share a host, whatever their paths.
    #[error("host `{host}` cannot be shared with service `{holder}`, for one of them is spoken to in TCP")]
    SharedServerName {
        /// The host pattern.
        host: String,
        /// Who has it.
        holder: Arc<str>,
    },
    /// `#all` beside other entries.
    #[error("`#all` must be the only entry of `{0}`")]
    AllNotAlone(&'static str),
    /// The posture expression is not acceptable.
    #[error("its posture expression is refused: {0}")]
    Expression(#[source] InvalidExpression),
    /// What its configs say cannot be done.
    #[error("config `{config}` {misfit}")]
    Config {
        /// The config's name.
        config: Arc<str>,
        /// Why it cannot be done.
        misfit: Misfit,
    },
    /// An identity that is called like who comes without a certificate.
    #[error("its id or name is `{}`, which stands for who comes without a certificate", Identity::ANONYMOUS)]
    Reserved,
    /// More objects of a kind than positions can count.
    #[error("there are more objects than can be counted")]
    TooMany,
}

/// Compiles `objects` into the snapshot number `generation`.
///
/// References to objects that do not exist do not stop a compilation: a policy that names a missing check keeps a hole that
/// never passes, a missing identity or service selects nothing. [`super::lint`] reports them.
pub fn compile(objects: Objects, generation: u64) -> Result<Snapshot, Vec<CompileError>> {
    let mut compiler = Compiler::default();
    let identities = compiler.identities(&objects);
    let checks = compiler.checks(&objects);
    compiler.configs(&objects);
    let located = compiler.located(&objects);
    let routes = compiler.routes(&objects, &located);
    let mut policies = compiler.policies(&objects);
    let services = compiler.services(located, &mut policies);
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    Ok(Snapshot {
        generation,
        loaded: true,
        identities,
        anonymous: Arc::new(Identity::anonymous()),
        identity_by_id: positions(objects.identities.keys().cloned(), IdentityIndex),
        identity_by_subject: compiler.subjects,
        identity_by_token: tokens(&objects),
        services: services.compiled,
        service_by_id: positions(objects.services.keys().cloned(), ServiceIndex),
        routes,
        policies,
        policies_of_every_service: services.dial_policies_of_all,
        bind_policies_of_every_service: services.bind_policies_of_all,
        checks,
        objects,
    })
}

/// Digests of one-time tokens to the identities that wait for them.
fn tokens(objects: &Objects) -> HashMap<Arc<str>, IdentityIndex> {
    let waiting = objects.identities.values().zip(0u32..).filter_map(|(identity, position)| {
        let digest = &identity.enrolment.as_ref()?.digest;
        Some((Arc::clone(digest), IdentityIndex(position)))
    });
    waiting.collect()
}

/// Keys to their positions in a sorted map.
fn positions<K: std::hash::Hash + Eq, I>(keys: impl Iterator<Item = K>, index: fn(u32) -> I) -> HashMap<K, I> {
    keys.zip(0u32..).inspect(|_| checkpoint()).map(|(key, position)| (key, index(position))).collect()
}

#[derive(Default)]
struct Compiler {
    errors: Vec<CompileError>,
    attributes: HashMap<Arc<str>, AttributeIndex>,
    subjects: HashMap<crate::policy::Subject, IdentityIndex>,
    entities: Names,
}

/// Ids and names of each kind of object to their positions; an id wins over a name.
#[derive(Default)]
struct Names {
    identities: HashMap<Arc<str>, u32>,
    services: HashMap<Arc<str>, u32>,
    checks: HashMap<Arc<str>, u32>,
}

impl Compiler {
    fn error(&mut self, kind: &'static str, id: &str, name: &Arc<str>, origin: &Origin, problem: CompileProblem) {
        let (id, name, origin) = (id.into(), Arc::clone(name), origin.clone());
        self.errors.push(CompileError { kind, id, name, origin, problem });
    }

    fn attribute(&mut self, name: &Arc<str>) -> AttributeIndex {
        let next = AttributeIndex(u32::try_from(self.attributes.len()).unwrap_or(u32::MAX));
        *self.attributes.entry(Arc::clone(name)).or_insert(next)
    }

    fn intern(&mut self, names: &[Arc<str>]) -> Box<[AttributeIndex]> {
        let mut interned: Vec<AttributeIndex> = names.iter().map(|name| self.attribute(name)).collect();
        interned.sort_unstable();
        interned.dedup();
        interned.into()
    }

    fn identities(&mut self, objects: &Objects) -> Vec<CompiledIdentity> {
        let mut compiled = Vec::with_capacity(objects.identities.len());
        let mut names: HashMap<&str, &Arc<Identity>> = HashMap::with_capacity(objects.identities.len());
        for (identity, position) in objects.identities.values().zip(0u32..) {
            checkpoint();
            if let Some(holder) = names.insert(&identity.name, identity) {
                let problem = CompileProblem::DuplicateName(holder.id.as_str().into());
                self.error("identity", identity.id.as_str(), &identity.name, &identity.meta.origin, problem);
            }
            if [identity.id.as_str(), &identity.name].contains(&Identity::ANONYMOUS) {
                let problem = CompileProblem::Reserved;
                self.error("identity", identity.id.as_str(), &identity.name, &identity.meta.origin, problem);
            }
            self.entities.identities.insert(Arc::clone(&identity.name), position);
            self.claim_subjects(objects, identity, IdentityIndex(position));
            let attributes = self.intern(&identity.role_attributes);
            compiled.push(CompiledIdentity { object: Arc::clone(identity), attributes });
        }
        for (identity, position) in objects.identities.values().zip(0u32..) {
            checkpoint();
            self.entities.identities.insert(identity.id.as_str().into(), position);
        }
        compiled
    }

    fn claim_subjects(&mut self, objects: &Objects, identity: &Identity, index: IdentityIndex) {
        for subject in &identity.subjects {
            let Some(holder) = self.subjects.insert(subject.clone(), index) else {
                continue;
            };
            if holder == index {
                continue;
            }
            let holder = objects.identities.values().nth(holder.position());
            let problem = CompileProblem::DuplicateSubject {
                subject: subject.to_string(),
                holder: holder.map(|identity| Arc::clone(&identity.name)).unwrap_or_default(),
            };
            self.error("identity", identity.id.as_str(), &identity.name, &identity.meta.origin, problem);
        }
    }

    /// The checks in the order of their ids, with the lists and certificates they refer to in their places.
    fn checks(&mut self, objects: &Objects) -> Vec<Arc<Check>> {
        let by_name = name_holders(objects);
        self.entities.checks.extend(by_name.into_iter().map(|(name, (position, _))| (Arc::clone(name), position)));
        let mut checks = Vec::with_capacity(objects.checks.len());
        for (object, position) in objects.checks.values().zip(0u32..) {
            self.entities.checks.insert(object.check.id.as_str().into(), position);
            let resolved = object.check.resolved(
                |list| objects.lists.get(list).map(|list| list.entries()),
                |id| objects.signing_certificates.get(id).map(|certificate| certificate.signer.clone()),
                |connection| objects.integrations.contains_key(connection),
            );
            checks.push(resolved.map_or_else(|| Arc::clone(&object.check), Arc::new));
        }
        checks
    }

    fn configs(&mut self, objects: &Objects) {
        let mut names: HashMap<&str, &str> = HashMap::new();
        for config in objects.configs.values() {
            if let Some(holder) = names.insert(&config.name, config.id.as_str()) {
                let problem = CompileProblem::DuplicateName(holder.into());
                self.error("config", config.id.as_str(), &config.name, &config.meta.origin, problem);
            }
        }
    }

    /// The services with what their configs say, in the order of their ids. A config that is gone says nothing.
    fn located(&mut self, objects: &Objects) -> Vec<Arc<Service>> {
        let mut found = Vec::with_capacity(objects.services.len());
        for service in objects.services.values() {
            checkpoint();
            let configs: Vec<_> =
                service.configs.iter().filter_map(|id| objects.configs.get(id)).map(|c| &**c).collect();
            match located(service, &configs) {
                None => found.push(Arc::clone(service)),
                Some(Ok(located)) => found.push(Arc::new(located)),
                Some(Err((config, misfit))) => {
                    let problem = CompileProblem::Config { config, misfit };
                    self.error("service", service.id.as_str(), &service.name, &service.meta.origin, problem);
                    found.push(Arc::clone(service));
                }
            }
        }
        found
    }

    fn routes(&mut self, objects: &Objects, located: &[Arc<Service>]) -> Routes {
        let mut routes = Routes::default();
        let mut names: HashMap<&str, &str> = HashMap::new();
        for (service, position) in located.iter().zip(0u32..) {
            checkpoint();
            if let Some(holder) = names.insert(&service.name, service.id.as_str()) {
                let problem = CompileProblem::DuplicateName(holder.into());
                self.error("service", service.id.as_str(), &service.name, &service.meta.origin, problem);
            }
            self.entities.services.insert(Arc::clone(&service.name), position);
            for host in &service.matching.hosts {
                let prefix = &service.matching.path_prefix;
                let Err(taken) = routes.insert(host, prefix, ServiceIndex(position)) else {
                    continue;
                };
                let holder = objects.services.values().nth(taken.0.position());
                let problem = CompileProblem::DuplicateRoute {
                    host: host.clone(),
                    prefix: prefix.clone(),
                    holder: holder.map(|service| Arc::clone(&service.name)).unwrap_or_default(),
                };
                self.error("service", service.id.as_str(), &service.name, &service.meta.origin, problem);
            }
        }
        self.keep_server_names_apart(located);
        for (service, position) in located.iter().zip(0u32..) {
            self.entities.services.insert(service.id.as_str().into(), position);
        }
        routes
    }

    /// A connection for the server name of a TCP service is passed on whole, so that no other service can share the name.
    fn keep_server_names_apart(&mut self, services: &[Arc<Service>]) {
        if services.iter().all(|service| service.protocol != ServiceProtocol::Tcp) {
            return;
        }
        let mut holders: HashMap<String, &Arc<Service>> = HashMap::new();
        for service in services {
            for host in &service.matching.hosts {
                let Some(holder) = holders.insert(host.to_ascii_lowercase(), service) else { continue };
                let either_is_tcp = [holder, service].iter().any(|either| either.protocol == ServiceProtocol::Tcp);
                if either_is_tcp && holder.matching.path_prefix != service.matching.path_prefix {
                    let problem =
                        CompileProblem::SharedServerName { host: host.clone(), holder: Arc::clone(&holder.name) };
                    self.error("service", service.id.as_str(), &service.name, &service.meta.origin, problem);
                }
            }
        }
    }

    fn policies(&mut self, objects: &Objects) -> Vec<CompiledPolicy> {
        let carriers = carriers(objects.checks.values().map(|check| check.role_attributes.as_slice()));
        let checks = objects.checks.values().zip(0u32..);
        let lost = checks.filter(|(object, _)| object.check.predicate == Predicate::Missing);
        let lost: Vec<u32> = lost.map(|(_, position)| position).collect();
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut compiled = Vec::with_capacity(objects.policies.len());
        for policy in objects.policies.values() {
            checkpoint();
            if let Some(holder) = names.insert(&policy.name, policy.id.as_str()) {
                let problem = CompileProblem::DuplicateName(holder.into());
                self.error("service policy", policy.id.as_str(), &policy.name, &policy.meta.origin, problem);
            }
            self.validate_policy(policy);
            compiled.push(CompiledPolicy {
                identities: self.identity_selector(policy),
                reaches_services: false,
                checks: self.checks_of(policy, objects.checks.len(), &carriers, &lost),
                expression: policy
                    .expression
                    .as_ref()
                    .map(|written| written.map(&mut |name| self.check_slot(name.strip_prefix('@').unwrap_or(name)))),
                object: Arc::clone(policy),
            });
        }
        compiled
    }

    fn validate_policy(&mut self, policy: &ServicePolicy) {
        let lists = [
            ("identityRoles", &policy.identity_roles),
            ("serviceRoles", &policy.service_roles),
            ("postureCheckRoles", &policy.posture_check_roles),
        ];
        for (list, roles) in lists {
            if roles.len() > 1 && roles.contains(&Role::All) {
                let problem = CompileProblem::AllNotAlone(list);
                self.error("service policy", policy.id.as_str(), &policy.name, &policy.meta.origin, problem);
            }
        }
        if let Some(Err(invalid)) = policy.expression.as_ref().map(super::expression::Expression::validate) {
            let problem = CompileProblem::Expression(invalid);
            self.error("service policy", policy.id.as_str(), &policy.name, &policy.meta.origin, problem);
        }
    }

    fn identity_selector(&mut self, policy: &ServicePolicy) -> Selector {
        let mut selector = Selector { semantic: Some(policy.semantic), ..Selector::default() };
        let mut entities = Vec::new();
        let mut attributes = Vec::new();
        for role in &policy.identity_roles {
            match role {
                Role::All => selector.everyone = true,
                Role::Attribute(name) => attributes.push(Arc::from(name.as_str())),
                Role::Entity(name) => entities.extend(self.entities.identities.get(name.as_str())),
            }
        }
        entities.sort_unstable();
        selector.entities = entities.into();
        selector.attributes = self.intern(&attributes);
        selector
    }

    fn check_slot(&self, name: &str) -> CheckSlot {
        match self.entities.checks.get(name) {
            Some(position) => CheckSlot::Known(CheckIndex(*position)),
            None => CheckSlot::Dangling(name.into()),
        }
    }

    /// Checks selected by the policy's list, and a hole for each `@` that names nothing. A check that was `lost` may have carried
    /// any attribute, so every list of attributes selects it.
    fn checks_of(
        &self,
        policy: &ServicePolicy,
        count: usize,
        carriers: &Carriers<'_>,
        lost: &[u32],
    ) -> Box<[CheckSlot]> {
        let roles = &policy.posture_check_roles;
        let dangling = roles.iter().filter_map(|role| match role {
            Role::Entity(name) => Some(self.check_slot(name)).filter(|slot| matches!(slot, CheckSlot::Dangling(_))),
            Role::All | Role::Attribute(_) => None,
        });
        let mut known = selected(roles, policy.semantic, count, carriers, &self.entities.checks);
        if !lost.is_empty() && roles.iter().any(|role| matches!(role, Role::Attribute(_))) {
            known.extend_from_slice(lost);
            known.sort_unstable();
            known.dedup();
        }
        known.into_iter().map(|position| CheckSlot::Known(CheckIndex(position))).chain(dangling).collect()
    }

    fn services(&self, services: Vec<Arc<Service>>, policies: &mut [CompiledPolicy]) -> Services {
        let carriers = carriers(services.iter().map(|service| service.role_attributes.as_slice()));
        let dial = self.leading(PolicyType::Dial, policies, services.len(), &carriers);
        let bind = self.leading(PolicyType::Bind, policies, services.len(), &carriers);
        let compiled: Vec<_> = services
            .iter()
            .zip(dial.to_each)
            .zip(bind.to_each)
            .map(|((service, dial), bind)| CompiledService {
                object: Arc::clone(service),
                dial_policies: dial.into(),
                bind_policies: bind.into(),
            })
            .collect();
        Services { compiled, dial_policies_of_all: dial.to_all.into(), bind_policies_of_all: bind.to_all.into() }
    }

    /// Which policies of a type lead to which service.
    fn leading(
        &self,
        policy_type: PolicyType,
        policies: &mut [CompiledPolicy],
        count: usize,
        carriers: &Carriers<'_>,
    ) -> Leading {
        let mut leading = Leading { to_each: vec![Vec::new(); count], to_all: Vec::new() };
        for (policy, position) in policies.iter_mut().zip(0u32..) {
            checkpoint();
            let written = &policy.object;
            if written.policy_type != policy_type {
                continue;
            }
            if written.service_roles.contains(&Role::All) {
                leading.to_all.push(PolicyIndex(position));
                policy.reaches_services = count > 0;
                continue;
            }
            let known = &self.entities.services;
            for service in selected(&written.service_roles, written.semantic, count, carriers, known) {
                if let Some(list) = leading.to_each.get_mut(service as usize) {
                    list.push(PolicyIndex(position));
                    policy.reaches_services = true;
                }
            }
        }
        leading
    }
}

/// The policies that lead to each service by itself, and those of `#all`.
struct Leading {
    to_each: Vec<Vec<PolicyIndex>>,
    to_all: Vec<PolicyIndex>,
}

struct Services {
    compiled: Vec<CompiledService>,
    dial_policies_of_all: Box<[PolicyIndex]>,
    bind_policies_of_all: Box<[PolicyIndex]>,
}

/// Who is meant by each name of a check. Names need not be unique: the check that was there first keeps the name, so that a
/// later one cannot change what a policy means; what is written in files comes before what is made through an API.
pub(super) fn name_holders(objects: &Objects) -> HashMap<&Arc<str>, (u32, &Arc<PostureCheck>)> {
    let rank = |check: &PostureCheck| (!matches!(check.meta.origin, Origin::File { .. }), check.meta.created_at);
    let mut holders: HashMap<&Arc<str>, (u32, &Arc<PostureCheck>)> = HashMap::with_capacity(objects.checks.len());
    for (check, position) in objects.checks.values().zip(0u32..) {
        let holder = holders.entry(&check.check.name).or_insert((position, check));
        if rank(check) < rank(holder.1) {
            *holder = (position, check);
        }
    }
    holders
}

/// For each attribute, the positions of the entities that carry it, sorted.
type Carriers<'a> = BTreeMap<&'a str, Vec<u32>>;

fn carriers<'a>(attribute_lists: impl Iterator<Item = &'a [Arc<str>]>) -> Carriers<'a> {
    let mut carriers = Carriers::new();
    for (attributes, position) in attribute_lists.zip(0u32..) {
        for attribute in attributes {
            carriers.entry(attribute).or_default().push(position);
        }
    }
    carriers
}

/// Positions a role list selects, sorted, each once (`openziti.md` 2.1).
fn selected(
    roles: &[Role],
    semantic: Semantic,
    count: usize,
    carriers: &Carriers<'_>,
    names: &HashMap<Arc<str>, u32>,
) -> Vec<u32> {
    if roles.contains(&Role::All) {
        return (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    }
    let mut chosen: Vec<u32> = Vec::new();
    let mut by_attribute: Option<Vec<u32>> = None;
    for role in roles {
        match role {
            Role::All => {}
            Role::Entity(name) => chosen.extend(names.get(name.as_str())),
            Role::Attribute(name) => {
                let carrying = carriers.get(name.as_str()).map_or(&[][..], Vec::as_slice);
                by_attribute = Some(match (by_attribute, semantic) {
                    (None, _) => carrying.to_vec(),
                    (Some(known), Semantic::AllOf) => {
                        known.into_iter().filter(|position| carrying.binary_search(position).is_ok()).collect()
                    }
                    (Some(mut known), Semantic::AnyOf) => {
                        known.extend_from_slice(carrying);
                        known
                    }
                });
            }
        }
    }
    chosen.extend(by_attribute.unwrap_or_default());
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}
