//! What there is beside the objects: types and policies that nobody made, role attributes in use, and how many of everything.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Admin;
use super::objects::{Parameters, has_a_word};
use crate::api::foreign;
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{
    self, AuthPolicy, ErrorCode, IdentityType, ListQuery, Listed, PostureCheckType, RoleAttribute,
};
use crate::enforce::busy;

pub(super) fn router() -> Router<Admin> {
    let foreign =
        openziti::FOREIGN_LISTS.into_iter().fold(Router::new(), |router, path| router.route(path, get(foreign::list)));
    foreign
        .route("/posture-check-types", get(posture_check_types))
        .route("/posture-check-types/{id}", get(posture_check_type))
        .route("/auth-policies", get(auth_policies))
        .route("/auth-policies/{id}", get(auth_policy))
        .route("/identity-types", get(identity_types))
        .route("/identity-types/{id}", get(identity_type))
        .route("/identity-role-attributes", get(identity_role_attributes))
        .route("/service-role-attributes", get(service_role_attributes))
        .route("/posture-check-role-attributes", get(posture_check_role_attributes))
        .route("/summary", get(summary))
}

async fn posture_check_types(Query(query): Parameters) -> Result<Response, Refusal> {
    standing(&query, &PostureCheckType::ALL, openziti::posture_check_type)
}

async fn posture_check_type(Path(id): Path<String>) -> Result<Response, Refusal> {
    one(PostureCheckType::ALL.iter().find(|kind| kind.id() == id), openziti::posture_check_type)
}

async fn auth_policies(Query(query): Parameters) -> Result<Response, Refusal> {
    standing(&query, &AuthPolicy::ALL, openziti::auth_policy)
}

async fn auth_policy(Path(id): Path<String>) -> Result<Response, Refusal> {
    one(AuthPolicy::ALL.iter().find(|_| AuthPolicy::ID == id), openziti::auth_policy)
}

async fn identity_types(Query(query): Parameters) -> Result<Response, Refusal> {
    standing(&query, &IdentityType::ALL, openziti::identity_type)
}

async fn identity_type(Path(id): Path<String>) -> Result<Response, Refusal> {
    one(IdentityType::ALL.iter().find(|_| IdentityType::ID == id), openziti::identity_type)
}

/// A list of things that are always there.
fn standing<'a, T: Listed, U: Serialize>(
    query: &[(String, String)],
    all: &'a [T],
    show: impl FnMut(&'a T) -> U,
) -> Result<Response, Refusal> {
    let page = ListQuery::<T>::read(query)?.page(all.iter()).map(show);
    Ok(Json(openziti::list::<T, _>(page)).into_response())
}

fn one<T, U: Serialize>(found: Option<T>, show: impl FnOnce(T) -> U) -> Result<Response, Refusal> {
    let found = found.ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(show(found))).into_response())
}

async fn summary(State(admin): State<Admin>) -> Response {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let posture_checks = objects.checks.values().filter(|check| has_a_word(check)).count();
    Json(openziti::detail(openziti::summary(objects, posture_checks))).into_response()
}

async fn identity_role_attributes(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let identities = published.snapshot().objects().identities.values();
    role_attributes(&query, identities, |identity| &identity.role_attributes)
}

async fn service_role_attributes(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let services = published.snapshot().objects().services.values();
    role_attributes(&query, services, |service| &service.role_attributes)
}

async fn posture_check_role_attributes(
    State(admin): State<Admin>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let checks = published.snapshot().objects().checks.values();
    role_attributes(&query, checks, |check| &check.role_attributes)
}

/// The attributes in use, each once, in their own order.
fn role_attributes<'a, T: 'a>(
    query: &[(String, String)],
    things: impl Iterator<Item = &'a Arc<T>>,
    attributes: for<'t> fn(&'t T) -> &'t [Arc<str>],
) -> Result<Response, Refusal> {
    busy(|| {
        let query = ListQuery::<RoleAttribute<'_>>::read(query)?;
        let in_use = RoleAttribute::in_use(things.map(Arc::as_ref), attributes);
        let page = query.page(in_use.iter()).map(|attribute| attribute.0);
        Ok(Json(openziti::list::<RoleAttribute<'_>, _>(page)).into_response())
    })
}
