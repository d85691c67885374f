//! Requests that were let through, and how they end when they are no longer allowed.
//!
//! Whoever decides again (see [`crate::enforce`]) rings a request's signal; here somebody listens, tells of it once, and ends the
//! request. Everything else about it is left to the proxy.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{ACCEPT, TE, UPGRADE};
use http::{HeaderValue, Method, Version};
use pingora::apps::{HttpServerApp, HttpServerOptions};
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;

use super::beside::{Seldom, unless, until};
use super::farewell;
use super::gate::Gate;
use super::lent_stream::StreamLoan;
use super::loan::{Asked, LOAN};
use super::pace::Silence;
use super::refusal::Refusal;
use super::respond;
use super::{head, headers};
use crate::decision::{FailedService, Failure};
use crate::enforce::{EndSignal, Ended, Protocol, Session};

tokio::task_local! {
    /// The signal of the request that the running task serves. Pingora's hooks run inside the task and cannot be handed anything.
    static SIGNAL: Arc<EndSignal>;
    /// The silence of its client; set where Pingora would wait for the body for ever.
    static SILENCE: Arc<Silence>;
}

/// Some of the request's body came; `all` when that was the last of it.
pub(super) fn note_body(all: bool) {
    // Most requests are watched over by Pingora.
    let _ = SILENCE.try_with(|silence| silence.is_broken(all));
}

/// The signal of the request that is being judged.
///
/// INVARIANT: every request of a protected proxy runs inside a [`StreamGate`]; another application that calls the hooks by
/// itself decides each request and nothing more.
pub(super) fn signal() -> Arc<EndSignal> {
    SIGNAL.try_with(Arc::clone).unwrap_or_default()
}

/// Notes what of a request matters for its refusal, should it come later.
pub(super) fn note(request: &RequestHeader) {
    // Only HTTP/1 connections are lent.
    let _ = LOAN.try_with(|loan| {
        let upgrade = request.headers.get(UPGRADE);
        loan.asks(Asked {
            head_only: request.method == Method::HEAD,
            websocket: upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket")),
            accept: request.headers.get_all(ACCEPT).iter().cloned().collect(),
        });
    });
}

/// An HTTP application whose requests end when they are no longer allowed.
#[derive(Debug)]
pub struct StreamGate<A> {
    gate: Arc<Gate>,
    pub(super) app: Arc<A>,
}

impl<A> StreamGate<A> {
    pub(super) fn new(gate: Arc<Gate>, app: A) -> Self {
        StreamGate { gate, app: Arc::new(app) }
    }

