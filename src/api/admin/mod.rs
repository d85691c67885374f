//! The admin API: OpenZiti's management endpoints, and Postern's own under `/api/v1`.

mod audit;
mod authentication;
mod catalogue;
mod configs;
mod diagnostics;
mod enrollments;
mod explain;
mod locks;
mod objects;
mod policy;
mod providers;
mod relations;
mod sessions;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::config;
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Connection, Enforcer, SecondFactors};
use crate::limits;

use super::access::Origin;
use super::authorities::Authorities;
use super::cloudflare::{self, Cloudflare};
use super::documents;
use super::edge::{self, Caller, Edge};
use super::enroller::Enroller;
use super::guard::Guard;
use super::language::{self, Language};
use super::refusal;
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
    /// What a service made over the API does where it does not say otherwise.
    pub service_defaults: config::ServiceDefaults,
    /// What Cloudflare's API needs beside these.
    pub cloudflare: Cloudflare,
    /// Second factors, which operators may take away.
    pub factors: Arc<SecondFactors>,
    /// The CAs it tells clients to know.
    pub authorities: Authorities,
    /// Enrolment by one-time token, where a CA for it is configured.
    pub enroller: Option<Arc<Enroller>>,
}

impl Admin {
    /// The routes, for [`Listener::serve`](super::Listener::serve).
    ///
    /// Everything but logging in and what clients ask before it (the version, the CAs) asks for credentials first, so that without
    /// them nothing can be told from the outside, not even which paths exist.
    pub fn router(self) -> Router {
        let edge = Edge {
            listener: "admin",
            clock: Arc::clone(self.enforcer.clock()),
            request_time: limits::API_REQUEST_TIME_MAX,
            quiet: false,
        };
        let guard = Guard::new(Arc::clone(&self.enforcer), Arc::clone(&self.access));
        let authorities = self.authorities.clone();
        let show_authorities = get(move || std::future::ready(authorities.show()));
        let open = open(show_authorities).with_state(Arc::clone(&guard));
        let guarded = Router::new()
            .merge(management_and_native())
            .nest(language::CLOUDFLARE, cloudflare::router(&self))
            .with_state(self)
            .merge(own_session().with_state(Arc::clone(&guard)))
            .fallback(refusal::unknown_path)
            .method_not_allowed_fallback(refusal::wrong_method)
            .layer(from_fn_with_state(guard, admit));
        edge::around(guarded.merge(open), edge)
    }
}

/// What is asked before there are credentials. OpenZiti's clients look for the version under the paths of both its APIs.
fn open(show_authorities: MethodRouter<Arc<Guard>>) -> Router<Arc<Guard>> {
    let show_version = || get(|request: Request| version::show(Api::Management, request));
    Router::new()
        .route("/edge/management/v1/authenticate", post(authentication::authenticate))
        .route("/", show_version())
        .route("/version", show_version())
        .route("/edge/management/v1", show_version())
        .route("/edge/management/v1/", show_version())
        .route("/edge/management/v1/version", show_version())
        .route("/edge/client/v1/version", show_version())
        .route("/.well-known/est/cacerts", show_authorities.clone())
        .route("/edge/management/v1/.well-known/est/cacerts", show_authorities)
        .method_not_allowed_fallback(refusal::wrong_method)
}

fn own_session() -> Router<Arc<Guard>> {
    let session = get(authentication::current_session).delete(authentication::end_session);
    Router::new()
        .route("/edge/management/v1/current-api-session", session)
        .route("/edge/management/v1/current-identity", get(authentication::current_identity))
}

fn management_and_native() -> Router<Admin> {
    Router::new()
        .nest("/edge/management/v1", management())
        .nest("/api/v1", native())
        .route("/api/openapi.json", get(documents::show_admin))
}

/// Every route there is, as the routers' `Debug` tells it, for the test that compares them with what is described.
#[cfg(test)]
pub(super) fn route_tables() -> [String; 4] {
    let of_account = cloudflare::below_an_account(cloudflare::of_account());
    [
        format!("{:?}", management_and_native()),
        format!("{:?}", Router::new().nest(language::CLOUDFLARE, of_account)),
        format!("{:?}", own_session()),
        format!("{:?}", open(get(|| std::future::ready(())))),
    ]
}

fn management() -> Router<Admin> {
    Router::new()
        .route("/identities", get(objects::identities))
        .route("/identities/{id}", get(objects::identity))
        .route("/identities/{id}/mfa", delete(diagnostics::remove_second_factor))
        .route("/identities/{id}/posture-data", get(diagnostics::posture_data))
        .route("/identities/{id}/failed-service-requests", get(diagnostics::failed_service_requests))
        .route("/services", get(objects::services))
        .route("/services/{id}", get(objects::service))
        .route("/service-policies", get(objects::service_policies))
        .route("/service-policies/{id}", get(objects::service_policy))
        .route("/posture-checks", get(objects::posture_checks))
        .route("/posture-checks/{id}", get(objects::posture_check))
        .merge(catalogue::router())
        .merge(configs::router())
        .merge(enrollments::router())
        .merge(relations::router())
        .merge(writes::router())
}

fn native() -> Router<Admin> {
    Router::new()
        .route("/policy", get(policy::show))
        .route("/explain", get(explain::explain))
        .route("/audit", get(audit::list))
        .route("/reload", post(policy::reload))
        .route("/identities/{id}/posture/providers/{connection}", put(providers::write))
        .merge(locks::router())
        .merge(sessions::router())
        .route("/openapi.json", get(documents::show_admin))
}

async fn admit(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let admitted = match request.extensions().get::<Arc<Connection>>() {
        Some(connection) => guard.admit(request.headers(), Language::of_path(request.uri().path()), connection),
        None => Err(ErrorCode::Unauthorized.into()),
    };
    match admitted {
        Ok(mut admitted) => {
            admitted.operator.origin = Origin::of(&request);
            let caller = Caller(Arc::clone(&admitted.operator.name));
            request.extensions_mut().insert(admitted.operator.clone());
            request.extensions_mut().insert(admitted);
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
