//! Requests that were let through, asked again at the moment at which time alone may have changed the answer.
//!
//! A permit says until when it holds. When that moment comes while the request is still under way (a slow response, a WebSocket,
//! a stream), it is decided once more, by the same evaluator; what is no longer allowed is cut. Everything else about the
//! request is left to the proxy.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;

use super::gate::{Gate, GatedConnection};
use super::request_id::RequestId;
use crate::clock::Timestamp;
use crate::decision::{Denial, DenialReason, FailedService, Failure, Permit, engine};
use crate::enforce::wait_until;

tokio::task_local! {
    /// The request that the running task serves. Pingora's hooks run inside the task and cannot be handed anything.
    static UNDERWAY: Arc<Underway>;
}

/// A request that may have been let through.
#[derive(Default)]
struct Underway {
    standing: Mutex<Option<Standing>>,
    let_through: Notify,
}

/// A request that was let through for a while.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) request_id: RequestId,
    pub(super) connection: Arc<GatedConnection>,
    pub(super) permit: Arc<Permit>,
}

impl Standing {
    /// Has the request asked again when its permit ends.
    pub(super) fn begin(self) {
        // INVARIANT: every request of a protected proxy runs inside a `StreamGate`; another application that calls the
        // hooks by itself decides each request and nothing more.
        let _ = UNDERWAY.try_with(|underway| {
            *underway.standing.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
            underway.let_through.notify_one();
        });
    }
}

/// An HTTP application whose requests are asked again when their permits end.
#[derive(Debug)]
pub struct StreamGate<A> {
    gate: Arc<Gate>,
    pub(super) app: Arc<A>,
}

impl<A> StreamGate<A> {
    pub(super) fn new(gate: Arc<Gate>, app: A) -> Self {
        StreamGate { gate, app: Arc::new(app) }
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
        let underway = Arc::new(Underway::default());
        let work = UNDERWAY.scope(Arc::clone(&underway), self.app.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            done = work => done,
            // Dropping the work drops the session: an HTTP/1 connection closes, an HTTP/2 stream is reset.
            () = self.gate.until_denied(&underway) => None,
        }
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

impl Gate {
    /// Returns when a request that was let through is no longer allowed, told and recorded; never for any other.
    async fn until_denied(&self, underway: &Underway) {
        underway.let_through.notified().await;
        let standing = underway.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(standing) = standing else {
            return std::future::pending().await;
        };
        let mut until = standing.permit.valid_until();
        loop {
            if until == Timestamp::MAX {
                return std::future::pending().await;
            }
            wait_until(&**self.enforcer().clock(), until).await;
            match self.ask_again(&standing) {
                Ok(permit) => until = permit.valid_until(),
                Err(denial) => return self.ended(&standing, &denial),
            }
        }
    }

    fn ask_again(&self, standing: &Standing) -> Result<Arc<Permit>, Arc<Denial>> {
        let enforcer = self.enforcer();
        let published = enforcer.published();
        let snapshot = published.snapshot();
        let (identity, service) = (standing.permit.identity_id(), &standing.permit.service().id);
        let refuse =
            |reason| Err(Arc::new(engine::refusal(snapshot, reason, Some(identity.clone()), Some(service.clone()))));
        let Some(index) = snapshot.find_service(service) else {
            return refuse(DenialReason::UnknownService);
        };
        match enforcer.identify(&published, &standing.connection.connection) {
            Ok(device) => {
                let certificate = standing.connection.connection.fingerprint();
                enforcer.verdict(snapshot, &device, certificate, index, enforcer.clock().now())
            }
            Err(reason) => refuse(reason),
        }
    }

    /// The log line, the counter and the failure record of a request that is cut.
    fn ended(&self, standing: &Standing, denial: &Denial) {
        let Standing { request_id, connection, permit } = standing;
        let connection = &connection.connection;
        let service = permit.service();
        self.metrics().request_ended(denial.reason.code());
        tracing::info!(
            target: "postern::decision",
            request_id = %request_id,
            connection_id = &**connection.id(),
            peer = connection.peer().map(tracing::field::display),
            identity = permit.identity_id().as_str(),
            service = &*service.name,
            decision = "end",
            reason = denial.reason.code(),
            checks = super::judged::checks(denial),
            generation = denial.generation,
            "request ended: it is no longer allowed"
        );
        self.enforcer().record(Failure {
            when: self.enforcer().clock().now(),
            request_id: request_id.shared(),
            connection_id: Arc::clone(connection.id()),
            identity: permit.identity_id().clone(),
            service: Some(FailedService { id: service.id.clone(), name: Arc::clone(&service.name) }),
            reason: denial.reason,
            policies: denial.policies.clone(),
            lock: denial.lock.clone(),
            source_address: connection.peer().map(|peer| peer.to_string()),
            generation: denial.generation,
        });
    }
}
