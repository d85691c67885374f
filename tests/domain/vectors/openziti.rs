//! OpenZiti's checks on devices, and version ranges that a creation must refuse.

use std::time::Duration;

use postern::clock::Timestamp;
use postern::dialect::openziti::{create_posture_check, read_posture_response, read_posture_responses};
use postern::id::CheckId;
use postern::posture::Posture;
use serde_json::{Value, json};

use super::Case;

pub(super) fn run(content: &Value) -> Vec<Case> {
    let now: Timestamp = content["now"].as_str().and_then(|now| now.parse().ok()).unwrap_or_else(default_now);
    let vectors = content["vectors"].as_array().into_iter().flatten().map(|vector| checked(vector, now));
    let ranges = content["rejected_version_ranges"].as_array().into_iter().flatten().map(|range| rejected(range, now));
    vectors.chain(ranges).collect()
}

/// Some moment, for files that name none.
pub(super) fn default_now() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

/// The moment so many seconds before `now`; `None` for `null`.
pub(super) fn ago(seconds: &Value, now: Timestamp) -> Option<Timestamp> {
    seconds.as_f64().map(|seconds| now.before(Duration::from_millis((seconds * 1000.0).round() as u64)))
}

fn checked(vector: &Value, now: Timestamp) -> Case {
    let name = vector["name"].as_str().unwrap_or("(a vector without name)");
    let expected = vector["expect"].as_str().unwrap_or("(nothing)");
    let got = match answer(vector, now) {
        Ok(got) => got,
        Err(error) => return Case::new(name, expected, error, false),
    };
    let (verdict, _) = got.split_once(' ').unwrap_or((&got, ""));
    let matches = verdict == expected;
    Case::new(name, expected, got, matches)
}

/// `pass`, or `fail` and the reason. What a creation refuses can pass nobody either.
fn answer(vector: &Value, now: Timestamp) -> Result<String, String> {
    let id = CheckId::from(vector["check"]["id"].as_str().unwrap_or("check"));
    let object = match create_posture_check(vector["check"].to_string().as_bytes(), id, now) {
        Ok(object) => object,
        Err(error) => return Ok(format!("fail (the check is refused: {error})")),
    };
    let posture = posture(&vector["posture"], now)?;
    let outcome = object.check.assess(&posture, now).outcome;
    Ok(if outcome.is_pass() { "pass".to_owned() } else { format!("fail ({})", outcome.code()) })
}

/// The posture of a device that sent all this as posture responses.
fn posture(facts: &Value, now: Timestamp) -> Result<Posture, String> {
    let mut responses = Vec::new();
    if let Some(os) = facts["os"].as_object() {
        let text = |name: &str| os.get(name).cloned().filter(|value| !value.is_null()).unwrap_or_else(|| json!(""));
        responses.push(json!({"id": "any", "typeId": "OS", "type": text("type"), "version": text("version")}));
    }
    if let Some(domain) = facts["domain"].as_str() {
        responses.push(json!({"id": "any", "typeId": "DOMAIN", "domain": domain}));
    }
    if let Some(addresses) = facts["macAddresses"].as_array() {
        responses.push(json!({"id": "any", "typeId": "MAC", "macAddresses": addresses}));
    }
    for process in facts["processes"].as_array().into_iter().flatten() {
        let mut response = process.clone();
        response["typeId"] = json!("PROCESS");
        if response["id"].is_null() {
            response["id"] = json!("any");
        }
        responses.push(response);
    }
    let report = read_posture_responses(Value::from(responses).to_string().as_bytes(), now);
    let report = report.map_err(|error| format!("the report is refused: {error}"))?;
    let mut posture = Posture::default().apply(&report).map_err(|error| error.to_string())?;

    let session = &facts["apiSession"];
    for (event, since) in [("woken", "wokenAgoSeconds"), ("unlocked", "unlockedAgoSeconds")] {
        if let Some(at) = ago(&session["endpointState"][since], now) {
            let response = json!({"id": "any", "typeId": "ENDPOINT_STATE", event: true}).to_string();
            let report = read_posture_response(response.as_bytes(), at).map_err(|error| error.to_string())?;
            posture = posture.apply(&report).map_err(|error| error.to_string())?;
        }
    }
    posture.mfa.passed_at = ago(&session["mfa"]["passedMfaAgoSeconds"], now);
    posture.sdk = serde_json::from_value(session["sdkInfo"].clone()).map_err(|error| error.to_string())?;
    Ok(posture)
}

fn rejected(range: &Value, now: Timestamp) -> Case {
    let body = json!({"typeId": "OS", "name": "os", "operatingSystems": [{"type": "Linux", "versions": [range]}]});
    let got = match create_posture_check(body.to_string().as_bytes(), CheckId::from("check"), now) {
        Ok(_) => "201".to_owned(),
        Err(error) => error.code.status().to_string(),
    };
    let matches = got == "400";
    Case::new(format!("version range {range}"), "400", got, matches)
}
