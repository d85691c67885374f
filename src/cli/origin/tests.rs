//! Over real sockets, on ports the system chooses.

use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

async fn start() -> Running {
    let stop = CancellationToken::new();
    let (address, serving) = Origin::bind((Ipv4Addr::LOCALHOST, 0).into(), stop.clone()).await.unwrap();
    Running { address, stop, served: tokio::spawn(serving) }
}

impl Running {
    /// One HTTP/1.1 exchange on a connection of its own: the whole response as text.
    async fn http1(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let mut stream = self.http1_request(method, target, headers, body).await;
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    async fn http1_request(&self, method: &str, target: &str, headers: &str, body: &str) -> TcpStream {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends one HTTP/2 request with prior knowledge.
    async fn http2(&self, request: Request<()>, body: &'static [u8]) -> Response<h2::RecvStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let (response, mut sender) = client.send_request(request, false).unwrap();
        sender.send_data(Bytes::from_static(body), true).unwrap();
        response.await.unwrap()
    }
}

async fn collect(body: &mut h2::RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

fn body_of(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_greeting_shows_the_request_and_the_gateways_headers_only() {
    let origin = start().await;
    let headers = "X-Postern-Identity: alice\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-Id: r1\r\nCookie: secret\r\n";
    let response = origin.http1("DELETE", "/some/where", headers, "").await;
    assert!(response.starts_with("HTTP/1.1 200 "));
    for line in [
        "method: DELETE",
        "path: /some/where",
        "protocol: HTTP/1.1",
        "x-postern-identity: alice",
        "x-forwarded-for: 192.0.2.1",
        "x-request-id: r1",
    ] {
        assert!(body_of(&response).contains(line), "{line} is missing in {response}");
    }
    assert!(!response.contains("secret"));
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let origin = start().await;
    let request = Request::get(format!("http://{}/", origin.address)).body(()).unwrap();
    let mut response = origin.http2(request, b"").await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = String::from_utf8(collect(response.body_mut()).await).unwrap();
    assert!(text.contains("protocol: HTTP/2.0"));
}

#[tokio::test]
async fn echo_returns_the_request_as_json_and_refuses_a_body_past_the_bound() {
    let origin = start().await;
    let response = origin.http1("POST", "/echo?a=1", "X-Test: yes\r\n", "hello").await;
    let json: serde_json::Value = serde_json::from_str(body_of(&response)).unwrap();
    assert_eq!(json["method"], "POST");
    assert_eq!(json["query"], "a=1");
    assert_eq!(json["body"], "hello");
    assert!(json["headers"].as_array().unwrap().contains(&serde_json::json!(["x-test", "yes"])));

    let response = origin.http1("POST", "/echo", "", &"x".repeat(limits::ORIGIN_BODY_BYTES_MAX + 1)).await;
    assert!(response.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn mirror_answers_before_the_request_has_ended() {
    let origin = start().await;
    let stream = TcpStream::connect(origin.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/mirror", origin.address)).body(()).unwrap();
    let (response, mut sender) = client.ready().await.unwrap().send_request(request, false).unwrap();
    sender.send_data(Bytes::from_static(b"first"), false).unwrap();
    let mut response = response.await.unwrap();
    assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "first");
    sender.send_data(Bytes::from_static(b"second"), true).unwrap();
    assert_eq!(collect(response.body_mut()).await, b"second");
}

#[tokio::test]
async fn statuses_and_health_are_answered() {
    let origin = start().await;
    assert!(origin.http1("GET", "/status/503", "", "").await.starts_with("HTTP/1.1 503 "));
    assert_eq!(body_of(&origin.http1("GET", "/status/204", "", "").await), "");
    assert!(origin.http1("GET", "/status/101", "", "").await.starts_with("HTTP/1.1 400 "));
    assert!(origin.http1("GET", "/status/600", "", "").await.starts_with("HTTP/1.1 400 "));
    assert!(origin.http1("GET", "/status/x", "", "").await.starts_with("HTTP/1.1 400 "));
    assert!(origin.http1("GET", "/healthz", "", "").await.ends_with("\r\n\r\nok\n"));
}

#[tokio::test]
async fn a_slow_response_arrives_piece_by_piece() {
    let origin = start().await;
    // The second piece is a minute away, so the first can only be read now if it was sent on its own.
    let target = format!("http://{}/slow?chunks=2&interval_ms=60000", origin.address);
    let mut response = origin.http2(Request::get(target).body(()).unwrap(), b"").await;
    assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "chunk 1 of 2\n");

    let target = format!("http://{}/slow?chunks=3&interval_ms=1", origin.address);
    let mut response = origin.http2(Request::get(target).body(()).unwrap(), b"").await;
    assert_eq!(collect(response.body_mut()).await, b"chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n");
}

#[tokio::test]
async fn events_have_their_content_type_and_bounds_hold() {
    let origin = start().await;
    let response = origin.http1("GET", "/stream?chunks=2&interval_ms=0", "", "").await;
    assert!(response.contains("content-type: text/event-stream\r\n"));
    assert!(response.contains("id: 1\ndata: tick 1\n\n") && response.contains("id: 2\ndata: tick 2\n\n"));

    for query in ["chunks=100001", "interval_ms=60001", "chunks=-1"] {
        let response = origin.http1("GET", &format!("/slow?{query}"), "", "").await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{query}: {response}");
    }
}

#[tokio::test]
async fn a_websocket_echoes_and_is_closed_as_going_away_when_the_origin_stops() {
    let origin = start().await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", origin.address)).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![0, 255])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    origin.stop.cancel();
    match socket.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Away),
        other => panic!("expected a close frame, got {other:?}"),
    }
    origin.served.await.unwrap();
}

#[tokio::test]
async fn a_grpc_call_is_answered_with_its_status_in_the_trailers() {
    let origin = start().await;
    let request = || {
        Request::post(format!("http://{}/postern.demo.Echo/Say", origin.address))
            .header("content-type", "application/grpc")
    };
    let mut response = origin.http2(request().body(()).unwrap(), b"\0\0\0\0\x05hello").await;
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(collect(response.body_mut()).await, b"\0\0\0\0\x05hello");
    let trailers = response.body_mut().trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");

    for malformed in [b"".as_slice(), b"\0\0\0\0\x06hello", b"\x01\0\0\0\x05hello", b"\0\0\0"] {
        let response = origin.http2(request().body(()).unwrap(), malformed).await;
        assert_eq!(response.headers()["grpc-status"], "3", "{malformed:?}");
    }
    let response = origin.http1("POST", "/postern.demo.Echo/Say", "", "").await;
    assert!(response.starts_with("HTTP/1.1 415 "));
}

#[tokio::test]
async fn stopping_breaks_off_streams_and_accepts_nothing_more() {
    let origin = start().await;
    let mut stream = origin.http1_request("GET", "/slow?chunks=2&interval_ms=60000", "", "").await;
    let mut received = Vec::new();
    while !received.ends_with(b"chunk 1 of 2\n\r\n") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
    origin.stop.cancel();
    origin.served.await.unwrap();
    let _ = stream.read_to_end(&mut received).await;
    assert!(!received.ends_with(b"0\r\n\r\n"), "the body must not look complete");
    assert!(TcpStream::connect(origin.address).await.is_err());
}
