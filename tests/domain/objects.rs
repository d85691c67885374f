//! Short ways to make objects for tests.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::id::{CheckId, IdentityId, PolicyId, ServiceId};
use postern::policy::objects::{Identity, Meta, Objects, Origin, PolicyType, PostureCheck, Service, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::policy::service::{Balance, Disclosure, Match, ServiceProtocol, Transport, UpstreamProtocol};
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::{Check, Predicate};

/// A set of objects in the making.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) objects: Objects,
}

impl World {
    pub(crate) fn add_identity(&mut self, identity: Identity) {
        self.objects.identities.insert(identity.id.clone(), Arc::new(identity));
    }

    pub(crate) fn add_service(&mut self, service: Service) {
        self.objects.services.insert(service.id.clone(), Arc::new(service));
    }

    pub(crate) fn add_policy(&mut self, policy: ServicePolicy) {
        self.objects.policies.insert(policy.id.clone(), Arc::new(policy));
    }

    pub(crate) fn add_check(&mut self, check: PostureCheck) {
        self.objects.checks.insert(check.check.id.clone(), Arc::new(check));
    }
}

pub(crate) fn meta() -> Meta {
    let then = Timestamp::from_millis(1_700_000_000_000);
    Meta { created_at: then, updated_at: then, tags: serde_json::Map::new(), origin: Origin::Api }
}

fn shared(attributes: &[String]) -> Vec<Arc<str>> {
    attributes.iter().map(|attribute| Arc::from(attribute.as_str())).collect()
}

pub(crate) fn identity(id: &str, name: &str, attributes: &[String]) -> Identity {
    Identity {
        id: IdentityId::from(id),
        name: name.into(),
        subjects: vec![],
        role_attributes: shared(attributes),
        disabled: false,
        enrolment: None,
        certificates: Vec::new(),
        service_configs: Vec::new(),
        kept: serde_json::Map::new(),
        meta: meta(),
    }
}

pub(crate) fn service(id: &str, name: &str, attributes: &[String]) -> Service {
    Service {
        id: ServiceId::from(id),
        name: name.into(),
        protocol: ServiceProtocol::default(),
        matching: Match { hosts: vec![], path_prefix: "/".into() },
        upstreams: vec![],
        configs: Vec::new(),
        transport: Transport {
            tls: None,
            protocol: UpstreamProtocol::Auto,
            balance: Balance::RoundRobin,
            health_check: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            retries: 1,
        },
        role_attributes: shared(attributes),
        concealed: false,
        disclosure: Disclosure::Checks,
        kept: serde_json::Map::new(),
        meta: meta(),
    }
}

/// A check that asks for the domain `corp.example`.
pub(crate) fn check(id: &str, name: &str, attributes: &[String]) -> PostureCheck {
    let check = Check {
        id: CheckId::from(id),
        name: name.into(),
        predicate: Predicate::Domain(DomainRule {
            domains: vec!["corp.example".into()],
            matching: DomainMatching::Folded,
        }),
        applies_to: None,
        max_age: None,
        evidence: postern::posture::Evidence::Any,
        remediation: None,
    };
    PostureCheck { check: Arc::new(check), role_attributes: shared(attributes), meta: meta(), as_written: None }
}

pub(crate) fn policy(id: &str, semantic: Semantic, who: Vec<Role>, what: Vec<Role>, how: Vec<Role>) -> ServicePolicy {
    ServicePolicy {
        anonymous: false,
        id: PolicyId::from(id),
        name: id.into(),
        policy_type: PolicyType::Dial,
        semantic,
        identity_roles: who,
        service_roles: what,
        posture_check_roles: how,
        expression: None,
        meta: meta(),
    }
}
