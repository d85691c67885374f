//! What an operator is told of an identity and a service before any posture: `ziti edge policy-advisor` asks for it.

use serde::Serialize;

use super::envelope::EntityRef;
use crate::policy::objects::{Identity, PolicyType, Service};

/// What policies grant. The gateway counts as the one router that everybody has in common and that is always there: OpenZiti's
/// clients call it an error when there is none.
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
    common_routers: [Router; 1],
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Router {
    #[serde(flatten)]
    reference: EntityRef<'static>,
    is_online: bool,
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
        identity_router_count: 1,
        service_router_count: 1,
        common_routers: [Router { reference: EntityRef::new("edge-routers", "postern", "postern"), is_online: true }],
    }
}
