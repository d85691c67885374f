//! One connection to an API listener, from the handshake to its last byte.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::enforce::Connection;
use crate::limits;
use crate::telemetry::Metrics;

use super::edge::unique_id;
use super::listener::{Bounds, Credentials};

/// What every connection of a listener needs.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) bounds: Bounds,
    pub(super) door: Door,
    pub(super) router: Router,
    pub(super) clock: SharedClock,
    pub(super) metrics: Metrics,
}

/// How a connection begins.
pub(super) enum Door {
    /// With the first byte of HTTP.
    Open,
    /// With a TLS handshake.
    Tls { acceptor: TlsAcceptor, credentials: Credentials },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Server {
    /// Serves a connection until it ends by itself, has been idle for too long, or is told to stop.
    pub(super) async fn connection(&self, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(listener = self.name, %peer, %error, "small writes may be delayed");
        }
        let id = unique_id(self.clock.now());
        match &self.door {
            Door::Open => {
                let connection = Connection::new(id, Some(peer), None, None);
                self.http(stream, Protocol::Http1, connection, stop).await;
            }
            Door::Tls { acceptor, credentials } => {
                let handshake = timeout(self.bounds.handshake_time, acceptor.accept(stream));
                let Some(finished) = stop.run_until_cancelled(handshake).await else { return };
                let stream = match finished {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return self.handshake_failed(peer, &error),
                    Err(_) => return self.handshake_timed_out(peer),
                };
                let (_, tls) = stream.get_ref();
                let protocol = match tls.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                let connection = Connection::new(id, Some(peer), tls.server_name(), credentials(tls));
                self.http(stream, protocol, connection, stop).await;
            }
        }
    }

    async fn http<S>(&self, stream: S, protocol: Protocol, connection: Connection, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let requests = Requests {
            router: TowerToHyperService::new(self.router.clone()),
            connection: Arc::new(connection),
            activity: Arc::clone(&activity),
        };
        let builder = self.builder(protocol);
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), requests));
        tokio::select! {
            ended = served.as_mut() => return self.ended(ended),
            () = stop.cancelled() => {}
            () = activity.idle(self.bounds.idle_time) => {}
        }
        served.as_mut().graceful_shutdown();
        // A client that does not read its last response is cut off here.
        if let Ok(ended) = timeout(self.bounds.drain_time, served).await {
            self.ended(ended);
        }
    }

    fn builder(&self, protocol: Protocol) -> Builder<TokioExecutor> {
        let builder = Builder::new(TokioExecutor::new());
        // The protocol is known from the handshake; guessing it from the first bytes would wait for them without a bound.
        let mut builder = match protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder.http2_only(),
        };
        let head_bytes = usize::try_from(limits::API_HEAD_BYTES_MAX).unwrap_or(usize::MAX);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.bounds.head_time).max_buf_size(head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::API_STREAMS_PER_CONNECTION_MAX)
            .max_header_list_size(limits::API_HEAD_BYTES_MAX);
        builder
    }

    fn ended(&self, result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
        if let Err(error) = result {
            tracing::debug!(listener = self.name, %error, "a connection broke off");
        }
    }

    /// A refused client certificate was counted and logged where it was refused; this counts everything else.
    fn handshake_failed(&self, peer: SocketAddr, error: &io::Error) {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidCertRevocationList(_)) => {}
            Some(rustls::Error::NoCertificatesPresented) => self.metrics.handshake(self.name, "no-certificate"),
            _ => self.metrics.handshake(self.name, "failed"),
        }
        tracing::debug!(listener = self.name, %peer, %error, "a TLS handshake failed");
    }

    fn handshake_timed_out(&self, peer: SocketAddr) {
        self.metrics.handshake(self.name, "timed-out");
        tracing::debug!(listener = self.name, %peer, "a TLS handshake took too long");
    }
}

/// Hands the requests of one connection to the router, with the connection beside them.
struct Requests {
    router: TowerToHyperService<Router>,
    connection: Arc<Connection>,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        let underway = Activity::begin(&self.activity);
        let answer = self.router.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(underway);
            answer
        })
    }
}

/// Whether a connection is being used.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
}

impl Activity {
    fn begin(activity: &Arc<Activity>) -> Underway {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Underway(Arc::clone(activity))
    }

    /// Waits until no request was in flight and none had begun for `period`, or up to twice that.
    async fn idle(&self, period: std::time::Duration) {
        let mut seen = u64::MAX;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if begun == seen && self.in_flight.load(Ordering::Relaxed) == 0 {
                return;
            }
            seen = begun;
            tokio::time::sleep(period).await;
        }
    }
}

struct Underway(Arc<Activity>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
