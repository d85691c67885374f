//! A proxy behind the gate: every hook of the wrapped proxy runs as it would without, but only for requests that were let
//! through.
//!
//! INVARIANT: every method of [`ProxyHttp`] is here. One that is forgotten falls back to Pingora's default and silently
//! changes somebody's proxy, so the linter is told to insist on all of them.

use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::cache::key::HashBinary;
use pingora::cache::{CacheKey, CacheMeta, ForcedFreshness, HitHandler, PurgeAction, RespCacheable};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, PurgeStatus, RangeType, Session};
use tokio::sync::mpsc;

use super::gate::Gate;
use super::judged::{Judged, Outcome};
use super::pace;
use super::refusal::Refusal;
use super::request_id::RequestId;
use super::respond;
use super::standing;
use crate::decision::Permit;
use crate::enforce::Connection;

/// A proxy that can stand behind the gate. The default asks nothing of it.
pub trait GatedProxy: ProxyHttp {
    /// A request was let through; this is the first the proxy hears of it. Requests that are refused it never sees.
    fn permitted(&self, admitted: &Admitted<'_>, ctx: &mut Self::CTX) {
        let _ = (admitted, ctx);
    }
}

/// What is known about a request that was let through.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a> {
    /// Who may reach what, and by which policy.
    pub permit: &'a Arc<Permit>,
    /// The connection it came over.
    pub connection: &'a Connection,
    /// Its id.
    pub request_id: &'a RequestId,
}

/// A proxy behind the gate. Made by [`Gate::protect`].
#[derive(Debug)]
pub struct Enforced<P> {
    gate: Arc<Gate>,
    inner: P,
}

/// The state of one request: the gate's and the wrapped proxy's.
#[derive(Debug)]
pub struct RequestContext<C> {
    /// Apart, because Pingora's future of a request has room for several of these and is copied whole when it begins.
    judged: Box<Judged>,
    inner: C,
}

impl<P> Enforced<P> {
    pub(super) fn new(gate: Arc<Gate>, inner: P) -> Self {
        Enforced { gate, inner }
    }
}

/// A future as the methods of [`ProxyHttp`] return it.
type Hook<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Writes hooks that run for every request. Each returns the wrapped proxy's own future, where an `async fn` would put it into one
/// more box; what the gate has to say `before` may end the request.
macro_rules! hooks {
    ($(
        $name:ident<$($lifetime:lifetime),+>($($argument:ident: $type:ty),+) -> $output:ty $(, before $before:ident($($seen:ident),+))?;
    )+) => {$(
        fn $name<'life0, $($lifetime,)+ 'context, 'async_trait>(
            &'life0 self,
            $($argument: $type,)+
            ctx: &'context mut Self::CTX,
        ) -> Hook<'async_trait, $output>
        where
            'life0: 'async_trait,
            $($lifetime: 'async_trait,)+
            'context: 'async_trait,
            Self: 'async_trait,
        {
            $(if let Err(refused) = self.$before($($seen,)+ ctx) {
                return Box::pin(std::future::ready(Err(refused)));
            })?
            self.inner.$name($($argument,)+ &mut ctx.inner)
        }
    )+};
}

/// What Pingora is told when the gate answers a request itself; the answer is written by `fail_to_proxy`.
fn refused() -> Box<Error> {
    Error::new_down(ErrorType::Custom("RefusedByGate"))
}

