//! Policy objects in few words.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::policy::Objects;
use postern::policy::objects::{Identity, Meta, Origin, PolicyType, PostureCheck, Service, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::policy::service::{Balance, Disclosure, Match, ServiceProtocol, Transport, Upstream, UpstreamProtocol};
use postern::posture::check::Check;

fn meta() -> Meta {
    let epoch = Timestamp::default();
    Meta { created_at: epoch, updated_at: epoch, tags: serde_json::Map::new(), origin: Origin::Api }
}

/// An identity known by the SPIFFE URI that [`super::Authority::client`] puts into certificates.
pub(crate) fn identity(name: &str) -> Identity {
    Identity {
        id: name.into(),
        name: name.into(),
        subjects: vec![format!("spiffe://postern.test/{name}").parse().unwrap()],
        role_attributes: Vec::new(),
        disabled: false,
        enrolment: None,
        certificates: Vec::new(),
        service_configs: Vec::new(),
        kept: serde_json::Map::new(),
        meta: meta(),
    }
}

/// Cleartext HTTP/1.1, in turn, one retry, patient enough for a slow machine.
pub(crate) fn transport() -> Transport {
    Transport {
        tls: None,
        protocol: UpstreamProtocol::Auto,
        balance: Balance::RoundRobin,
        health_check: None,
        connect_timeout: Duration::from_secs(20),
        read_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        retries: 1,
    }
}

/// A service at `host`, all paths.
pub(crate) fn service(name: &str, host: &str, upstreams: &[String]) -> Service {
    Service {
        id: name.into(),
        name: name.into(),
        protocol: ServiceProtocol::default(),
        matching: Match { hosts: vec![host.to_owned()], path_prefix: "/".to_owned() },
        upstreams: upstreams.iter().map(|address| Upstream { address: address.clone(), weight: 1 }).collect(),
        configs: Vec::new(),
        transport: transport(),
        role_attributes: Vec::new(),
        concealed: false,
        disclosure: Disclosure::default(),
        kept: serde_json::Map::new(),
        meta: meta(),
    }
}

/// A TCP service for the server name `host`.
pub(crate) fn tcp_service(name: &str, host: &str, upstreams: &[String]) -> Service {
    Service { protocol: ServiceProtocol::Tcp, ..service(name, host, upstreams) }
}

/// A policy that lets `identities` (role texts) reach `services` when `checks` pass.
pub(crate) fn policy(name: &str, identities: &[&str], services: &[&str], checks: &[&str]) -> ServicePolicy {
    let roles = |texts: &[&str]| texts.iter().map(|text| Role::try_from((*text).to_owned()).unwrap()).collect();
    ServicePolicy {
        anonymous: false,
        id: name.into(),
        name: name.into(),
        policy_type: PolicyType::Dial,
        semantic: Semantic::AnyOf,
        identity_roles: roles(identities),
        service_roles: roles(services),
        posture_check_roles: roles(checks),
        expression: None,
        meta: meta(),
    }
}

/// A set of objects under construction.
#[derive(Clone, Default)]
pub(crate) struct Policy(pub(crate) Objects);

impl Policy {
    pub(crate) fn identity(mut self, identity: Identity) -> Self {
        self.0.identities.insert(identity.id.clone(), Arc::new(identity));
        self
    }

    pub(crate) fn service(mut self, service: Service) -> Self {
        self.0.services.insert(service.id.clone(), Arc::new(service));
        self
    }

    pub(crate) fn policy(mut self, policy: ServicePolicy) -> Self {
        self.0.policies.insert(policy.id.clone(), Arc::new(policy));
        self
    }

    pub(crate) fn check(mut self, check: Check) -> Self {
        let check =
            PostureCheck { check: Arc::new(check), role_attributes: Vec::new(), meta: meta(), as_written: None };
        self.0.checks.insert(check.check.id.clone(), Arc::new(check));
        self
    }
}
