//! Every protocol with every reason: the one ends as its protocol wants it, the other loses nothing.

use tokio::io::AsyncReadExt;

use super::conversations::{
    Conversation, GrpcStream, GrpcWaiting, Http1Streaming, Http1Waiting, Http2Stream, Tcp, WebSocket,
};
use super::scene::{News, Scene, WIKI};

async fn every_news<C: Conversation>(spoken: &str) {
    for news in News::ALL {
        let scene = Scene::new(news).await;
        let alice = C::open(&scene, "alice").await;
        let bob = C::open(&scene, "bob").await;
        let live = format!("postern_live_sessions{{protocol=\"{spoken}\"}} 2");
        assert!(scene.gateway.metrics().contains(&live), "{news:?}: {}", scene.gateway.metrics());
        let request = scene.requests("alice").pop().unwrap();
        scene.arrive().await;
        alice.assert_ended(&scene, news.reason()).await;
        bob.assert_goes_on(&scene).await;
        scene.assert_told_once(&request);
        let took = format!("postern_revocation_seconds_count{{cause=\"{}\"}}", news.cause());
        assert!(scene.gateway.metrics().contains(&took), "{news:?}");
    }
}

#[tokio::test]
async fn a_request_over_http1_that_waits_gets_the_refusal() {
    every_news::<Http1Waiting>("http1").await;
}

#[tokio::test]
async fn a_response_over_http1_on_its_way_is_cut() {
    every_news::<Http1Streaming>("http1").await;
}

// Some answers last until their connection ends. They were cut with TLS closed in order, which says that they were whole.
#[tokio::test]
async fn tls_is_not_closed_in_order_in_the_middle_of_an_answer() {
    let scene = Scene::new(News::Posture).await;
    let mut connection = scene.gateway.connect("alice", WIKI).await;
    connection.say(&format!("GET /stream HTTP/1.1\r\nhost: {WIKI}\r\n\r\n")).await;
    let (mut stream, mut came) = (connection.into_stream(), Vec::new());
    while !came.windows(3).any(|piece| piece == b"one") {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0, "{}", String::from_utf8_lossy(&came));
    }
    scene.arrive().await;
    let end = stream.read_to_end(&mut came).await;
    assert!(end.is_err(), "{}", String::from_utf8_lossy(&came));
}

#[tokio::test]
async fn an_http2_stream_is_reset() {
    every_news::<Http2Stream>("http2").await;
}

#[tokio::test]
async fn a_grpc_call_gets_its_status_in_trailers() {
    every_news::<GrpcStream>("grpc").await;
}

#[tokio::test]
async fn a_grpc_call_without_an_answer_gets_its_status_as_the_answer() {
    every_news::<GrpcWaiting>("grpc").await;
}

#[tokio::test]
async fn a_tcp_connection_is_shut_down() {
    every_news::<Tcp>("tcp").await;
}

#[tokio::test]
async fn a_websocket_gets_a_close_frame() {
    every_news::<WebSocket>("websocket").await;
}
