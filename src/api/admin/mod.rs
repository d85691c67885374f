//! The admin API: OpenZiti's management endpoints, and Postern's own under `/api/v1`.

mod audit;
mod diagnostics;
mod explain;
mod objects;
mod policy;
mod providers;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

use crate::config;
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Connection, Enforcer};
use crate::limits;

use super::access::{Operator, Origin};
use super::cloudflare::{self, Cloudflare};
use super::edge::{self, Caller, Edge};
use super::guessing::Guessing;
use super::refusal::{self, Language};
use super::reload::{ReloadStatus, Reloader};
use super::version::{self, Api};

/// What the admin API shows and works on.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What is in force.
    pub enforcer: Arc<Enforcer>,
    /// Who may use it. Certificates are recognised by the names their credentials carry, so the listener's credentials should
    /// be made with every kind of name.
    pub access: Arc<config::Admin>,
    /// How loading went.
    pub status: Arc<ReloadStatus>,
    /// Loads again.
    pub reloader: Arc<dyn Reloader>,
    /// What Cloudflare's API needs beside these.
    pub cloudflare: Cloudflare,
}

/// Who may come in, and who tries to.
#[derive(Debug)]
struct Guard {
    enforcer: Arc<Enforcer>,
    access: Arc<config::Admin>,
    guessing: Guessing,
}

impl Admin {
    /// The routes, for [`Listener::serve`](super::Listener::serve).
    ///
    /// Everything but the version asks for credentials first, so that without them nothing can be told from the outside, not even
    /// which paths exist.
    pub fn router(self) -> Router {
        let edge = Edge {
            listener: "admin",
            clock: Arc::clone(self.enforcer.clock()),
            request_time: limits::API_REQUEST_TIME_MAX,
            quiet: false,
        };
        let guard = Guard {
            enforcer: Arc::clone(&self.enforcer),
            access: Arc::clone(&self.access),
            guessing: Guessing::default(),
        };
        let guarded = Router::new()
            .nest("/edge/management/v1", management())
            .nest("/api/v1", native())
            .nest(cloudflare::BASE, cloudflare::router(&self))
            .with_state(self)
            .fallback(refusal::unknown_path)
            .method_not_allowed_fallback(refusal::wrong_method)
            .layer(from_fn_with_state(Arc::new(guard), admit));
        let open = Router::new()
            .route("/edge/management/v1/version", get(|| version::show(Api::Management)))
            .method_not_allowed_fallback(refusal::wrong_method);
        edge::around(guarded.merge(open), edge)
    }
}

fn management() -> Router<Admin> {
    Router::new()
        .route("/identities", get(objects::identities))
        .route("/identities/{id}", get(objects::identity))
        .route("/identities/{id}/posture-data", get(diagnostics::posture_data))
        .route("/identities/{id}/failed-service-requests", get(diagnostics::failed_service_requests))
        .route("/services", get(objects::services))
        .route("/services/{id}", get(objects::service))
        .route("/service-policies", get(objects::service_policies))
        .route("/service-policies/{id}", get(objects::service_policy))
        .route("/posture-checks", get(objects::posture_checks))
        .route("/posture-checks/{id}", get(objects::posture_check))
        .merge(writes::router())
}

fn native() -> Router<Admin> {
    Router::new()
        .route("/policy", get(policy::show))
        .route("/explain", get(explain::explain))
        .route("/audit", get(audit::list))
        .route("/reload", post(policy::reload))
        .route("/identities/{id}/posture/providers/{connection}", put(providers::write))
        .route("/openapi.json", get(version::describe))
}

async fn admit(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let now = guard.enforcer.clock().now();
    let operator = match request.extensions().get::<Arc<Connection>>() {
        Some(connection) => {
            let language = Language::of_path(request.uri().path());
            Operator::of(&guard.access, &guard.guessing, request.headers(), language, connection, now)
        }
        None => Err(ErrorCode::Unauthorized.into()),
    };
    match operator {
        Ok(mut operator) => {
            operator.origin = Origin::of(&request);
            let caller = Caller(Arc::clone(&operator.name));
            request.extensions_mut().insert(operator);
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(refused) => {
            guard.enforcer.metrics().request_refused(match refused.code() {
                ErrorCode::RateLimited => "admin-locked-out",
                _ => "admin-unauthorized",
            });
            refused.into_response()
        }
    }
}
