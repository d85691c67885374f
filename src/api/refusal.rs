//! A request that is not answered as asked: status, headers, and the error envelope around a stable code.
//!
//! Handlers return a [`Refusal`]; it travels in the reply's extensions until the surroundings of the request, which know the
//! request id and the language of the path, render it.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::decision::{Denial, DenialReason};
use crate::dialect::cloudflare;
use crate::dialect::openziti::{ApiError, ErrorCode, ErrorEnvelope, FieldError, invalid_posture};
use crate::limits;

use super::language::Language;

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    error: Arc<Cause>,
    retry_after: Option<Duration>,
}

/// The cause in the words of the language that found it.
#[derive(Debug)]
enum Cause {
    OpenZiti(ApiError),
    Cloudflare(cloudflare::ApiError),
    /// OpenZiti's refusal for posture, which tells the failing checks.
    Posture(Arc<Denial>),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Refusal { error: Arc::new(Cause::OpenZiti(error)), retry_after: None }
    }
}

impl From<cloudflare::ApiError> for Refusal {
    fn from(error: cloudflare::ApiError) -> Self {
        Refusal { error: Arc::new(Cause::Cloudflare(error)), retry_after: None }
    }
}

impl From<cloudflare::ErrorCode> for Refusal {
    fn from(code: cloudflare::ErrorCode) -> Self {
        cloudflare::ApiError::from(code).into()
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        ApiError::from(code).into()
    }
}

impl Refusal {
    /// A refusal that names what is wrong with the request.
    pub(super) fn because(code: ErrorCode, field: &str, reason: impl Into<String>, value: &str) -> Self {
        let cause = FieldError { field: field.to_owned(), reason: reason.into(), value: value.to_owned() };
        ApiError { code, cause: Some(cause) }.into()
    }

    /// The certificate's holder may not use the API, or not now.
    pub(super) fn nobody(reason: DenialReason) -> Self {
        let code = match reason {
            DenialReason::NoSnapshot => ErrorCode::Unavailable,
            _ => ErrorCode::Unauthorized,
        };
        Refusal::because(code, "certificate", reason.title(), reason.code())
    }

    /// Checks of the service's policies do not pass.
    pub(super) fn invalid_posture(denial: Arc<Denial>) -> Self {
        Refusal { error: Arc::new(Cause::Posture(denial)), retry_after: None }
    }

    /// Too many wrong tokens or passwords came from there, or for this user name.
    pub(super) fn locked_out(remaining: Duration) -> Self {
        Refusal { retry_after: Some(remaining), ..ErrorCode::RateLimited.into() }
    }

    /// More passwords wait to be verified than can be in time.
    pub(super) fn too_many_logins() -> Self {
        Refusal { retry_after: Some(limits::API_LOCK_OUT_FIRST), ..ErrorCode::RateLimited.into() }
    }

    /// A write could not be made durable; what was known before stays in force.
    pub(super) fn store_unavailable() -> Self {
        Refusal { retry_after: Some(limits::API_STORE_RETRY_AFTER), ..ErrorCode::Unavailable.into() }
    }

    /// The stable code, in OpenZiti's words.
    pub(super) fn code(&self) -> ErrorCode {
        match &*self.error {
            Cause::OpenZiti(error) => error.code,
            Cause::Cloudflare(error) => in_openziti(error.code()),
            Cause::Posture(_) => ErrorCode::InvalidPosture,
        }
    }

    fn status(&self) -> u16 {
        match &*self.error {
            Cause::OpenZiti(error) => error.code.status(),
            Cause::Cloudflare(error) => error.code().status(),
            Cause::Posture(_) => ErrorCode::InvalidPosture.status(),
        }
    }

    /// The reply's status and body in a language.
    fn in_language(&self, language: Language, request_id: &str) -> (u16, Vec<u8>) {
        let translated;
        match (&*self.error, language) {
            (Cause::OpenZiti(error), Language::OpenZiti) => {
                (error.code.status(), serde_json::to_vec(&ErrorEnvelope::new(error, request_id)).unwrap_or_default())
            }
            (Cause::Cloudflare(error), Language::OpenZiti) => {
                let cause = FieldError { field: "body".to_owned(), reason: error.to_string(), value: String::new() };
                translated = ApiError { code: in_openziti(error.code()), cause: Some(cause) };
                let body = serde_json::to_vec(&ErrorEnvelope::new(&translated, request_id));
                (error.code().status(), body.unwrap_or_default())
            }
            (Cause::Posture(denial), Language::OpenZiti) => {
                (self.status(), serde_json::to_vec(&invalid_posture(denial, request_id)).unwrap_or_default())
            }
            (Cause::Posture(_), Language::Cloudflare) => {
                let error = in_cloudflare(&ErrorCode::InvalidPosture.into());
                (error.code().status(), serde_json::to_vec(&cloudflare::failure(&error)).unwrap_or_default())
            }
            (Cause::OpenZiti(error), Language::Cloudflare) => {
                let error = in_cloudflare(error);
                (error.code().status(), serde_json::to_vec(&cloudflare::failure(&error)).unwrap_or_default())
            }
            (Cause::Cloudflare(error), Language::Cloudflare) => {
                (error.code().status(), serde_json::to_vec(&cloudflare::failure(error)).unwrap_or_default())
            }
        }
    }
}

