//! Configs and their types, shown, with the services that refer to them.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Admin;
use super::objects::{Parameters, ServiceSight, services_among};
use crate::api::guard::Admitted;
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, AnyConfigType, ConfigTypes, ErrorCode, ListQuery};
use crate::enforce::busy;
use crate::policy::Objects;
use crate::policy::service_config::ServiceConfig;

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/configs", get(list))
        .route("/configs/{id}", get(show))
        .route("/configs/{id}/services", get(services))
        .route("/services/{id}/configs", get(of_service))
        .route("/config-types", get(types))
        .route("/config-types/{id}", get(show_type))
        .route("/config-types/{id}/configs", get(of_type))
}

async fn list(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    among(objects, &query, objects.configs.values().map(Arc::as_ref))
}

/// A list of these configs, in the order of their ids.
fn among<'a>(
    objects: &'a Objects,
    query: &[(String, String)],
    configs: impl Iterator<Item = &'a ServiceConfig>,
) -> Result<Response, Refusal> {
    busy(|| {
        let types = ConfigTypes::of(objects);
        let page = ListQuery::<ServiceConfig>::read(query)?.page(configs).map(|config| openziti::config(config, types));
        Ok(Json(openziti::list::<ServiceConfig, _>(page)).into_response())
    })
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let config = objects.configs.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::config(config, ConfigTypes::of(objects)))).into_response())
}

async fn services(
    State(admin): State<Admin>,
    Extension(admitted): Extension<Admitted>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let config = objects.configs.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    let users = objects.services.values().filter(|service| service.configs.contains(&config.id));
    let wanted = admitted.wanted_config_types(&query)?;
    services_among(&ServiceSight::new(published.snapshot(), &wanted), &query, users.map(Arc::as_ref))
}

async fn of_service(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let service = objects.services.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    let configs = objects.configs.values().filter(|config| service.configs.contains(&config.id));
    among(objects, &query, configs.map(Arc::as_ref))
}

async fn types(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    busy(|| {
        let mut all: Vec<_> = ConfigTypes::of(published.snapshot().objects()).all().collect();
        all.sort_unstable_by_key(AnyConfigType::id);
        let page = ListQuery::<AnyConfigType<'_>>::read(&query)?.page(all.iter()).map(openziti::config_type);
        Ok(Json(openziti::list::<AnyConfigType<'_>, _>(page)).into_response())
    })
}

async fn show_type(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let kind = ConfigTypes::of(published.snapshot().objects()).of_id(&id).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::config_type(&kind))).into_response())
}

async fn of_type(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let kind = ConfigTypes::of(objects).of_id(&id).ok_or(ErrorCode::NotFound)?;
    let configs = objects.configs.values().filter(|config| *config.type_id == *kind.id());
    among(objects, &query, configs.map(Arc::as_ref))
}
