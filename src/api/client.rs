//! The client API: devices report their posture, each for the identity of its own certificate.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::StatusCode;

use crate::clock::Timestamp;
use crate::config;
use crate::decision::DenialReason;
use crate::dialect::native;
use crate::dialect::openziti::{self, ApiError, ErrorCode, FieldError, PromptedService};
use crate::enforce::{Connection, Device, Enforcer, ReportRefused};
use crate::limits;
use crate::posture::facts::Source;
use crate::posture::report::{Report, ReportError};

use super::body::{self, BodyBounds};
use super::edge::{self, Caller, Edge};
use super::places::Places;
use super::prompts::prompts;
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
            .route("/posture-response", post(posture_response))
            .route("/posture-response-bulk", post(posture_response_bulk))
            .route("/current-identity", get(current_identity))
            .route("/version", get(show_version))
            .with_state(self.clone());
        let native = Router::new()
            .route("/posture", put(posture))
            .route("/openapi.json", get(version::describe))
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
        answer.map_err(Refusal::nobody)
    }

    /// Reads the body of a report and makes a [`Report`] of it.
    async fn read(
        &self,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
    ) -> Result<Report, Refusal> {
        let body = body::json(request, self.body_bounds).await?;
        let report = parse(&body, self.enforcer.clock().now())?;
        let (count, max) = (report.observations.len(), self.observations_max);
        if count > max {
            return Err(invalid(&ReportError::TooMany { what: "observations", count, max }));
        }
        Ok(report)
    }

    /// Takes a report in. The work goes on when the client does not wait for the answer: a report that is half way into the
    /// store must also get into force.
    async fn take_in(&self, device: &Arc<Device>, report: Report) -> Result<(), Refusal> {
        let (enforcer, device) = (Arc::clone(&self.enforcer), Arc::clone(device));
        let taken = tokio::spawn(async move { enforcer.report(&device, &report).await }).await;
        match taken {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ReportRefused::Invalid(error))) => Err(invalid(&error)),
            Ok(Err(ReportRefused::Unavailable(error))) => {
                tracing::error!(%error, code = error.code(), "a posture report could not be stored");
                Err(Refusal::store_unavailable())
            }
            Err(_) => Err(ErrorCode::Unhandled.into()),
        }
    }

    /// A report from its first byte to the moment it is durable and in force.
    async fn work(
        &self,
        device: &Arc<Device>,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
    ) -> Result<Vec<PromptedService>, Refusal> {
        let _place = self.places.place(device.identity()).await?;
        let report = self.read(request, parse).await?;
        let prompts = prompts(&self.enforcer, device, &report);
        self.take_in(device, report).await?;
        Ok(prompts)
    }

    async fn report(
        &self,
        connection: &Connection,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
        thanks: StatusCode,
    ) -> Response {
        let device = match self.caller(connection).await {
            Ok(device) => device,
            Err(refusal) => return refusal.into_response(),
        };
        let mut response = match self.work(&device, request, parse).await {
            Ok(prompts) => {
                self.enforcer.metrics().posture_report("stored");
                (thanks, Json(openziti::posture_response_envelope(&prompts))).into_response()
            }
            Err(refusal) => {
                self.enforcer.metrics().posture_report(result_label(&refusal));
                refusal.into_response()
            }
        };
        response.extensions_mut().insert(Caller(device.identity().as_str().into()));
        response
    }
}

async fn show_version(request: Request) -> Response {
    version::show(Api::Client, request).await
}

async fn posture_response(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Response {
    client.report(&connection, request, openziti::read_posture_response, StatusCode::CREATED).await
}

async fn posture_response_bulk(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Response {
    client.report(&connection, request, openziti::read_posture_responses, StatusCode::CREATED).await
}

/// The native report, which carries every fact there is.
async fn posture(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
) -> Response {
    let parse = |body: &[u8], now| {
        native::read_posture_report(body, now, Source::Device).map_err(|problem| {
            let code = if problem.path == "." { ErrorCode::CouldNotParseBody } else { ErrorCode::CouldNotValidate };
            let field = if problem.path == "." { "body".to_owned() } else { problem.path };
            ApiError { code, cause: Some(FieldError { field, reason: problem.reason, value: String::new() }) }
        })
    };
    client.report(&connection, request, parse, StatusCode::OK).await
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

/// A report that is too much of something; the body had no field that is wrong by itself.
fn invalid(error: &ReportError) -> Refusal {
    let field = match error {
        ReportError::TooMany { .. } => "body".to_owned(),
        ReportError::TooManyIn { index, .. } | ReportError::TooLong { index, .. } => format!("[{index}]"),
    };
    Refusal::because(ErrorCode::CouldNotValidate, &field, error.to_string(), "")
}

/// How a refused report is counted.
fn result_label(refusal: &Refusal) -> &'static str {
    match refusal.code() {
        ErrorCode::RequestEntityTooLarge => "too-large",
        ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::Unhandled => "unavailable",
        ErrorCode::RateLimited => "too-many",
        _ => "invalid",
    }
}
