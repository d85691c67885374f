//! Why a filter or an order is refused, and where it is wrong.

use serde_json::Value;

use super::super::error::{ApiError, ErrorCode, FieldError};

/// What is wrong with a text, where, and with which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The position of the wrong part, in characters from 1.
    pub(super) character: usize,
    pub(super) reason: String,
    /// The wrong part; empty where the text ends too early.
    pub(super) part: String,
}

impl Refused {
    pub(super) fn new(character: usize, reason: impl Into<String>, part: &str) -> Self {
        Refused { character, reason: reason.into(), part: part.to_owned() }
    }

    /// The refusal of the query parameter that holds the text.
    pub(super) fn in_parameter(self, code: ErrorCode, parameter: &str, whole: &str) -> ApiError {
        let reason = format!("is wrong at character {}: {}", self.character, self.reason);
        let part = if self.part.is_empty() { whole } else { &self.part };
        ApiError { code, cause: Some(FieldError::new(parameter, reason, &Value::from(part))) }
    }
}