/// What OpenZiti would call it.
fn in_openziti(code: cloudflare::ErrorCode) -> ErrorCode {
    use cloudflare::ErrorCode as Code;
    match code {
        Code::Invalid | Code::InvalidIntegration | Code::ReadOnly => ErrorCode::CouldNotValidate,
        Code::Malformed => ErrorCode::CouldNotParseBody,
        Code::InUse | Code::IntegrationInUse => ErrorCode::CanNotDeleteReferencedEntity,
        Code::TooLarge => ErrorCode::RequestEntityTooLarge,
        Code::UnsupportedMediaType => ErrorCode::UnsupportedMediaType,
        Code::BodyTimeout => ErrorCode::RequestTimeout,
        Code::ListNotFound
        | Code::CertificateNotFound
        | Code::RuleNotFound
        | Code::IntegrationNotFound
        | Code::NoRoute => ErrorCode::NotFound,
        Code::MethodNotAllowed => ErrorCode::MethodNotAllowed,
        Code::WrongAccount | Code::Unauthenticated | Code::Forbidden => ErrorCode::Unauthorized,
        Code::RateLimited => ErrorCode::RateLimited,
        Code::Internal => ErrorCode::Unhandled,
        Code::Unavailable => ErrorCode::Unavailable,
    }
}

/// What Cloudflare would call it, the cause kept in the message.
fn in_cloudflare(error: &ApiError) -> cloudflare::ApiError {
    use cloudflare::ErrorCode as Code;
    let code = match error.code {
        ErrorCode::CouldNotParseBody => Code::Malformed,
        ErrorCode::Unauthorized => Code::Unauthenticated,
        ErrorCode::NotFound | ErrorCode::MfaEnrollmentNotStarted => Code::NoRoute,
        ErrorCode::MethodNotAllowed => Code::MethodNotAllowed,
        ErrorCode::RequestTimeout => Code::BodyTimeout,
        ErrorCode::CanNotDeleteReferencedEntity
        | ErrorCode::InvalidPosture
        | ErrorCode::MfaExists
        | ErrorCode::MfaNotEnrolled => Code::InUse,
        ErrorCode::RequestEntityTooLarge => Code::TooLarge,
        ErrorCode::UnsupportedMediaType => Code::UnsupportedMediaType,
        ErrorCode::RateLimited => Code::RateLimited,
        ErrorCode::Unhandled => Code::Internal,
        ErrorCode::Timeout | ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::EnrollmentExists => Code::InUse,
        ErrorCode::InvalidEnrollmentToken
        | ErrorCode::EnrollmentExpired
        | ErrorCode::CouldNotProcessCsr
        | ErrorCode::InvalidEnrollMethod
        | ErrorCode::CouldNotValidate
        | ErrorCode::InvalidEvidence
        | ErrorCode::MfaInvalidToken
        | ErrorCode::InvalidFilter
        | ErrorCode::InvalidSortIdentifier
        | ErrorCode::InvalidPagination => Code::Invalid,
    };
    match &error.cause {
        Some(cause) => cloudflare::ApiError::because(code, format!("{}: {cause}", code.message())),
        None => code.into(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if status == StatusCode::CONFLICT {
            // Cloudflare's clients try a conflict again, which changes nothing here.
            response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="postern""#));
        }
        if let Some(wait) = self.retry_after {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A reply as it is sent: a refusal gets its body, anything else stays as it is.
pub(super) fn rendered(mut response: Response, request_id: &str, language: Language) -> Response {
    let refusal = response.extensions().get::<Refusal>().cloned();
    let Some(refusal) = refusal.or_else(|| refused_by_the_router(&response)) else {
        return response;
    };
    let (status, body) = refusal.in_language(language, request_id);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = body.into();
    response
}

/// Paths and queries that cannot be read are refused, in plain text, before any handler is asked.
fn refused_by_the_router(response: &Response) -> Option<Refusal> {
    let plain = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    match response.status() {
        StatusCode::BAD_REQUEST if plain => {
            Some(Refusal::because(ErrorCode::CouldNotValidate, "path", "or query cannot be read", ""))
        }
        StatusCode::INTERNAL_SERVER_ERROR if plain => Some(ErrorCode::Unhandled.into()),
        _ => None,
    }
}

/// For paths without a route.
pub(super) async fn unknown_path() -> Refusal {
    ErrorCode::NotFound.into()
}

/// For routes without the method.
pub(super) async fn wrong_method() -> Refusal {
    ErrorCode::MethodNotAllowed.into()
}
