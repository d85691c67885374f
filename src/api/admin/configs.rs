//! Configs, shown, with the services that refer to them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Admin;
use super::objects::{Parameters, services_among};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ConfigType, ErrorCode, ListQuery, filterable};
use crate::enforce::busy;
use crate::policy::service_config::ServiceConfig;

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/configs", get(list))
        .route("/configs/{id}", get(show))
        .route("/configs/{id}/services", get(services))
        .route("/services/{id}/configs", get(of_service))
        .route("/config-types/{id}/configs", get(of_type))
}

async fn list(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    among(&query, published.snapshot().objects().configs.values().map(Arc::as_ref))
}

/// A list of these configs, in the order of their ids.
fn among<'a>(
    query: &[(String, String)],
    configs: impl Iterator<Item = &'a ServiceConfig>,
) -> Result<Response, Refusal> {
    busy(|| {
        let page = ListQuery::<ServiceConfig>::read(query)?.page(configs).map(openziti::config);
        Ok(Json(openziti::list(page, filterable::CONFIGS)).into_response())
    })
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let config = published.snapshot().objects().configs.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::config(config))).into_response())
}

async fn services(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let config = objects.configs.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    let users = objects.services.values().filter(|service| service.configs.contains(&config.id));
    services_among(published.snapshot(), &query, users.map(Arc::as_ref))
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
    among(&query, configs.map(Arc::as_ref))
}

async fn of_type(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let kind = ConfigType::of_id(&id).ok_or(ErrorCode::NotFound)?;
    let published = admin.enforcer.published();
    let configs = published.snapshot().objects().configs.values().filter(|config| *config.type_id == *kind.id());
    among(&query, configs.map(Arc::as_ref))
}
