//! Posture checks: bodies, and how they are shown again.

use std::time::Duration;

use postern::dialect::openziti::{
    ApiError, ErrorCode, create_posture_check, patch_posture_check, posture_check, replace_posture_check,
};
use postern::id::CheckId;
use postern::policy::objects::PostureCheck;
use postern::posture::check::{Check, Predicate};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{now, same_as};
use crate::devices;

fn create(body: &Value) -> Result<PostureCheck, ApiError> {
    create_posture_check(body.to_string().as_bytes(), CheckId::from("id"), now())
}

fn shown(object: &PostureCheck) -> Value {
    serde_json::to_value(posture_check(object)).unwrap()
}

#[track_caller]
fn refused(body: Value, field: &str) -> String {
    let error = create(&body).unwrap_err();
    let cause = error.cause.unwrap();
    assert_eq!((error.code, cause.field.as_str()), (ErrorCode::CouldNotValidate, field), "{}", cause.reason);
    cause.reason
}

fn os(systems: Value) -> Value {
    json!({"typeId": "OS", "name": "os", "operatingSystems": systems})
}

#[test]
fn every_kind_is_shown_as_openziti_shows_it() {
    let bodies: Value = serde_json::from_str(include_str!("../../data/openziti/posture-check-bodies.json")).unwrap();
    let details: Vec<Value> = bodies.as_array().unwrap().iter().map(|body| shown(&create(body).unwrap())).collect();
    same_as("posture-check-details", details);
}

#[test]
fn a_body_without_a_known_type_cannot_be_parsed() {
    for body in
        [json!({"name": "n"}), json!({"typeId": "os", "name": "n"}), json!({"typeId": null}), json!({"typeId": 1})]
    {
        let error = create(&body).unwrap_err();
        assert_eq!(error.code, ErrorCode::CouldNotParseBody);
        assert_eq!(error.cause.unwrap().field, "typeId");
    }
    let error = create_posture_check(b"{", CheckId::from("id"), now()).unwrap_err();
    assert_eq!((error.code, error.code.status()), (ErrorCode::CouldNotParseBody, 400));
}

#[test]
fn common_fields_are_validated() {
    let mac = |member: &str, value: Value| {
        let mut body = json!({"typeId": "MAC", "name": "n", "macAddresses": ["aa"]});
        body[member] = value;
        body
    };
    refused(mac("name", Value::Null), "name");
    refused(mac("name", json!("")), "name");
    refused(mac("name", json!(5)), "name");
    refused(mac("roleAttributes", json!(["ok", "#no"])), "roleAttributes[1]");
    refused(mac("roleAttributes", json!(["@no"])), "roleAttributes[0]");
    refused(mac("roleAttributes", json!("no")), "roleAttributes");
    refused(mac("tags", json!({"a": {}})), "tags.a");
    refused(mac("maxAge", json!("soon")), "maxAge");
    refused(mac("maxAge", json!("0s")), "maxAge");
    refused(mac("maxAge", json!(900)), "maxAge");
    refused(mac("remediation", json!("r".repeat(2049))), "remediation");
    refused(mac("macAddresses", json!([])), "macAddresses");
    refused(mac("macAddresses", Value::Null), "macAddresses");
    refused(mac("macAddresses", json!(["aa", null])), "macAddresses[1]");

    let check = create(&mac("roleAttributes", Value::Null)).unwrap();
    assert_eq!(shown(&check)["roleAttributes"], json!([]));
    assert_eq!(shown(&create(&mac("unknown", json!(1))).unwrap()), shown(&check));
}

#[test]
fn fields_of_each_kind_are_validated() {
    refused(os(Value::Null), "operatingSystems");
    refused(os(json!([])), "operatingSystems");
    refused(os(json!([{"type": "windows", "versions": []}])), "operatingSystems[0].type");
    refused(os(json!([{"versions": []}])), "operatingSystems[0].type");
    refused(os(json!([{"type": "Linux", "versions": null}])), "operatingSystems[0].versions");
    let reason = refused(os(json!([{"type": "Linux", "versions": ["1.x", "1.0"]}])), "operatingSystems[0].versions[1]");
    assert_eq!(reason, "is not a version range: `1.0` is not a version of three numbers such as 1.2.3");
    refused(json!({"typeId": "DOMAIN", "name": "n"}), "domains");
    refused(json!({"typeId": "PROCESS", "name": "n"}), "process");
    refused(json!({"typeId": "PROCESS", "name": "n", "process": {"osType": "Linux"}}), "process.path");
    refused(json!({"typeId": "PROCESS", "name": "n", "process": {"osType": "BeOS", "path": "/"}}), "process.osType");
    let several = json!([{"osType": "Linux", "path": "/a"}]);
    refused(json!({"typeId": "PROCESS_MULTI", "name": "n", "processes": several}), "semantic");
    refused(json!({"typeId": "PROCESS_MULTI", "name": "n", "processes": several, "semantic": "OneOf"}), "semantic");
    refused(json!({"typeId": "PROCESS_MULTI", "name": "n", "processes": [1], "semantic": "AnyOf"}), "processes[0]");
    refused(json!({"typeId": "MFA", "name": "n", "timeoutSeconds": "60"}), "timeoutSeconds");
    refused(json!({"typeId": "MFA", "name": "n", "promptOnWake": 1}), "promptOnWake");
}

