//! What an operator is told of an identity and a service before any posture: `ziti edge policy-advisor` asks for it.

use serde::Serialize;

use super::envelope::EntityRef;
use crate::policy::objects::{Identity, PolicyType, Service};

/// What policies grant. There are no routers here, so nothing fails for want of one in common.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAdvice<'a> {
    identity_id: &'a str,
    identity: EntityRef<'a>,
    service_id: &'a str,
    service: EntityRef<'a>,
    is_dial_allowed: bool,
    is_bind_allowed: bool,
    identity_router_count: u32,
    service_router_count: u32,
    common_routers: [&'static str; 0],
}

/// Shows what is granted.
pub fn policy_advice<'a>(identity: &'a Identity, service: &'a Service, granted: &[PolicyType]) -> PolicyAdvice<'a> {
    let (identity_id, service_id) = (identity.id.as_str(), service.id.as_str());
    PolicyAdvice {
        identity_id,
        identity: EntityRef::new("identities", identity_id, &identity.name),
        service_id,
        service: EntityRef::new("services", service_id, &service.name),
        is_dial_allowed: granted.contains(&PolicyType::Dial),
        is_bind_allowed: granted.contains(&PolicyType::Bind),
        identity_router_count: 0,
        service_router_count: 0,
        common_routers: [],
    }
}
