//! What a refused client gets, in each form it may ask for.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use postern::policy::service::Disclosure;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::Source;
use postern::posture::report::{Observation, Report, Seen};
use serde_json::{Value, json};

use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, Origin, RawConnection, now};
use super::wiki;

/// `alice` may reach the wiki from a device joined to the right domain.
async fn guarded(origin: &Origin, disclosure: Disclosure) -> Gateway {
    let mut wiki = service("wiki", "wiki.example.test", &[origin.upstream()]);
    wiki.disclosure = disclosure;
    let check = Check {
        id: "joined".into(),
        name: "Joined to the domain".into(),
        predicate: Predicate::Domain(DomainRule {
            domains: vec!["corp.example".to_owned()],
            matching: DomainMatching::Folded,
        }),
        applies_to: None,
        max_age: None,
        evidence: postern::posture::Evidence::Any,
        remediation: Some("Join corp.example <first>".into()),
    };
    let policies = Policy::default().identity(identity("alice")).service(wiki).check(check);
    Gateway::with(policies.policy(policy("readers", &["@alice"], &["@wiki"], &["@joined"]))).start().await
}

#[tokio::test]
async fn a_problem_document_says_why_and_what_to_do() {
    let origin = Origin::start().await;
    for (disclosure, check) in [
        (Disclosure::Reason, Value::Null),
        (
            Disclosure::Checks,
            json!([{
                "name": "Joined to the domain", "type": "domain", "reason": "not-reported",
                "remediation": "Join corp.example <first>",
            }]),
        ),
        (
            Disclosure::Values,
            json!([{
                "id": "joined", "name": "Joined to the domain", "type": "domain", "reason": "not-reported",
                "remediation": "Join corp.example <first>",
                "expected": { "domains": ["corp.example"] }, "actual": null,
            }]),
        ),
    ] {
        let gateway = guarded(&origin, disclosure).await;
        let response = gateway.client("alice").get("wiki.example.test", "/").await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["requestId"], id);
        assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
        assert_eq!(problem["reason"], "posture-failed");
        assert_eq!(problem["checks"], check);

        let failures = gateway.enforcer.device(&"alice".into()).unwrap().failures();
        assert_eq!(failures.len(), 1);
        assert_eq!(&*failures[0].request_id, id);
        assert_eq!(&*failures[0].service.as_ref().unwrap().name, "wiki");
        assert_eq!(failures[0].policies[0].checks[0].verdict.code(), "not-reported");
        assert_eq!(failures[0].source_address.as_ref().unwrap().split(':').next(), Some("127.0.0.1"));
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_browser_gets_a_page() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    let client = gateway.client("alice");
    let request = client.request("GET", "wiki.example.test", "/").header("accept", "text/html,*/*;q=0.8");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let page = response.text().await.unwrap();
    assert!(page.contains("Join corp.example &lt;first&gt;") && page.contains(&id), "{page}");
}

#[tokio::test]
async fn grpc_gets_a_status_that_ends_the_stream_at_once() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    let tls = super::support::client::tls(&gateway.authority, Some(&gateway.certificate("alice")));
    let connection = RawConnection::open(gateway.address, tls, "wiki.example.test", b"h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection.into_stream()).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("https://wiki.example.test/grpc/echo")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "7");
    assert!(response.headers()["grpc-message"].to_str().unwrap().contains("posture-failed"));
    assert!(response.headers().contains_key("x-request-id"));
    assert!(response.body().is_end_stream(), "the status must be in the frame that ends the stream");
    assert_eq!(response.into_body().trailers().await.unwrap(), None::<HeaderMap>);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn head_gets_the_head_only() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for client in [gateway.client("bob"), gateway.http1_client("bob")] {
        let response = client.request("HEAD", "wiki.example.test", "/").send().await.unwrap();
        assert_eq!(response.status(), 403);
        assert_ne!(response.headers()["content-length"], "0");
        assert_eq!(response.bytes().await.unwrap().len(), 0);
        // The connection is in order afterwards.
        assert!(client.get("files.example.test", "/").await.status().is_success());
    }
}

#[tokio::test]
async fn a_denied_connection_goes_on_to_what_is_allowed() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("bob", "localhost").await;
    connection.say("GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n").await;
    let denied = connection.answer().await.unwrap();
    assert_eq!((denied.status, denied.reason().as_str()), (403, "no-policy"));
    connection.say("GET / HTTP/1.1\r\nHost: files.example.test\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn the_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let large = vec![b'x'; 4 * 1024 * 1024];
    for client in [gateway.client("bob"), gateway.http1_client("bob")] {
        let request = client.request("POST", "wiki.example.test", "/body").body(large.clone());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 403);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["reason"], "no-policy");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_is_answered_at_once() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("bob", "wiki.example.test").await;
    connection
        .say("POST / HTTP/1.1\r\nHost: wiki.example.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let answer = tokio::time::timeout(Duration::from_secs(20), connection.answer()).await.unwrap().unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn posture_opens_and_closes_the_door() {
    let origin = Origin::start().await;
    let gateway = guarded(&origin, Disclosure::Checks).await;
    let client = gateway.client("alice");
    assert_eq!(client.get("wiki.example.test", "/").await.status(), 403);
    let device = gateway.enforcer.device(&"alice".into()).unwrap();
    for (domain, expected) in [("corp.example", 200), ("home", 403)] {
        let seen = Observation { asked_by: None, seen: Seen::Domain(domain.to_owned()) };
        let report = Report { received_at: now(), source: Source::Device, observations: vec![seen] };
        gateway.enforcer.report(&device, &report).await.unwrap();
        assert_eq!(client.get("wiki.example.test", "/").await.status(), expected, "{domain}");
    }
}