#[test]
fn of_duplicates_the_last_counts() {
    let check = create(&os(json!([
        {"type": "macOS", "versions": []}, {"type": "Linux", "versions": ["1.x"]}, {"type": "Linux", "versions": ["2.x"]}
    ])));
    let expected = json!([{"type": "Linux", "versions": ["2.x"]}, {"type": "macOS", "versions": []}]);
    assert_eq!(shown(&check.unwrap())["operatingSystems"], expected);
}

#[test]
fn a_timeout_that_is_not_positive_is_none() {
    for timeout in [json!(0), json!(-100), json!(-1), Value::Null] {
        let check = create(&json!({"typeId": "MFA", "name": "n", "timeoutSeconds": timeout})).unwrap();
        assert_eq!(shown(&check)["timeoutSeconds"], json!(-1));
    }
}

#[test]
fn put_replaces_what_openziti_knows_and_keeps_what_it_does_not() {
    let known = create(&json!({
        "typeId": "MFA", "name": "n", "roleAttributes": ["a"], "tags": {"t": 1}, "timeoutSeconds": 60,
        "promptOnWake": true, "maxAge": "1h", "remediation": "pass MFA", "promptGracePeriodSeconds": 10,
    }))
    .unwrap();
    let body = json!({"typeId": "MFA", "name": "m"}).to_string();
    let later = now().after(Duration::from_secs(60));
    let replaced = replace_posture_check(body.as_bytes(), &known, later).unwrap();
    assert_eq!(
        shown(&replaced),
        json!({
            "id": "id", "createdAt": "2026-01-05T10:00:00.000Z", "updatedAt": "2026-01-05T10:01:00.000Z", "tags": {},
            "_links": {"self": {"href": "./posture-checks/id"}}, "name": "m", "typeId": "MFA", "version": 1,
            "roleAttributes": [], "timeoutSeconds": -1,
            "maxAge": "1h", "remediation": "pass MFA", "promptGracePeriodSeconds": 10,
        })
    );
    let body = json!({"typeId": "MFA", "name": "m", "maxAge": null, "remediation": null}).to_string();
    let replaced = replace_posture_check(body.as_bytes(), &known, later).unwrap();
    assert_eq!((replaced.check.max_age, replaced.check.remediation.clone()), (None, None));
}

#[test]
fn patch_changes_only_what_it_names() {
    let known = create(&json!({
        "typeId": "PROCESS_MULTI", "name": "n", "roleAttributes": ["a"], "semantic": "AllOf", "maxAge": "1h",
        "processes": [{"osType": "Linux", "path": "/a"}],
    }))
    .unwrap();
    let patched = |body: Value| patch_posture_check(body.to_string().as_bytes(), &known, now());
    assert_eq!(patched(json!({"typeId": "PROCESS_MULTI"})).unwrap(), known);
    let changed =
        shown(&patched(json!({"typeId": "PROCESS_MULTI", "semantic": "AnyOf", "roleAttributes": null})).unwrap());
    assert_eq!((&changed["semantic"], &changed["roleAttributes"]), (&json!("AnyOf"), &json!([])));
    assert_eq!(changed["processes"], shown(&known)["processes"]);
    let error = patched(json!({"typeId": "PROCESS_MULTI", "processes": []})).unwrap_err();
    assert_eq!(error.cause.unwrap().field, "processes");
    let error = patched(json!({"typeId": "PROCESS_MULTI", "name": null})).unwrap_err();
    assert_eq!(error.cause.unwrap().field, "name");
}

// OpenZiti's command line sends operating systems with `Type` and `Versions`, as Go writes a structure; they used to be missing.
#[test]
fn members_are_read_in_any_letter_case_and_first_in_their_own() {
    let check = create(&os(json!([{"Type": "Linux", "VERSIONS": [">=6.1.0"]}]))).unwrap();
    assert_eq!(shown(&check)["operatingSystems"], json!([{"type": "Linux", "versions": [">=6.1.0"]}]));
    let check = create(&os(json!([{"Type": "macOS", "type": "Linux", "versions": []}]))).unwrap();
    assert_eq!(shown(&check)["operatingSystems"][0]["type"], "Linux");
    let reason = refused(os(json!([{"Type": "linux", "versions": []}])), "operatingSystems[0].type");
    assert!(reason.starts_with("must be one of"), "{reason}");
}

