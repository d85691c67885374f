//! One conversation with the gateway in each protocol: how it is opened, how its end looks, and how it goes on.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::scene::{CALLS, DATABASE, FILES, Scene, WIKI};
use crate::support::{RawConnection, client};

/// Longer than anything here takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(30);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

/// A conversation in one of the protocols.
pub(super) trait Conversation: Sized {
    /// Opens it for `who`; when this returns, the gateway has let it through.
    async fn open(scene: &Scene, who: &str) -> Self;

    /// It was ended with the signal its protocol has for that, with `reason` where it can be told.
    async fn assert_ended(self, scene: &Scene, reason: &str);

    /// It goes on to its end as if nothing had happened.
    async fn assert_goes_on(self, scene: &Scene);
}

/// A request over HTTP/1.1 that waits for its answer.
pub(super) struct Http1Waiting(RawConnection);

impl Conversation for Http1Waiting {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut connection = scene.gateway.connect(who, WIKI).await;
        connection.say(&format!("GET /held HTTP/1.1\r\nhost: {WIKI}\r\n\r\n")).await;
        in_time(scene.origin.arrived()).await;
        Http1Waiting(connection)
    }

    async fn assert_ended(mut self, _scene: &Scene, reason: &str) {
        let answer = in_time(self.0.answer()).await.expect("a refusal");
        assert_eq!((answer.status, answer.reason().as_str()), (403, reason));
        assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
        assert_eq!(in_time(self.0.rest()).await, "");
    }

    async fn assert_goes_on(mut self, scene: &Scene) {
        scene.origin.release();
        scene.origin.release();
        let answer = in_time(self.0.answer()).await.expect("the answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
        self.0.say(&format!("GET /next HTTP/1.1\r\nhost: {WIKI}\r\n\r\n")).await;
        assert_eq!(in_time(self.0.answer()).await.expect("the next answer").status, 200);
    }
}

/// A response over HTTP/1.1 that is on its way.
pub(super) struct Http1Streaming(reqwest::Response);

impl Conversation for Http1Streaming {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut response = scene.gateway.http1_client(who).get(WIKI, "/stream").await;
        assert_eq!(response.status(), 200);
        assert_eq!(in_time(response.chunk()).await.unwrap().unwrap(), "one");
        Http1Streaming(response)
    }

    async fn assert_ended(mut self, _scene: &Scene, _reason: &str) {
        let end = in_time(self.0.chunk()).await;
        assert!(end.is_err(), "not as if it had been complete: {end:?}");
    }

    async fn assert_goes_on(self, scene: &Scene) {
        scene.origin.release();
        scene.origin.release();
        assert_eq!(in_time(self.0.text()).await.unwrap(), "two");
    }
}

/// An HTTP/2 connection with one stream under way.
struct Http2 {
    client: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    async fn connect(scene: &Scene, who: &str, host: &str) -> Self {
        let tls = client::tls(&scene.gateway.authority, Some(&scene.gateway.certificate(who)));
        let connection = RawConnection::open(scene.gateway.address, tls, host, b"h2").await.unwrap();
        let (client, connection) = h2::client::handshake(connection.into_stream()).await.unwrap();
        Http2 { client, connection: tokio::spawn(connection) }
    }

    fn ask(
        &mut self,
        host: &str,
        path: &str,
        grpc: bool,
        last: bool,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let request = Request::post(format!("https://{host}{path}"));
        let request = if grpc { request.header("content-type", "application/grpc") } else { request.method("GET") };
        self.client.send_request(request.body(()).unwrap(), last).unwrap()
    }

    /// The connection goes on for what is still allowed, or says goodbye when nothing is.
    async fn assert_fits(mut self, scene: &Scene, host: &str) {
        if scene.news.ends_connection() {
            let end = in_time(self.connection).await.unwrap();
            assert!(end.is_ok(), "a goodbye in order: {end:?}");
            return;
        }
        // The name of the connection is another service's, which is said to the client as such.
        let (response, _) = self.ask(FILES, "/", false, true);
        assert_eq!(in_time(response).await.unwrap().status(), 421, "the connection lives");
        let (response, _) = self.ask(host, "/", false, true);
        let again = in_time(response).await.unwrap().status();
        let expected = if scene.news.reason() == "ended-by-operator" { 200 } else { 403 };
        assert_eq!(again, expected);
    }
}

/// The next piece of a body, empty ones left out.
async fn next(body: &mut h2::RecvStream) -> Option<Result<Bytes, h2::Error>> {
    loop {
        let data = in_time(body.data()).await?;
        match &data {
            Ok(data) if data.is_empty() => continue,
            Ok(data) => body.flow_control().release_capacity(data.len()).unwrap(),
            Err(_) => {}
        }
        return Some(data);
    }
}

/// A stream of an HTTP/2 connection.
pub(super) struct Http2Stream {
    http2: Http2,
    body: h2::RecvStream,
}

impl Conversation for Http2Stream {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut http2 = Http2::connect(scene, who, WIKI).await;
        let (response, _) = http2.ask(WIKI, "/stream", false, true);
        let mut body = in_time(response).await.unwrap().into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "one");
        Http2Stream { http2, body }
    }

    async fn assert_ended(mut self, scene: &Scene, _reason: &str) {
        let end = next(&mut self.body).await.expect("not as if it had been complete").unwrap_err();
        assert!(end.is_reset(), "{end:?}");
        assert_eq!(end.reason(), Some(h2::Reason::CANCEL));
        self.http2.assert_fits(scene, WIKI).await;
    }

    async fn assert_goes_on(mut self, scene: &Scene) {
        scene.origin.release();
        scene.origin.release();
        assert_eq!(next(&mut self.body).await.unwrap().unwrap(), "two");
        assert!(next(&mut self.body).await.is_none());
    }
}

