//! Services, shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config::WantedConfigTypes;
use super::config_type::ConfigTypes;
use super::envelope::{Entity, Links};
use super::posture_query::PostureQueries;
use super::service_transport::TransportShown;
use crate::id::ConfigId;
use crate::policy::Objects;
use crate::policy::objects::{AssignedConfig, Identity, PolicyType, Service};
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

/// Whose data of which configs is to be shown with services.
#[derive(Clone, Copy, Debug)]
pub struct ShownConfigs<'a> {
    /// All configs.
    configs: &'a BTreeMap<ConfigId, Arc<ServiceConfig>>,
    /// Their types.
    types: ConfigTypes<'a>,
    /// The types that are wanted.
    wanted: &'a WantedConfigTypes,
    /// Configs that take the place of those of services.
    assigned: &'a [AssignedConfig],
}

impl<'a> ShownConfigs<'a> {
    /// The configs among these objects, as far as they are wanted.
    pub fn new(objects: &'a Objects, wanted: &'a WantedConfigTypes) -> Self {
        ShownConfigs { configs: &objects.configs, types: ConfigTypes::of(objects), wanted, assigned: &[] }
    }

    /// The same as one identity is shown them.
    #[must_use]
    pub fn to(mut self, identity: &'a Identity) -> Self {
        self.assigned = &identity.service_configs;
        self
    }

    fn of(&self, service: &Service) -> Map<String, Value> {
        let assigned = self.assigned.iter().filter(|assigned| assigned.service == service.id);
        let ids = service.configs.iter().chain(assigned.map(|assigned| &assigned.config));
        self.wanted.of(ids.filter_map(|id| self.configs.get(id)).map(|config| &**config), self.types)
    }
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
    /// The same service with the data of its configs.
    #[must_use]
    pub fn with_configs(mut self, service: &Service, shown: &ShownConfigs<'_>) -> Self {
        self.config = shown.of(service);
        self
    }

    /// The same service as an operator sees it: with how it is in force, after what its configs say.
    #[must_use]
    pub fn with_inside(mut self, service: &'a Service, in_force: &'a Service) -> Self {
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
