//! The client API: devices report their posture, each for the identity of its own certificate.

mod own;
mod reports;
mod signed;

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};

use crate::config;
use crate::decision::DenialReason;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Connection, Device, Enforcer};
use crate::limits;

use super::body::BodyBounds;
use super::edge::{self, Caller, Edge};
use super::places::Places;
use super::refusal::{self, Refusal};
use super::version::{self, Api};

/// What the client API works on.
#[derive(Clone, Debug)]
pub struct Client {
    enforcer: Arc<Enforcer>,
    body_bounds: BodyBounds,
    observations_max: usize,
    places: Arc<Places>,
}

impl Client {
    /// The client API of one gateway.
    pub fn new(enforcer: Arc<Enforcer>) -> Self {
        Client {
            enforcer,
            body_bounds: BodyBounds { bytes: limits::REPORT_BYTES_MAX, time: limits::API_BODY_TIME_MAX },
            observations_max: limits::REPORT_OBSERVATIONS_MAX,
            places: Places::new(),
        }
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
        let routes = Router::new()
            .route("/posture-response", post(reports::posture_response))
            .route("/posture-response-bulk", post(reports::posture_response_bulk))
            .route("/current-identity", get(current_identity))
            .route("/version", get(show_version))
            .with_state(self.clone());
        let native = Router::new()
            .route("/posture", put(reports::posture))
            .route("/openapi.json", get(version::describe))
            .merge(own::routes())
            .with_state(self);
        let routes = Router::new()
            .nest("/edge/client/v1", routes)
            .nest("/api/v1", native)
            .route("/", get(show_version))
            .route("/version", get(show_version))
            .fallback(refusal::unknown_path)
            .method_not_allowed_fallback(refusal::wrong_method);
        edge::around(routes, edge)
    }

    /// The device behind a connection, its certificate and identity asked again. A certificate of a CA that enrols
    /// automatically gets its identity here when it has none.
    async fn caller(&self, connection: &Connection) -> Result<Arc<Device>, Refusal> {
        let mut answer = self.enforcer.identify(&self.enforcer.published(), connection);
        if matches!(answer, Err(DenialReason::UnknownIdentity)) {
            // Admission also asks whether the identity can reach anything, which a report does not have to.
            let _ = self.enforcer.admit(connection).await;
            answer = self.enforcer.identify(&self.enforcer.published(), connection);
        }
        let device = answer.map_err(Refusal::nobody)?;
        self.enforcer.not_locked(&device).map_err(Refusal::nobody)?;
        Ok(device)
    }
}

async fn show_version(request: Request) -> Response {
    version::show(Api::Client, request).await
}

async fn current_identity(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Response, Refusal> {
    let device = client.caller(&connection).await?;
    let published = client.enforcer.published();
    let identity = published.snapshot().objects().identities.get(device.identity()).ok_or(ErrorCode::NotFound)?;
    let mut response = Json(openziti::detail(openziti::identity(identity))).into_response();
    response.extensions_mut().insert(Caller(device.identity().as_str().into()));
    Ok(response)
}
