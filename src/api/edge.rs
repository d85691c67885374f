//! What surrounds every request to an API listener: id, time bound, defect containment, headers, and one log line.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::{SharedClock, Stopwatch, Timestamp};
use crate::dialect::openziti::ErrorCode;
use crate::enforce::Connection;
use crate::limits;

use super::body;
use super::language::Language;
use super::refusal::{self, Refusal};

/// What one listener's requests are surrounded with.
pub(super) struct Edge {
    pub(super) listener: &'static str,
    pub(super) clock: SharedClock,
    pub(super) request_time: Duration,
    /// Whether requests that went well are only worth a debug line.
    pub(super) quiet: bool,
}

/// Surrounds every route of `router`, its fall-backs included.
pub(super) fn around(router: Router, edge: Edge) -> Router {
    router.layer(from_fn_with_state(Arc::new(edge), surround))
}

/// The id of one request, as in its log line and its reply.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// Who made a request, left in the reply's extensions for the log line.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Arc<str>);

/// A UUID of version 7 for this moment.
pub(super) fn unique_id(now: Timestamp) -> Arc<str> {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000 * 1_000_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos)).to_string().into()
}

async fn surround(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Stopwatch::start();
    let id = RequestId(unique_id(edge.clock.now()));
    request.extensions_mut().insert(id.clone());
    let seen = Seen::of(&request);
    let (request, rest) = body::lend(request);
    let answer = if forged_by_a_page(&request) {
        cross_site().into_response()
    } else {
        match timeout(edge.request_time, contained(next, request)).await {
            Ok(Some(response)) => response,
            Ok(None) => Refusal::from(ErrorCode::Unhandled).into_response(),
            Err(_) => Refusal::from(ErrorCode::Timeout).into_response(),
        }
    };
    rest.discard().await;
    let mut response = refusal::rendered(answer, &id.0, Language::of_path(&seen.path));
    set_headers(&mut response, &id);
    log(&edge, &id, &seen, &response, started);
    response
}

/// The handler's answer; `None` when it panicked, which the panic hook has reported.
async fn contained(next: Next, request: Request) -> Option<Response> {
    let mut answer = Box::pin(next.run(request));
    // A handler that panicked is dropped and nothing of it is looked at afterwards.
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

/// Whether a web page of another site made the browser send this. Browsers offer client certificates without being asked,
/// so a certificate alone does not show that the user meant it.
fn forged_by_a_page(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    !request.method().is_safe() && !matches!(site, None | Some(b"same-origin" | b"none"))
}

fn cross_site() -> Refusal {
    Refusal::because(ErrorCode::Unauthorized, "sec-fetch-site", "requests made by pages of other sites are refused", "")
}

fn set_headers(response: &mut Response, id: &RequestId) {
    const FIXED: [(HeaderName, &str); 5] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert("x-request-id", id);
    }
}

/// What the log line says of the request; the query is left out, because it can hold what nobody wants in a log.
struct Seen {
    method: http::Method,
    path: String,
    peer: Option<SocketAddr>,
}

impl Seen {
    fn of(request: &Request) -> Seen {
        let path = request.uri().path();
        let shown = path.floor_char_boundary(limits::API_LOGGED_PATH_BYTES_MAX);
        let connection = request.extensions().get::<Arc<Connection>>();
        Seen {
            method: request.method().clone(),
            path: path.get(..shown).unwrap_or_default().to_owned(),
            peer: connection.and_then(|connection| connection.peer()),
        }
    }
}

fn log(edge: &Edge, id: &RequestId, seen: &Seen, response: &Response, started: Stopwatch) {
    let status = response.status();
    let caller = response.extensions().get::<Caller>().map_or("", |caller| &caller.0);
    let peer = seen.peer.map(|peer| peer.to_string()).unwrap_or_default();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                listener = edge.listener,
                request_id = &*id.0,
                method = %seen.method,
                path = seen.path,
                status = status.as_u16(),
                caller,
                peer,
                seconds = started.seconds(),
                "api request"
            )
        };
    }
    if status.is_server_error() {
        line!(warn);
    } else if edge.quiet && status.is_success() {
        line!(debug);
    } else {
        line!(info);
    }
}