    /// The silence of a client that has a body to send over HTTP/2. The messages of a gRPC call may come when they like.
    fn silence_of(&self, session: &ServerSession) -> Option<Arc<Silence>> {
        let ServerSession::H2(stream) = session else { return None };
        let is_awaited = !stream.is_body_empty() && !respond::is_grpc(Version::HTTP_2, &stream.req_header().headers);
        is_awaited.then(|| Arc::new(Silence::new(self.gate.options().front_door.body_time)))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<A> HttpServerApp for StreamGate<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<pingora::apps::ReusedHttpStream> {
        let signal = Arc::new(EndSignal::default());
        let connection = LOAN.try_with(Arc::clone).ok();
        if let Some(connection) = &connection {
            connection.next_request();
        }
        let silence = self.silence_of(&session);
        let (call, session) = lend_call(session);
        let work = SIGNAL.scope(Arc::clone(&signal), self.app.process_new_http(session, shutdown));
        // Where it is ended the work is dropped, and with it the upstream's part. What was lent comes back; an HTTP/2 stream that was
        // not is reset.
        let ended = match silence {
            None => until(work, signal.rung()).await.map_err(Some),
            Some(silence) => {
                let too_much = async {
                    tokio::select! {
                        ended = signal.rung() => Some(ended),
                        () = silence.lasts() => None,
                    }
                };
                unless(SILENCE.scope(Arc::clone(&silence), work), Seldom::new(too_much)).await
            }
        };
        let ended = match ended {
            Ok(done) => return done,
            Err(Some(ended)) => ended,
            Err(None) => {
                self.gate.tell_of_silence(signal.session()?);
                return None;
            }
        };
        let session = signal.session()?;
        self.gate.tell_of_end(session, ended);
        let mut lingering = None;
        if let Some(call) = call.and_then(|call| call.reclaim()) {
            farewell::over_grpc(call, session, ended).await;
        } else if let Some(connection) = connection {
            lingering = farewell::over_http1(&connection, session, ended).await;
        }
        self.gate.metrics().revoked(ended.cause.code(), ended.since.elapsed().as_secs_f64());
        if let Some(stream) = lingering {
            farewell::linger(stream).await;
        }
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.app.server_options()
    }

    async fn http_cleanup(&self) {
        self.app.http_cleanup().await;
    }

    async fn process_custom_session(self: Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        Arc::clone(&self.app).process_custom_session(stream, shutdown).await
    }
}

/// Lends a gRPC call, which has a last word of its own; everything else is Pingora's as it is.
fn lend_call(session: ServerSession) -> (Option<Arc<StreamLoan>>, ServerSession) {
    match session {
        ServerSession::H2(stream) if respond::is_grpc(Version::HTTP_2, &stream.req_header().headers) => {
            let (loan, lent) = StreamLoan::of(stream);
            (Some(loan), lent)
        }
        other => (None, other),
    }
}

/// Pingora takes `te` from what it does not know to be HTTP/2; without it some gRPC servers refuse the call.
pub(super) fn restore_te(request: &RequestHeader, upstream: &mut RequestHeader) -> pingora::Result<()> {
    if upstream.version == Version::HTTP_2
        && respond::is_grpc(request.version, &request.headers)
        && request.headers.get(TE).is_some_and(|te| te == TRAILERS)
    {
        head::change_request(upstream, |fields| headers::put(fields, TE, Some(TRAILERS)))?;
    }
    Ok(())
}

/// The one value of `te` that HTTP/2 has (RFC 9113, 8.2.2).
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

impl Gate {
    /// The log line and the counter of a request whose body stopped coming.
    fn tell_of_silence(&self, session: &Session) {
        let published = self.enforcer().published();
        let index = session.service().and_then(|service| published.snapshot().find_service(&service.id));
        if let Some(metrics) = index.and_then(|index| published.upstream(index)) {
            metrics.count(Refusal::SlowBody.code());
        }
        tracing::info!(
            target: "postern::decision",
            request_id = &**session.request_id(),
            connection_id = &**session.connection().id(),
            peer = session.connection().peer().map(tracing::field::display),
            identity = session.identity().as_str(),
            service = session.service().map(|service| &*service.name),
            protocol = session.protocol().code(),
            decision = "refuse",
            reason = Refusal::SlowBody.code(),
            "request given up: its body stopped coming"
        );
    }

    /// The log line, the counters and the failure record of something that was ended, and is cut.
    pub(super) fn tell_of_end(&self, session: &Session, ended: &Ended) {
        session.note_cut();
        let Ended { cause, denial, .. } = ended;
        let connection = session.connection();
        let service = session.service();
        let message = match session.protocol() {
            Protocol::Connection => {
                self.metrics().connection_ended(denial.reason.code());
                "connection ended: nothing is allowed on it any more"
            }
            _ => {
                self.metrics().request_ended(denial.reason.code());
                "request ended: it is no longer allowed"
            }
        };
        tracing::info!(
            target: "postern::decision",
            request_id = &**session.request_id(),
            connection_id = &**connection.id(),
            peer = connection.peer().map(tracing::field::display),
            identity = session.identity().as_str(),
            service = service.map(|service| &*service.name),
            protocol = session.protocol().code(),
            decision = "end",
            cause = cause.code(),
            reason = denial.reason.code(),
            checks = super::judged::checks(denial),
            generation = denial.generation,
            "{message}"
        );
        self.enforcer().record(Failure {
            when: self.enforcer().clock().now(),
            request_id: Arc::clone(session.request_id()),
            connection_id: Arc::clone(connection.id()),
            identity: session.identity().clone(),
            service: service.map(|service| FailedService { id: service.id.clone(), name: Arc::clone(&service.name) }),
            reason: denial.reason,
            policies: denial.policies.clone(),
            lock: denial.lock.clone(),
            source_address: connection.peer().map(|peer| peer.to_string()),
            generation: denial.generation,
        });
    }
}
