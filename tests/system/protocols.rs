//! gRPC, WebSocket and streams through the gateway, for whom they are allowed and for whom they are not.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::{Client, connect};
use super::posture::{Device, domain};
use super::process::{Mark, Running};
use super::support::client::{RawConnection, tls};
use super::support::{Issued, Origin};
use super::world::{World, policy};

const WIKI: &str = "wiki.example.test";

/// One call over a connection of its own; the request is complete before the answer is looked at.
async fn call(gateway: &Running, world: &World, who: &Issued) -> http::Response<h2::RecvStream> {
    let config = tls(&world.authority, Some(who));
    let connection = RawConnection::open(gateway.addresses.gateway, config, WIKI, b"h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection.into_stream()).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("https://{WIKI}/grpc/echo"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), true).unwrap();
    response.await.unwrap()
}

#[tokio::test]
async fn a_grpc_call_that_is_denied_ends_with_its_status_and_one_that_is_allowed_with_its_trailers() {
    let origin = Origin::start().await;
    let over_http2 = policy(&origin.upstream())
        .replace("hosts: [wiki.example.test],", "hosts: [wiki.example.test], upstream: { protocol: http2 },");
    let world = World::new(&over_http2);
    let gateway = world.start().await;
    let alice = world.certificate("alice");

    let denied = call(&gateway, &world, &alice).await;
    assert_eq!(denied.status(), 200);
    assert_eq!(denied.headers()["content-type"], "application/grpc");
    assert_eq!(denied.headers()["grpc-status"], "7");
    let message = denied.headers()["grpc-message"].to_str().unwrap().to_owned();
    assert!(message.contains("posture-failed") && message.contains("Join the device"), "{message}");
    assert!(message.contains(denied.headers()["x-request-id"].to_str().unwrap()), "{message}");
    assert!(denied.into_body().is_end_stream(), "the status is in the only frame");
    assert_eq!(origin.requests(), 0);

    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    let allowed = call(&gateway, &world, &alice).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers().get("grpc-status"), None);
    let mut body = allowed.into_body();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        received.extend_from_slice(&data);
    }
    assert_eq!(received, b"\0\0\0\0\x02hi");
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_websocket_echoes_once_the_posture_allows_it() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let url = format!("wss://{WIKI}/ws");
    let stream = connect(&gateway, &world.authority, &alice, WIKI).await.unwrap().into_stream();
    match tokio_tungstenite::client_async(&url, stream).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    assert_eq!(origin.requests(), 0);

    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    let stream = connect(&gateway, &world.authority, &alice, WIKI).await.unwrap().into_stream();
    let (mut socket, response) = tokio_tungstenite::client_async(&url, stream).await.unwrap();
    assert!(response.headers().contains_key("x-request-id"));
    for message in [Message::text("one"), Message::binary(vec![7_u8; 200_000])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    drop(socket);
    // The request ends with the conversation, and is told of then.
    let told = |event: &serde_json::Value| event["message"] == "request" && event["status"] == 101;
    assert_eq!(gateway.event(Mark::start(), told).await["decision"], "allow");
}

#[tokio::test]
async fn a_response_streams_piece_by_piece_and_a_large_body_arrives_whole() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let large: Vec<u8> = (0..3 * 1024 * 1024_u32).map(|number| number.to_le_bytes()[1]).collect();
    for client in [Client::http1(&gateway, &world.authority, &alice), Client::http2(&gateway, &world.authority, &alice)]
    {
        let mut response = client.get("files.example.test", "/stream").await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), "one", "before the origin is done");
        origin.release();
        assert_eq!(response.text().await.unwrap(), "two");
        let request = client.request("POST", "files.example.test", "/body").body(large.clone());
        assert!(request.send().await.unwrap().bytes().await.unwrap() == large);
    }
}
