//! For probes and Prometheus: `/livez`, `/readyz`, `/metrics`. Nothing here names an identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::dialect::openziti::ErrorCode;
use crate::enforce::Enforcer;
use crate::limits;

use super::edge::{self, Edge};
use super::refusal::{self, Refusal};

/// Whether this process should be sent traffic, as far as its own parts know.
#[derive(Debug, Default)]
pub struct Readiness {
    listening: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Not ready yet: no listener is up.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Every listener is up.
    pub fn listeners_up(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// The process is shutting down; there is no way back.
    pub fn shutting_down(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// What speaks against sending traffic; nothing when the process is ready.
    ///
    /// A policy that was loaded once stays in force through a broken edit, so the process stays ready as well.
    pub fn obstacles(&self, enforcer: &Enforcer) -> Vec<&'static str> {
        let obstacles = [
            (self.stopping.load(Ordering::Acquire), "the process is shutting down"),
            (!self.listening.load(Ordering::Acquire), "the listeners are not up yet"),
            (!enforcer.published().snapshot().is_loaded(), "no policy is loaded"),
        ];
        obstacles.into_iter().filter_map(|(stands, obstacle)| stands.then_some(obstacle)).collect()
    }
}

/// What the ops endpoints show.
#[derive(Clone, Debug)]
pub struct Ops {
    /// What is in force, and its metrics.
    pub enforcer: Arc<Enforcer>,
    /// Whether traffic should come.
    pub readiness: Arc<Readiness>,
}

impl Ops {
    /// The routes, for [`Listener::serve`](super::Listener::serve).
    pub fn router(self) -> Router {
        let edge = Edge {
            listener: "ops",
            clock: Arc::clone(self.enforcer.clock()),
            request_time: limits::API_REQUEST_TIME_MAX,
            quiet: true,
        };
        let routes = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .fallback(refusal::unknown_path)
            .method_not_allowed_fallback(refusal::wrong_method)
            .with_state(self);
        edge::around(routes, edge)
    }
}

async fn livez() -> Response {
    plain(StatusCode::OK, "live\n".to_owned())
}

async fn readyz(State(ops): State<Ops>) -> Response {
    let obstacles = ops.readiness.obstacles(&ops.enforcer);
    if obstacles.is_empty() {
        return plain(StatusCode::OK, "ready\n".to_owned());
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", obstacles.join("; ")))
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.enforcer.metrics().render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be rendered");
            Refusal::from(ErrorCode::Unhandled).into_response()
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
