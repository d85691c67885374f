//! OpenZiti's language: what is read, what is shown, and that nothing is lost between the two.

mod checks;
mod configs;
mod lists;
mod responses;
mod shown;

use postern::clock::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// 2026-01-05T10:00:00.000Z.
fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

/// Compares with a file of `tests/data/openziti/`.
#[track_caller]
fn same_as(file: &str, shown: impl Serialize) {
    let path = format!("{}/tests/data/openziti/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let shown = serde_json::to_value(shown).unwrap();
    assert!(shown == expected, "{file}: shown is\n{}", serde_json::to_string_pretty(&shown).unwrap());
}
