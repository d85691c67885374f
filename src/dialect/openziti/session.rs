//! Sessions for services: what a client asks for before it dials, and what it gets (`openziti.md` 2.4).

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::envelope::{EntityRef, Links};
use super::error::{ApiError, ErrorCode, Versions};
use super::members::{self, Members};
use super::posture_check::TypeId;
use crate::clock::Timestamp;
use crate::decision::Denial;
use crate::id::{IdentityId, ServiceId};
use crate::policy::objects::PolicyType;
use crate::secret::Secret;

/// The service a client wants a session for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// The service.
    pub service: ServiceId,
    /// To reach it or to host it.
    pub session_type: PolicyType,
}

/// Reads the body of `POST /sessions`. To reach the service is what is meant where nothing is said.
pub fn read_session_request(body: &[u8]) -> Result<SessionRequest, ApiError> {
    let body = members::json(body)?;
    let members = Members::of(&body, "")?;
    let service = members.required_text("serviceId")?;
    let session_type = match members.text("type")? {
        None | Some("Dial") => PolicyType::Dial,
        Some("Bind") => PolicyType::Bind,
        Some(_) => return Err(members.wrong("type", "must be Dial or Bind").into()),
    };
    Ok(SessionRequest { service: ServiceId::from(service), session_type })
}

/// A session for a service.
#[derive(Clone, Debug)]
pub struct ServiceSession {
    /// Its id.
    pub id: Arc<str>,
    /// What a router would be shown; it opens nothing here.
    pub token: Secret,
    /// The service.
    pub service: ServiceId,
    /// The service's name.
    pub service_name: Arc<str>,
    /// Who may reach it.
    pub identity: IdentityId,
    /// The session with this API it belongs to.
    pub api_session: Arc<str>,
    /// Since when.
    pub created_at: Timestamp,
}

/// A session for a service as its holder sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSessionDetail<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "_links")]
    links: Links,
    tags: Map<String, Value>,
    #[serde(rename = "type")]
    session_type: &'static str,
    api_session_id: &'a str,
    api_session: EntityRef<'a>,
    service_id: &'a str,
    service: EntityRef<'a>,
    identity_id: &'a str,
    token: &'a str,
    /// The gateway itself is the way to the service; it is no router that clients dial by this.
    edge_routers: [&'static str; 0],
}

/// Shows a session to its holder.
pub fn service_session(session: &ServiceSession) -> ServiceSessionDetail<'_> {
    ServiceSessionDetail {
        id: &session.id,
        created_at: session.created_at,
        updated_at: session.created_at,
        links: Links::own("sessions", &session.id),
        tags: Map::new(),
        session_type: "Dial",
        api_session_id: &session.api_session,
        api_session: EntityRef::new("api-sessions", &session.api_session, ""),
        service_id: session.service.as_str(),
        service: EntityRef::new("services", session.service.as_str(), &session.service_name),
        identity_id: session.identity.as_str(),
        token: session.token.expose(),
        edge_routers: [],
    }
}

/// The body that refuses a session for posture: which checks of which policies fail, and nothing of what they want.
pub fn invalid_posture(denial: &Denial, request_id: &str) -> Value {
    let failing = |policy: &crate::decision::FailedPolicy| {
        let checks = policy.checks.iter().filter_map(|failed| {
            let kind = TypeId::of(&failed.check.predicate)?;
            Some(json!({ "id": failed.check.id.as_str(), "typeId": kind.as_str(), "isPassing": false }))
        });
        (policy.id.to_string(), Value::Array(checks.collect()))
    };
    let policies: Vec<&str> = denial.policies.iter().map(|policy| policy.id.as_str()).collect();
    let cause = json!({
        "data": denial.policies.iter().map(failing).collect::<Map<_, _>>(),
        "message": format!("checks of these service policies do not pass: [{}]", policies.join(" ")),
    });
    let code = ErrorCode::InvalidPosture;
    json!({
        "error": { "cause": cause, "code": code.code(), "message": code.message(), "requestId": request_id },
        "meta": Versions::CURRENT,
    })
}
