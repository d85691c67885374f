//! Clients without a certificate, where the listener lets them come.

use postern::config::{ClientAuth, ClientAuthMode};
use postern::policy::objects::ServicePolicy;
use postern::proxy::GateOptions;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::origin::{RawOrigin, echoing};
use super::support::policy::{Policy, identity, policy, service, tcp_service};
use super::support::{Gateway, Origin, RawConnection, client};

/// `wiki` is for `alice`, `files` for everybody.
async fn gateway(origin: &Origin, client_auth: ClientAuth) -> Gateway {
    let everybody = ServicePolicy { anonymous: true, ..policy("everybody", &["#all"], &["@files"], &[]) };
    let rules = Policy::default()
        .identity(identity("alice"))
        .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
        .service(service("files", "files.example.test", &[origin.upstream()]))
        .policy(policy("readers", &["@alice"], &["@wiki"], &[]))
        .policy(everybody);
    let options = GateOptions { client_auth, ..GateOptions::default() };
    Gateway::with(rules).options(options).certificate_optional().start().await
}

fn optional() -> ClientAuth {
    ClientAuth { otherwise: ClientAuthMode::Optional, by_name: vec![] }
}

async fn connect(gateway: &Gateway, server_name: &str) -> RawConnection {
    let tls = client::tls(&gateway.authority, None);
    RawConnection::open(gateway.address, tls, server_name, b"http/1.1").await.unwrap()
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Postern-Identity: alice\r\n\r\n")
}

#[tokio::test]
async fn without_a_certificate_only_what_is_for_everybody_is_open() {
    let origin = Origin::start().await;
    let gateway = gateway(&origin, optional()).await;
    let mut nobody = connect(&gateway, "localhost").await;
    nobody.say(&get("files.example.test")).await;
    let answer = nobody.answer().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"x-postern-identity\":[\"anonymous\"]"), "{}", answer.body);
    assert!(!answer.body.contains("x-forwarded-client-cert"), "{}", answer.body);
    nobody.say(&get("wiki.example.test")).await;
    let refused = nobody.answer().await.unwrap();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "certificate-required"));
    // The connection goes on: what is for everybody is still open.
    nobody.say(&get("files.example.test")).await;
    assert_eq!(nobody.answer().await.unwrap().status, 200);

    let device = gateway.enforcer.device(&"anonymous".into()).unwrap();
    assert_eq!(device.failures().len(), 1);
    let alice = gateway.http1_client("alice");
    assert_eq!(alice.get("wiki.example.test", "/").await.status(), 200);
    assert_eq!(alice.get("files.example.test", "/").await.status(), 200);
}

#[tokio::test]
async fn a_name_may_ask_for_a_certificate_where_others_do_not() {
    let origin = Origin::start().await;
    let by_name = vec![("files.example.test".to_owned(), ClientAuthMode::Optional)];
    let gateway = gateway(&origin, ClientAuth { otherwise: ClientAuthMode::Require, by_name }).await;
    let mut nobody = connect(&gateway, "files.example.test").await;
    nobody.say(&get("files.example.test")).await;
    assert_eq!(nobody.answer().await.unwrap().status, 200);
    let mut elsewhere = connect(&gateway, "wiki.example.test").await;
    elsewhere.say(&get("files.example.test")).await;
    assert!(elsewhere.answer().await.is_none(), "closed before any byte of HTTP");
    assert!(gateway.metrics().contains("postern_refused_connections_total{reason=\"no-identity\"} 1"));
}

#[tokio::test]
async fn a_bad_certificate_is_not_the_same_as_none() {
    let origin = Origin::start().await;
    let gateway = gateway(&origin, optional()).await;
    let alice = gateway.certificate("alice");
    gateway.authority.revoke(&alice);
    gateway.trust.reload(super::support::now()).unwrap();
    if let Ok(mut revoked) = gateway.connect_as(&alice, "files.example.test").await {
        revoked.say(&get("files.example.test")).await;
        assert!(revoked.answer().await.is_none());
    }
}

#[tokio::test]
async fn where_nothing_is_for_everybody_nobody_comes_in() {
    let origin = Origin::start().await;
    let gateway = gateway(&origin, optional()).await;
    gateway.publish(
        Policy::default()
            .identity(identity("alice"))
            .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
            .policy(policy("readers", &["#all"], &["@wiki"], &[])),
    );
    let mut nobody = connect(&gateway, "wiki.example.test").await;
    nobody.say(&get("wiki.example.test")).await;
    assert!(nobody.answer().await.is_none());
    assert!(gateway.metrics().contains("postern_refused_connections_total{reason=\"certificate-required\"} 1"));
}

/// `open` is a TCP service for everybody while it `is_open`, and `vault` one for `alice`.
fn databases(open: &RawOrigin, vault: &RawOrigin, is_open: bool) -> Policy {
    let to_open = policy("everybody", &["#all"], &["@open"], &[]);
    Policy::default()
        .identity(identity("alice"))
        .service(tcp_service("open", "open.example.test", &[open.address.to_string()]))
        .service(tcp_service("vault", "vault.example.test", &[vault.address.to_string()]))
        .policy(ServicePolicy { anonymous: is_open, ..to_open })
        .policy(policy("owner", &["@alice"], &["@vault"], &[]))
}

// A policy that was no longer for everybody used to count as the same as before, so that whoever had come by it stayed.
#[tokio::test]
async fn a_tcp_service_for_everybody_takes_who_has_no_certificate_for_as_long_as_it_is() {
    let (open, vault) = (echoing().await, echoing().await);
    let options = GateOptions { client_auth: optional(), ..GateOptions::default() };
    let gateway = Gateway::with(databases(&open, &vault, true)).options(options).certificate_optional().start().await;
    let mut nobody = connect(&gateway, "open.example.test").await.into_stream();
    let mut alice = gateway.connect("alice", "open.example.test").await.into_stream();
    for stream in [&mut nobody, &mut alice] {
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
    }
    let sessions = gateway.enforcer.sessions();
    let who: Vec<_> = sessions.iter().map(|session| (session.identity().as_str(), session.protocol().code())).collect();
    assert_eq!(who, [("anonymous", "tcp"), ("alice", "tcp")]);

    let mut elsewhere = connect(&gateway, "vault.example.test").await.into_stream();
    let mut heard = Vec::new();
    let _ = elsewhere.read_to_end(&mut heard).await;
    assert_eq!((heard.len(), vault.connections()), (0, 0), "the service hears nothing of it");
    let device = gateway.enforcer.device(&"anonymous".into()).unwrap();
    assert_eq!(device.failures()[0].reason.code(), "certificate-required");

    gateway.publish(databases(&open, &vault, false));
    let _ = nobody.read_to_end(&mut heard).await;
    assert_eq!(heard.len(), 0, "the connection is ended");
    let reasons: Vec<_> = device.failures().iter().map(|failure| failure.reason.code()).collect();
    assert_eq!(reasons, ["certificate-required"; 2]);
    alice.write_all(b"still").await.unwrap();
    let mut back = [0; 5];
    alice.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"still", "who is known is not disturbed");
}
