//! What is under way now, and how an operator ends it.

use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::Admin;
use super::explain::{find_caller, find_service};
use crate::api::access::Operator;
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::openziti::{self, ErrorCode, Paging};
use crate::enforce::Session;
use crate::policy::objects::{Identity, Objects, Service};

pub(super) fn router() -> Router<Admin> {
    Router::new().route("/sessions", get(list)).route("/sessions/{id}", delete(end))
}

/// Which sessions are asked for; identity and service each by id, or else by name.
#[derive(Debug, Deserialize)]
struct Asked {
    identity: Option<String>,
    service: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
}

/// A session as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    protocol: &'static str,
    identity: Named,
    /// `null` for a client's connection, over which anything may go that is shown by itself.
    service: Option<Named>,
    /// The policy that lets it go on.
    policy: Option<Named>,
    request_id: String,
    connection_id: String,
    source_address: Option<String>,
    started_at: Timestamp,
    /// Until when time alone changes nothing; `null` for ever.
    valid_until: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Named {
    id: String,
    /// `null` for an identity that was deleted.
    name: Option<String>,
}

impl Named {
    fn new(id: &str, name: &str) -> Self {
        Named { id: id.to_owned(), name: Some(name.to_owned()) }
    }
}

/// Sessions in the order in which they began.
async fn list(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Result<Response, Refusal> {
    let paging = Paging::parse(asked.limit.as_deref(), asked.offset.as_deref(), Paging::default())?;
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let nobody = Identity::anonymous();
    let identity = asked.identity.as_deref().map(|wanted| find_caller(objects, &nobody, wanted)).transpose()?;
    let service = asked.service.as_deref().map(|wanted| find_service(objects, wanted)).transpose()?;
    let wanted = |session: &Session| {
        let for_service = |wanted: &Service| session.service().is_some_and(|service| service.id == wanted.id);
        identity.is_none_or(|identity| identity.id == *session.identity()) && service.is_none_or(for_service)
    };
    let sessions = admin.enforcer.sessions().into_iter().filter(|session| wanted(session));
    let page = paging.page(sessions).map(|session| shown(&session, objects));
    Ok(Json(openziti::unfiltered(page)).into_response())
}

fn shown(session: &Session, objects: &Objects) -> Shown {
    let connection = session.connection();
    let id = session.identity();
    let permit = session.permit();
    let name = match id.as_str() {
        Identity::ANONYMOUS => Some(Identity::ANONYMOUS.to_owned()),
        _ => objects.identities.get(id).map(|identity| identity.name.to_string()),
    };
    Shown {
        id: session.id().to_string(),
        protocol: session.protocol().code(),
        identity: Named { id: id.to_string(), name },
        service: session.service().map(|service| Named::new(service.id.as_str(), &service.name)),
        policy: permit.as_ref().map(|permit| {
            let policy = permit.policy();
            Named::new(policy.id.as_str(), &policy.name)
        }),
        request_id: session.request_id().to_string(),
        connection_id: connection.id().to_string(),
        source_address: connection.peer().map(|peer| peer.to_string()),
        started_at: session.started(),
        valid_until: permit.map(|permit| permit.valid_until()).filter(|until| *until < Timestamp::MAX),
    }
}

/// Ends one session, now. Who it belonged to may begin another; a lock is what keeps somebody out.
async fn end(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let number = id.parse().map_err(|_| ErrorCode::NotFound)?;
    if !admin.enforcer.end_session(number) {
        return Err(ErrorCode::NotFound.into());
    }
    tracing::warn!(operator = &*operator.name, session = number, "session ended by an operator");
    Ok(Json(openziti::empty()).into_response())
}
