//! Which objects belong to which, by the policies in force, before any posture.

use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Admin;
use super::objects::{Parameters, ServiceSight, checks_among, identities_among, policies_among, services_among};
use crate::api::access::Operator;
use crate::api::guard::Admitted;
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ErrorCode};
use crate::id::{IdentityId, PolicyId, ServiceId};
use crate::policy::snapshot::IdentityIndex;
use crate::policy::{ServiceIndex, Snapshot};

/// Of which object the relations are asked, and which of them.
type Asked = (State<Admin>, Path<String>, Parameters);
/// The same of lists of identities, where it matters who asks.
type AskedBy = (State<Admin>, Extension<Operator>, Path<String>, Parameters);
/// The same of lists of services, where it matters what was said at the login.
type AskedIn = (State<Admin>, Extension<Admitted>, Path<String>, Parameters);

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/service-policies/{id}/identities", get(identities_of_policy))
        .route("/service-policies/{id}/services", get(services_of_policy))
        .route("/service-policies/{id}/posture-checks", get(checks_of_policy))
        .route("/identities/{id}/service-policies", get(policies_of_identity))
        .route("/identities/{id}/services", get(services_of_identity))
        .route("/identities/{id}/policy-advice/{service}", get(advice))
        .route("/services/{id}/service-policies", get(policies_of_service))
        .route("/services/{id}/identities", get(identities_of_service))
}

async fn identities_of_policy(
    (State(admin), Extension(operator), Path(id), Query(query)): AskedBy,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let policy = policy(published.snapshot(), id)?;
    identities_among(&admin, &operator, &query, published.snapshot().identities_of(&policy).into_iter())
}

async fn services_of_policy(
    (State(admin), Extension(admitted), Path(id), Query(query)): AskedIn,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let services = snapshot.services_of(&policy(snapshot, id)?);
    let wanted = admitted.wanted_config_types(&query)?;
    services_among(&ServiceSight::new(snapshot, &wanted), &query, services.into_iter())
}

async fn checks_of_policy((State(admin), Path(id), Query(query)): Asked) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let policy = policy(published.snapshot(), id)?;
    checks_among(&query, published.snapshot().checks_of(&policy).into_iter())
}

async fn policies_of_identity((State(admin), Path(id), Query(query)): Asked) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let policies = snapshot.policies_for(identity(snapshot, id)?);
    policies_among(snapshot.objects(), &query, policies.into_iter())
}

async fn services_of_identity(
    (State(admin), Extension(admitted), Path(id), Query(query)): AskedIn,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let services = snapshot.services_for(identity(snapshot, id)?);
    let wanted = admitted.wanted_config_types(&query)?;
    services_among(&ServiceSight::new(snapshot, &wanted), &query, services.into_iter())
}

async fn policies_of_service((State(admin), Path(id), Query(query)): Asked) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let policies = snapshot.policies_to(service(snapshot, id)?);
    policies_among(snapshot.objects(), &query, policies.into_iter())
}

async fn identities_of_service(
    (State(admin), Extension(operator), Path(id), Query(query)): AskedBy,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let identities = published.snapshot().identities_for(service(published.snapshot(), id)?);
    identities_among(&admin, &operator, &query, identities.into_iter())
}

async fn advice(State(admin): State<Admin>, Path((asker, asked)): Path<(String, String)>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let (asker, asked) = (identity(snapshot, asker)?, service(snapshot, asked)?);
    let granted = snapshot.permissions(asker, asked);
    let identity = snapshot.identity(asker).ok_or(ErrorCode::NotFound)?;
    let service = snapshot.service(asked).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::policy_advice(identity, service, &granted))).into_response())
}

fn policy(snapshot: &Snapshot, id: String) -> Result<PolicyId, ErrorCode> {
    let id = PolicyId::new(id);
    if snapshot.policy(&id).is_some() { Ok(id) } else { Err(ErrorCode::NotFound) }
}

fn identity(snapshot: &Snapshot, id: String) -> Result<IdentityIndex, ErrorCode> {
    snapshot.find_identity(&IdentityId::new(id)).ok_or(ErrorCode::NotFound)
}

fn service(snapshot: &Snapshot, id: String) -> Result<ServiceIndex, ErrorCode> {
    snapshot.find_service(&ServiceId::new(id)).ok_or(ErrorCode::NotFound)
}
