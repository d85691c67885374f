//! What goes wrong, in Cloudflare's error envelope (`cloudflare.md` 3.2 and 3.5).

use std::fmt;

use serde::Serialize;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $code:literal, $message:literal;)*) => {
        /// Why a request is refused. Numbers that Cloudflare is known to use mean the same here; the others are our own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The number clients know it by.
            pub const fn code(self) -> u16 {
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
    /// A member of the body breaks a rule.
    Invalid = 400, 2017, "the request's content is not valid";
    /// The body is not JSON, or not an object.
    Malformed = 400, 2018, "the request's body cannot be read as a JSON object";
    /// The object is written in a policy file.
    ReadOnly = 400, 2019, "the object is written in a policy file and can only be changed there";
    /// Rules refer to the integration. A conflict would be tried again by Cloudflare's clients.
    IntegrationInUse = 400, 2020, "posture rules refer to the integration";
    /// Policies or rules refer to the object.
    InUse = 409, 2021, "other objects refer to this one";
    /// The body is larger than allowed.
    TooLarge = 413, 2022, "the request's body is larger than allowed";
    /// The body is of another kind.
    UnsupportedMediaType = 415, 2023, "the request's body must be application/json";
    /// The body did not arrive in time.
    BodyTimeout = 408, 2024, "the request's body did not arrive in time";
    /// The integration's provider does not answer as it should.
    InvalidIntegration = 400, 2046, "invalid posture integration request";
    /// There is no such gateway list.
    ListNotFound = 404, 2218, "list not found";
    /// There is no such certificate.
    CertificateNotFound = 404, 1425, "certificate not found";
    /// There is no such posture rule.
    RuleNotFound = 404, 6024, "posture rule not found";
    /// There is no such posture integration.
    IntegrationNotFound = 404, 6025, "posture integration not found";
    /// No route leads there.
    NoRoute = 404, 7003, "could not route to this path, perhaps an identifier in it is invalid";
    /// The path knows other methods.
    MethodNotAllowed = 405, 7001, "the path does not know this method";
    /// The account is another one than this gateway's.
    WrongAccount = 403, 9109, "this gateway does not serve the account";
    /// Nobody known asks.
    Unauthenticated = 401, 10000, "Authentication error";
    /// Somebody known asks for what they may not do.
    Forbidden = 403, 10001, "the credentials allow reading only";
    /// There were too many requests.
    RateLimited = 429, 10429, "too many requests; wait before the next one";
    /// A defect on our side.
    Internal = 500, 10500, "an error occurred that was not foreseen";
    /// The work cannot be done now; nothing was changed.
    Unavailable = 503, 10503, "the request cannot be served now; what was known before stays in force";
}

/// A request that is refused: why, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ApiError {
    code: ErrorCode,
    items: Vec<ErrorItem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorItem {
    code: u16,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Source {
    pointer: String,
}

impl ErrorItem {
    /// What is wrong, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON pointer to what is wrong, if it is in the body.
    pub fn pointer(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.pointer.as_str())
    }
}

impl ApiError {
    /// A member that is wrong. `pointer` is a JSON pointer into the body, `reason` what is said after the member's name.
    pub fn invalid(pointer: impl Into<String>, reason: impl fmt::Display) -> Self {
        ApiError::at(ErrorCode::Invalid, pointer, reason)
    }

    /// As [`ApiError::invalid`], under a code of its own.
    pub fn at(code: ErrorCode, pointer: impl Into<String>, reason: impl fmt::Display) -> Self {
        let pointer = pointer.into();
        let message = format!("{} {reason}", named(&pointer));
        ApiError { code, items: vec![ErrorItem { code: code.code(), message, source: Some(Source { pointer }) }] }
    }

    /// A refusal with words of its own.
    pub fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError { code, items: vec![ErrorItem { code: code.code(), message: message.into(), source: None }] }
    }

    /// What kind of refusal it is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Everything that is wrong; never empty.
    pub fn items(&self) -> &[ErrorItem] {
        &self.items
    }
}

/// A member as people write it: `/match/0/platform` is `match[0].platform`.
fn named(pointer: &str) -> String {
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() {
            name.push_str(&format!("[{part}]"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&part);
        }
    }
    if name.is_empty() { "the body".to_owned() } else { name }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        ApiError::because(code, code.message())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (item, position) in self.items.iter().zip(0..) {
            let separator = if position > 0 { "; " } else { "" };
            write!(formatter, "{separator}{} ({})", item.message, item.code)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_at_least_a_thousand() {
        let codes: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        assert!(codes.iter().all(|code| *code >= 1000));
        assert!(
            ErrorCode::ALL.iter().all(|code| code.status() >= 400),
            "a failure with status 200 is none to a client"
        );
    }

    #[test]
    fn a_pointer_reads_as_a_member() {
        for (pointer, name) in [("/name", "name"), ("/match/0/platform", "match[0].platform"), ("", "the body")] {
            assert_eq!(named(pointer), name);
        }
    }
}
