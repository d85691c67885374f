//! What the management API shows: posture data, failures, objects, envelopes.

use postern::decision::{DenialReason, FailedCheck, FailedPolicy, FailedService, FailedVerdict, Failure};
use postern::dialect::openziti::{
    Activity, ApiError, ErrorCode, ErrorEnvelope, FieldError, Paging, PostureQueries, RoleNames, create_posture_check,
    created, detail, empty, failed_service_request, identity, list, posture_data, posture_query, service,
    service_policy,
};
use postern::id::{CheckId, IdentityId};
use postern::policy::expression::Expression;
use postern::policy::objects::{Identity, Objects, PostureCheck};
use postern::policy::roles::{Role, Semantic};
use postern::posture::Posture;
use postern::posture::check::{Check, Predicate};
use postern::posture::outcome::Outcome;
use serde_json::{Value, json};

use super::{now, same_as};
use crate::objects;

/// A device that reported something of everything, most of it wrong.
fn posture() -> Posture {
    let fact = |check: &str, value: Value| json!({"value": value, "observedAt": "2026-01-05T09:00:00Z", "source": "device", "askedBy": check});
    serde_json::from_value(json!({
        "os": fact("OS", json!({"name": "Windows", "version": "6.0.18364", "build": "19044"})),
        "domain": fact("DOMAIN", json!("wrong.com")),
        "macs": fact("MAC", json!(["aabbccddeeff"])),
        "processes": [
            fact("PROCESS", json!({"path": "C:\\t.exe", "running": true, "hash": "12", "signerFingerprints": ["834f"]})),
            fact("PROCESS_MULTI", json!({"path": "/p", "running": false, "hash": "", "signerFingerprints": []})),
        ],
        "endpoint": {"wokenAt": "2026-01-05T09:50:00Z", "unlockedAt": null},
        "mfa": {"passedAt": "2026-01-05T08:00:00Z"},
        "sdk": {"type": "ziti-sdk-c", "version": "1.0.0", "appId": "app"},
    }))
    .unwrap()
}

/// One check of each kind; its id is its type.
fn checks() -> Vec<PostureCheck> {
    let bodies: Value = serde_json::from_str(include_str!("../../data/openziti/posture-check-bodies.json")).unwrap();
    let create = |body: &Value| {
        let id = CheckId::from(body["typeId"].as_str().unwrap());
        create_posture_check(body.to_string().as_bytes(), id, now()).unwrap()
    };
    bodies.as_array().unwrap().iter().map(create).collect()
}

/// The failure of a request that all checks stood in the way of.
fn failure(posture: &Posture) -> Failure {
    let mut failed: Vec<FailedCheck> = checks()
        .into_iter()
        .map(|object| {
            let outcome = object.check.assess(posture, now()).outcome;
            assert_ne!(outcome, Outcome::Pass, "{}", object.check.name);
            FailedCheck {
                verdict: FailedVerdict::of(outcome),
                observed: object.check.observe(posture, now()),
                observed_at: object.check.observed_at(posture),
                check: object.check,
            }
        })
        .collect();
    let missing = Check {
        id: CheckId::from("gone"),
        name: "gone".into(),
        predicate: Predicate::Missing,
        applies_to: None,
        max_age: None,
        evidence: postern::posture::Evidence::Any,
        remediation: None,
    };
    failed.push(FailedCheck {
        verdict: FailedVerdict::of(missing.assess(posture, now()).outcome),
        observed: missing.observe(posture, now()),
        observed_at: None,
        check: missing.into(),
    });
    Failure {
        when: now(),
        request_id: "req-1".into(),
        connection_id: "conn-1".into(),
        identity: IdentityId::from("alice"),
        service: Some(FailedService { id: "svc".into(), name: "the service".into() }),
        reason: DenialReason::PostureFailed,
        policies: vec![FailedPolicy { id: "pol".into(), name: "the policy".into(), checks: failed }],
        lock: None,
        source_address: Some("192.0.2.1".into()),
        generation: 7,
    }
}

#[test]
fn posture_data_of_a_device_that_reported() {
    same_as("posture-data", detail(posture_data(&posture(), "conn-1")));
}

#[test]
fn posture_data_of_a_device_that_never_did() {
    same_as("posture-data-empty", detail(posture_data(&Posture::default(), "conn-1")));
}

#[test]
fn a_failure_with_values_of_every_kind() {
    same_as("failed-service-request", failed_service_request(&failure(&posture())));
}

#[test]
fn a_failure_of_a_device_that_never_reported() {
    same_as("failed-service-request-empty", failed_service_request(&failure(&Posture::default())));
}