#[test]
fn patch_keeps_of_a_process_what_it_does_not_name() {
    let process = json!({"osType": "Linux", "path": "/a", "hashes": ["aa"], "signerFingerprint": "bb"});
    let known = create(&json!({"typeId": "PROCESS", "name": "n", "process": process})).unwrap();
    let patched = |process: Value| {
        let body = json!({"typeId": "PROCESS", "process": process}).to_string();
        shown(&patch_posture_check(body.as_bytes(), &known, now()).unwrap())["process"].clone()
    };
    assert_eq!(patched(json!({})), process);
    assert_eq!(patched(json!({"path": "/b"}))["hashes"], json!(["aa"]));
    assert_eq!(patched(json!({"hashes": null}))["hashes"], json!([]));
    assert_eq!(patched(json!({"signerFingerprint": ""})).get("signerFingerprint"), None);
    let body = json!({"typeId": "PROCESS", "name": "n", "process": {"path": "/b"}}).to_string();
    let error = replace_posture_check(body.as_bytes(), &known, now()).unwrap_err();
    assert_eq!(error.cause.unwrap().field, "process.osType");
}

#[test]
fn the_type_never_changes() {
    let known = create(&json!({"typeId": "DOMAIN", "name": "n", "domains": ["d"]})).unwrap();
    let body = json!({"typeId": "MAC", "name": "n", "macAddresses": ["aa"]}).to_string();
    for result in
        [patch_posture_check(body.as_bytes(), &known, now()), replace_posture_check(body.as_bytes(), &known, now())]
    {
        let error = result.unwrap_err();
        assert_eq!((error.code, error.cause.unwrap().field.as_str()), (ErrorCode::CouldNotValidate, "typeId"));
    }
}

/// Checks as OpenZiti's language can say them: in its order, without repetitions, in whole seconds.
fn sayable(mut check: Check) -> Check {
    match &mut check.predicate {
        Predicate::Os(rule) => {
            rule.systems.sort_by_key(|system| system.platform);
            rule.systems.dedup_by_key(|system| system.platform);
        }
        Predicate::Process(rule) => {
            rule.process.hashes.iter_mut().for_each(|hash| hash.make_ascii_lowercase());
            rule.process.signer_fingerprints.retain(|signer| !signer.is_empty());
            rule.process.signer_fingerprints.truncate(1);
            rule.process.signer_fingerprints.iter_mut().for_each(|signer| signer.make_ascii_lowercase());
        }
        Predicate::Processes(rule) => {
            let key = |process: &postern::posture::check::process::ProcessRequirement| {
                format!("{}-{}", process.platform.as_str(), process.path)
            };
            rule.processes.sort_by_key(key);
            rule.processes.dedup_by_key(|process| key(process));
        }
        Predicate::Mfa(rule) => {
            rule.timeout = rule.timeout.map(|timeout| Duration::from_secs(1 + timeout.as_millis() as u64));
            rule.grace = Duration::from_secs(rule.grace.as_millis() as u64);
        }
        _ => {}
    }
    check.max_age = check.max_age.filter(|age| !age.is_zero());
    check
}

fn is_empty_or_missing(check: &Check) -> bool {
    match &check.predicate {
        Predicate::Os(rule) => rule.systems.is_empty(),
        Predicate::Domain(rule) => rule.domains.is_empty(),
        Predicate::Mac(rule) => rule.addresses.is_empty(),
        Predicate::Processes(rule) => rule.processes.is_empty(),
        Predicate::Process(_) | Predicate::Mfa(_) => false,
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_as_the_same_check(check in devices::check(), remediation in proptest::option::of("\\PC{1,20}")) {
        let mut check = sayable(check);
        check.remediation = remediation.map(Into::into);
        prop_assume!(!is_empty_or_missing(&check));
        let object = PostureCheck { check: check.into(), role_attributes: vec!["a".into()], meta: crate::objects::meta(), as_written: None };
        let body = shown(&object).to_string();
        let read = create_posture_check(body.as_bytes(), object.check.id.clone(), now()).unwrap();
        prop_assert_eq!(&read.check, &object.check);
        prop_assert_eq!(&read.role_attributes, &object.role_attributes);
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in "\\PC{0,40}", kind in "OS|DOMAIN|MAC|PROCESS|PROCESS_MULTI|MFA", member in "\\PC{0,8}") {
        let _ = create_posture_check(body.as_bytes(), CheckId::from("id"), now());
        let _ = create(&json!({"typeId": kind, "name": body, "process": {"path": member}, "domains": [member]}));
    }
}
