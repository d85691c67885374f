//! Bodies of requests, read whole within their bounds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::timeout;

use crate::dialect::openziti::ErrorCode;
use crate::limits;

use super::refusal::Refusal;

/// How much body is taken and how long it is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyBounds {
    pub(super) bytes: usize,
    pub(super) time: Duration,
}

impl BodyBounds {
    /// What operators write: objects and provider values.
    pub(super) const WRITE: Self = BodyBounds { bytes: limits::API_WRITE_BYTES_MAX, time: limits::API_BODY_TIME_MAX };
}

/// The JSON text of a request.
///
/// The content type is asked for because a web page may send any other type to any site without the browser asking first.
pub(super) async fn json(request: Request, bounds: BodyBounds) -> Result<Bytes, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let reason = "must be application/json";
        return Err(Refusal::because(ErrorCode::UnsupportedMediaType, "content-type", reason, essence));
    }
    any(request, bounds).await
}

/// The body of a request, whatever it is.
pub(super) async fn any(request: Request, bounds: BodyBounds) -> Result<Bytes, Refusal> {
    match timeout(bounds.time, whole(request.into_body(), bounds.bytes)).await {
        Ok(body) => body,
        Err(_) => Err(ErrorCode::RequestTimeout.into()),
    }
}

/// The JSON text of a request that may also come without a body.
pub(super) async fn json_or_nothing(request: Request, bounds: BodyBounds) -> Result<Bytes, Refusal> {
    if request.body().is_end_stream() { Ok(Bytes::new()) } else { json(request, bounds).await }
}

/// A body that is lent to a handler, so that what the handler leaves of it can be read and thrown away: a connection with unread
/// bytes is closed, under whatever request the client sends next.
#[derive(Debug)]
pub(super) struct Lent(Arc<Mutex<Body>>);

/// What a handler left of a body.
#[derive(Debug)]
pub(super) struct Rest(Arc<Mutex<Body>>);

/// Lends the body of a request to whoever handles it.
pub(super) fn lend(request: Request) -> (Request, Rest) {
    let (head, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(body));
    let rest = Rest(Arc::clone(&shared));
    (Request::from_parts(head, Body::new(Lent(shared))), rest)
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

impl Rest {
    /// Reads and throws away what is left, up to a bound.
    pub(super) async fn discard(self) {
        let mut left = Lent(self.0);
        if left.is_end_stream() {
            return;
        }
        let mut room = limits::API_REFUSED_BODY_BYTES_MAX;
        let read = async {
            while let Some(Ok(frame)) = left.frame().await {
                match room.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(left) => room = left,
                    None => return,
                }
            }
        };
        // Whether all of it came in time or not, the reply is sent.
        let _ = timeout(limits::API_REFUSED_BODY_TIME_MAX, read).await;
    }
}

/// Reads at most `max` bytes. Of what is beyond, some is read and thrown away, because a client that is still sending when
/// the connection closes may never see the reply.
async fn whole(mut body: Body, max: usize) -> Result<Bytes, Refusal> {
    let patience = max.saturating_add(limits::API_DISCARDED_BYTES_MAX);
    if body.size_hint().lower() > u64::try_from(patience).unwrap_or(u64::MAX) {
        return Err(ErrorCode::RequestEntityTooLarge.into());
    }
    let mut read = 0usize;
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        read = read.saturating_add(data.len());
        if read <= max {
            kept.extend_from_slice(&data);
        } else if read > patience {
            break;
        }
    }
    if read <= max { Ok(kept.freeze()) } else { Err(ErrorCode::RequestEntityTooLarge.into()) }
}

fn broken_off() -> Refusal {
    Refusal::because(ErrorCode::CouldNotParseBody, "body", "broke off", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound_and_not_beyond() {
        assert_eq!(whole(Body::from("12345678"), 8).await.unwrap(), "12345678");
        assert!(whole(Body::from("123456789"), 8).await.is_err());
    }
}
