//! The proxy of the `postern` binary: sends what was let through to an upstream of its service.
//!
//! It stands behind the gate like anybody else's proxy and uses nothing that a foreign one could not.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::UPGRADE;
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::enforced::{Admitted, GatedProxy};
use super::pace;
use super::refusal::{Refusal, UpstreamFault};
use super::request_id::RequestId;
use super::respond;
use super::upstream::{Attempt, Member, Pool, Pools, Wanted};
use crate::decision::Permit;
use crate::limits::{
    CLIENT_BODY_WAIT_MAX, CLIENT_IDLE_WAIT_MAX, CLIENT_WRITE_WAIT_MAX, UPSTREAM_ATTEMPTS_MAX,
    UPSTREAM_IDLE_CONNECTIONS_MAX,
};

/// Sends requests to the upstreams of the service they are for.
#[derive(Debug)]
pub struct UpstreamRouter {
    pools: Arc<Pools>,
    patience: Patience,
}

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the next bytes of a request's body.
    pub body: Duration,
    /// For the next request.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { body: CLIENT_BODY_WAIT_MAX, idle: CLIENT_IDLE_WAIT_MAX }
    }
}

/// One request on its way.
#[derive(Debug, Default)]
pub struct Route {
    admitted: Option<(Arc<Permit>, RequestId)>,
    pool: Option<Arc<Pool>>,
    attempt: Option<Attempt>,
    tried: Vec<Arc<Member>>,
}

impl UpstreamRouter {
    /// A router over `pools`.
    pub fn new(pools: Arc<Pools>) -> Self {
        UpstreamRouter { pools, patience: Patience::default() }
    }

    /// The same router, waiting otherwise for clients.
    #[must_use]
    pub fn waiting(self, patience: Patience) -> Self {
        UpstreamRouter { patience, ..self }
    }

    /// Pingora's settings for this proxy.
    pub fn configuration() -> Arc<ServerConf> {
        Arc::new(ServerConf {
            max_retries: UPSTREAM_ATTEMPTS_MAX,
            // Pingora multiplies by the number of threads.
            threads: 1,
            upstream_keepalive_pool_size: UPSTREAM_IDLE_CONNECTIONS_MAX,
            ..ServerConf::default()
        })
    }
}

impl GatedProxy for UpstreamRouter {
    fn permitted(&self, admitted: &Admitted<'_>, route: &mut Route) {
        route.admitted = Some((Arc::clone(admitted.permit), admitted.request_id.clone()));
    }
}

#[async_trait]
impl ProxyHttp for UpstreamRouter {
    type CTX = Route;

    fn new_ctx(&self) -> Route {
        Route::default()
    }

