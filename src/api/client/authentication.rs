//! Logging in with a certificate, the session one gets, and who one is then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::Client;
use super::admission::Asker;
use super::api_sessions::ApiSession;
use crate::api::access::Presented;
use crate::api::body::{self, BodyBounds};
use crate::api::edge::Caller;
use crate::api::language::Language;
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::openziti::{self, ApiError, ConfigTypes, ErrorCode, FieldError};
use crate::enforce::{Connection, Device, busy};
use crate::limits;

/// How somebody logs in.
#[derive(Debug, Deserialize)]
pub(super) struct How {
    method: Option<String>,
}

/// `POST /authenticate?method=cert`: begins a session of the certificate's identity. What the client tells of its software is
/// kept; what it tells of its system is not, because it reports that as posture.
pub(super) async fn authenticate(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
    Query(how): Query<How>,
    request: Request,
) -> Result<Response, Refusal> {
    if how.method.as_deref() != Some("cert") {
        let sent = how.method.map_or(Value::Null, Value::from);
        return Err(ApiError::invalid(FieldError::new("method", "must be `cert`", &sent)).into());
    }
    let device = client.device(&connection).await?;
    let bounds = BodyBounds { bytes: limits::API_LOGIN_BYTES_MAX, time: limits::API_BODY_TIME_MAX };
    let told = openziti::read_certificate_login(&body::json_or_nothing(request, bounds).await?)?;
    client.learn_software(&device, told.sdk).await?;
    let address = connection.peer().map(|peer| peer.ip());
    let (identity, certificate) = (device.identity(), connection.fingerprint());
    let now = client.enforcer.clock().now();
    let begun = client.api_sessions.begin(identity, certificate, address, told.config_types, now);
    let (token, session) = begun.map_err(|_| {
        tracing::error!("no session can begin: the system gives no random bytes");
        ErrorCode::Unavailable
    })?;
    tracing::info!(method = "cert", %identity, session = &*session.id, "device logged in");
    let mut response = client.show(&device, &connection, &session, token.expose());
    if let Ok(token) = HeaderValue::from_str(token.expose()) {
        response.headers_mut().insert("zt-session", token);
    }
    response.extensions_mut().insert(Caller(identity.as_str().into()));
    Ok(response)
}

/// `GET /current-api-session`: the caller's own. Who comes with the certificate alone needs none, and is shown one that does not
/// end by itself.
pub(super) async fn current_session(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Response {
    match &asker.session {
        Some((_, session)) => {
            // The token is the caller's own: clients take what this shows for their session from then on.
            let token = Presented::of(request.headers(), Language::OpenZiti);
            let token = token.and_then(|presented| std::str::from_utf8(presented.token).ok()).unwrap_or_default();
            client.show(&asker.device, &asker.connection, session, token)
        }
        None => {
            let now = client.enforcer.clock().now();
            let address = asker.connection.peer().map(|peer| peer.ip());
            let session = ApiSession::standing_in(asker.session_id(), address, now);
            client.show(&asker.device, &asker.connection, &session, "")
        }
    }
}

/// `DELETE /current-api-session`: logs out.
pub(super) async fn end_session(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
) -> Result<Response, Refusal> {
    let Some((key, session)) = &asker.session else {
        let reason = "is none: a certificate cannot be logged out";
        return Err(Refusal::because(ErrorCode::CouldNotValidate, "session", reason, ""));
    };
    client.api_sessions.end(asker.device.identity(), *key);
    client.service_sessions.end_of(asker.device.identity(), &session.id);
    tracing::info!(identity = %asker.device.identity(), session = &*session.id, "device logged out");
    Ok(Json(openziti::empty()).into_response())
}

/// `GET /current-api-session/service-updates`: when what the caller may reach, or is asked for it, last changed. Time can change
/// it, too, so it is looked at now; a change is as old as the question that found it.
pub(super) async fn service_updates(State(client): State<Client>, Extension(asker): Extension<Asker>) -> Response {
    let at = busy(|| client.last_change(&asker));
    Json(openziti::detail(openziti::ServiceUpdates { last_change_at: at })).into_response()
}

/// `GET /current-identity`.
pub(super) async fn current_identity(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
) -> Result<Response, Refusal> {
    let published = client.enforcer.published();
    let identity = published.snapshot().objects().identities.get(asker.device.identity()).ok_or(ErrorCode::NotFound)?;
    let posture = asker.device.known().posture();
    let activity = openziti::Activity {
        connected: true,
        mfa_enabled: client.factors.is_enabled(&identity.id),
        posture: Some(&posture),
    };
    Ok(Json(openziti::detail(openziti::identity(identity).with_activity(activity))).into_response())
}

impl Client {
    fn show(&self, device: &Device, connection: &Connection, session: &ApiSession, token: &str) -> Response {
        let published = self.enforcer.published();
        let known = published.snapshot().objects().identities.get(device.identity());
        let detail = openziti::api_session(openziti::ApiSession {
            id: &session.id,
            token,
            identity_id: device.identity().as_str(),
            identity_name: known.map_or("", |identity| &identity.name),
            authenticator_id: connection.fingerprint(),
            ip_address: session.address.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
            created_at: session.created_at,
            last_activity_at: session.last_activity_at,
            expires_at: session.expires_at(),
            idle: limits::API_DEVICE_SESSION_IDLE_MAX,
            second_factor: openziti::SecondFactor {
                enrolled: self.factors.is_enabled(device.identity()),
                passed: device.known().posture().mfa_proven_by(connection.fingerprint()).passed_at.is_some(),
            },
            config_types: session.config_types.ids(ConfigTypes::of(published.snapshot().objects())),
        });
        Json(openziti::detail(detail)).into_response()
    }

    fn last_change(&self, asker: &Asker) -> Timestamp {
        let published = self.enforcer.published();
        let (snapshot, now) = (published.snapshot(), self.enforcer.clock().now());
        let mut seen = DefaultHasher::new();
        (snapshot.generation(), asker.device.known().revision).hash(&mut seen);
        let services = snapshot.find_identity(asker.device.identity()).map(|identity| snapshot.services_for(identity));
        for service in services.into_iter().flatten() {
            let Some(index) = snapshot.find_service(&service.id) else { continue };
            let verdict = self.enforcer.verdict(snapshot, &asker.device, asker.connection.fingerprint(), index, now);
            (service.id.as_str(), verdict.is_ok()).hash(&mut seen);
        }
        asker.device.last_change(seen.finish(), now)
    }
}
