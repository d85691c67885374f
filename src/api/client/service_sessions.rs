//! Sessions for services: asked for before dialling, granted or refused by the same decision as a request at the gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::Client;
use super::admission::Asker;
use super::services::View;
use crate::api::body::{self, BodyBounds};
use crate::api::edge::{RequestId, unique_id};
use crate::api::refusal::Refusal;
use crate::api::token;
use crate::decision::{Denial, DenialReason, FailedService, Failure};
use crate::dialect::openziti::{self, ErrorCode, ListQuery, ServiceSession, SessionRequest};
use crate::enforce::Published;
use crate::id::IdentityId;
use crate::limits;
use crate::policy::ServiceIndex;
use crate::policy::objects::{PolicyType, Service};

/// The sessions that were granted, those of each identity bounded; the oldest goes first.
#[derive(Debug, Default)]
pub(super) struct ServiceSessions {
    kept: Mutex<HashMap<IdentityId, Vec<ServiceSession>>>,
}

impl ServiceSessions {
    /// Ends the sessions that belong to a session with the API.
    pub(super) fn end_of(&self, identity: &IdentityId, api_session: &str) {
        self.retain(identity, |session| *session.api_session != *api_session);
    }

    fn own(&self, identity: &IdentityId) -> Vec<ServiceSession> {
        self.kept().get(identity).cloned().unwrap_or_default()
    }

    fn add(&self, session: ServiceSession) {
        let mut kept = self.kept();
        let own = kept.entry(session.identity.clone()).or_default();
        if own.len() >= limits::API_SERVICE_SESSIONS_PER_IDENTITY_MAX {
            own.remove(0);
        }
        own.push(session);
    }

    fn retain(&self, identity: &IdentityId, keep: impl FnMut(&ServiceSession) -> bool) {
        let mut kept = self.kept();
        if let Some(own) = kept.get_mut(identity) {
            own.retain(keep);
            if own.is_empty() {
                kept.remove(identity);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<IdentityId, Vec<ServiceSession>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /sessions`. The same session again is the one there is already; whether it may be had is asked every time.
pub(super) async fn create(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Refusal> {
    let bounds = BodyBounds { bytes: limits::API_LOGIN_BYTES_MAX, time: limits::API_BODY_TIME_MAX };
    let wanted = openziti::read_session_request(&body::json(request, bounds).await?)?;
    let published = client.enforcer.published();
    let (index, service) = wanted_service(&client, &published, &asker, &wanted)?;
    if let Err(denial) = client.enforcer.decide(&published, &asker.connection, index) {
        return Err(refused(&client, &asker, service, &denial, &request_id));
    }
    let session = client.granted(&asker, service)?;
    Ok((StatusCode::CREATED, Json(openziti::detail(openziti::service_session(&session)))).into_response())
}

/// `GET /sessions`.
pub(super) async fn list(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let query = ListQuery::<ServiceSession>::read(&query)?;
    let own = client.current_sessions(&asker);
    let page = query.page(own.iter()).map(openziti::service_session);
    Ok(Json(openziti::list::<ServiceSession, _>(page)).into_response())
}

/// `GET /sessions/{id}`.
pub(super) async fn detail(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let own = client.current_sessions(&asker);
    let session = own.iter().find(|session| *session.id == *id).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::service_session(session))).into_response())
}

/// `DELETE /sessions/{id}`.
pub(super) async fn delete(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let own = client.current_sessions(&asker);
    let session = own.iter().find(|session| *session.id == *id).ok_or(ErrorCode::NotFound)?;
    client.service_sessions.retain(&session.identity, |known| known.id != session.id);
    Ok(Json(openziti::empty()).into_response())
}

/// What a caller may not know of does not exist for it.
fn wanted_service<'a>(
    client: &'a Client,
    published: &'a Published,
    asker: &'a Asker,
    wanted: &SessionRequest,
) -> Result<(ServiceIndex, &'a Service), Refusal> {
    let refuse = |field: &str, reason: &str| {
        Err(Refusal::because(ErrorCode::CouldNotValidate, field, reason, wanted.service.as_str()))
    };
    if wanted.session_type == PolicyType::Bind {
        return refuse("type", "must be Dial: nothing is hosted through this gateway");
    }
    match View::of(client, published, asker)?.own(&wanted.service) {
        Some(known) => Ok(known),
        None => refuse("serviceId", "service not found"),
    }
}

/// Tells of a refusal as the gateway would, and keeps it in the identity's history.
fn refused(client: &Client, asker: &Asker, service: &Service, denial: &Arc<Denial>, id: &RequestId) -> Refusal {
    client.enforcer.record(Failure {
        when: client.enforcer.clock().now(),
        request_id: Arc::clone(&id.0),
        connection_id: asker.session_id(),
        identity: asker.device.identity().clone(),
        service: Some(FailedService { id: service.id.clone(), name: Arc::clone(&service.name) }),
        reason: denial.reason,
        policies: denial.policies.clone(),
        lock: denial.lock.clone(),
        source_address: asker.connection.peer().map(|peer| peer.to_string()),
        generation: denial.generation,
    });
    match denial.reason {
        DenialReason::PostureFailed => Refusal::invalid_posture(Arc::clone(denial)),
        DenialReason::NoPolicy | DenialReason::UnknownService => {
            let value = service.id.as_str();
            Refusal::because(ErrorCode::CouldNotValidate, "serviceId", "service not found", value)
        }
        reason => Refusal::nobody(reason),
    }
}

impl Client {
    fn granted(&self, asker: &Asker, service: &Service) -> Result<ServiceSession, Refusal> {
        let (api_session, now) = (asker.session_id(), self.enforcer.clock().now());
        let own = self.service_sessions.own(asker.device.identity());
        let known = own.into_iter().find(|known| known.service == service.id && known.api_session == api_session);
        if let Some(known) = known {
            return Ok(known);
        }
        let token = token::fresh().map_err(|_| ErrorCode::Unavailable)?;
        let session = ServiceSession {
            id: unique_id(now),
            token,
            service: service.id.clone(),
            service_name: Arc::clone(&service.name),
            identity: asker.device.identity().clone(),
            api_session,
            created_at: now,
        };
        self.service_sessions.add(session.clone());
        Ok(session)
    }

    /// The caller's sessions for services it may still reach; the others end here.
    fn current_sessions(&self, asker: &Asker) -> Vec<ServiceSession> {
        let published = self.enforcer.published();
        let (snapshot, now) = (published.snapshot(), self.enforcer.clock().now());
        let (identity, certificate) = (asker.device.identity(), asker.connection.fingerprint());
        let stands = |session: &ServiceSession| {
            let index = snapshot.find_service(&session.service);
            index.is_some_and(|index| self.enforcer.verdict(snapshot, &asker.device, certificate, index, now).is_ok())
        };
        let api_session = asker.session_id();
        let mut own = self.service_sessions.own(identity);
        own.retain(|session| session.api_session == api_session);
        let ended: Vec<_> =
            own.iter().filter(|session| !stands(session)).map(|session| Arc::clone(&session.id)).collect();
        self.service_sessions.retain(identity, |session| !ended.contains(&session.id));
        own.retain(|session| !ended.contains(&session.id));
        own
    }
}
