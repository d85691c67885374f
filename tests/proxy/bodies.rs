//! Bodies of requests: how long they may be silent, and how slowly they may come.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use postern::config::FrontDoor;
use reqwest::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Gateway, Origin};
use super::wiki;

const SOON: Duration = Duration::from_millis(200);
const HOST: &str = "wiki.example.test";

async fn impatient(origin: &Origin, body_rate: u64) -> Gateway {
    let bounds = FrontDoor { body_time: SOON, body_rate, ..FrontDoor::default() };
    wiki(origin).bounds(bounds).start().await
}

/// A body that begins and does not go on.
fn stopping() -> Body {
    let beginning = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))]);
    Body::wrap_stream(beginning.chain(stream::pending()))
}

/// Waits for as long as a body may be silent: one that is comes to its end.
async fn patience_ends(gateway: &Gateway) {
    let mut slow = gateway.connect("alice", HOST).await;
    slow.say(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nabc")).await;
    let answer = slow.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (408, "request-body-timeout"));
    assert_eq!(slow.rest().await, "", "and the connection is closed");
}

#[tokio::test]
async fn one_that_stops_in_the_middle_is_given_up() {
    let origin = Origin::start().await;
    patience_ends(&impatient(&origin, 0).await).await;
}

#[tokio::test]
async fn one_that_stops_over_http2_loses_its_stream_and_no_other() {
    let origin = Origin::start().await;
    let gateway = impatient(&origin, 0).await;
    let client = gateway.client("alice");
    let held = tokio::spawn(client.request("GET", HOST, "/held").send());
    origin.arrived().await;
    assert!(client.request("POST", HOST, "/").body(stopping()).send().await.is_err());
    let counted = "postern_upstream_requests_total{result=\"request-body-timeout\",service=\"wiki\"} 1";
    assert!(gateway.metrics().contains(counted), "{}", gateway.metrics());
    origin.release();
    assert_eq!(held.await.unwrap().unwrap().text().await.unwrap(), "released");
    assert!(gateway.enforcer.sessions().iter().all(|session| session.service().is_none()), "nothing is left");
}

// Whatever asked to be upgraded used to be waited for without end, also when it had a body like any other request.
#[tokio::test]
async fn one_that_stops_is_given_up_although_its_request_asks_for_an_upgrade() {
    let origin = Origin::start().await;
    let gateway = impatient(&origin, 0).await;
    let mut slow = gateway.connect("alice", HOST).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n");
    slow.say(&format!("{head}Content-Length: 10\r\n\r\nabc")).await;
    let answer = slow.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (408, "request-body-timeout"));
}

#[tokio::test]
async fn websockets_and_grpc_calls_may_be_silent_and_slow() {
    let origin = Origin::start().await;
    let gateway = impatient(&origin, 1_000_000_000).await;
    let stream = gateway.connect("alice", HOST).await.into_stream();
    let (mut socket, _) = tokio_tungstenite::client_async(format!("wss://{HOST}/ws"), stream).await.unwrap();
    let (messages, received) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = stream::unfold(received, async |mut received| Some((received.recv().await?, received)));
    let call = gateway.client("alice").request("POST", HOST, "/grpc/echo").header("content-type", "application/grpc");
    let call = tokio::spawn(call.body(Body::wrap_stream(Box::pin(body))).send());
    for _ in 0..2 {
        messages.send(Ok(Bytes::from_static(b"\0\0\0\0\x01a"))).await.unwrap();
        patience_ends(&gateway).await;
        socket.send(Message::text("still")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still"));
    }
    drop(messages);
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"\0\0\0\0\x01a\0\0\0\0\x01a");
}

#[tokio::test]
async fn one_that_trickles_is_given_up() {
    let origin = Origin::start().await;
    // Nobody sends single bytes that fast.
    let gateway = impatient(&origin, 1_000_000_000).await;
    let drops = stream::repeat(()).then(async |()| {
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"a"))
    });
    let answer = gateway.client("alice").request("POST", HOST, "/").body(Body::wrap_stream(Box::pin(drops))).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 408);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["reason"], "request-body-too-slow");

    let slow = gateway.connect("alice", HOST).await.into_stream();
    let (mut hears, mut says) = tokio::io::split(slow);
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n");
    says.write_all(head.as_bytes()).await.unwrap();
    let trickle = async {
        while says.write_all(b"a").await.is_ok() && says.flush().await.is_ok() {
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = [0; 12];
    tokio::select! {
        heard = hears.read_exact(&mut answer) => drop(heard.unwrap()),
        () = trickle => unreachable!("it never ends"),
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn one_that_takes_long_and_comes_fast_enough_is_let_through() {
    let origin = Origin::start().await;
    let gateway = impatient(&origin, 1).await;
    let mut steady = gateway.connect("alice", HOST).await;
    steady.say(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    let began = postern::clock::Stopwatch::start();
    let mut said = 0;
    while began.elapsed() < SOON * 2 {
        steady.say("1\r\na\r\n").await;
        said += 1;
        tokio::task::yield_now().await;
    }
    steady.say("0\r\n\r\n").await;
    let answer = steady.answer().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains(&"a".repeat(said)), "all of it came");
}