/// A gRPC call that has answered once.
pub(super) struct GrpcStream {
    http2: Http2,
    body: h2::RecvStream,
    _request: h2::SendStream<Bytes>,
}

impl Conversation for GrpcStream {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut http2 = Http2::connect(scene, who, CALLS).await;
        let (response, request) = http2.ask(CALLS, "/grpc/stream", true, false);
        let mut body = in_time(response).await.unwrap().into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "\0\0\0\0\x03one");
        GrpcStream { http2, body, _request: request }
    }

    async fn assert_ended(mut self, scene: &Scene, reason: &str) {
        assert!(next(&mut self.body).await.is_none(), "the messages end");
        let trailers = in_time(self.body.trailers()).await.unwrap().expect("trailers");
        assert_eq!(trailers["grpc-status"], "7");
        assert!(trailers["grpc-message"].to_str().unwrap().contains(reason), "{trailers:?}");
        self.http2.assert_fits(scene, CALLS).await;
    }

    async fn assert_goes_on(mut self, scene: &Scene) {
        scene.origin.release();
        scene.origin.release();
        assert_eq!(next(&mut self.body).await.unwrap().unwrap(), "\0\0\0\0\x03two");
        assert!(next(&mut self.body).await.is_none());
        assert_eq!(in_time(self.body.trailers()).await.unwrap().unwrap()["grpc-status"], "0");
    }
}

/// A gRPC call that has not answered yet.
pub(super) struct GrpcWaiting {
    http2: Http2,
    response: h2::client::ResponseFuture,
    request: h2::SendStream<Bytes>,
}

impl Conversation for GrpcWaiting {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut http2 = Http2::connect(scene, who, CALLS).await;
        let (response, request) = http2.ask(CALLS, "/grpc/echo", true, false);
        // The origin waits for the end of the request, so that only the gateway tells when it has let it through.
        in_time(async {
            while scene.requests(who).iter().all(|session| session.permit().is_none()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        GrpcWaiting { http2, response, request }
    }

    async fn assert_ended(self, scene: &Scene, reason: &str) {
        let response = in_time(self.response).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], "7");
        assert!(response.headers()["grpc-message"].to_str().unwrap().contains(reason));
        assert!(response.body().is_end_stream(), "the status is all there is");
        self.http2.assert_fits(scene, CALLS).await;
    }

    async fn assert_goes_on(mut self, _scene: &Scene) {
        self.request.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), true).unwrap();
        let mut body = in_time(self.response).await.unwrap().into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "\0\0\0\0\x02hi");
        assert!(next(&mut body).await.is_none());
        assert_eq!(in_time(body.trailers()).await.unwrap().unwrap()["grpc-status"], "0");
    }
}

/// A WebSocket.
pub(super) struct WebSocket(WebSocketStream<TlsStream<TcpStream>>);

impl WebSocket {
    async fn echo(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
        assert_eq!(in_time(self.0.next()).await.unwrap().unwrap(), Message::text(text));
    }
}

impl Conversation for WebSocket {
    async fn open(scene: &Scene, who: &str) -> Self {
        let stream = scene.gateway.connect(who, WIKI).await.into_stream();
        let (socket, response) = tokio_tungstenite::client_async(format!("wss://{WIKI}/ws"), stream).await.unwrap();
        assert_eq!(response.status(), 101);
        let mut socket = WebSocket(socket);
        socket.echo("one").await;
        socket
    }

    async fn assert_ended(mut self, _scene: &Scene, reason: &str) {
        let Some(Ok(Message::Close(Some(farewell)))) = in_time(self.0.next()).await else { panic!("no farewell") };
        assert_eq!((farewell.code, farewell.reason.as_str()), (CloseCode::Policy, reason));
        let end = in_time(self.0.next()).await;
        assert!(end.is_none_or(|message| message.is_err()), "nothing is said any more");
    }

    async fn assert_goes_on(mut self, _scene: &Scene) {
        self.echo("two").await;
        self.0.close(None).await.unwrap();
        assert!(matches!(in_time(self.0.next()).await, Some(Ok(Message::Close(_)))));
    }
}

/// A connection to a TCP service.
pub(super) struct Tcp(TlsStream<TcpStream>);

impl Tcp {
    async fn echo(&mut self, text: &[u8]) {
        self.0.write_all(text).await.unwrap();
        let mut back = vec![0; text.len()];
        in_time(self.0.read_exact(&mut back)).await.unwrap();
        assert_eq!(back, text);
    }
}

impl Conversation for Tcp {
    async fn open(scene: &Scene, who: &str) -> Self {
        let mut tcp = Tcp(scene.gateway.connect(who, DATABASE).await.into_stream());
        tcp.echo(b"one").await;
        tcp
    }

    async fn assert_ended(mut self, _scene: &Scene, _reason: &str) {
        let mut rest = Vec::new();
        in_time(self.0.read_to_end(&mut rest)).await.expect("shut down in order");
        assert!(rest.is_empty());
    }

    async fn assert_goes_on(mut self, _scene: &Scene) {
        self.echo(&[7; 100_000]).await;
        self.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        in_time(self.0.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
}
