//! What each listener publishes of its own paths, as the languages describe them.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::dialect::openapi::document;
use crate::dialect::{cloudflare, native, openziti};

static ADMIN: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", admin()));
static CLIENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", client()));

/// Everything that operators may ask of the admin listener.
fn admin() -> Value {
    let rooms = [openziti::management_room(), openziti::discovery_room(), cloudflare::room(), native::admin_room()];
    let description = "What operators may ask of the admin listener: OpenZiti's management API, Cloudflare's API for posture rules, and \
        Postern's own. A client certificate of an operator takes the place of a token.";
    document("Postern, for operators", description, &rooms)
}

/// Postern's own paths on the client listener; those of OpenZiti are described by their makers.
fn client() -> Value {
    let description = "What devices may ask of the client listener. The certificate that a connection was made with says for which \
        identity; there are no other credentials.";
    let mut room = native::client_room();
    room.schemas.extend(openziti::refusal_schemas());
    document("Postern, for devices", description, &[room])
}

/// The admin listener's document.
pub(super) async fn show_admin() -> Response {
    show(&ADMIN)
}

/// The client listener's document.
pub(super) async fn show_client() -> Response {
    show(&CLIENT)
}

fn show(document: &'static str) -> Response {
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::admin::route_tables;

    /// Methods and paths of routers, as their `Debug` tells them: there is no other way to ask.
    fn routes(table: &str) -> BTreeSet<(String, String)> {
        let (methods, paths) = table.split_once("node: Node { paths: {").unwrap();
        let path_of = |route: &str| {
            let (_, rest) = paths.split_once(&format!("{route}: \"")).unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        let mut found = BTreeSet::new();
        for entry in methods.split("RouteId(").skip(1) {
            let (number, rest) = entry.split_once(')').unwrap();
            let (_, allowed) = rest.split_once("allow_header: Bytes(b\"").unwrap();
            let path = path_of(&format!("RouteId({number})"));
            for method in allowed.split_once('"').unwrap().0.split(',').filter(|method| *method != "HEAD") {
                found.insert((method.to_owned(), path.clone()));
            }
        }
        found
    }

    fn described(document: &Value) -> BTreeSet<(String, String)> {
        let paths = document["paths"].as_object().unwrap();
        let methods = |operations: &Value| operations.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let each = paths.iter().flat_map(|(path, operations)| {
            methods(operations).into_iter().map(move |method| (method.to_uppercase(), path.clone()))
        });
        each.collect()
    }

    /// Whoever adds a route to the admin API describes it with the other paths of its language: in
    /// `dialect/openziti/openapi/mod.rs`, `dialect/cloudflare/openapi.rs` or `dialect/native/openapi.rs`.
    #[test]
    fn every_route_of_the_admin_api_is_described_and_nothing_else() {
        let answered: BTreeSet<_> = route_tables().iter().flat_map(|table| routes(table)).collect();
        let described = described(&admin());
        let missing: Vec<_> = answered.difference(&described).collect();
        let invented: Vec<_> = described.difference(&answered).collect();
        assert!(missing.is_empty() && invented.is_empty(), "not described: {missing:#?}; no routes: {invented:#?}");
        assert!(answered.len() > 80, "{}", answered.len());
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = admin();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|operations| operations.as_object().unwrap().values());
        let names: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(names.contains(&"getEdgeManagementV1ServicesId"));
        let made = &paths["/edge/management/v1/services"]["post"]["responses"]["201"]["links"];
        assert_eq!(made["deleteEdgeManagementV1ServicesId"]["parameters"]["id"], "$response.body#/data/id");
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there() {
        for document in [admin(), client()] {
            let text = document.to_string();
            let used = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split_once('"').unwrap().0);
            let used: BTreeSet<_> = used.collect();
            assert!(!used.is_empty());
            for name in used {
                assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            }
        }
    }
}
