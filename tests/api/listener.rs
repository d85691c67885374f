//! Connections: what every reply carries, what a slow, greedy or broken client gets, and how a listener ends.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use postern::api::{Bounds, Security};
use reqwest::{StatusCode, Version};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::world::{HOST, World};

/// Short enough to wait for, long enough for a busy machine.
const SOON: Duration = Duration::from_millis(200);

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// Reads until the server closes; a reset counts as the end.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn replies_carry_an_id_and_are_not_kept_or_framed() {
    let world = World::in_force();
    let ops = world.ops().await;
    let mut ids = Vec::new();
    for path in ["/livez", "/nowhere"] {
        let reply = reqwest::get(ops.plain_url(path)).await.unwrap();
        let headers = reply.headers();
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
        let id: uuid::Uuid = headers["x-request-id"].to_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let world = World::in_force();
    let served = world.serve(hello(), world.security(false), Bounds::default()).await;
    let client = world.http(&served, None);
    let reply = client.get(served.url("/")).send().await.unwrap();
    assert_eq!((reply.status(), reply.version()), (StatusCode::OK, Version::HTTP_2));

    let mut stream = tls(&world, &served, b"http/1.1").await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: api.postern.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let reply = rest(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("hello"), "{reply}");
}

async fn tls(world: &World, served: &crate::world::Served, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = postern::tls::client::client_config(&world.ca.ca_file(), None).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let socket = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_let_go() {
    let world = World::in_force();
    let hasty = Bounds { handshake_time: SOON, ..Bounds::default() };
    let bounds = Bounds { head_time: SOON, idle_time: SOON, drain_time: SOON, ..Bounds::default() };
    let hurried = world.serve(hello(), world.security(false), hasty).await;
    let secured = world.serve(hello(), world.security(false), bounds).await;
    let plain = world.serve(hello(), Security::Plain, bounds).await;

    let mut no_handshake = TcpStream::connect(hurried.address).await.unwrap();
    assert_eq!(rest(&mut no_handshake).await, "");
    assert!(world.enforcer.metrics().render().unwrap().contains(r#"{listener="test",result="timed-out"} 1"#));

    let mut half_a_head = TcpStream::connect(plain.address).await.unwrap();
    half_a_head.write_all(b"GET / HTTP/1.1\r\nHost: a").await.unwrap();
    assert!(!rest(&mut half_a_head).await.contains("hello"));

    let mut no_preface = tls(&world, &secured, b"h2").await;
    assert!(!rest(&mut no_preface).await.contains("hello"));

    let mut kept_open = TcpStream::connect(plain.address).await.unwrap();
    kept_open.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let reply = rest(&mut kept_open).await;
    assert!(reply.contains("hello"), "{reply}");
}

#[tokio::test]
async fn connections_past_the_bound_wait_their_turn() {
    let world = World::in_force();
    let bounds = Bounds { connections: 1, ..Bounds::default() };
    let served = world.serve(hello(), Security::Plain, bounds).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();

    let mut second = TcpStream::connect(served.address).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(SOON, second.read_u8()).await.is_err(), "the second was served beside the first");
    drop(first);
    assert!(rest(&mut second).await.contains("hello"));
}

#[tokio::test]
async fn a_request_in_flight_is_answered_when_the_listener_stops() {
    let world = World::in_force();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        Router::new().route(
            "/",
            get(|| async move {
                begun.notify_one();
                go_on.notified().await;
                "finished"
            }),
        )
    };
    let mut served = world.serve(router, Security::Plain, Bounds::default()).await;
    let request = tokio::spawn(reqwest::get(served.plain_url("/")));
    begun.notified().await;
    served.stop.cancel();
    go_on.notify_one();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "finished");
    (&mut served.task).await.unwrap();
    TcpStream::connect(served.address).await.unwrap_err();
}

#[tokio::test]
async fn a_stopped_listener_does_not_wait_for_ever() {
    let world = World::in_force();
    let begun = Arc::new(Notify::new());
    let router = {
        let begun = Arc::clone(&begun);
        Router::new().route(
            "/",
            get(|| async move {
                begun.notify_one();
                pending::<Infallible>().await;
            }),
        )
    };
    let bounds = Bounds { drain_time: SOON, ..Bounds::default() };
    let mut served = world.serve(router, Security::Plain, bounds).await;
    let request = tokio::spawn(reqwest::get(served.plain_url("/")));
    begun.notified().await;
    served.stop.cancel();
    (&mut served.task).await.unwrap();
    request.await.unwrap().unwrap_err();
}
