//! Services, shown.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::envelope::{Entity, Links};
use super::posture_query::PostureQueries;
use crate::policy::objects::{PolicyType, Service};
use crate::policy::service::{Disclosure, Match, Upstream};

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
    configs: [&'static str; 0],
    encryption_required: bool,
    max_idle_time_millis: u64,
    terminator_strategy: &'static str,
    /// How requests are matched to it; an addition of ours, as the next two.
    #[serde(rename = "match")]
    matching: &'a Match,
    concealed: bool,
    disclosure: Disclosure,
    /// Where it is served from; shown to operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstreams: Option<&'a [Upstream]>,
}

/// Shows a service to somebody who asks for no access to it.
pub fn service(service: &Service) -> ServiceDetail<'_> {
    let id = service.id.as_str();
    ServiceDetail {
        entity: Entity::new(id, &service.meta, Links::own("services", id)),
        name: &service.name,
        role_attributes: &service.role_attributes,
        permissions: Vec::new(),
        posture_queries: Vec::new(),
        config: Map::new(),
        configs: [],
        encryption_required: false,
        max_idle_time_millis: 0,
        terminator_strategy: "smartrouting",
        matching: &service.matching,
        concealed: service.concealed,
        disclosure: service.disclosure,
        upstreams: None,
    }
}

/// Shows a service to an operator.
pub fn service_with_upstreams(service: &Service) -> ServiceDetail<'_> {
    ServiceDetail { upstreams: Some(&service.upstreams), ..self::service(service) }
}

impl<'a> ServiceDetail<'a> {
    /// The same service as one identity sees it: what it may do with it, and what each policy asks.
    #[must_use]
    pub fn seen_by(mut self, permissions: Vec<PolicyType>, queries: Vec<PostureQueries<'a>>) -> Self {
        self.permissions = permissions;
        self.posture_queries = queries;
        self
    }
}
