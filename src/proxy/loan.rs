//! The byte stream of an HTTP/1 connection, lent to Pingora.
//!
//! Pingora drops a connection together with the work on it. This one comes back instead, so that a last word can be said on it;
//! and it tells how far the response has got, which decides what that word may be. Small writes are gathered on the way.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use http::HeaderValue;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::gathering::Gathering;
use super::progress::Progress;

tokio::task_local! {
    /// The loan of the connection that the running task serves; set for HTTP/1 only.
    pub(super) static LOAN: Arc<Loan>;
}

/// A stream that is lent, seen from its owner.
#[derive(Debug, Default)]
pub(super) struct Loan(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    returned: Option<(Stream, Vec<u8>)>,
    progress: Progress,
    asked: Asked,
}

/// A stream that came back.
pub(super) struct Returned {
    pub(super) stream: Stream,
    /// What Pingora wrote last and did not flush.
    pub(super) unsent: Vec<u8>,
    /// How far the response got, by what did go out.
    pub(super) progress: Progress,
    /// What had been asked for.
    pub(super) asked: Asked,
}

/// What of a request matters for its refusal.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Whether only the head of an answer is wanted.
    pub(super) head_only: bool,
    /// Whether the connection is to become a WebSocket.
    pub(super) websocket: bool,
    /// The media types that are welcome.
    pub(super) accept: Vec<HeaderValue>,
}

impl Loan {
    /// Lends a stream.
    pub(super) fn of(stream: Stream) -> (Arc<Self>, Stream) {
        let loan = Arc::new(Loan::default());
        let lent = Lent { stream: Some(stream), gathering: Gathering::default(), loan: Arc::clone(&loan) };
        (loan, Box::new(lent))
    }

    /// The next request begins.
    pub(super) fn next_request(&self) {
        self.with(|account| {
            account.progress = Progress::default();
            account.asked = Asked::default();
        });
    }

    /// What the request asks for.
    pub(super) fn asks(&self, asked: Asked) {
        self.with(|account| account.asked = asked);
    }

    /// The stream, once it was let go of.
    pub(super) fn reclaim(&self) -> Option<Returned> {
        self.with(|account| {
            let (stream, unsent) = account.returned.take()?;
            let (progress, asked) = (mem::take(&mut account.progress), mem::take(&mut account.asked));
            Some(Returned { stream, unsent, progress, asked })
        })
    }

    fn went_out(&self, bytes: &[u8]) {
        self.with(|account| account.progress.advance(bytes));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream that is lent, seen from its borrower.
#[derive(Debug)]
struct Lent {
    /// `None` only while it is being dropped.
    stream: Option<Stream>,
    gathering: Gathering,
    loan: Arc<Loan>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let returned = self.stream.take().map(|stream| (stream, self.gathering.take()));
        self.loan.with(|account| account.returned = returned);
    }
}

impl Lent {
    fn pinned(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn poll_gather(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Lent { stream, gathering, loan } = self;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        gathering.poll_write(Pin::new(stream), context, slices, &mut |bytes| loan.went_out(bytes))
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Lent { stream, gathering, loan } = self;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        gathering.poll_drain(Pin::new(stream), context, &mut |bytes| loan.went_out(bytes))
    }
}

impl AsyncRead for Lent {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.pinned()?.poll_read(context, into);
        // Nobody waits for a client that waits for what was kept back.
        if read.is_pending() && !self.gathering.is_empty() && self.poll_drain(context)?.is_ready() {
            let _ = self.pinned()?.poll_flush(context)?;
        }
        read
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_gather(context, &[IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        self.pinned()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        self.pinned()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_gather(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[async_trait]
impl Shutdown for Lent {
    async fn shutdown(&mut self) {
        // What cannot be sent any more is lost to the client with its connection.
        let _ = poll_fn(|context| self.poll_drain(context)).await;
        if let Some(stream) = &mut self.stream {
            stream.shutdown().await;
        }
    }
}

impl UniqueID for Lent {
    fn id(&self) -> UniqueIDType {
        self.stream.as_ref().map_or(-1, |stream| stream.id())
    }
}

impl Ssl for Lent {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.as_ref()?.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.as_ref()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.as_ref()?.selected_alpn_proto()
    }
}

impl GetTimingDigest for Lent {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.as_ref().map_or_else(Vec::new, |stream| stream.get_timing_digest())
    }

    fn get_read_pending_time(&self) -> std::time::Duration {
        self.stream.as_ref().map_or_else(Default::default, |stream| stream.get_read_pending_time())
    }

    fn get_write_pending_time(&self) -> std::time::Duration {
        self.stream.as_ref().map_or_else(Default::default, |stream| stream.get_write_pending_time())
    }
}

impl GetProxyDigest for Lent {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.as_ref()?.get_proxy_digest()
    }
}

impl GetSocketDigest for Lent {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.as_ref()?.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        if let Some(stream) = &mut self.stream {
            stream.set_socket_digest(digest);
        }
    }
}

#[async_trait]
impl Peek for Lent {
    async fn try_peek(&mut self, into: &mut [u8]) -> io::Result<bool> {
        match &mut self.stream {
            Some(stream) => stream.try_peek(into).await,
            None => Ok(false),
        }
    }
}
