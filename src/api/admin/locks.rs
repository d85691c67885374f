//! Operators lock identities out, and let them in again.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Admin;
use super::explain::find_identity;
use super::writes::written;
use crate::api::access::Operator;
use crate::api::refusal::Refusal;
use crate::api::writing::to_its_end;
use crate::decision::Lock;
use crate::decision::lock::LockProblem;
use crate::dialect::native;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::LockRefused;
use crate::id::IdentityId;

pub(super) fn router() -> Router<Admin> {
    Router::new().route("/locks", get(list)).route("/identities/{id}/lock", get(show).put(lock).delete(unlock))
}

/// Every lock that holds.
async fn list(State(admin): State<Admin>) -> Response {
    let published = admin.enforcer.published();
    let identities = &published.snapshot().objects().identities;
    let locks = admin.enforcer.locks();
    let shown = locks.iter().map(|locked| {
        let name = identities.get(&locked.identity).map(|identity| &*identity.name);
        native::lock(locked.identity.as_str(), name, &locked.lock)
    });
    Json(openziti::detail(shown.collect::<Vec<_>>())).into_response()
}

async fn show(State(admin): State<Admin>, Path(wanted): Path<String>) -> Result<Response, Refusal> {
    let id = named(&admin, &wanted)?;
    let now = admin.enforcer.clock().now();
    let lock = admin.enforcer.device(&id).and_then(|device| device.locked(now)).ok_or(ErrorCode::NotFound)?;
    Ok(shown(&admin, &id, &lock))
}

/// Locks an identity out: durable and in force when the reply is sent.
async fn lock(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(wanted): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let id = named(&admin, &wanted)?;
    let lock = native::read_lock(&body).map_err(|problem| {
        let parsed = problem.path != ".";
        let code = if parsed { ErrorCode::CouldNotValidate } else { ErrorCode::CouldNotParseBody };
        Refusal::because(code, if parsed { &problem.path } else { "body" }, problem.reason, "")
    })?;
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let put_on = admin.enforcer.lock(&turn, &id, &lock, &operator.author()).await.map_err(refused)?;
        let until = put_on.until.map(tracing::field::display);
        tracing::warn!(operator = &*operator.name, identity = %id, until, reason = &*put_on.reason, "identity locked");
        Ok(shown(&admin, &id, &put_on))
    };
    to_its_end(work).await
}

/// Lets an identity in again.
async fn unlock(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(wanted): Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let id = named(&admin, &wanted)?;
    let work = async move {
        let turn = admin.enforcer.turn().await;
        admin.enforcer.unlock(&turn, &id, &operator.author()).await.map_err(refused)?;
        tracing::warn!(operator = &*operator.name, identity = %id, "identity unlocked");
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}

fn shown(admin: &Admin, id: &IdentityId, lock: &Arc<Lock>) -> Response {
    let published = admin.enforcer.published();
    let name = published.snapshot().objects().identities.get(id).map(|identity| &*identity.name);
    Json(openziti::detail(native::lock(id.as_str(), name, lock))).into_response()
}

/// The identity by its id, else by its name; also one that left the policy and is still locked, by its id.
fn named(admin: &Admin, wanted: &str) -> Result<IdentityId, Refusal> {
    let published = admin.enforcer.published();
    let unknown = match find_identity(published.snapshot().objects(), wanted) {
        Ok(identity) => return Ok(identity.id.clone()),
        Err(unknown) => unknown,
    };
    let id = IdentityId::from(wanted);
    let locked = admin.enforcer.device(&id).and_then(|device| device.locked(admin.enforcer.clock().now()));
    locked.map(|_| id).ok_or(unknown)
}

fn refused(refused: LockRefused) -> Refusal {
    match refused {
        LockRefused::Problem(problem) => {
            let field = match problem {
                LockProblem::Reason => "reason",
                LockProblem::End => "until",
            };
            Refusal::because(ErrorCode::CouldNotValidate, field, problem.to_string(), "")
        }
        LockRefused::UnknownIdentity | LockRefused::NotLocked => {
            Refusal::because(ErrorCode::NotFound, "identity", refused.to_string(), "")
        }
        LockRefused::Unavailable(error) => {
            tracing::error!(%error, code = error.code(), "a lock could not be stored");
            Refusal::store_unavailable()
        }
    }
}
