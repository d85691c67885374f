//! Who comes in at all, before any byte of HTTP.

use postern::tls::TrustSources;

use super::support::client::tls;
use super::support::policy::{Policy, identity, policy, service};
use super::support::{Authority, Gateway, Origin, RawConnection};
use super::{wiki, wiki_policy};

pub(super) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n";

/// What a connection gets that asks for the wiki: an answer or nothing.
pub(super) async fn answer(connection: std::io::Result<RawConnection>) -> String {
    match connection {
        Ok(connection) => {
            // The gateway may have closed already.
            let mut stream = connection.into_stream();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, REQUEST.as_bytes()).await;
            let mut all = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await;
            String::from_utf8_lossy(&all).into_owned()
        }
        Err(_) => String::new(),
    }
}

#[tokio::test]
async fn nobody_unknown_disabled_or_with_nothing_to_reach_gets_a_byte() {
    let origin = Origin::start().await;
    let mut disabled = identity("mallory");
    disabled.disabled = true;
    let gateway = Gateway::with(
        Policy::default()
            .identity(disabled)
            .identity(identity("idle"))
            .identity(identity("alice"))
            .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
            .policy(policy("readers", &["@alice"], &["@wiki"], &[]))
            .policy(policy("stored", &["@idle"], &["#none"], &[])),
    )
    .start()
    .await;
    for (name, reason) in [("mallory", "identity-disabled"), ("stranger", "unknown-identity"), ("idle", "no-policy")] {
        let certificate = gateway.certificate(name);
        let got = answer(gateway.connect_as(&certificate, "wiki.example.test").await).await;
        assert_eq!(got, "", "{name}");
        let counted = format!("postern_refused_connections_total{{reason=\"{reason}\"}} 1");
        assert!(gateway.metrics().contains(&counted), "{counted}");
    }
    assert_eq!(origin.requests(), 0);
    let idle = gateway.enforcer.device(&"idle".into()).unwrap();
    assert_eq!(idle.failures()[0].reason.code(), "no-policy");
    assert!(gateway.client("alice").get("wiki.example.test", "/").await.status().is_success());
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_none_at_all_does_not_get_in() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let elsewhere = Authority::new("Elsewhere");
    let foreign = elsewhere.client("alice");
    assert_eq!(answer(gateway.connect_as(&foreign, "wiki.example.test").await).await, "");

    let bare = tls(&gateway.authority, None);
    let connection = RawConnection::open(gateway.address, bare, "wiki.example.test", b"http/1.1").await;
    assert_eq!(answer(connection).await, "");
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn where_certificates_are_optional_those_without_one_are_still_refused() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).certificate_optional().start().await;
    let bare = tls(&gateway.authority, None);
    let connection = RawConnection::open(gateway.address, bare, "wiki.example.test", b"http/1.1").await;
    assert_eq!(answer(connection).await, "");
    assert!(gateway.metrics().contains("postern_refused_connections_total{reason=\"no-identity\"} 1"));
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_allowed_any_more_is_closed() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection.say(REQUEST).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);

    let mut disabled = wiki_policy(&origin);
    let mut alice = identity("alice");
    alice.disabled = true;
    disabled = disabled.identity(alice);
    gateway.publish(disabled);
    assert_eq!(connection.rest().await, "", "the connection is closed, though nothing was asked on it");

    gateway.publish(wiki_policy(&origin));
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection.say(REQUEST).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
    let elsewhere = Authority::new("Elsewhere");
    let sources = TrustSources { ca_files: vec![elsewhere.ca_file()], ..TrustSources::default() };
    gateway.trust.replace(sources, super::support::now()).unwrap();
    assert_eq!(connection.rest().await, "");
    let told = |reason: &str| format!("postern_ended_connections_total{{reason=\"{reason}\"}} 1");
    let metrics = gateway.metrics();
    assert!(metrics.contains(&told("identity-disabled")), "{metrics}");
    assert!(metrics.contains(&told("certificate-untrusted-ca")), "{metrics}");
}

#[tokio::test]
async fn live_connections_are_counted() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection.say(REQUEST).await;
    connection.answer().await.unwrap();
    assert!(gateway.metrics().contains("postern_live_connections 1"));
    connection.say("GET / HTTP/1.1\r\nHost: wiki.example.test\r\nConnection: close\r\n\r\n").await;
    connection.rest().await;
    gateway.stop();
    let enforcer = gateway.enforcer.clone();
    gateway.stopped().await;
    assert!(enforcer.metrics().render().unwrap().contains("postern_live_connections 0"));
}
