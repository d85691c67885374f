//! What goes wrong, in OpenZiti's error envelope (`openziti.md` 5.3).

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A request that is refused, with the part of it that is wrong when that can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ApiError {
    /// What kind of refusal it is.
    pub code: ErrorCode,
    /// The wrong part.
    pub cause: Option<FieldError>,
}

impl ApiError {
    /// A body that is well-formed, but wrong in one field.
    pub fn invalid(cause: FieldError) -> Self {
        ApiError { code: ErrorCode::CouldNotValidate, cause: Some(cause) }
    }

    /// A body that cannot even be told for what it is.
    pub(super) fn unparsable(field: impl Into<String>, reason: impl Into<String>, value: &Value) -> Self {
        ApiError { code: ErrorCode::CouldNotParseBody, cause: Some(FieldError::new(field, reason, value)) }
    }
}

impl From<FieldError> for ApiError {
    fn from(cause: FieldError) -> Self {
        ApiError::invalid(cause)
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        ApiError { code, cause: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(formatter, "{}: {cause}", self.code.code()),
            None => formatter.write_str(self.code.code()),
        }
    }
}

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("`{field}` {reason}")]
pub struct FieldError {
    /// Which, as a path such as `processes[1].osType`; of an array body, `[1].version`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
    /// What was sent, as text, shortened.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

impl FieldError {
    /// Names a field and what is wrong with the value it has.
    pub fn new(field: impl Into<String>, reason: impl Into<String>, value: &Value) -> Self {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        FieldError { field: field.into(), reason: reason.into(), value: shortened(text) }
    }
}

fn shortened(text: String) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $code:literal, $message:literal;)*) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as clients know it.
            pub const fn code(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }

            /// One sentence about it.
            pub const fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)* }
            }
        }
    };
}

error_codes! {
    /// The body breaks a rule.
    CouldNotValidate = 400, "COULD_NOT_VALIDATE", "The request's content is not valid; the cause names the field";
    /// The body is not JSON, or of no known kind.
    CouldNotParseBody = 400, "COULD_NOT_PARSE_BODY", "The request's body could not be read as what it should be";
    /// A signature came with a report and does not count.
    InvalidEvidence = 400, "INVALID_EVIDENCE", "The report's signature does not count; the cause says why";
    /// A filter cannot be read.
    InvalidFilter = 400, "INVALID_FILTER", "The filter is not valid";
    /// A sort field does not exist.
    InvalidSortIdentifier = 400, "INVALID_SORT_IDENTIFIER", "The list cannot be sorted by this field";
    /// `limit` or `offset` is not a number.
    InvalidPagination = 400, "INVALID_PAGINATION", "The limit and the offset must be whole numbers";
    /// A one-time password or recovery code does not count.
    MfaInvalidToken = 400, "MFA_INVALID_TOKEN", "The code is not the one that counts now";
    /// A one-time token that nobody waits for.
    InvalidEnrollmentToken = 400, "INVALID_ENROLLMENT_TOKEN", "The supplied token is not valid";
    /// A one-time token whose time is over.
    EnrollmentExpired = 400, "ENROLLMENT_EXPIRED", "The enrollment expired and can no longer be completed";
    /// A certificate signing request that cannot be signed.
    CouldNotProcessCsr = 400, "COULD_NOT_PROCESS_CSR", "The supplied csr could not be processed";
    /// A way to enrol that is not offered.
    InvalidEnrollMethod = 400, "INVALID_ENROLL_METHOD", "The supplied enrollment method is not offered";
    /// Nobody known asks, or somebody who may not.
    Unauthorized = 401, "UNAUTHORIZED", "The request could not be completed. The session is not authorized or the credentials are invalid";
    /// Nothing has this id or path.
    NotFound = 404, "NOT_FOUND", "The resource requested was not found or is no longer available";
    /// The identity has no second factor that waits to be verified.
    MfaEnrollmentNotStarted = 404, "MFA_ENROLLMENT_NOT_STARTED", "There is no MFA enrolment that waits to be verified";
    /// The path knows other methods.
    MethodNotAllowed = 405, "METHOD_NOT_ALLOWED", "The path does not know this method";
    /// The body did not arrive in time.
    RequestTimeout = 408, "REQUEST_TIMEOUT", "The request's body did not arrive in time";
    /// The identity has a token already.
    EnrollmentExists = 409, "ENROLLMENT_EXISTS", "The identity waits for a one-time token already";
    /// Another object refers to it.
    CanNotDeleteReferencedEntity = 409, "CAN_NOT_DELETE_REFERENCED_ENTITY", "The entity is in use by others and cannot be deleted";
    /// The identity has a second factor already.
    MfaExists = 409, "MFA_EXISTS", "The identity is enrolled in MFA already";
    /// The identity has no verified second factor.
    MfaNotEnrolled = 409, "MFA_NOT_ENROLLED", "The identity is not enrolled in MFA";
    /// Posture refuses access.
    InvalidPosture = 409, "INVALID_POSTURE", "Posture response data is missing or wrong";
    /// The body is too large.
    RequestEntityTooLarge = 413, "REQUEST_ENTITY_TOO_LARGE", "The request's body is larger than allowed";
    /// The body is of another kind.
    UnsupportedMediaType = 415, "UNSUPPORTED_MEDIA_TYPE", "The request's body is of a kind that is not read here";
    /// Too many requests came from there.
    RateLimited = 429, "RATE_LIMITED", "There were too many requests; wait before the next one";
    /// A defect on our side.
    Unhandled = 500, "UNHANDLED", "An error occurred that was not foreseen";
    /// The work took too long.
    Timeout = 503, "TIMEOUT", "The request could not be answered in time";
    /// Something the work needs cannot be had now.
    Unavailable = 503, "UNAVAILABLE", "The request cannot be served now; what was known before stays in force";
}

/// The body a refusal is sent with.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorEnvelope<'a> {
    error: ErrorBody<'a>,
    meta: Versions,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a FieldError>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    api_enrollment_version: &'static str,
    api_version: &'static str,
}

impl Versions {
    pub(super) const CURRENT: Versions = Versions { api_enrollment_version: "0.0.1", api_version: "0.0.1" };
}

impl<'a> ErrorEnvelope<'a> {
    /// The body for an error in answer to one request.
    pub fn new(error: &'a ApiError, request_id: &'a str) -> Self {
        let error = ErrorBody {
            code: error.code.code(),
            message: error.code.message(),
            request_id,
            cause: error.cause.as_ref(),
        };
        ErrorEnvelope { error, meta: Versions::CURRENT }
    }
}
