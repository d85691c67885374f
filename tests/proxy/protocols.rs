//! Everything HTTP can carry goes through: both versions on both sides, streams, WebSocket, gRPC.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use postern::policy::service::{UpstreamProtocol, UpstreamTls};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::support::policy::{Policy, identity, policy, service};
use super::support::{Authority, Gateway, GatewayBuilder, Origin, RawConnection};
use super::{wiki, wiki_policy};

/// The wiki over this HTTP version, with TLS verified by `authority` where there is one.
fn speaking(origin: &Origin, protocol: UpstreamProtocol, authority: Option<&Authority>) -> GatewayBuilder {
    let mut wiki = service("wiki", "wiki.example.test", &[origin.upstream()]);
    wiki.transport.protocol = protocol;
    wiki.transport.tls = authority.map(|authority| UpstreamTls {
        server_name: Some("origin.postern.test".to_owned()),
        ca_file: Some(authority.ca_file().display().to_string()),
    });
    let policies = Policy::default().identity(identity("alice")).service(wiki);
    Gateway::with(policies.policy(policy("readers", &["@alice"], &["@wiki"], &[])))
}

#[tokio::test]
async fn both_versions_on_both_sides() {
    let authority = Authority::new("Origin CA");
    let cleartext = Origin::start().await;
    let secure = Origin::with_tls(&authority.server("origin", &["origin.postern.test"])).await;
    for (origin, protocol, tls, upstream_of_http1, upstream_of_http2) in [
        (&cleartext, UpstreamProtocol::Auto, None, "HTTP/1.1", "HTTP/1.1"),
        (&cleartext, UpstreamProtocol::Http1, None, "HTTP/1.1", "HTTP/1.1"),
        (&cleartext, UpstreamProtocol::Http2, None, "HTTP/2.0", "HTTP/2.0"),
        (&secure, UpstreamProtocol::Auto, Some(&authority), "HTTP/1.1", "HTTP/2.0"),
        (&secure, UpstreamProtocol::Http1, Some(&authority), "HTTP/1.1", "HTTP/1.1"),
        (&secure, UpstreamProtocol::Http2, Some(&authority), "HTTP/2.0", "HTTP/2.0"),
    ] {
        let gateway = speaking(origin, protocol, tls).start().await;
        for (client, spoken, expected) in [
            (gateway.http1_client("alice"), reqwest::Version::HTTP_11, upstream_of_http1),
            (gateway.client("alice"), reqwest::Version::HTTP_2, upstream_of_http2),
        ] {
            let response = client.request("PUT", "wiki.example.test", "/p").body("text").send().await.unwrap();
            assert_eq!(response.version(), spoken);
            let seen: Value = response.json().await.unwrap();
            assert_eq!(seen["version"], expected, "{protocol:?} over {spoken:?}");
            assert_eq!(seen["method"], "PUT");
            assert_eq!(seen["body"], "text");
            assert_eq!(seen["headers"]["x-postern-identity"][0], "alice");
        }
    }
}

#[tokio::test]
async fn upstream_certificates_are_verified() {
    let authority = Authority::new("Origin CA");
    let elsewhere = Authority::new("Elsewhere");
    for (server, ca) in [
        (authority.server("wrong-name", &["other.postern.test"]), &authority),
        (elsewhere.server("wrong-ca", &["origin.postern.test"]), &authority),
    ] {
        let origin = Origin::with_tls(&server).await;
        let gateway = speaking(&origin, UpstreamProtocol::Auto, Some(ca)).start().await;
        let response = gateway.client("alice").get("wiki.example.test", "/").await;
        assert_eq!(response.status(), 502);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["reason"], "upstream-tls-failed");
        assert_eq!(origin.requests(), 0);
    }
}

// Pingora's pool of idle connections does not look at the CA that a connection was verified by. Connections of a
// service whose CA was changed used to be usable under the new one.
#[tokio::test]
async fn a_connection_verified_by_one_ca_is_not_used_under_another() {
    let authority = Authority::new("Origin CA");
    let elsewhere = Authority::new("Elsewhere");
    let origin = Origin::with_tls(&authority.server("origin", &["origin.postern.test"])).await;
    let gateway = speaking(&origin, UpstreamProtocol::Auto, Some(&authority)).start().await;
    let client = gateway.http1_client("alice");
    assert_eq!(client.get("wiki.example.test", "/").await.status(), 200);

    let mut wiki = service("wiki", "wiki.example.test", &[origin.upstream()]);
    wiki.transport.tls = Some(UpstreamTls {
        server_name: Some("origin.postern.test".to_owned()),
        ca_file: Some(elsewhere.ca_file().display().to_string()),
    });
    let policies = Policy::default().identity(identity("alice")).service(wiki);
    gateway.publish(policies.policy(policy("readers", &["@alice"], &["@wiki"], &[])));
    assert_eq!(client.get("wiki.example.test", "/").await.status(), 502);
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for client in [gateway.client("alice"), gateway.http1_client("alice")] {
        let mut response = client.get("wiki.example.test", "/stream").await;
        assert_eq!(next(&mut response).await, "one", "before the origin is done");
        origin.release();
        assert_eq!(next(&mut response).await, "two");
        assert_eq!(next(&mut response).await, "");

        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let body = reqwest::Body::wrap_stream(tokio_stream(receiver));
        let request = client.request("POST", "wiki.example.test", "/body").body(body);
        let sending = tokio::spawn(request.send());
        sender.send(Ok(Bytes::from_static(b"ping"))).await.unwrap();
        let mut response = sending.await.unwrap().unwrap();
        assert_eq!(next(&mut response).await, "ping", "before the client is done");
        sender.send(Ok(Bytes::from_static(b"pong"))).await.unwrap();
        assert_eq!(next(&mut response).await, "pong");
        drop(sender);
        assert_eq!(next(&mut response).await, "");
    }
}

