//! What the demo's origin answers.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::ticks::{WritePiece, ticks};
use crate::limits;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const EVENT_STREAM: &str = "text/event-stream";
const OCTETS: &str = "application/octet-stream";
const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A gRPC message is preceded by a compression flag and a length.
const GRPC_PREFIX_BYTES: usize = 5;
const GRPC_INVALID_ARGUMENT: &str = "3";
const GRPC_RESOURCE_EXHAUSTED: &str = "8";

/// All routes. Streams and WebSockets end when `stop` is cancelled.
pub(super) fn router(stop: CancellationToken) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/mirror", any(mirror))
        .route("/ws", any(websocket))
        .route("/slow", get(slow))
        .route("/stream", get(events))
        .route("/status/{code}", any(status))
        .route("/healthz", get(|| async { plain(StatusCode::OK, "ok\n") }))
        .route("/postern.demo.Echo/Say", post(say))
        .fallback(greeting)
        .with_state(stop)
}

/// Any other path: what was asked, and who the gateway says is asking.
async fn greeting(request: Request) -> Response {
    let mut text = format!(
        "hello from the origin behind postern\n\nmethod: {}\npath: {}\nprotocol: {:?}\n",
        request.method(),
        request.uri().path(),
        request.version(),
    );
    for (name, value) in request.headers() {
        if is_set_by_a_gateway(name) {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    plain(StatusCode::OK, text)
}

fn is_set_by_a_gateway(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-postern-") || name.starts_with("x-forwarded-") || name == "x-request-id"
}

/// The request as JSON, body included.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, limits::ORIGIN_BODY_BYTES_MAX).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off\n");
    };
    let headers: Vec<[String; 2]> = head
        .headers
        .iter()
        .map(|(name, value)| [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
        .collect();
    axum::Json(serde_json::json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "protocol": format!("{:?}", head.version),
        "headers": headers,
        "bodyBytes": body.len(),
        "body": std::str::from_utf8(&body).ok(),
    }))
    .into_response()
}

/// The body sent back as it arrives, of any length, never held as a whole.
async fn mirror(request: Request) -> Response {
    ([(CONTENT_TYPE, OCTETS)], request.into_body()).into_response()
}

async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        // These have no body by definition.
        Ok(status @ (StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)) => {
            status.into_response()
        }
        Ok(status) if (200..=599).contains(&code) => plain(status, format!("{status}\n")),
        _ => plain(StatusCode::BAD_REQUEST, "the code must be 200 to 599\n"),
    }
}

/// How a stream is to be cut into pieces.
#[derive(Debug, Deserialize)]
struct Pace {
    chunks: Option<u32>,
    interval_ms: Option<u64>,
}

async fn slow(State(stop): State<CancellationToken>, Query(pace): Query<Pace>) -> Response {
    const CHUNKS: u32 = 10;
    paced(PLAIN_TEXT, CHUNKS, &pace, |n, count| format!("chunk {n} of {count}\n"), stop)
}

async fn events(State(stop): State<CancellationToken>, Query(pace): Query<Pace>) -> Response {
    paced(EVENT_STREAM, limits::ORIGIN_CHUNKS_MAX, &pace, |n, _| format!("id: {n}\ndata: tick {n}\n\n"), stop)
}

fn paced(content_type: &'static str, chunks: u32, pace: &Pace, write: WritePiece, stop: CancellationToken) -> Response {
    const INTERVAL_MILLIS: u64 = 1000;
    let chunks = pace.chunks.unwrap_or(chunks);
    let interval = Duration::from_millis(pace.interval_ms.unwrap_or(INTERVAL_MILLIS));
    if chunks > limits::ORIGIN_CHUNKS_MAX || interval > limits::ORIGIN_INTERVAL_MAX {
        let (chunks, millis) = (limits::ORIGIN_CHUNKS_MAX, limits::ORIGIN_INTERVAL_MAX.as_millis());
        let bounds = format!("chunks may be at most {chunks} and interval_ms at most {millis}\n");
        return plain(StatusCode::BAD_REQUEST, bounds);
    }
    let body = ticks(chunks, interval, write, stop);
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], Body::new(body)).into_response()
}

async fn websocket(State(stop): State<CancellationToken>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(limits::ORIGIN_BODY_BYTES_MAX)
        .max_frame_size(limits::ORIGIN_BODY_BYTES_MAX)
        .on_upgrade(move |socket| repeat(socket, stop))
}

/// Sends every message back until either side has had enough.
async fn repeat(mut socket: WebSocket, stop: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = stop.cancelled() => {
                let farewell = CloseFrame { code: close_code::AWAY, reason: "the origin is stopping".into() };
                let _ = socket.send(Message::Close(Some(farewell))).await;
                return;
            }
        };
        let answer = match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}

/// The gRPC call `postern.demo.Echo/Say`: one message in, the same message out, status in the trailers.
async fn say(headers: HeaderMap, body: Body) -> Response {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !content_type.starts_with(GRPC.as_bytes()) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is a gRPC call\n");
    }
    let Ok(frame) = to_bytes(body, limits::ORIGIN_BODY_BYTES_MAX).await else {
        return grpc_refusal(GRPC_RESOURCE_EXHAUSTED, "the message is too long or broke off");
    };
    if !is_one_plain_message(&frame) {
        return grpc_refusal(GRPC_INVALID_ARGUMENT, "expected exactly one uncompressed message");
    }
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(frame).with_trailers(std::future::ready(Some(Ok(trailers))));
    ([(CONTENT_TYPE, GRPC)], Body::new(body)).into_response()
}

fn is_one_plain_message(frame: &Bytes) -> bool {
    let Some((&[compressed, a, b, c, d], message)) = frame.split_first_chunk::<GRPC_PREFIX_BYTES>() else {
        return false;
    };
    compressed == 0 && usize::try_from(u32::from_be_bytes([a, b, c, d])) == Ok(message.len())
}

/// gRPC says no with 200 and the status in the headers, which are then the trailers too.
fn grpc_refusal(status: &'static str, message: &'static str) -> Response {
    [(CONTENT_TYPE, GRPC), (GRPC_STATUS, status), (GRPC_MESSAGE, message)].into_response()
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, PLAIN_TEXT)], text.into()).into_response()
}
