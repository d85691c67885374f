//! Which program answers, under which paths, and what its own ones take.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::dialect::{native, openziti};

/// Which API is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Api {
    Client,
    Management,
}

impl Api {
    fn name_and_path(self) -> (&'static str, &'static str) {
        match self {
            Api::Client => ("edge-client", "/edge/client/v1"),
            Api::Management => ("edge-management", "/edge/management/v1"),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    api_versions: BTreeMap<&'static str, BTreeMap<&'static str, Base>>,
    version: &'static str,
}

#[derive(Serialize)]
struct Base {
    path: &'static str,
}

/// Answers without credentials: clients ask before they have any.
pub(super) async fn show(api: Api) -> Response {
    let (name, path) = api.name_and_path();
    let api_versions = BTreeMap::from([(name, BTreeMap::from([("v1", Base { path })]))]);
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    Json(openziti::detail(Version { api_versions, version })).into_response()
}

/// The native API in OpenAPI.
pub(super) async fn describe() -> Response {
    ([(CONTENT_TYPE, "application/json")], native::document()).into_response()
}
