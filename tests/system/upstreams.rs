//! Servers behind the gateway that speak TLS, are not there, or come back.

use serde_json::Value;

use super::admin::Admin;
use super::client::Client;
use super::process::Mark;
use super::support::origin::nobody;
use super::support::{Authority, Origin};
use super::world::{World, policy};

const FILES: &str = "files.example.test";

/// The policy with this written into the service `files`, in place of its upstream.
fn with_files(service: &str) -> String {
    let text = policy("127.0.0.1:1");
    let files = "hosts: [files.example.test], upstreams: [\"127.0.0.1:1\"]";
    assert!(text.contains(files));
    text.replace(files, &format!("hosts: [files.example.test], {service}"))
}

#[tokio::test]
async fn a_server_with_tls_is_reached_when_its_certificate_is_believed_and_not_otherwise() {
    let authority = Authority::new("Origin CA");
    let origin = Origin::with_tls(&authority.server("origin", &["origin.postern.test"])).await;
    let believed = |ca: &Authority| {
        let (upstream, ca) = (origin.upstream(), ca.ca_file());
        with_files(&format!(
            "upstreams: [\"{upstream}\"], upstream: {{ tls: {{ server_name: origin.postern.test, ca_file: \"{}\" }} }}",
            ca.display()
        ))
    };
    let world = World::new(&believed(&authority));
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let client = Client::http2(&gateway, &world.authority, &alice);
    let seen = client.described(FILES, "/").await;
    assert_eq!((&seen["origin"], &seen["version"]), (&"tls".into(), &"HTTP/2.0".into()));

    let generation = gateway.event(Mark::start(), |event| event["message"] == "policy loaded").await;
    world.write("policy/objects.yaml", &believed(&Authority::new("Somebody else")));
    let newer = |event: &Value| event["generation"].as_u64() > generation["generation"].as_u64();
    gateway.event(Mark::start(), |event| event["message"] == "policy loaded" && newer(event)).await;
    let response = Client::http1(&gateway, &world.authority, &alice).get(FILES, "/").await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.json::<Value>().await.unwrap()["reason"], "upstream-tls-failed");
    assert_eq!(origin.requests(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_answered_for_with_the_request_id() {
    let nobody = nobody().await;
    let unhealthy =
        format!("upstreams: [\"{nobody}\"], upstream: {{ health_check: {{ path: /healthz, interval: 1s }} }}");
    for (service, status, reason) in [
        (format!("upstreams: [\"{nobody}\"]"), 502, "upstream-unreachable"),
        (format!("upstreams: [\"{nobody}\"], upstream: {{ protocol: http2 }}"), 502, "upstream-unreachable"),
        ("upstreams: []".to_owned(), 503, "no-upstream"),
        (unhealthy, 503, "no-healthy-upstream"),
    ] {
        let world = World::new(&with_files(&service));
        let gateway = world.start().await;
        let client = Client::http2(&gateway, &world.authority, &world.certificate("alice"));
        let answer = loop {
            let response = client.get(FILES, "/").await;
            // A server is found to be unhealthy by asking it, which may still be under way.
            if response.status() == status || reason != "no-healthy-upstream" {
                break response;
            }
        };
        assert_eq!(answer.status(), status, "{service}");
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((&problem["reason"], &problem["requestId"]), (&reason.into(), &id.as_str().into()), "{service}");
        let line = gateway.event(Mark::start(), |event| event["request_id"] == id.as_str()).await;
        assert_eq!((&line["decision"], &line["status"]), (&"allow".into(), &status.into()), "{line}");
        let admin = Admin::new(&gateway, &world.authority);
        assert!(admin.failures("alice").await.is_empty(), "nothing was denied");
        assert_eq!(admin.readiness().await.0, 200);
    }
}

#[tokio::test]
async fn requests_go_to_the_server_that_is_there() {
    let origin = Origin::start().await;
    let nobody = nobody().await;
    let world = World::new(&with_files(&format!("upstreams: [\"{nobody}\", \"{}\"]", origin.upstream())));
    let gateway = world.start().await;
    let client = Client::http1(&gateway, &world.authority, &world.certificate("alice"));
    for _ in 0..6 {
        assert_eq!(client.status(FILES, "/").await, 200);
    }
    assert_eq!(origin.requests(), 6);
}
