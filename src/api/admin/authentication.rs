//! Logging in and out as OpenZiti's clients do, and who one is then.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::api::access::{Operator, Presented};
use crate::api::body::{self, BodyBounds};
use crate::api::edge::Caller;
use crate::api::guard::{Admitted, Guard, LoggedIn};
use crate::api::language::Language;
use crate::api::refusal::Refusal;
use crate::api::sessions::Session;
use crate::clock::Timestamp;
use crate::dialect::openziti::{self, ApiError, ApiSession, ConfigTypes, ErrorCode, FieldError};
use crate::enforce::Connection;
use crate::id::IdentityId;
use crate::limits;
use crate::policy::objects::{Identity, Meta, Origin};

/// How somebody logs in.
#[derive(Debug, Deserialize)]
pub(super) struct How {
    method: Option<String>,
}

/// `POST /authenticate`: begins a session.
pub(super) async fn authenticate(
    State(guard): State<Arc<Guard>>,
    Extension(connection): Extension<Arc<Connection>>,
    Query(how): Query<How>,
    request: Request,
) -> Response {
    match login(&guard, &connection, how, request).await {
        Ok(logged_in) => {
            let LoggedIn { operator, session, token } = logged_in;
            let mut response = show(&guard, &operator, &session, token.expose());
            response.extensions_mut().insert(Caller(operator.name));
            response
        }
        Err(refused) => {
            guard.enforcer.metrics().request_refused(match refused.code() {
                ErrorCode::Unauthorized => "admin-login-refused",
                ErrorCode::RateLimited => "admin-login-locked-out",
                _ => "admin-login-failed",
            });
            refused.into_response()
        }
    }
}

async fn login(guard: &Guard, connection: &Connection, how: How, request: Request) -> Result<LoggedIn, Refusal> {
    let bounds = BodyBounds { bytes: limits::API_LOGIN_BYTES_MAX, time: limits::API_BODY_TIME_MAX };
    match how.method.as_deref() {
        Some("password") => {
            let body = body::json(request, bounds).await?;
            let login = openziti::read_password_login(&body)?;
            guard.login_by_password(&login, connection).await
        }
        Some("cert") => {
            let told = openziti::read_certificate_login(&body::json_or_nothing(request, bounds).await?)?;
            guard.login_by_certificate(told, connection)
        }
        other => {
            let sent = other.map_or(Value::Null, Value::from);
            Err(ApiError::invalid(FieldError::new("method", "must be `password` or `cert`", &sent)).into())
        }
    }
}

/// `GET /current-api-session`: the caller's own session. Who came by a configured token or a certificate needs none, and is
/// shown one that began with the gateway and does not end by itself.
pub(super) async fn current_session(
    State(guard): State<Arc<Guard>>,
    Extension(connection): Extension<Arc<Connection>>,
    Extension(admitted): Extension<Admitted>,
    request: Request,
) -> Result<Response, Refusal> {
    let operator = &admitted.operator;
    if let Some(key) = admitted.session {
        let session = guard.sessions.get(key).ok_or(ErrorCode::Unauthorized)?;
        // The token is the caller's own: clients take what this shows for their session from then on.
        let token = Presented::of(request.headers(), Language::OpenZiti);
        let token = token.and_then(|presented| std::str::from_utf8(presented.token).ok()).unwrap_or_default();
        return Ok(show(&guard, operator, &session, token));
    }
    let (id, now) = (operator.id(), guard.now());
    let detail = openziti::api_session(ApiSession {
        id: &id,
        token: "",
        identity_id: &id,
        identity_name: &operator.name,
        authenticator_id: &id,
        ip_address: connection.peer().map(|peer| peer.ip().to_string()).unwrap_or_default(),
        created_at: guard.since,
        last_activity_at: now,
        expires_at: now.after(guard.sessions.lasting().idle),
        idle: guard.sessions.lasting().idle,
        second_factor: openziti::SecondFactor::default(),
        config_types: Vec::new(),
    });
    Ok(Json(openziti::detail(detail)).into_response())
}

/// `DELETE /current-api-session`: logs out.
pub(super) async fn end_session(
    State(guard): State<Arc<Guard>>,
    Extension(admitted): Extension<Admitted>,
) -> Result<Response, Refusal> {
    let Some(key) = admitted.session else {
        let reason = "is none: a configured token or a certificate cannot be logged out";
        return Err(Refusal::because(ErrorCode::CouldNotValidate, "session", reason, ""));
    };
    guard.log_out(&admitted, key);
    Ok(Json(openziti::empty()).into_response())
}

/// `GET /current-identity`: the operator, as OpenZiti shows who is logged in.
pub(super) async fn current_identity(
    State(guard): State<Arc<Guard>>,
    Extension(admitted): Extension<Admitted>,
) -> Response {
    let identity = as_identity(&admitted.operator, guard.since);
    let shown = openziti::identity(&identity).as_operator(admitted.operator.may_write());
    Json(openziti::detail(shown)).into_response()
}

/// Operators are no identities of the policy: they may look after services, not reach them.
fn as_identity(operator: &Operator, since: Timestamp) -> Identity {
    Identity {
        id: IdentityId::new(operator.id()),
        name: Arc::clone(&operator.name),
        subjects: Vec::new(),
        role_attributes: Vec::new(),
        disabled: false,
        enrolment: None,
        certificates: Vec::new(),
        service_configs: Vec::new(),
        kept: serde_json::Map::new(),
        meta: Meta { created_at: since, updated_at: since, tags: serde_json::Map::new(), origin: Origin::Api },
    }
}

fn show(guard: &Guard, operator: &Operator, session: &Session, token: &str) -> Response {
    let operator_id = operator.id();
    let published = guard.enforcer.published();
    let types = ConfigTypes::of(published.snapshot().objects());
    let detail = openziti::api_session(ApiSession {
        id: &session.id,
        token,
        identity_id: &operator_id,
        identity_name: &operator.name,
        authenticator_id: &operator_id,
        ip_address: session.address.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
        created_at: session.created_at,
        last_activity_at: session.last_activity_at,
        expires_at: session.expires_at,
        idle: guard.sessions.lasting().idle,
        second_factor: openziti::SecondFactor::default(),
        config_types: session.config_types.ids(types),
    });
    Json(openziti::detail(detail)).into_response()
}
