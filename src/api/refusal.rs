//! A request that is not answered as asked: status, headers, and the error envelope around a stable code.
//!
//! Handlers return a [`Refusal`]; it travels in the reply's extensions until the surroundings of the request, which know the
//! request id, render it.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::decision::DenialReason;
use crate::dialect::openziti::{ApiError, ErrorCode, ErrorEnvelope, FieldError};
use crate::limits;

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    error: Arc<ApiError>,
    retry_after: Option<Duration>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Refusal { error: Arc::new(error), retry_after: None }
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

    /// The source address sent too many wrong tokens.
    pub(super) fn locked_out(remaining: Duration) -> Self {
        Refusal { retry_after: Some(remaining), ..ErrorCode::RateLimited.into() }
    }

    /// A write could not be made durable; what was known before stays in force.
    pub(super) fn store_unavailable() -> Self {
        Refusal { retry_after: Some(limits::API_STORE_RETRY_AFTER), ..ErrorCode::Unavailable.into() }
    }

    /// The stable code.
    pub(super) fn code(&self) -> ErrorCode {
        self.error.code
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
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
pub(super) fn rendered(mut response: Response, request_id: &str) -> Response {
    let refusal = response.extensions().get::<Refusal>().cloned();
    let Some(refusal) = refusal.or_else(|| refused_by_the_router(&response)) else {
        return response;
    };
    let body = serde_json::to_vec(&ErrorEnvelope::new(&refusal.error, request_id)).unwrap_or_default();
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
