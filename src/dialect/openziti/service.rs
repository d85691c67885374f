//! Services, shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config::WantedConfigTypes;
use super::envelope::{Entity, Links};
use super::posture_query::PostureQueries;
use super::service_transport::TransportShown;
use crate::id::ConfigId;
use crate::policy::objects::{PolicyType, Service};
use crate::policy::service::{Disclosure, Match, ServiceProtocol, Upstream};
use crate::policy::service_config::ServiceConfig;

/// A service as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    role_attributes: &'a [Arc<str>],
    permissions: Vec<PolicyType>,
    posture_queries: Vec<PostureQueries<'a>>,
    config: Map<String, Value>,
    configs: &'a [ConfigId],
    encryption_required: bool,
    max_idle_time_millis: i64,
    terminator_strategy: &'a str,
    /// What it is spoken to in; an addition of ours, as the next three.
    protocol: ServiceProtocol,
    /// How requests are matched to it.
    #[serde(rename = "match")]
    matching: &'a Match,
    concealed: bool,
    disclosure: Disclosure,
    /// Where it is served from, and what its configs come to; shown to operators only.
    #[serde(flatten)]
    inside: Option<Inside<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inside<'a> {
    upstreams: &'a [Upstream],
    upstream: TransportShown<'a>,
    /// What is in force where its configs say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<Effective<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Effective<'a> {
    #[serde(rename = "match")]
    matching: &'a Match,
    upstreams: &'a [Upstream],
    upstream: TransportShown<'a>,
}

/// What an operator sees of a service beside itself.
#[derive(Clone, Copy, Debug)]
pub struct ServiceInside<'a> {
    /// The service as it is in force, with what its configs say.
    pub in_force: &'a Service,
    /// All configs.
    pub configs: &'a BTreeMap<ConfigId, Arc<ServiceConfig>>,
    /// Whose data is to be shown.
    pub wanted: &'a WantedConfigTypes,
}

/// Shows a service to somebody who asks for no access to it.
pub fn service(service: &Service) -> ServiceDetail<'_> {
    let id = service.id.as_str();
    let kept = |name: &str| service.kept.get(name);
    ServiceDetail {
        entity: Entity::new(id, &service.meta, Links::own("services", id).and("services", id, "configs")),
        name: &service.name,
        role_attributes: &service.role_attributes,
        permissions: Vec::new(),
        posture_queries: Vec::new(),
        config: Map::new(),
        configs: &service.configs,
        encryption_required: kept("encryptionRequired").and_then(Value::as_bool).unwrap_or_default(),
        max_idle_time_millis: kept("maxIdleTimeMillis").and_then(Value::as_i64).unwrap_or_default(),
        terminator_strategy: kept("terminatorStrategy").and_then(Value::as_str).unwrap_or("smartrouting"),
        protocol: service.protocol,
        matching: &service.matching,
        concealed: service.concealed,
        disclosure: service.disclosure,
        inside: None,
    }
}

impl<'a> ServiceDetail<'a> {
    /// The same service as an operator sees it.
    #[must_use]
    pub fn with_inside(mut self, service: &'a Service, inside: ServiceInside<'a>) -> Self {
        let configs = service.configs.iter().filter_map(|id| inside.configs.get(id));
        self.config = inside.wanted.of(configs.map(|config| &**config));
        let in_force = inside.in_force;
        self.inside = Some(Inside {
            upstreams: &service.upstreams,
            upstream: TransportShown::of(&service.transport),
            effective: (!service.configs.is_empty()).then(|| Effective {
                matching: &in_force.matching,
                upstreams: &in_force.upstreams,
                upstream: TransportShown::of(&in_force.transport),
            }),
        });
        self
    }

    /// The same service as one identity sees it: what it may do with it, and what each policy asks.
    #[must_use]
    pub fn seen_by(mut self, permissions: Vec<PolicyType>, queries: Vec<PostureQueries<'a>>) -> Self {
        self.permissions = permissions;
        self.posture_queries = queries;
        self
    }
}
