//! Posture responses: what devices send, and what they are told.

use postern::dialect::openziti::{
    ApiError, ErrorCode, PromptedService, posture_response_envelope, read_posture_response, read_posture_responses,
};
use postern::posture::check::mfa::{GRACE, MfaRule};
use postern::posture::facts::{Os, Process, Source};
use postern::posture::report::{Report, Seen};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{now, same_as};

fn single(body: &Value) -> Result<Report, ApiError> {
    read_posture_response(body.to_string().as_bytes(), now())
}

fn bulk(body: &Value) -> Result<Report, ApiError> {
    read_posture_responses(body.to_string().as_bytes(), now())
}

#[track_caller]
fn refused(result: Result<Report, ApiError>, code: ErrorCode, field: &str) {
    let error = result.unwrap_err();
    let cause = error.cause.unwrap();
    assert_eq!((error.code, cause.field.as_str()), (code, field), "{}", cause.reason);
}

#[test]
fn a_bulk_keeps_its_order() {
    let report = bulk(&json!([
        {"id": "o", "typeId": "OS", "type": "windows", "version": "10.0.26200", "build": "1"},
        {"id": "d", "typeId": "DOMAIN", "domain": ""},
        {"id": "m", "typeId": "MAC", "macAddresses": ["00:1B"]},
        {"id": "p", "typeId": "PROCESS", "path": "/p", "isRunning": true, "hash": "AB", "signerFingerprints": null},
        {"id": "q", "typeId": "PROCESS"},
        {"id": "e", "typeId": "ENDPOINT_STATE", "woken": true, "unlocked": null},
    ]))
    .unwrap();
    assert_eq!((report.received_at, report.source), (now(), Source::Device));
    let process = |path: &str, running, hash: &str| {
        Seen::Process(Process {
            path: path.into(),
            running,
            hash: hash.into(),
            more_hashes: vec![],
            signer_fingerprints: vec![],
        })
    };
    let seen: Vec<Seen> = report.observations.iter().map(|observation| observation.seen.clone()).collect();
    assert_eq!(
        seen,
        [
            Seen::Os(Os {
                name: "windows".into(),
                version: "10.0.26200".into(),
                build: Some("1".into()),
                ..Os::default()
            }),
            Seen::Domain(String::new()),
            Seen::Macs(vec!["00:1B".into()]),
            process("/p", true, "AB"),
            process("", false, ""),
            Seen::Endpoint { woken: true, unlocked: false },
        ]
    );
    let asked: Vec<&str> =
        report.observations.iter().map(|observation| observation.asked_by.as_ref().unwrap().as_str()).collect();
    assert_eq!(asked, ["o", "d", "m", "p", "q", "e"]);
}

#[test]
fn one_response_is_read_alone() {
    let report = single(&json!({"id": "o", "typeId": "OS", "type": "Linux", "version": ""})).unwrap();
    assert_eq!(report.observations.len(), 1);
    assert_eq!(bulk(&json!([])).unwrap().observations, []);
}

#[test]
fn errors_name_the_response_and_the_field() {
    let good = json!({"id": "d", "typeId": "DOMAIN", "domain": "d"});
    let second = |body: Value| bulk(&json!([good, body]));
    use ErrorCode::{CouldNotParseBody, CouldNotValidate};
    refused(second(json!({"id": "o"})), CouldNotParseBody, "[1].typeId");
    refused(second(json!({"id": "o", "typeId": "PROCESS_MULTI"})), CouldNotParseBody, "[1].typeId");
    refused(second(json!({"id": "o", "typeId": "MFA"})), CouldNotParseBody, "[1].typeId");
    refused(second(json!({"id": "o", "typeId": "domain"})), CouldNotParseBody, "[1].typeId");
    refused(second(json!({"typeId": "DOMAIN", "domain": "d"})), CouldNotValidate, "[1].id");
    refused(second(json!({"id": "o", "typeId": "OS", "type": "Linux"})), CouldNotValidate, "[1].version");
    refused(second(json!({"id": "o", "typeId": "OS", "type": "Linux", "version": 5})), CouldNotValidate, "[1].version");
    refused(
        second(json!({"id": "m", "typeId": "MAC", "macAddresses": ["a", 1]})),
        CouldNotValidate,
        "[1].macAddresses[1]",
    );
    refused(second(json!({"id": "p", "typeId": "PROCESS", "isRunning": "yes"})), CouldNotValidate, "[1].isRunning");
    refused(second(json!("DOMAIN")), CouldNotValidate, "[1]");
    refused(single(&json!({"id": "d", "typeId": "DOMAIN"})), CouldNotValidate, "domain");
    refused(single(&json!([good])), CouldNotValidate, "body");
    refused(bulk(&good), CouldNotParseBody, "body");
    refused(bulk(&Value::from(vec![good.clone(); 4097])), CouldNotValidate, "body");
    refused(read_posture_response(b"", now()), CouldNotParseBody, "body");
}

#[test]
fn a_device_is_told_which_services_close_early() {
    let rule = MfaRule {
        timeout: Some(std::time::Duration::from_secs(5000)),
        prompt_on_wake: true,
        prompt_on_unlock: false,
        grace: GRACE,
        ignore_legacy_endpoints: false,
    };
    same_as("posture-response", posture_response_envelope(&[PromptedService::new("SVC", "svc", &rule)]));
    let nothing = serde_json::to_value(posture_response_envelope(&[])).unwrap();
    assert_eq!(nothing, json!({"data": {"services": []}, "meta": {}}));
}

proptest! {
    #[test]
    fn no_response_makes_a_reader_panic(text in "\\PC{0,60}", kind in "OS|DOMAIN|MAC|PROCESS|ENDPOINT_STATE|\\PC{0,4}") {
        let _ = read_posture_response(text.as_bytes(), now());
        let _ = read_posture_responses(text.as_bytes(), now());
        let _ = single(&json!({"id": text, "typeId": kind, "type": text, "version": text, "macAddresses": [text]}));
    }
}
