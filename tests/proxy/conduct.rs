//! Bounds on what a client may take once it is through the handshake.

use std::time::Duration;

use postern::clock::Stopwatch;
use postern::config::FrontDoor;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::support::{Gateway, Origin, RawConnection, client};
use super::wiki;

const GET: &str = "GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n";
const SOON: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);

fn refused(gateway: &Gateway, reason: &str) -> bool {
    gateway.metrics().contains(&format!("postern_refused_connections_total{{reason=\"{reason}\"}}"))
}

#[tokio::test]
async fn a_connection_without_a_whole_request_is_closed() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { head_time: SOON, ..FrontDoor::default() }).start().await;
    for beginning in ["", "GET / HTTP/1.1\r\nHost: wiki.exa"] {
        let mut slow = gateway.connect("alice", "wiki.example.test").await;
        slow.say(beginning).await;
        assert_eq!(slow.rest().await, "");
    }
    assert!(refused(&gateway, "no-request-in-time"));
    // Who has asked is waited for as long as the answer takes.
    let client = gateway.client("alice");
    let held = tokio::spawn(async move { client.get("wiki.example.test", "/held").await.text().await.unwrap() });
    origin.arrived().await;
    let mut slow = gateway.connect("bob", "files.example.test").await;
    assert_eq!(slow.rest().await, "", "so long at least");
    origin.release();
    assert_eq!(held.await.unwrap(), "released");
}

#[tokio::test]
async fn an_identity_has_so_many_connections() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { connections_per_identity: 1, ..FrontDoor::default() };
    let gateway = wiki(&origin).bounds(bounds).start().await;
    let mut first = gateway.connect("alice", "wiki.example.test").await;
    first.say(GET).await;
    assert_eq!(first.answer().await.unwrap().status, 200);
    let mut second = gateway.connect("alice", "wiki.example.test").await;
    assert!(second.answer().await.is_none());
    assert!(refused(&gateway, "too-many-connections"));
    let device = gateway.enforcer.device(&"alice".into()).unwrap();
    assert_eq!(device.failures()[0].reason.code(), "too-many-connections");
    assert_eq!(gateway.client("bob").get("files.example.test", "/").await.status(), 200, "others have their own");
    first.say(GET).await;
    assert_eq!(first.answer().await.unwrap().status, 200, "who is in stays in");
}

/// Requests that are reset as soon as they are made cost their client nothing and the upstream everything.
#[tokio::test]
async fn a_client_that_resets_too_much_loses_its_connection() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { resets: 5, ..FrontDoor::default() }).start().await;
    let client = gateway.client("alice");
    while !refused(&gateway, "reset-flood") {
        let before = origin.requests();
        let flooding = tokio::spawn(client.request("GET", "wiki.example.test", "/never").send());
        while origin.requests() == before && !flooding.is_finished() {
            tokio::task::yield_now().await;
        }
        flooding.abort();
        let _ = flooding.await;
    }
    // A new connection is a new chance.
    assert_eq!(gateway.client("alice").get("wiki.example.test", "/").await.status(), 200);
}

// Everything the gate answers itself used to count as given up by its client, so that a few refusals closed the connection of whoever
// had waited for each of them.
#[tokio::test]
async fn who_waits_for_refusals_gives_nothing_up() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { resets: 5, ..FrontDoor::default() }).start().await;
    let client = gateway.client("bob");
    for _ in 0..20 {
        let response = client.get("wiki.example.test", "/").await;
        assert_eq!((response.version(), response.status().as_u16()), (reqwest::Version::HTTP_2, 403));
    }
    assert!(!refused(&gateway, "reset-flood"));
}

#[tokio::test]
async fn a_connection_without_a_request_is_kept_for_so_long() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { idle_time: Duration::from_secs(1), ..FrontDoor::default() };
    let gateway = wiki(&origin).bounds(bounds).start().await;
    let mut kept = gateway.connect("alice", "wiki.example.test").await;
    let (mut client, connection) = http2(&gateway).await;
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        kept.say(GET).await;
        assert_eq!(kept.answer().await.unwrap().status, 200);
        let request = http::Request::get("https://wiki.example.test/").body(()).unwrap();
        client = client.ready().await.unwrap();
        assert_eq!(client.send_request(request, true).unwrap().0.await.unwrap().status(), 200);
    }
    let began = Stopwatch::start();
    assert_eq!(kept.rest().await, "", "closed");
    // In order or not: Pingora says no farewell of TLS.
    let _ = timeout(PATIENCE, connection).await.expect("it ends as well").unwrap();
    assert!(began.elapsed() > Duration::from_millis(500), "not at once: {:?}", began.elapsed());
    assert!(began.elapsed() < FrontDoor::default().idle_time);
}

#[tokio::test]
async fn an_http2_connection_has_so_many_requests_in_progress() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { streams_per_connection: 2, ..FrontDoor::default() };
    let gateway = wiki(&origin).bounds(bounds).start().await;
    let (mut client, connection) = http2(&gateway).await;
    let connection = tokio::spawn(connection);
    let request = |path: &str| http::Request::get(format!("https://wiki.example.test{path}")).body(()).unwrap();
    // With its first answer the client has heard how many it may have.
    client = client.ready().await.unwrap();
    assert_eq!(client.send_request(request("/"), true).unwrap().0.await.unwrap().status(), 200);
    assert_eq!(client.current_max_send_streams(), 2);
    let mut held = Vec::new();
    for _ in 0..2 {
        client = client.ready().await.unwrap();
        held.push(client.send_request(request("/held"), true).unwrap().0);
        origin.arrived().await;
    }
    // A third is not sent before one of them is answered.
    client = client.ready().await.unwrap();
    let third = client.send_request(request("/third"), true).unwrap().0;
    assert_eq!(origin.requests(), 3);
    origin.release();
    assert_eq!(third.await.unwrap().status(), 200);
    origin.release();
    for held in held {
        assert_eq!(held.await.unwrap().status(), 200);
    }
    connection.abort();
}

type Http2 = h2::client::Connection<TlsStream<TcpStream>>;

/// A connection of `alice` in HTTP/2.
async fn http2(gateway: &Gateway) -> (h2::client::SendRequest<bytes::Bytes>, Http2) {
    let tls = client::tls(&gateway.authority, Some(&gateway.certificate("alice")));
    let connection = RawConnection::open(gateway.address, tls, "wiki.example.test", b"h2").await.unwrap();
    h2::client::handshake(connection.into_stream()).await.unwrap()
}