#[test]
fn a_failure_before_any_service_was_found() {
    let failure = Failure {
        service: None,
        policies: vec![],
        lock: None,
        reason: DenialReason::UnknownService,
        source_address: None,
        ..failure(&Posture::default())
    };
    let shown = serde_json::to_value(failed_service_request(&failure)).unwrap();
    assert_eq!((&shown["serviceId"], &shown["serviceName"]), (&json!(""), &json!("")));
    assert_eq!(shown["policyFailures"], json!([]));
    assert_eq!(shown["reasonCode"], json!("unknown-service"));
    assert_eq!(shown.get("sourceAddress"), None);
}

#[test]
fn a_list_of_identities() {
    let mut alice = objects::identity("alice", "Alice", &["staff".into()]);
    alice.subjects = vec!["spiffe://example/alice".parse().unwrap()];
    let both = [alice.clone(), alice.clone()];
    let page = Paging::parse(Some("1"), None, Paging::default()).unwrap().page(both.iter()).map(identity);
    same_as("identities", list::<Identity, _>(page));

    let posture = posture();
    let active =
        identity(&alice).with_activity(Activity { connected: true, mfa_enabled: true, posture: Some(&posture) });
    let shown = serde_json::to_value(active).unwrap();
    assert_eq!(shown["edgeRouterConnectionStatus"], json!("online"));
    assert_eq!(shown["envInfo"], json!({"os": "Windows", "osVersion": "6.0.18364"}));
    assert_eq!(shown["sdkInfo"], json!({"appId": "app", "type": "ziti-sdk-c", "version": "1.0.0"}));
}

#[test]
fn a_service() {
    let mut wiki = objects::service("wiki", "Wiki", &["web".into()]);
    wiki.matching.hosts = vec!["wiki.example".into()];
    same_as("service", detail(service(&wiki)));
}

#[test]
fn a_service_policy_with_names_beside_ids() {
    let mut world = objects::World::default();
    world.add_identity(objects::identity("i-1", "alice", &[]));
    world.add_service(objects::service("s-1", "wiki", &[]));
    world.add_check(objects::check("c-1", "joined", &[]));
    let mut policy = objects::policy(
        "pol",
        Semantic::AnyOf,
        vec![Role::Attribute("staff".into()), Role::Entity("alice".into())],
        vec![Role::Entity("s-1".into()), Role::Entity("gone".into())],
        vec![Role::Entity("joined".into())],
    );
    policy.expression = Some(Expression::Not(Box::new(Expression::Check("joined".into()))));
    let names = RoleNames::of(&world.objects);
    same_as("service-policy", detail(service_policy(&policy, &names)));

    policy.expression = None;
    policy.identity_roles = vec![Role::All];
    let nothing = Objects::default();
    let shown = serde_json::to_value(service_policy(&policy, &RoleNames::of(&nothing))).unwrap();
    assert_eq!(shown["identityRolesDisplay"], json!([{"role": "#all", "name": "#all"}]));
    assert_eq!(shown["postureCheckRoles"], json!(["@joined"]));
    assert_eq!(shown.get("postureExpression"), None);
}

#[test]
fn posture_queries_ask_without_telling_what_would_pass() {
    let checks = checks();
    let posture = posture();
    let policy = objects::policy("pol", Semantic::AnyOf, vec![], vec![], vec![]);
    let queries = checks.iter().map(|check| posture_query(check, &posture, now())).collect();
    let shown = serde_json::to_value(PostureQueries::new(&policy, false, queries)).unwrap();
    for secret in ["3af3", "834f00", "right.com", "14b22ce5f061", "10.0.18364"] {
        assert!(!shown.to_string().contains(secret), "{secret}");
    }
    same_as("posture-queries", shown);
}

#[test]
fn the_shape_of_the_other_envelopes() {
    assert_eq!(serde_json::to_value(empty()).unwrap(), json!({"data": {}, "meta": {}}));
    let expected = json!({"data": {"_links": {"self": {"href": "./posture-checks/x"}}, "id": "x"}, "meta": {}});
    assert_eq!(serde_json::to_value(created("posture-checks", "x")).unwrap(), expected);

    let cause = FieldError::new("name", "is required", &Value::Null);
    let error = ApiError::invalid(cause);
    same_as("error", ErrorEnvelope::new(&error, "req-1"));
    let plain = ApiError::from(ErrorCode::NotFound);
    let shown = serde_json::to_value(ErrorEnvelope::new(&plain, "req-1")).unwrap();
    assert_eq!(shown["error"].get("cause"), None);
    assert_eq!((plain.code.status(), plain.code.code()), (404, "NOT_FOUND"));
}

#[test]
fn long_values_are_shortened_in_errors() {
    let error = FieldError::new("name", "is too long", &Value::from("é".repeat(500)));
    assert_eq!(error.value.chars().count(), 201);
}