/// What the gate does before hooks of the wrapped proxy.
impl<P> Enforced<P>
where
    P: GatedProxy + Send + Sync,
    P::CTX: Send + Sync,
{
    fn judge(&self, session: &mut Session, ctx: &mut RequestContext<P::CTX>) -> Result<()> {
        let RequestContext { judged, inner } = ctx;
        if !judged.judge(&self.gate, session) {
            return Err(refused());
        }
        if let Some(admitted) = judged.admitted() {
            self.inner.permitted(&admitted, inner);
        }
        if let Some(previous) = judged.take_previous() {
            self.inner.on_connection_reuse(session, inner, previous);
        }
        Ok(())
    }

    fn insist_on_permit(&self, _session: &Session, ctx: &mut RequestContext<P::CTX>) -> Result<()> {
        // INVARIANT: without a permit there is no upstream, whatever the wrapped proxy thinks.
        if ctx.judged.permit().is_none() {
            ctx.judged.outcome = Outcome::Refused(Refusal::Internal);
            return Err(refused());
        }
        Ok(())
    }

    fn mind_pace(&self, body: &Option<Bytes>, end_of_stream: bool, ctx: &mut RequestContext<P::CTX>) -> Result<()> {
        let bytes = body.as_ref().map_or(0, Bytes::len);
        match ctx.judged.body_came(&self.gate, bytes, end_of_stream) {
            true => Ok(()),
            false => Err(Error::new_down(ErrorType::Custom(pace::TOO_SLOW))),
        }
    }

    fn note_upstream(&self, peer: &HttpPeer, ctx: &mut RequestContext<P::CTX>) -> Result<()> {
        ctx.judged.upstream = Some(peer._address.clone());
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P> ProxyHttp for Enforced<P>
where
    P: GatedProxy + Send + Sync,
    P::CTX: Send + Sync,
{
    type CTX = RequestContext<P::CTX>;

    fn new_ctx(&self) -> Self::CTX {
        RequestContext { judged: Box::new(Judged::begin(&self.gate)), inner: self.inner.new_ctx() }
    }

    // The gate's own work: decide before anything else runs, open an upstream for a permit only, speak for whom was let
    // through, answer who was not, and tell of both.

    hooks! {
        early_request_filter<'life1>(session: &'life1 mut Session) -> Result<()>, before judge(session);
        upstream_peer<'life1>(session: &'life1 mut Session) -> Result<Box<HttpPeer>>, before insist_on_permit(session);
        connected_to_upstream<'life1, 'life2, 'life3>(
            session: &'life1 mut Session,
            reused: bool,
            peer: &'life2 HttpPeer,
            fd: RawFd,
            digest: Option<&'life3 Digest>
        ) -> Result<()>, before note_upstream(peer);
        request_body_filter<'life1, 'life2>(
            session: &'life1 mut Session,
            body: &'life2 mut Option<Bytes>,
            end_of_stream: bool
        ) -> Result<()>, before mind_pace(body, end_of_stream);
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream_request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        standing::restore_te(session.req_header(), upstream_request)?;
        self.inner.upstream_request_filter(session, upstream_request, &mut ctx.inner).await?;
        if ctx.judged.claim(upstream_request) { Ok(()) } else { Err(refused()) }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        upstream_response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        self.inner.response_filter(session, upstream_response, &mut ctx.inner).await?;
        ctx.judged.sign(upstream_response)
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        let status = match &ctx.judged.outcome {
            Outcome::Refused(refusal) => respond::send(session, refusal, ctx.judged.request_id()).await,
            Outcome::Answered(reply) => Some(respond::answer(session, reply.clone(), ctx.judged.request_id()).await),
            Outcome::Unjudged | Outcome::Permitted { .. } => {
                return self.inner.fail_to_proxy(session, e, &mut ctx.inner).await;
            }
        };
        // Whether the connection is really used again was decided with the refusal; this only lets it end in order.
        FailToProxy { error_code: status.map_or(0, |status| status.as_u16()), can_reuse_downstream: true }
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, ctx: &mut Self::CTX) {
        if ctx.judged.permit().is_some() {
            self.inner.logging(session, e, &mut ctx.inner).await;
        }
        ctx.judged.note_conduct(&self.gate, session, e);
        ctx.judged.report(&self.gate, session, e);
    }

    fn persist_connection_context(&self, session: &Session, ctx: &Self::CTX) -> Option<Box<dyn Any + Send + Sync>> {
        ctx.judged.permit()?;
        self.inner.persist_connection_context(session, &ctx.inner)
    }

    fn on_connection_reuse(&self, _session: &mut Session, ctx: &mut Self::CTX, prev_ctx: Box<dyn Any + Send + Sync>) {
        // Passed on once the request was let through.
        ctx.judged.keep_previous(prev_ctx);
    }

    fn suppress_error_log(&self, session: &Session, ctx: &Self::CTX, error: &Error) -> bool {
        matches!(ctx.judged.outcome, Outcome::Refused(_) | Outcome::Answered(_))
            || self.inner.suppress_error_log(session, &ctx.inner, error)
    }

    // From here on every hook is the wrapped proxy's alone.

    hooks! {
        request_filter<'life1>(session: &'life1 mut Session) -> Result<bool>;
        proxy_upstream_filter<'life1>(session: &'life1 mut Session) -> Result<bool>;
        upstream_response_filter<'life1, 'life2>(
            session: &'life1 mut Session,
            upstream_response: &'life2 mut ResponseHeader
        ) -> Result<()>;
        adjust_upstream_modules<'life1, 'life2>(
            session: &'life1 mut Session,
            upstream_response: &'life2 ResponseHeader,
            end_of_stream: bool
        ) -> Result<()>;
    }

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        self.inner.init_downstream_modules(modules);
    }

    fn init_upstream_modules(&self, modules: &mut HttpModules) {
        self.inner.init_upstream_modules(modules);
    }

    fn allow_spawning_subrequest(&self, session: &Session, ctx: &Self::CTX) -> bool {
        self.inner.allow_spawning_subrequest(session, &ctx.inner)
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        self.inner.request_cache_filter(session, &mut ctx.inner)
    }

    fn cache_key_callback(&self, session: &Session, ctx: &mut Self::CTX) -> Result<CacheKey> {
        self.inner.cache_key_callback(session, &mut ctx.inner)
    }

    fn cache_miss(&self, session: &mut Session, ctx: &mut Self::CTX) {
        self.inner.cache_miss(session, &mut ctx.inner);
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        hit_handler: &mut HitHandler,
        is_fresh: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<ForcedFreshness>> {
        self.inner.cache_hit_filter(session, meta, hit_handler, is_fresh, &mut ctx.inner).await
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        resp: &ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<RespCacheable> {
        self.inner.response_cache_filter(session, resp, &mut ctx.inner)
    }

    fn cache_vary_filter(&self, meta: &CacheMeta, ctx: &mut Self::CTX, req: &RequestHeader) -> Option<HashBinary> {
        self.inner.cache_vary_filter(meta, &mut ctx.inner, req)
    }

    fn cache_not_modified_filter(&self, session: &Session, resp: &ResponseHeader, ctx: &mut Self::CTX) -> Result<bool> {
        self.inner.cache_not_modified_filter(session, resp, &mut ctx.inner)
    }

    fn range_header_filter(&self, session: &mut Session, resp: &mut ResponseHeader, ctx: &mut Self::CTX) -> RangeType {
        self.inner.range_header_filter(session, resp, &mut ctx.inner)
    }

    async fn custom_forwarding(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
        custom_message_to_upstream: Option<mpsc::Sender<Bytes>>,
        custom_message_to_downstream: mpsc::Sender<Bytes>,
    ) -> Result<()> {
        self.inner
            .custom_forwarding(session, &mut ctx.inner, custom_message_to_upstream, custom_message_to_downstream)
            .await
    }

    async fn downstream_custom_message_proxy_filter(
        &self,
        session: &mut Session,
        custom_message: Bytes,
        ctx: &mut Self::CTX,
        final_hop: bool,
    ) -> Result<Option<Bytes>> {
        self.inner.downstream_custom_message_proxy_filter(session, custom_message, &mut ctx.inner, final_hop).await
    }

    async fn upstream_custom_message_proxy_filter(
        &self,
        session: &mut Session,
        custom_message: Bytes,
        ctx: &mut Self::CTX,
        final_hop: bool,
    ) -> Result<Option<Bytes>> {
        self.inner.upstream_custom_message_proxy_filter(session, custom_message, &mut ctx.inner, final_hop).await
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        self.inner.upstream_response_body_filter(session, body, end_of_stream, &mut ctx.inner)
    }

    fn upstream_response_trailer_filter(
        &self,
        session: &mut Session,
        upstream_trailers: &mut HeaderMap,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        self.inner.upstream_response_trailer_filter(session, upstream_trailers, &mut ctx.inner)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        self.inner.response_body_filter(session, body, end_of_stream, &mut ctx.inner)
    }

    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        upstream_trailers: &mut HeaderMap,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        self.inner.response_trailer_filter(session, upstream_trailers, &mut ctx.inner).await
    }

    fn suppress_proxy_warn_log(
        &self,
        session: &Session,
        ctx: &Self::CTX,
        error: &Error,
        context: ProxyWarnLogContext,
    ) -> bool {
        self.inner.suppress_proxy_warn_log(session, &ctx.inner, error, context)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        ctx: &mut Self::CTX,
        client_reused: bool,
    ) -> Box<Error> {
        self.inner.error_while_proxy(peer, session, e, &mut ctx.inner, client_reused)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Self::CTX,
        e: Box<Error>,
    ) -> Box<Error> {
        self.inner.fail_to_connect(session, peer, &mut ctx.inner, e)
    }

    fn should_serve_stale(&self, session: &mut Session, ctx: &mut Self::CTX, error: Option<&Error>) -> bool {
        self.inner.should_serve_stale(session, &mut ctx.inner, error)
    }

    fn request_summary(&self, session: &Session, ctx: &Self::CTX) -> String {
        self.inner.request_summary(session, &ctx.inner)
    }

    fn is_purge(&self, session: &Session, ctx: &Self::CTX) -> bool {
        self.inner.is_purge(session, &ctx.inner)
    }

    fn purge_action(&self, session: &Session, ctx: &Self::CTX) -> PurgeAction {
        self.inner.purge_action(session, &ctx.inner)
    }

    fn purge_response_filter(
        &self,
        session: &Session,
        ctx: &mut Self::CTX,
        purge_status: PurgeStatus,
        purge_response: &mut Cow<'static, ResponseHeader>,
    ) -> Result<()> {
        self.inner.purge_response_filter(session, &mut ctx.inner, purge_status, purge_response)
    }
}
