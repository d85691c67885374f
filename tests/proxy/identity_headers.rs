//! What upstreams are told about the client, and that only the gate tells it.

use postern::proxy::{ForwardedCertificate, GateOptions};
use serde_json::{Value, json};

use super::support::Origin;
use super::wiki;

fn field(described: &Value, name: &str) -> Value {
    described["headers"][name].clone()
}

#[tokio::test]
async fn upstreams_are_told_who_asks_and_forgeries_are_gone() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for client in [gateway.client("alice"), gateway.http1_client("alice")] {
        let request = client
            .request("GET", "wiki.example.test", "/page?x=1")
            .header("x-forwarded-client-cert", "Hash=forged")
            .header("x_forwarded_client_cert", "Hash=forged")
            .header("x-postern-identity", "root")
            .header("x-postern-role", "admin")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-user", "root")
            .header("forwarded", "for=6.6.6.6")
            .header("x-real-ip", "6.6.6.6")
            .header("x-request-id", "mine")
            .header("x-harmless", "kept");
        let response = request.send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(response.headers().get_all("x-request-id").iter().count(), 1);
        assert_eq!(response.headers()["x-origin"], "yes");
        let seen: Value = response.json().await.unwrap();

        let certificate = seen["headers"]["x-forwarded-client-cert"][0].as_str().unwrap();
        let elements: Vec<_> = certificate.split(';').collect();
        assert!(elements[0].starts_with("Hash=") && elements[0].len() == "Hash=".len() + 64, "{certificate}");
        assert_eq!(elements[1], "Subject=\"CN=alice\"");
        assert_eq!(elements[2], "URI=spiffe://postern.test/alice");
        assert_eq!(elements[3], "DNS=alice.devices.postern.test");
        assert_eq!(field(&seen, "x-postern-identity"), json!(["alice"]));
        assert_eq!(field(&seen, "x-forwarded-for"), json!(["127.0.0.1"]));
        let host = format!("wiki.example.test:{}", gateway.address.port());
        assert_eq!(field(&seen, "x-forwarded-host"), json!([host]));
        assert_eq!(field(&seen, "x-forwarded-proto"), json!(["https"]));
        assert_eq!(field(&seen, "x-request-id"), json!([id]));
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert_eq!(field(&seen, "x-harmless"), json!(["kept"]));
        assert_eq!(seen["uri"], "/page?x=1");
        for gone in ["x_forwarded_client_cert", "x-postern-role", "x-forwarded-user", "forwarded", "x-real-ip"] {
            assert_eq!(field(&seen, gone), Value::Null, "{gone}");
        }
    }
}

#[tokio::test]
async fn connection_cannot_take_our_fields_away() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection
        .say(
            "GET / HTTP/1.1\r\nHost: wiki.example.test\r\nX-Hop: 1\r\n\
             Connection: X-Postern-Identity, x-forwarded-for, X-Forwarded-Client-Cert, x-hop, host\r\n\r\n",
        )
        .await;
    let answer = connection.answer().await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.head);
    let seen: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(field(&seen, "x-postern-identity"), json!(["alice"]));
    assert_eq!(field(&seen, "x-forwarded-for"), json!(["127.0.0.1"]));
    assert_eq!(field(&seen, "host"), json!(["wiki.example.test"]));
    assert!(field(&seen, "x-forwarded-client-cert").is_array());
    assert_eq!(field(&seen, "x-hop"), Value::Null);
    assert_eq!(field(&seen, "connection"), Value::Null);
}

#[tokio::test]
async fn a_trusted_proxy_in_front_may_say_more() {
    let origin = Origin::start().await;
    let options = GateOptions {
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        accept_request_ids: true,
        client_certificate: Some(ForwardedCertificate {
            by: Some("spiffe://postern.test/gate".to_owned()),
            cert: true,
            dns: false,
            ..ForwardedCertificate::default()
        }),
        ..GateOptions::default()
    };
    let gateway = wiki(&origin).options(options).start().await;
    let client = gateway.client("alice");
    let request = client
        .request("GET", "wiki.example.test", "/")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-host", "evil.example")
        .header("x-request-id", "trace-1");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "trace-1");
    let seen: Value = response.json().await.unwrap();
    assert_eq!(field(&seen, "x-forwarded-for"), json!(["203.0.113.9, 127.0.0.1"]));
    assert_eq!(field(&seen, "x-request-id"), json!(["trace-1"]));
    assert_ne!(field(&seen, "x-forwarded-host"), json!(["evil.example"]));
    let certificate = seen["headers"]["x-forwarded-client-cert"][0].as_str().unwrap();
    assert!(certificate.starts_with("By=spiffe://postern.test/gate;Hash="), "{certificate}");
    assert!(certificate.contains(";Cert=\"-----BEGIN%20CERTIFICATE-----%0A"), "{certificate}");
    assert!(!certificate.contains("DNS="), "{certificate}");
}

#[tokio::test]
async fn certificates_can_be_kept_from_upstreams() {
    let origin = Origin::start().await;
    let options = GateOptions { client_certificate: None, ..GateOptions::default() };
    let gateway = wiki(&origin).options(options).start().await;
    let client = gateway.client("alice");
    let request = client.request("GET", "wiki.example.test", "/").header("x-forwarded-client-cert", "Hash=forged");
    let seen: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(field(&seen, "x-forwarded-client-cert"), Value::Null);
    assert_eq!(field(&seen, "x-postern-identity"), json!(["alice"]));
}
