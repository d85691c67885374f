//! Devices report posture: what is taken, what is refused, and for whom it counts.

use std::sync::Arc;
use std::time::Duration;

use postern::api::{Bounds, Client as ClientApi};
use postern::config::Limits;
use postern::id::IdentityId;
use postern::limits;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::world::{Served, World};

const ONE: &str = "/edge/client/v1/posture-response";
const BULK: &str = "/edge/client/v1/posture-response-bulk";

fn domain(name: &str) -> Value {
    json!({"id": "domain-id", "typeId": "DOMAIN", "domain": name})
}

async fn post(http: &Client, api: &Served, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    let request = http.post(api.url(path)).header("content-type", "application/json").body(body);
    let reply = request.send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

/// The domain the gateway knows of an identity.
fn known_domain(world: &World, identity: &str) -> Option<String> {
    let device = world.enforcer.device(&IdentityId::from(identity))?;
    device.known().posture().domain.as_ref().map(|fact| fact.value.clone())
}

#[tokio::test]
async fn one_report_and_many_are_taken_in() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));

    let (status, reply) = post(&http, &api, ONE, domain("corp.example").to_string()).await;
    assert_eq!((status, reply), (StatusCode::CREATED, json!({"data": {"services": []}, "meta": {}})));
    assert_eq!(known_domain(&world, "laptop-id").as_deref(), Some("corp.example"));

    let bulk = json!([
        {"id": "os", "typeId": "OS", "type": "windows", "version": "10.0.26200"},
        {"id": "mac", "typeId": "MAC", "macAddresses": ["02-00-00-00-00-01"]},
        domain("second.example"),
    ]);
    let (status, reply) = post(&http, &api, BULK, bulk.to_string()).await;
    assert_eq!((status, reply), (StatusCode::CREATED, json!({"data": {"services": []}, "meta": {}})));
    let device = world.enforcer.device(&IdentityId::from("laptop-id")).unwrap();
    let posture = device.known().posture();
    assert_eq!(posture.os.unwrap().value.version, "10.0.26200");
    assert_eq!(posture.macs.unwrap().value, ["020000000001"]);
    assert_eq!(posture.domain.unwrap().value, "second.example");
    assert!(world.enforcer.metrics().render().unwrap().contains(r#"postern_posture_reports_total{result="stored"} 2"#));
}

#[tokio::test]
async fn a_device_reports_for_itself_only() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = world.http(&api, Some(&world.ca.client("laptop")));
    let phone = world.http(&api, Some(&world.ca.client("phone")));

    // Nothing in a request names another identity; claims to be one are passed over.
    let request = laptop
        .post(api.url(ONE))
        .header("x-postern-identity", "phone-id")
        .header("x-forwarded-client-cert", "URI=spiffe://postern.test/phone")
        .json(&json!({"id": "domain-id", "typeId": "DOMAIN", "domain": "corp.example", "identityId": "phone-id"}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(known_domain(&world, "laptop-id").as_deref(), Some("corp.example"));
    assert_eq!(known_domain(&world, "phone-id"), None);

    post(&phone, &api, ONE, domain("elsewhere.example").to_string()).await;
    assert_eq!(known_domain(&world, "laptop-id").as_deref(), Some("corp.example"));
    assert_eq!(known_domain(&world, "phone-id").as_deref(), Some("elsewhere.example"));

    for (http, name) in [(&laptop, "laptop"), (&phone, "phone")] {
        let reply = http.get(api.url("/edge/client/v1/current-identity")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.json::<Value>().await.unwrap()["data"]["name"], name);
    }
}

#[tokio::test]
async fn bad_reports_name_the_field_and_change_nothing() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    post(&http, &api, ONE, domain("corp.example").to_string()).await;

    let long = "x".repeat(limits::FACT_TEXT_BYTES_MAX + 1);
    for (path, body, code, field) in [
        (ONE, "{".to_owned(), "COULD_NOT_PARSE_BODY", "body"),
        (ONE, String::new(), "COULD_NOT_PARSE_BODY", "body"),
        (ONE, "[]".to_owned(), "COULD_NOT_VALIDATE", "body"),
        (BULK, "{}".to_owned(), "COULD_NOT_PARSE_BODY", "body"),
        (ONE, json!({"id": "a", "domain": "other.example"}).to_string(), "COULD_NOT_PARSE_BODY", "typeId"),
        (ONE, json!({"id": "a", "typeId": "PROCESS_MULTI"}).to_string(), "COULD_NOT_PARSE_BODY", "typeId"),
        (ONE, json!({"id": "a", "typeId": "MFA"}).to_string(), "COULD_NOT_PARSE_BODY", "typeId"),
        (ONE, json!({"id": "a", "typeId": "DOMAIN"}).to_string(), "COULD_NOT_VALIDATE", "domain"),
        (ONE, json!({"id": "a", "typeId": "OS", "type": 7, "version": "1"}).to_string(), "COULD_NOT_VALIDATE", "type"),
        (
            BULK,
            json!([domain("other.example"), {"id": "a", "typeId": "OS", "type": "Linux"}]).to_string(),
            "COULD_NOT_VALIDATE",
            "[1].version",
        ),
        (BULK, json!([domain("other.example"), domain(&long)]).to_string(), "COULD_NOT_VALIDATE", "[1]"),
    ] {
        let (status, reply) = post(&http, &api, path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:.80}");
        assert_eq!(reply["error"]["code"], code, "{body:.80}: {reply}");
        let named = reply["error"]["cause"]["field"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{body:.80}: {reply}");
    }
    assert_eq!(known_domain(&world, "laptop-id").as_deref(), Some("corp.example"));
    assert!(
        world.enforcer.metrics().render().unwrap().contains(r#"postern_posture_reports_total{result="invalid"} 11"#)
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_client_learns_it() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let padding = "x".repeat(limits::REPORT_BYTES_MAX);
    let declared = json!([domain("corp.example"), padding]).to_string();
    let (status, reply) = post(&http, &api, BULK, declared.clone()).await;
    assert_eq!((status, &reply["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &"REQUEST_ENTITY_TOO_LARGE".into()));
    let (status, _) = post(&http, &api, BULK, "x".repeat(limits::REPORT_BYTES_MAX * 20)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(known_domain(&world, "laptop-id"), None);

    let fits = domain(&"x".repeat(1000)).to_string() + &" ".repeat(limits::REPORT_BYTES_MAX - 1200);
    assert_eq!(post(&http, &api, ONE, fits).await.0, StatusCode::CREATED);
    let metrics = world.enforcer.metrics().render().unwrap();
    assert!(metrics.contains(r#"postern_posture_reports_total{result="too-large"} 2"#), "{metrics}");
}

#[tokio::test]
async fn only_json_is_read_and_only_what_the_user_meant() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let body = domain("corp.example").to_string();
    let as_type = |content_type: &str| http.post(api.url(ONE)).header("content-type", content_type).body(body.clone());
    for other in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let reply = as_type(other).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{other}");
    }
    let forged = as_type("application/json").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(known_domain(&world, "laptop-id"), None);
    let reply = as_type("application/json; charset=utf-8").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::in_force();
    let api = world.client_waiting(Duration::from_millis(100)).await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let (status, reply) = post(&http, &api, ONE, reqwest::Body::wrap(NeverComes)).await;
    assert_eq!((status, &reply["error"]["code"]), (StatusCode::REQUEST_TIMEOUT, &"REQUEST_TIMEOUT".into()));
    assert_eq!(known_domain(&world, "laptop-id"), None);
}

#[tokio::test]
async fn one_device_cannot_take_every_place_for_reports() {
    let world = World::in_force();
    let api = Arc::new(world.client_waiting(Duration::from_secs(1)).await);
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..=limits::API_REPORTS_PER_IDENTITY_MAX {
        let (http, api) = (http.clone(), Arc::clone(&api));
        slow.spawn(async move { post(&http, &api, ONE, reqwest::Body::wrap(NeverComes)).await.0 });
    }
    assert_eq!(slow.join_next().await.unwrap().unwrap(), StatusCode::TOO_MANY_REQUESTS);
    let phone = world.http(&api, Some(&world.ca.client("phone")));
    assert_eq!(post(&phone, &api, ONE, domain("corp.example").to_string()).await.0, StatusCode::CREATED);
    assert!(slow.join_all().await.iter().all(|status| *status == StatusCode::REQUEST_TIMEOUT));
}

/// A body that is announced and does not come.
struct NeverComes;

impl hyper::body::Body for NeverComes {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn strangers_disabled_and_revoked_devices_are_told_nothing_and_taken_nothing_from() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop_certificate = world.ca.client("laptop");
    let laptop = world.http(&api, Some(&laptop_certificate));
    for (name, reason) in [("stranger", "unknown-identity"), ("lost", "identity-disabled")] {
        let http = world.http(&api, Some(&world.ca.client(name)));
        let (status, reply) = post(&http, &api, ONE, domain("corp.example").to_string()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(reply["error"]["code"], "UNAUTHORIZED");
        assert_eq!(reply["error"]["cause"]["value"], reason);
        let reply = http.get(api.url("/edge/client/v1/current-identity")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
    world.http(&api, None).get(api.url("/edge/client/v1/version")).send().await.unwrap_err();

    assert_eq!(post(&laptop, &api, ONE, domain("corp.example").to_string()).await.0, StatusCode::CREATED);
    world.ca.revoke(&laptop_certificate);
    world.trust.reload(world.now()).unwrap();
    let (status, reply) = post(&laptop, &api, ONE, domain("other.example").to_string()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "asked again on the open connection");
    assert_eq!(reply["error"]["cause"]["value"], "certificate-revoked");
    assert_eq!(known_domain(&world, "laptop-id").as_deref(), Some("corp.example"));
}

#[tokio::test]
async fn before_a_policy_is_loaded_reports_are_put_off() {
    let world = World::new();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let (status, reply) = post(&http, &api, ONE, domain("corp.example").to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply["error"]["cause"]["value"], "no-policy-loaded");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_same_envelope() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let reply = http.get(api.url("/edge/client/v1/nowhere")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "NOT_FOUND");
    let reply = http.get(api.url(ONE)).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.headers()["allow"], "POST");
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn an_unknown_certificate_of_an_enrolling_ca_gets_an_identity() {
    let mut world = World::in_force();
    world.enrols = true;
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("newcomer")));
    assert_eq!(post(&http, &api, ONE, domain("corp.example").to_string()).await.0, StatusCode::CREATED);
    let reply: Value =
        http.get(api.url("/edge/client/v1/current-identity")).send().await.unwrap().json().await.unwrap();
    assert_eq!(reply["data"]["name"], "spiffe://postern.test/newcomer");
    assert_eq!(reply["data"]["roleAttributes"], json!(["staff"]));
    let id = reply["data"]["id"].as_str().unwrap();
    assert_eq!(known_domain(&world, id).as_deref(), Some("corp.example"));
}

#[tokio::test]
async fn operators_may_lower_the_bounds_of_a_report() {
    let world = World::in_force();
    let limits = Limits { report_bytes: 1024, report_observations: 2 };
    let router = ClientApi::new(Arc::clone(&world.enforcer), Arc::clone(&world.factors)).with_limits(&limits).router();
    let api = world.serve(router, world.security(true), Bounds::default()).await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let three = json!([domain("a.example"), domain("b.example"), domain("c.example")]).to_string();
    let (status, reply) = post(&http, &api, BULK, three).await;
    assert_eq!((status, &reply["error"]["cause"]["field"]), (StatusCode::BAD_REQUEST, &"body".into()));
    assert_eq!(post(&http, &api, ONE, domain(&"x".repeat(1024)).to_string()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let two = json!([domain("a.example"), domain("b.example")]).to_string();
    assert_eq!(post(&http, &api, BULK, two).await.0, StatusCode::CREATED);
}
