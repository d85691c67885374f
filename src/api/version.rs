//! Which program answers, and under which paths.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use http::uri::Authority;
use serde::Serialize;

use crate::dialect::openziti;
use crate::limits;

/// Which API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Client,
    Management,
}

impl Api {
    const ALL: [Api; 2] = [Api::Client, Api::Management];

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
    /// Of what OpenZiti may be able to do; clients that find nothing here log in by name and password or certificate.
    capabilities: [&'static str; 0],
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Base {
    path: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api_base_urls: Vec<String>,
}

/// Answers without credentials: clients ask before they have any. Both APIs are named, because clients look for the one at the
/// other's path; an address is known only of the one that is asked.
pub(super) async fn show(asked: Api, request: Request) -> Response {
    let host = host(&request);
    let api_versions = Api::ALL.into_iter().map(|api| {
        let (name, path) = api.name_and_path();
        let host = host.as_ref().filter(|_| api == asked);
        let api_base_urls = host.map(|host| format!("https://{host}{path}")).into_iter().collect();
        (name, BTreeMap::from([("v1", Base { path, api_base_urls })]))
    });
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let version = Version { api_versions: api_versions.collect(), capabilities: [], version };
    Json(openziti::detail(version)).into_response()
}

/// By which protocols, and where, the listener is asked: the one, where it is asked now.
pub(super) async fn protocols(request: Request) -> Response {
    let address = host(&request).map(|host| host.to_string()).unwrap_or_default();
    Json(openziti::detail(BTreeMap::from([("https", BTreeMap::from([("address", address)]))]))).into_response()
}

/// The name and port the client knows this listener by.
pub(super) fn host(request: &Request) -> Option<Authority> {
    let named = request.uri().authority().cloned();
    let named = named.or_else(|| request.headers().get(HOST)?.to_str().ok()?.parse().ok());
    // Whatever stands before an `@` would be somebody's name.
    named.filter(|host| host.as_str().len() <= limits::API_HOST_BYTES_MAX && !host.as_str().contains('@'))
}
