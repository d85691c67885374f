//! Posture reports: from the first byte to the moment they are durable and in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};

use super::admission::Asker;
use super::{Client, signed};
use crate::api::body;
use crate::api::prompts::prompts;
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::native;
use crate::dialect::native::evidence::{EvidenceProblem, NONCE_FIELD};
use crate::dialect::openziti::{self, ApiError, ErrorCode, FieldError, PromptedService};
use crate::enforce::{Connection, Device, ReportRefused};
use crate::posture::facts::{Sdk, Source};
use crate::posture::report::{Observation, Report, ReportError, Seen};

impl Client {
    /// Reads the body of a report and makes a [`Report`] of it. A signature that comes with it must be good.
    async fn read(
        &self,
        device: &Device,
        connection: &Connection,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
    ) -> Result<Report, Refusal> {
        let presented = self.evidence(signed::presented(request.headers()))?;
        let body = body::json(request, self.body_bounds).await?;
        let now = self.enforcer.clock().now();
        if let Some(presented) = &presented {
            self.evidence(signed::verify(presented, &body, connection, device, now))?;
        }
        let mut report = parse(&body, now)?;
        let (count, max) = (report.observations.len(), self.observations_max);
        if count > max {
            return Err(invalid(&ReportError::TooMany { what: "observations", count, max }));
        }
        if let Some(presented) = &presented {
            report.source = Source::DeviceSigned;
            let seen = Seen::ClockSkew(presented.clock_skew_millis(now));
            report.observations.push(Observation { asked_by: None, seen });
        }
        self.enforcer.metrics().evidence(if presented.is_some() { "signed" } else { "unsigned" });
        Ok(report)
    }

    /// The same answer, counted when it is a refusal.
    fn evidence<T>(&self, answer: Result<T, EvidenceProblem>) -> Result<T, EvidenceProblem> {
        answer.inspect_err(|problem| self.enforcer.metrics().evidence(problem.code()))
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

    /// Keeps what a client told of its software, where that is news.
    pub(super) async fn learn_software(&self, device: &Arc<Device>, told: Option<Sdk>) -> Result<(), Refusal> {
        let news = told.filter(|sdk| device.known().posture().sdk.as_ref() != Some(sdk));
        let Some(sdk) = news else {
            return Ok(());
        };
        // It is told at the login, which is no report: the device is as silent about its posture as before.
        let observations = vec![Observation { asked_by: None, seen: Seen::Sdk(sdk) }];
        let received_at = self.enforcer.clock().now();
        self.take_in(device, Report { received_at, source: Source::Gateway, observations }).await
    }

    /// A report from its first byte to the moment it is durable and in force.
    async fn work(
        &self,
        asker: &Asker,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
    ) -> Result<Vec<PromptedService>, Refusal> {
        let _place = self.places.place(asker.device.identity()).await?;
        let report = self.read(&asker.device, &asker.connection, request, parse).await?;
        let prompts = prompts(&self.enforcer, &asker.device, asker.connection.fingerprint(), &report);
        self.take_in(&asker.device, report).await?;
        Ok(prompts)
    }

    async fn report(
        &self,
        asker: &Asker,
        request: Request,
        parse: impl FnOnce(&[u8], Timestamp) -> Result<Report, ApiError>,
        thanks: StatusCode,
    ) -> Response {
        let mut response = match self.work(asker, request, parse).await {
            Ok(prompts) => {
                self.enforcer.metrics().posture_report("stored");
                (thanks, Json(openziti::posture_response_envelope(&prompts))).into_response()
            }
            Err(refusal) => {
                self.enforcer.metrics().posture_report(result_label(&refusal));
                refusal.into_response()
            }
        };
        self.offer_number(&asker.device, &mut response);
        response
    }

    /// Whoever signs gets the number for the next report with the reply, so that no other question is needed.
    fn offer_number(&self, device: &Device, response: &mut Response) {
        let signs = device.known().posture().signed_in_at.is_some() && response.status().is_success();
        let nonce = signs.then(|| device.give_nonce(self.enforcer.clock().now())).flatten();
        if let Some(value) = nonce.and_then(|nonce| HeaderValue::try_from(nonce.text).ok()) {
            response.headers_mut().insert(NONCE_FIELD, value);
        }
    }
}

pub(super) async fn posture_response(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Response {
    client.report(&asker, request, openziti::read_posture_response, StatusCode::CREATED).await
}

pub(super) async fn posture_response_bulk(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Response {
    client.report(&asker, request, openziti::read_posture_responses, StatusCode::CREATED).await
}

/// The native report, which carries every fact there is.
pub(super) async fn posture(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Response {
    let parse = |body: &[u8], now| {
        native::read_posture_report(body, now, Source::Device).map_err(|problem| {
            let code = if problem.path == "." { ErrorCode::CouldNotParseBody } else { ErrorCode::CouldNotValidate };
            let field = if problem.path == "." { "body".to_owned() } else { problem.path };
            ApiError { code, cause: Some(FieldError { field, reason: problem.reason, value: String::new() }) }
        })
    };
    client.report(&asker, request, parse, StatusCode::OK).await
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
        ErrorCode::InvalidEvidence => "bad-evidence",
        _ => "invalid",
    }
}
