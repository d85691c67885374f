//! The client API: devices report their posture, each for the identity of its own certificate.

mod admission;
mod api_sessions;
mod authentication;
mod enrollment;
pub(super) mod mfa;
mod own;
mod qr_code;
mod reports;
mod service_sessions;
mod services;
mod signed;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post, put};

use crate::config;
use crate::enforce::{Enforcer, SecondFactors};
use crate::limits;

use super::authorities::Authorities;
use super::body::BodyBounds;
use super::documents;
use super::edge::{self, Edge};
use super::enroller::Enroller;
use super::foreign;
use super::places::Places;
use super::refusal;
use super::version::{self, Api};
use api_sessions::ApiSessions;
use service_sessions::ServiceSessions;

/// What the client API works on.
#[derive(Clone, Debug)]
pub struct Client {
    enforcer: Arc<Enforcer>,
    body_bounds: BodyBounds,
    observations_max: usize,
    places: Arc<Places>,
    factors: Arc<SecondFactors>,
    api_sessions: Arc<ApiSessions>,
    service_sessions: Arc<ServiceSessions>,
    enroller: Option<Arc<Enroller>>,
    authorities: Option<Authorities>,
}

impl Client {
    /// The client API of one gateway. Its sessions live as long as this and its clones.
    pub fn new(enforcer: Arc<Enforcer>, factors: Arc<SecondFactors>) -> Self {
        Client {
            enforcer,
            body_bounds: BodyBounds { bytes: limits::REPORT_BYTES_MAX, time: limits::API_BODY_TIME_MAX },
            observations_max: limits::REPORT_OBSERVATIONS_MAX,
            places: Places::new(),
            factors,
            api_sessions: Arc::default(),
            service_sessions: Arc::default(),
            enroller: None,
            authorities: None,
        }
    }

    /// The same API for devices that have no certificate yet: the CAs it tells them to know, and, where a CA for it is
    /// configured, enrolment by one-time token.
    #[must_use]
    pub fn with_enrolment(mut self, authorities: Authorities, enroller: Option<Arc<Enroller>>) -> Self {
        (self.authorities, self.enroller) = (Some(authorities), enroller);
        self
    }

    /// The same API with the operator's bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: &config::Limits) -> Self {
        self.body_bounds.bytes = limits.report_bytes;
        self.observations_max = limits.report_observations;
        self
    }

    /// The same API with another bound for the time a report may take to arrive.
    #[must_use]
    pub fn with_body_time(mut self, time: std::time::Duration) -> Self {
        self.body_bounds.time = time;
        self
    }

    /// The routes, for [`Listener::serve`](super::Listener::serve).
    pub fn router(self) -> Router {
        let edge = Edge {
            listener: "client",
            clock: Arc::clone(self.enforcer.clock()),
            request_time: limits::API_REQUEST_TIME_MAX,
            quiet: false,
        };
        let guarded = Router::new()
            .nest(EDGE, edge_routes())
            .nest("/api/v1", own::routes().route("/posture", put(reports::posture)))
            .route_layer(from_fn_with_state(self.clone(), admission::admit))
            .with_state(self.clone());
        let authorities = self.authorities.clone();
        let show_authorities = get(move || std::future::ready(enrollment::show_authorities(authorities.as_ref())));
        let open = Router::new()
            .route("/edge/client/v1/authenticate", post(authentication::authenticate))
            .route("/edge/client/v1/enroll", post(enrollment::enroll))
            .route("/edge/client/v1/enroll/ott", post(enrollment::enroll_by_token))
            .route("/edge/client/v1/enroll/ca", post(enrollment::by_authority))
            .with_state(self)
            .route("/.well-known/est/cacerts", show_authorities.clone())
            .route("/edge/client/v1/.well-known/est/cacerts", show_authorities)
            .route("/edge/client/v1", get(show_version))
            .route("/edge/client/v1/", get(show_version))
            .route("/edge/client/v1/version", get(show_version))
            .route("/edge/client/v1/protocols", get(version::protocols))
            .route("/edge/client/v1/external-jwt-signers", get(foreign::list))
            .route("/", get(show_version))
            .route("/version", get(show_version))
            .route("/api/openapi.json", get(documents::show_client))
            .route("/api/v1/openapi.json", get(documents::show_client));
        let routes =
            guarded.merge(open).fallback(refusal::unknown_path).method_not_allowed_fallback(refusal::wrong_method);
        edge::around(routes, edge)
    }
}

async fn show_version(request: Request) -> Response {
    version::show(Api::Client, request).await
}

/// Where OpenZiti's clients look.
const EDGE: &str = "/edge/client/v1";

/// What only the holder of an identity's certificate is answered.
fn edge_routes() -> Router<Client> {
    let session = get(authentication::current_session).delete(authentication::end_session);
    let factor = get(mfa::show).post(mfa::enrol).delete(mfa::remove);
    let recovery_codes = get(mfa::show_recovery_codes).post(mfa::renew_recovery_codes);
    Router::new()
        .route("/authenticate/mfa", post(mfa::authenticate))
        .route("/current-api-session", session)
        .route("/current-api-session/service-updates", get(authentication::service_updates))
        .route("/current-identity", get(authentication::current_identity))
        .route("/current-identity/edge-routers", get(foreign::list))
        .route("/current-identity/mfa", factor)
        .route("/current-identity/mfa/qr-code", get(mfa::show_qr_code))
        .route("/current-identity/mfa/recovery-codes", recovery_codes)
        .route("/current-identity/mfa/verify", post(mfa::verify))
        .route("/posture-response", post(reports::posture_response))
        .route("/posture-response-bulk", post(reports::posture_response_bulk))
        .route("/services", get(services::services))
        .route("/services/{id}", get(services::service))
        .route("/services/{id}/edge-routers", get(services::edge_routers))
        .route("/services/{id}/terminators", get(services::terminators))
        .route("/sessions", get(service_sessions::list).post(service_sessions::create))
        .route("/sessions/{id}", get(service_sessions::detail).delete(service_sessions::delete))
}
