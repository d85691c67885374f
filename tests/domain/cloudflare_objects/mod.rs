//! The objects that Cloudflare's posture rules refer to: what is read, what is shown, what is refused and where.

mod certificates;
mod integrations;
mod lists;
mod provider_values;

use postern::clock::Timestamp;
use postern::dialect::cloudflare::{ApiError, ErrorCode, Message};
use serde::Serialize;
use serde_json::{Value, to_value};

/// 2026-01-05T10:00:00.000Z.
fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

/// A minute later.
fn later() -> Timestamp {
    "2026-01-05T10:01:00Z".parse().unwrap()
}

fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).unwrap()
}

fn shown(value: impl Serialize) -> Value {
    to_value(value).unwrap()
}

/// The texts of notes.
fn notes(warnings: &[Message]) -> Vec<String> {
    warnings.iter().map(|note| shown(note)["message"].as_str().unwrap().to_owned()).collect()
}

/// Where a refusal points to.
#[track_caller]
fn pointer<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Invalid, "{error}");
    error.items()[0].pointer().unwrap_or_else(|| panic!("{error}")).to_owned()
}
