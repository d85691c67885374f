//! Servers to stand behind the gateway: they tell what they saw.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Issued;

/// An HTTP server: HTTP/1.1 and HTTP/2, cleartext or TLS. Ends when dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    name: String,
    requests: AtomicUsize,
    connections: AtomicUsize,
    healthy: std::sync::atomic::AtomicBool,
    arrived: Notify,
    release: Notify,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        Origin::named("origin").await
    }

    pub(crate) async fn named(name: &str) -> Self {
        Origin::serve(name, None).await
    }

    /// With TLS and no client certificates; offers h2 and HTTP/1.1.
    pub(crate) async fn with_tls(certificate: &Issued) -> Self {
        let chain = postern::tls::load_certificates(&certificate.certificate_file).unwrap();
        let key = PrivateKeyDer::from_pem_file(Path::new(&certificate.key_file)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Origin::serve("tls", Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(name: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen { name: name.to_owned(), healthy: true.into(), ..Seen::default() });
        let router = router(Arc::clone(&seen));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&seen);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let router = router.clone();
                match tls.clone() {
                    None => connections.spawn(speak(stream, router)),
                    Some(tls) => connections.spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            speak(stream, router).await;
                        }
                    }),
                };
            }
        });
        Origin { address, seen, _serving: serving }
    }

    /// The address as policy files write it.
    pub(crate) fn upstream(&self) -> String {
        self.address.to_string()
    }

    /// Requests that arrived, health checks not counted.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Connections that were made.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// What `/healthz` answers from now on.
    pub(crate) fn set_healthy(&self, healthy: bool) {
        self.seen.healthy.store(healthy, Ordering::SeqCst);
    }

    /// Waits until somebody asked for `/held`.
    pub(crate) async fn arrived(&self) {
        self.seen.arrived.notified().await;
    }

    /// Lets one request for `/held` go on.
    pub(crate) fn release(&self) {
        self.seen.release.notify_one();
    }
}

async fn speak<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let builder = auto::Builder::new(TokioExecutor::new());
    // A client that goes away is no failure of the origin.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

fn router(seen: Arc<Seen>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/body", any(body))
        .route("/stream", get(stream))
        .route("/held", get(held))
        .route("/never", get(never))
        .route("/ws", get(ws))
        .route("/grpc/echo", any(grpc))
        .route("/grpc/stream", any(grpc_stream))
        .fallback(describe)
        .with_state(seen)
}

impl Seen {
    fn count(&self) {
        self.requests.fetch_add(1, Ordering::SeqCst);
    }
}

async fn healthz(State(seen): State<Arc<Seen>>) -> StatusCode {
    if seen.healthy.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Everything about the request, as JSON.
async fn describe(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    seen.count();
    let (parts, body) = request.into_parts();
    let mut headers = serde_json::Map::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(Value::String(value));
    }
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let description = json!({
        "origin": seen.name,
        "method": parts.method.as_str(),
        "version": format!("{:?}", parts.version),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    ([("x-request-id", "the origin's own"), ("x-origin", "yes")], axum::Json(description)).into_response()
}

/// The request's body, sent back as it comes.
async fn body(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    seen.count();
    Response::new(request.into_body())
}

/// `one`, then, once released, `two`.
async fn stream(State(seen): State<Arc<Seen>>) -> Response {
    seen.count();
    let (sender, receiver) = mpsc::channel::<Frame<Bytes>>(1);
    tokio::spawn(async move {
        let _ = sender.send(Frame::data(Bytes::from_static(b"one"))).await;
        seen.release.notified().await;
        let _ = sender.send(Frame::data(Bytes::from_static(b"two"))).await;
    });
    Response::new(Body::new(Received(receiver)))
}

/// Answers once released.
async fn held(State(seen): State<Arc<Seen>>) -> &'static str {
    seen.count();
    seen.arrived.notify_one();
    seen.release.notified().await;
    "released"
}

/// Never answers.
async fn never(State(seen): State<Arc<Seen>>) -> &'static str {
    seen.count();
    std::future::pending().await
}

async fn ws(State(seen): State<Arc<Seen>>, upgrade: WebSocketUpgrade) -> Response {
    seen.count();
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // A farewell is answered by asking for the next message, which never comes.
        if !matches!(message, Message::Close(_)) && socket.send(message).await.is_err() {
            break;
        }
    }
}

/// The body back, then trailers, as gRPC does.
async fn grpc(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    seen.count();
    let te = request.headers().get("te").cloned();
    // A call that is given up in the middle has nobody left to answer to.
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let (sender, receiver) = mpsc::channel::<Frame<Bytes>>(2);
    sender.try_send(Frame::data(body)).unwrap();
    sender.try_send(Frame::trailers(trailers)).unwrap();
    let mut response = Response::new(Body::new(Received(receiver)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    if let Some(te) = te {
        response.headers_mut().insert("x-te", te);
    }
    response
}

/// One message, then, once released, another and the trailers.
async fn grpc_stream(State(seen): State<Arc<Seen>>) -> Response {
    seen.count();
    let (sender, receiver) = mpsc::channel::<Frame<Bytes>>(1);
    tokio::spawn(async move {
        let _ = sender.send(Frame::data(Bytes::from_static(b"\0\0\0\0\x03one"))).await;
        seen.release.notified().await;
        let _ = sender.send(Frame::data(Bytes::from_static(b"\0\0\0\0\x03two"))).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    let mut response = Response::new(Body::new(Received(receiver)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// A channel as a body.
struct Received(mpsc::Receiver<Frame<Bytes>>);

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// A server that does with each connection what it is told. Ends when dropped.
pub(crate) struct RawOrigin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl RawOrigin {
    pub(crate) async fn start<F, T>(behaviour: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                open.spawn(behaviour(stream));
            }
        });
        RawOrigin { address, connections, _serving: serving }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server that says everything back, and closes when everything is said.
pub(crate) async fn echoing() -> RawOrigin {
    RawOrigin::start(async |mut stream| {
        let (mut from, mut to) = stream.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    })
    .await
}

/// An address nobody listens on.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}
