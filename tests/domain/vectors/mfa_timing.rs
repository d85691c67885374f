//! The times MFA checks tell: what is left of a pass and of a grace, and which services close early.

use postern::clock::Timestamp;
use postern::dialect::openziti::{create_posture_check, posture_query};
use postern::id::CheckId;
use postern::policy::objects::PostureCheck;
use postern::posture::Posture;
use postern::posture::check::Predicate;
use postern::posture::check::mfa::MfaRule;
use postern::posture::facts::Sdk;
use serde_json::{Value, json};

use super::Case;
use super::openziti::{ago, default_now};

pub(super) fn run(content: &Value) -> Vec<Case> {
    content.as_array().into_iter().flatten().map(case).collect()
}

fn case(vector: &Value) -> Case {
    let now = default_now();
    let check = check(vector, now);
    let posture = posture(vector, now);
    let (expected, got) = if let Some(expected) = vector.get("expectGraceRemaining") {
        let event = ago(&vector["graceOnlyEventAgoSeconds"], now).unwrap();
        (expected, json!(rule(&check).grace_remaining(event, now)))
    } else if let Some(expected) = vector.get("expectQueryTimeout") {
        (expected, query(&check, &posture, now)["timeout"].clone())
    } else if let Some(expected) = vector.get("expectTimeoutRemaining") {
        (expected, query(&check, &posture, now)["timeoutRemaining"].clone())
    } else if let Some(expected) = vector.get("expectServiceListedInPostureResponse") {
        let event = |name: &str| vector["event"][name] == json!(true);
        (expected, json!(rule(&check).is_cut_short_by(event("woken"), event("unlocked"), &posture.mfa, now)))
    } else {
        return Case::new(vector.to_string(), "something of a known kind", "something else", false);
    };
    Case::new(vector.to_string(), expected.to_string(), got.to_string(), agrees(expected, &got))
}

/// Whether a value is the expected one, or within a range such as `55..60`.
fn agrees(expected: &Value, got: &Value) -> bool {
    match expected.as_str().and_then(|range| range.split_once("..")) {
        Some((lowest, highest)) => {
            (lowest.parse::<i64>().unwrap()..=highest.parse().unwrap()).contains(&got.as_i64().unwrap())
        }
        None => expected == got,
    }
}

fn check(vector: &Value, now: Timestamp) -> PostureCheck {
    let story = vector["case"].as_str().unwrap_or_default();
    let mut body = json!({"typeId": "MFA", "name": "mfa"});
    for member in ["timeoutSeconds", "promptOnWake", "promptOnUnlock", "ignoreLegacyEndpoints"] {
        body[member] = vector[member].clone();
    }
    body["promptGracePeriodSeconds"] = vector["graceSeconds"].clone();
    if story.contains("ignoreLegacyEndpoints=true") {
        body["ignoreLegacyEndpoints"] = json!(true);
    }
    create_posture_check(body.to_string().as_bytes(), CheckId::from("mfa"), now).unwrap()
}

fn rule(check: &PostureCheck) -> &MfaRule {
    match &check.check.predicate {
        Predicate::Mfa(rule) => rule,
        other => panic!("an MFA check became {other:?}"),
    }
}

fn query(check: &PostureCheck, posture: &Posture, now: Timestamp) -> Value {
    serde_json::to_value(posture_query(check, posture, now)).unwrap()
}

fn posture(vector: &Value, now: Timestamp) -> Posture {
    let mut posture = Posture::default();
    posture.mfa.passed_at = ago(&vector["passedMfaAgoSeconds"], now);
    posture.endpoint.woken_at = ago(&vector["wokenAgoSeconds"], now);
    posture.endpoint.unlocked_at = ago(&vector["unlockedAgoSeconds"], now);
    posture.sdk = serde_json::from_value(vector["sdkInfo"].clone()).unwrap();
    let story = vector["case"].as_str().unwrap_or_default();
    if story.contains("passed now") {
        posture.mfa.passed_at = Some(now);
    }
    posture.sdk = posture.sdk.or_else(|| story.split(", ").find_map(sdk));
    posture
}

/// An SDK told as `ziti-sdk-c 0.24.4`.
fn sdk(part: &str) -> Option<Sdk> {
    let (kind, version) = part.split_once(' ')?;
    let named = kind.starts_with("ziti-sdk");
    named.then(|| Sdk { kind: Some(kind.into()), version: Some(version.into()), ..Sdk::default() })
}
