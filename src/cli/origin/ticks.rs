//! A response body that arrives in pieces, with a pause before each but the first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Frame;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Writes piece `n` of `count`.
pub(super) type WritePiece = fn(n: u32, count: u32) -> String;

/// A body of `count` pieces, `interval` apart. When `stop` is cancelled it breaks off with an error, so that the receiver
/// cannot take what it has for the whole.
pub(super) fn ticks(
    count: u32,
    interval: Duration,
    write: WritePiece,
    stop: CancellationToken,
) -> BoxBody<Bytes, io::Error> {
    let ticks = Ticks { sent: 0, count, interval, pause: None, stop: Box::pin(stop.cancelled_owned()), write };
    ticks.boxed()
}

struct Ticks {
    sent: u32,
    count: u32,
    interval: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    write: WritePiece,
}

impl HttpBody for Ticks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        if self.stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(io::Error::other("the origin is stopping"))));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
        }
        self.sent += 1;
        self.pause = Some(Box::pin(tokio::time::sleep(self.interval)));
        let piece = (self.write)(self.sent, self.count);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.count
    }
}