/// The next piece of a body; empty at its end.
async fn next(response: &mut reqwest::Response) -> Bytes {
    loop {
        match response.chunk().await.unwrap() {
            Some(chunk) if chunk.is_empty() => {}
            chunk => return chunk.unwrap_or_default(),
        }
    }
}

fn tokio_stream<T: Send + 'static>(receiver: tokio::sync::mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) })
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let large: Vec<u8> = (0..8 * 1024 * 1024_u32).map(|number| number.to_le_bytes()[1]).collect();
    for client in [gateway.client("alice"), gateway.http1_client("alice")] {
        let request = client.request("POST", "wiki.example.test", "/body").body(large.clone());
        let back = request.send().await.unwrap().bytes().await.unwrap();
        assert!(back == large);
    }
}

#[tokio::test]
async fn websocket_goes_through_for_whom_it_is_allowed() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let stream = gateway.connect("alice", "wiki.example.test").await.into_stream();
    let (mut socket, response) = tokio_tungstenite::client_async("wss://wiki.example.test/ws", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.headers().contains_key("x-request-id"));
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    let large = Message::binary(vec![7_u8; 300_000]);
    socket.send(large.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), large);
    socket.close(None).await.unwrap();
    let farewell = socket.next().await;
    assert!(matches!(farewell, Some(Ok(Message::Close(_)))), "{farewell:?}");

    let stream = gateway.connect("bob", "wiki.example.test").await.into_stream();
    let refused = tokio_tungstenite::client_async("wss://wiki.example.test/ws", stream).await.unwrap_err();
    match refused {
        tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status(), 403),
        other => panic!("{other}"),
    }
    assert_eq!(origin.requests(), 1);
}

/// Every third WebSocket to an upstream on the same machine was closed right after its `101`: Pingora had the answer in hand
/// before it looked at the end of the request's empty body, and took that for the end of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_stays_open_however_fast_the_upstream_answers() {
    const ATTEMPTS: usize = 100;
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for attempt in 0..ATTEMPTS {
        let stream = gateway.connect("alice", "wiki.example.test").await.into_stream();
        let (mut socket, _) = tokio_tungstenite::client_async("wss://wiki.example.test/ws", stream).await.unwrap();
        socket.send(Message::text("one")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"), "attempt {attempt}");
    }
}

#[tokio::test]
async fn grpc_keeps_its_trailers() {
    let authority = Authority::new("Origin CA");
    let cleartext = Origin::start().await;
    let secure = Origin::with_tls(&authority.server("origin", &["origin.postern.test"])).await;
    for (origin, protocol, tls) in
        [(&cleartext, UpstreamProtocol::Http2, None), (&secure, UpstreamProtocol::Auto, Some(&authority))]
    {
        let gateway = speaking(origin, protocol, tls).start().await;
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
        body.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-te"], "trailers");
        let mut body = response.into_body();
        let mut received = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            received.extend_from_slice(&data);
        }
        assert_eq!(received, b"\0\0\0\0\x02hi");
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    }
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let client = gateway.client("alice");
    let requests = (0..50).map(|number| client.get("wiki.example.test", if number % 2 == 0 { "/a" } else { "/b" }));
    let responses = futures_util::future::join_all(requests).await;
    assert!(responses.iter().all(|response| response.status() == 200));
    assert!(gateway.metrics().contains("postern_live_connections 1"));
    assert_eq!(origin.requests(), 50);
}

#[tokio::test]
async fn a_reload_fails_no_request() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let client = gateway.client("alice");
    let held = tokio::spawn({
        let client = gateway.http1_client("alice");
        async move { client.get("wiki.example.test", "/held").await.text().await.unwrap() }
    });
    origin.arrived().await;
    for _ in 0..20 {
        let burst = (0..5).map(|_| client.get("wiki.example.test", "/"));
        let burst = futures_util::future::join_all(burst);
        let (responses, ()) = tokio::join!(burst, async { gateway.publish(wiki_policy(&origin)) });
        assert!(responses.iter().all(|response| response.status() == 200));
    }
    // The service moves away under a request that is on its way.
    let elsewhere = Origin::named("elsewhere").await;
    gateway.publish(wiki_policy(&elsewhere));
    assert_eq!(client.described("wiki.example.test", "/").await["origin"], "elsewhere");
    origin.release();
    assert_eq!(held.await.unwrap(), "released");
}
