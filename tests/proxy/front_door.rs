//! Bounds on what a stranger, and an address, may take of the listener.

use std::sync::Arc;
use std::time::Duration;

use postern::config::FrontDoor;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::support::{Gateway, Origin, client};
use super::wiki;

const GET: &str = "GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n";

async fn bounded(origin: &Origin, bounds: FrontDoor) -> Gateway {
    wiki(origin).bounds(bounds).start().await
}

fn refused(gateway: &Gateway, reason: &str) -> bool {
    let series = format!("postern_refused_connections_total{{reason=\"{reason}\"}} ");
    gateway.metrics().lines().any(|line| line.strip_prefix(&series).is_some_and(|count| count != "0"))
}

/// Whether the gateway closes a connection on which nothing was said.
async fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 1]).await, Ok(1..))
}

/// A connection of `alice` that says `first` before its handshake.
async fn connect_after(gateway: &Gateway, first: &[u8]) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut config = client::tls(&gateway.authority, Some(&gateway.certificate("alice")));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut socket = TcpStream::connect(gateway.address).await?;
    socket.write_all(first).await?;
    let name = ServerName::try_from("wiki.example.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// The origin's description of what it saw of a request over `stream`.
async fn described(mut stream: tokio_rustls::client::TlsStream<TcpStream>) -> String {
    stream.write_all(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_gets_a_place_back_when_one_ends() {
    let origin = Origin::start().await;
    let gateway = bounded(&origin, FrontDoor { connections_per_address: 2, ..FrontDoor::default() }).await;
    let mut first = gateway.connect("alice", "wiki.example.test").await;
    // One that has not even begun its handshake counts as well.
    let _second = TcpStream::connect(gateway.address).await.unwrap();
    loop {
        let mut third = TcpStream::connect(gateway.address).await.unwrap();
        if is_closed(&mut third).await {
            break;
        }
    }
    assert!(refused(&gateway, "too-many-connections-from-address"));
    first.say(GET).await;
    assert_eq!(first.answer().await.unwrap().status, 200, "who is in stays in");
    drop(first);
    let alice = gateway.certificate("alice");
    loop {
        // The gateway hears of the end a little later.
        if let Ok(mut again) = gateway.connect_as(&alice, "wiki.example.test").await {
            again.say(GET).await;
            if again.answer().await.is_some_and(|answer| answer.status == 200) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn handshakes_take_turns_and_a_turn_is_not_waited_for_for_ever() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { handshakes: 1, handshake_time: Duration::from_millis(300), ..FrontDoor::default() };
    let gateway = bounded(&origin, bounds).await;
    // Somebody who never speaks holds the only turn until their time is over; then others have theirs.
    let mut silent = TcpStream::connect(gateway.address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    let alice = gateway.certificate("alice");
    let mut served = gateway.connect_as(&alice, "wiki.example.test").await.unwrap();
    served.say(GET).await;
    assert_eq!(served.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_trusted_balancer_says_whom_it_speaks_for() {
    let origin = Origin::start().await;
    let here = || vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = bounded(&origin, FrontDoor { proxy_protocol: here(), ..FrontDoor::default() }).await;
    let v4 = [&[192, 0, 2, 9, 198, 51, 100, 1][..], &56324u16.to_be_bytes(), &443u16.to_be_bytes()].concat();
    let version2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..], &v4].concat();
    for (header, source) in [
        (&b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"[..], "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", "2001:db8::7"),
        (&version2, "192.0.2.9"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
    ] {
        let answer = described(connect_after(&gateway, header).await.unwrap()).await;
        assert!(answer.contains(&format!("\"x-forwarded-for\":[\"{source}\"]")), "{source}: {answer}");
    }
}

#[tokio::test]
async fn a_refusal_is_recorded_with_the_address_the_balancer_told() {
    let origin = Origin::start().await;
    let here = vec!["127.0.0.1/32".parse().unwrap()];
    let gateway = bounded(&origin, FrontDoor { proxy_protocol: here, ..FrontDoor::default() }).await;
    let mut stream = connect_after(&gateway, b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n").await.unwrap();
    stream.write_all(GET.replace("wiki", "unknown").as_bytes()).await.unwrap();
    stream.read_u8().await.unwrap();
    drop(stream);
    let device = gateway.enforcer.device(&"alice".into()).unwrap();
    while device.failures().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(device.failures()[0].source_address.as_deref(), Some("192.0.2.7:56324"));
}

#[tokio::test]
async fn a_header_is_demanded_from_balancers_and_understood_from_nobody_else() {
    let origin = Origin::start().await;
    let here = vec!["127.0.0.1/32".parse().unwrap()];
    let strict = bounded(&origin, FrontDoor { proxy_protocol: here, ..FrontDoor::default() }).await;
    assert!(connect_after(&strict, b"").await.is_err(), "without a header");
    assert!(refused(&strict, "proxy-header-invalid"));

    let elsewhere = vec!["192.0.2.0/24".parse().unwrap()];
    let open = bounded(&origin, FrontDoor { proxy_protocol: elsewhere, ..FrontDoor::default() }).await;
    let spoofed = connect_after(&open, b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n").await;
    assert!(spoofed.is_err(), "with a header, from somebody who may not send one");
    let answer = described(connect_after(&open, b"").await.unwrap()).await;
    assert!(answer.contains("\"x-forwarded-for\":[\"127.0.0.1\"]"), "{answer}");
}

#[tokio::test]
async fn connections_behind_a_balancer_count_for_whom_it_speaks() {
    let origin = Origin::start().await;
    let here = vec!["127.0.0.1/32".parse().unwrap()];
    let bounds = FrontDoor { proxy_protocol: here, connections_per_address: 1, ..FrontDoor::default() };
    let gateway = bounded(&origin, bounds).await;
    let from = |last: u8| format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 56324 443\r\n").into_bytes();
    let _first = connect_after(&gateway, &from(1)).await.unwrap();
    assert!(connect_after(&gateway, &from(1)).await.is_err());
    let _second = connect_after(&gateway, &from(2)).await.unwrap();
}