    async fn early_request_filter(&self, session: &mut Session, _route: &mut Route) -> Result<()> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(self.patience.idle.as_secs().max(1)));
        }
        session.set_write_timeout(Some(CLIENT_WRITE_WAIT_MAX));
        session.set_read_timeout(Some(self.patience.body));
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        _route: &mut Route,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // What was upgraded may be silent for as long as it likes. What only asks for it has a body like any other.
            session.set_read_timeout(None);
        }
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, route: &mut Route) -> Result<Box<HttpPeer>> {
        let peer = route.next_peer(&self.pools, wanted(session.req_header())).await;
        peer.map(Box::new).map_err(UpstreamFault::into_error)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        route: &mut Route,
        mut e: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent yet, so trying elsewhere cannot do anything twice.
        e.set_retry(route.can_go_on());
        e
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        _digest: Option<&Digest>,
        route: &mut Route,
    ) -> Result<()> {
        route.connected();
        Ok(())
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        _session: &mut Session,
        e: Box<Error>,
        route: &mut Route,
        _client_reused: bool,
    ) -> Box<Error> {
        let mut e = e.more_context(format!("upstream {}", peer._address));
        // Something may have been sent, and what it did is not known. Only an upstream that says it will not speak
        // HTTP/2 has not looked at the request.
        let untouched = *e.etype() == ErrorType::H2Downgrade && e.retry();
        e.set_retry(untouched && route.go_back());
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, route: &mut Route) -> FailToProxy {
        let refusal = match (UpstreamFault::of(e), e.esource(), e.etype()) {
            (Some(fault), _, _) => Refusal::Upstream(fault),
            // The client is gone.
            (
                None,
                ErrorSource::Downstream,
                ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed,
            ) => {
                return FailToProxy { error_code: 0, can_reuse_downstream: false };
            }
            (None, ErrorSource::Downstream, ErrorType::ReadTimedout) => Refusal::SlowBody,
            (None, ErrorSource::Downstream, ErrorType::Custom(pace::TOO_SLOW)) => Refusal::TrickledBody,
            (None, ErrorSource::Downstream, _) => {
                let answered = session.respond_error(StatusCode::BAD_REQUEST.as_u16()).await.is_ok();
                return FailToProxy { error_code: if answered { 400 } else { 0 }, can_reuse_downstream: false };
            }
            (None, _, _) => Refusal::Internal,
        };
        let status = match &route.admitted {
            Some((_, request_id)) => respond::send(session, &refusal, request_id).await,
            None => None,
        };
        FailToProxy { error_code: status.map_or(0, |status| status.as_u16()), can_reuse_downstream: false }
    }
}

fn wanted(request: &RequestHeader) -> Wanted {
    match request.version {
        Version::HTTP_2 => Wanted::Http2,
        _ if request.headers.contains_key(UPGRADE) => Wanted::Upgrade,
        _ => Wanted::Http1,
    }
}

impl Route {
    /// The way of what a permit lets through.
    pub(super) fn of(permit: &Arc<Permit>, request_id: &RequestId) -> Self {
        Route { admitted: Some((Arc::clone(permit), request_id.clone())), ..Route::default() }
    }

    /// The connection to where it leads was made.
    pub(super) fn connected(&self) {
        if let Some(attempt) = &self.attempt {
            attempt.connected();
        }
    }

    /// Where to connect now: the next address of the upstream under way, or another upstream.
    pub(super) async fn next_peer(
        &mut self,
        pools: &Pools,
        wanted: Wanted,
    ) -> std::result::Result<HttpPeer, UpstreamFault> {
        let (permit, _) = self.admitted.as_ref().ok_or(UpstreamFault::NoUpstream)?;
        let pool = self.pool.get_or_insert_with(|| pools.pool(permit));
        let template = pool.template()?;
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.has_more()) {
            return attempt.next_peer(template, wanted);
        }
        let mut fault = None;
        loop {
            let member = match pool.choose(permit.identity_id().as_str(), &self.tried) {
                Ok(member) => member,
                Err(nobody) => return Err(fault.unwrap_or(nobody)),
            };
            self.tried.push(Arc::clone(&member));
            match Attempt::begin(member, pool.transport().connect_timeout).await {
                Ok(attempt) => return self.attempt.insert(attempt).next_peer(template, wanted),
                Err(reason) if self.tried.len() > usize::from(pool.transport().retries) => return Err(reason),
                // Another one may have an address.
                Err(reason) => fault = Some(reason),
            }
        }
    }

    /// Whether there is somewhere else to connect to.
    pub(super) fn can_go_on(&self) -> bool {
        let (Some(pool), Some((permit, _))) = (&self.pool, &self.admitted) else {
            return false;
        };
        let same_upstream = self.attempt.as_ref().is_some_and(Attempt::has_more);
        let retries_left = self.tried.len() <= usize::from(pool.transport().retries);
        same_upstream || (retries_left && pool.choose(permit.identity_id().as_str(), &self.tried).is_ok())
    }

    /// Forgets the upstream under way, so that it can be chosen again.
    fn go_back(&mut self) -> bool {
        self.attempt = None;
        self.tried.pop().is_some()
    }
}
