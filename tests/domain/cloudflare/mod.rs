//! Cloudflare's rules: what is read, refused, pointed out and shown again, and that nothing passes that is not known.

mod absence;
mod refused;
mod shown;
mod warnings;

use postern::clock::Timestamp;
use postern::dialect::cloudflare::{ApiError, Written, create_rule};
use postern::id::CheckId;
use postern::policy::objects::PostureCheck;
use serde_json::{Value, json};

/// 2026-11-22T00:00:00.000Z, the moment of the test vectors.
fn now() -> Timestamp {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

fn create(body: &Value) -> Result<Written<PostureCheck>, ApiError> {
    create_rule(body.to_string().as_bytes(), CheckId::from("id"), now())
}

/// Reads a file of `tests/data/cloudflare/`.
fn data(file: &str) -> Value {
    let path = format!("{}/tests/data/cloudflare/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// Rules with everything in their input that can be in it, each with a device that passes, the members that can be left out, and
/// the facts it needs: each always, or because of a member of the input.
fn examples() -> Vec<Value> {
    data("examples").as_array().unwrap().clone()
}

/// The rule of an example.
fn body(example: &Value) -> Value {
    json!({"name": "a rule", "type": example["type"], "input": example["input"]})
}

/// What was odd, in words.
fn notes(written: &Written<PostureCheck>) -> Vec<String> {
    let notes = serde_json::to_value(&written.warnings).unwrap();
    notes.as_array().unwrap().iter().map(|note| note["message"].as_str().unwrap().to_owned()).collect()
}
