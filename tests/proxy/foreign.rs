//! A proxy that knows nothing of our routing and upstreams, behind the gate.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use pingora_proxy::{ProxyHttp, Session};
use postern::proxy::{Admitted, GatedProxy, Pools};
use serde_json::Value;

use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, GatewayBuilder, Origin};

/// Somebody's proxy: one upstream, a header of its own, a maintenance page, a log.
struct Theirs {
    upstream: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct TheirContext {
    identity: Option<String>,
    previous: Option<String>,
}

impl GatedProxy for Theirs {
    fn permitted(&self, admitted: &Admitted<'_>, ctx: &mut TheirContext) {
        assert!(admitted.connection.server_name().is_some());
        ctx.identity = Some(admitted.permit.identity().name.to_string());
    }
}

#[async_trait]
impl ProxyHttp for Theirs {
    type CTX = TheirContext;

    fn new_ctx(&self) -> TheirContext {
        TheirContext::default()
    }

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut TheirContext) -> Result<()> {
        assert!(!session.req_header().headers.contains_key("x-postern-identity"), "stripped before we look");
        self.log.lock().unwrap().push(format!("early {}", session.req_header().uri.path()));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, _ctx: &mut TheirContext) -> Result<bool> {
        if session.req_header().uri.path() != "/maintenance" {
            return Ok(false);
        }
        let mut response = ResponseHeader::build(StatusCode::IM_A_TEAPOT, None)?;
        response.insert_header("content-length", "0")?;
        session.write_response_header(Box::new(response), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut TheirContext) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut TheirContext,
    ) -> Result<()> {
        request.insert_header("x-theirs", ctx.identity.clone().unwrap_or_default())?;
        request.insert_header("x-previous", ctx.previous.clone().unwrap_or_default())?;
        // Whatever it does to our fields, intended or not, does not reach the upstream.
        request.insert_header("x-postern-identity", "forged-by-proxy")?;
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut TheirContext,
    ) -> Result<()> {
        response.insert_header("x-their-response", HeaderValue::from_static("yes"))
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, _ctx: &mut TheirContext) {
        self.log.lock().unwrap().push(format!("logged {}", session.req_header().uri.path()));
    }

    fn persist_connection_context(&self, session: &Session, _ctx: &TheirContext) -> Option<Box<dyn Any + Send + Sync>> {
        Some(Box::new(session.req_header().uri.path().to_owned()))
    }

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        ctx: &mut TheirContext,
        previous: Box<dyn Any + Send + Sync>,
    ) {
        ctx.previous = previous.downcast::<String>().ok().map(|path| *path);
    }
}

fn policies() -> GatewayBuilder {
    // No upstreams: the proxy behind the gate has its own idea of where services live.
    Gateway::with(
        Policy::default()
            .identity(identity("alice"))
            .identity(identity("bob"))
            .service(service("app", "app.example.test", &[]))
            .service(service("other", "other.example.test", &[]))
            .policy(policy("users", &["@alice"], &["@app"], &[]))
            .policy(policy("others", &["@bob"], &["@other"], &[])),
    )
}

#[tokio::test]
async fn it_serves_who_is_let_through_and_hears_of_nobody_else() {
    let origin = Origin::start().await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let theirs = Theirs { upstream: origin.address, log: Arc::clone(&log) };
    let gateway = policies().start_with(theirs, Pools::new(), |_| {}).await;

    let client = gateway.http1_client("alice");
    let response = client.get("app.example.test", "/first").await;
    assert_eq!(response.headers()["x-their-response"], "yes");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let seen: Value = response.json().await.unwrap();
    assert_eq!(seen["headers"]["x-theirs"][0], "alice");
    assert_eq!(seen["headers"]["x-postern-identity"], serde_json::json!(["alice"]));
    assert_eq!(seen["headers"]["x-request-id"][0], id);
    assert_eq!(seen["headers"]["x-previous"][0], "");
    assert_eq!(client.get("app.example.test", "/maintenance").await.status(), 418);

    let refused = gateway.client("bob").get("app.example.test", "/refused").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers().get("x-their-response"), None);
    assert_eq!(*log.lock().unwrap(), ["early /first", "logged /first", "early /maintenance", "logged /maintenance",]);
    assert_eq!(origin.requests(), 1);
}

#[tokio::test]
async fn what_it_keeps_with_a_connection_comes_back() {
    let origin = Origin::start().await;
    let theirs = Theirs { upstream: origin.address, log: Arc::default() };
    let gateway = policies().start_with(theirs, Pools::new(), |_| {}).await;
    let mut connection = gateway.connect("alice", "app.example.test").await;
    for (path, previous) in [("/first", ""), ("/second", "/first"), ("/third", "/second")] {
        connection.say(&format!("GET {path} HTTP/1.1\r\nHost: app.example.test\r\n\r\n")).await;
        let seen: Value = serde_json::from_str(&connection.answer().await.unwrap().body).unwrap();
        assert_eq!(seen["headers"]["x-previous"][0], previous, "{path}");
    }
}

#[tokio::test]
async fn its_own_troubles_stay_its_own() {
    let nobody = super::support::origin::nobody().await.parse().unwrap();
    let theirs = Theirs { upstream: nobody, log: Arc::default() };
    let gateway = policies().start_with(theirs, Pools::new(), |_| {}).await;
    let response = gateway.client("alice").get("app.example.test", "/").await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers().get("content-type"), None, "Pingora's own answer, as without the gate");
}

#[tokio::test]
async fn pingoras_own_options_can_still_be_set() {
    let origin = Origin::start().await;
    let theirs = Theirs { upstream: origin.address, log: Arc::default() };
    let gateway = policies()
        .start_with(theirs, Pools::new(), |gate| {
            let mut options = pingora::apps::HttpServerOptions::default();
            options.keepalive_request_limit = Some(1);
            gate.app_mut().unwrap().server_options = Some(options);
        })
        .await;
    let mut connection = gateway.connect("alice", "app.example.test").await;
    // Pingora counts how often a connection is used again.
    for _ in 0..2 {
        connection.say("GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n").await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
    }
    assert_eq!(connection.rest().await, "");
}
