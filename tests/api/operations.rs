//! Every reply of the client API has the form that is written for its operation: of OpenZiti's paths in our schema, whatever a test asks
//! for; of our own in the published document.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::described;
use crate::devices::{Device, fits};
use crate::mfa::App;
use crate::world::World;

/// Method and path of each operation that is answered in JSON, and the definition of the schema that its answer has.
const OPERATIONS: [(&str, &str, &str); 28] = [
    ("POST", "/authenticate", "apiSession"),
    ("POST", "/authenticate/mfa", "empty"),
    ("GET", "/current-api-session", "apiSession"),
    ("DELETE", "/current-api-session", "empty"),
    ("GET", "/current-api-session/service-updates", "serviceUpdates"),
    ("GET", "/current-identity", "identity"),
    ("GET", "/current-identity/edge-routers", "foreign"),
    ("GET", "/current-identity/mfa", "mfa"),
    ("POST", "/current-identity/mfa", "created"),
    ("DELETE", "/current-identity/mfa", "empty"),
    ("GET", "/current-identity/mfa/recovery-codes", "recoveryCodes"),
    ("POST", "/current-identity/mfa/recovery-codes", "empty"),
    ("POST", "/current-identity/mfa/verify", "empty"),
    ("GET", "/external-jwt-signers", "foreign"),
    ("POST", "/posture-response", "postureResponse"),
    ("POST", "/posture-response-bulk", "postureResponse"),
    ("GET", "/protocols", "protocols"),
    ("GET", "/services", "service"),
    ("GET", "/services/{id}", "service"),
    ("GET", "/services/{id}/edge-routers", "edgeRouters"),
    ("GET", "/services/{id}/terminators", "foreign"),
    ("GET", "/sessions", "session"),
    ("POST", "/sessions", "session"),
    ("GET", "/sessions/{id}", "session"),
    ("DELETE", "/sessions/{id}", "empty"),
    ("GET", "/version", "version"),
    ("GET", "", "version"),
    ("GET", "/", "version"),
];

/// The one that answers with a picture.
const QR_CODE: &str = "/current-identity/mfa/qr-code";

fn operation(method: &Method, path: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let path = path.split('?').next().unwrap();
    let fits = |described: &str| match described.split_once("{id}") {
        Some((before, after)) => {
            let id = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
        }
        None => path == described,
    };
    OPERATIONS.into_iter().find(|(verb, described, _)| method.as_str() == *verb && fits(described))
}

/// Holds a reply against the schema: that of its operation, or that of refusals.
#[track_caller]
pub(crate) fn hold(method: &Method, path: &str, status: StatusCode, reply: &Value) {
    if !status.is_success() {
        return fits("error", reply);
    }
    match operation(method, path) {
        Some((_, _, form @ "empty")) => fits(form, reply),
        Some((_, _, form)) => {
            assert!(reply["meta"].is_object(), "{method} {path}: {reply}");
            fits(form, &reply["data"]);
        }
        None => assert_eq!(path, QR_CODE, "{method} {path} is not among the operations"),
    }
}

#[tokio::test]
async fn every_operation_answers_as_the_schema_says() {
    let world = World::in_force();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    let mut left: BTreeSet<(&str, &str)> = OPERATIONS.iter().map(|(method, path, _)| (*method, *path)).collect();
    let session = laptop.log_in().await;
    left.remove(&("POST", "/authenticate"));
    assert_eq!(session["identity"]["name"], "laptop");
    let app = App::enrol(&world, &laptop).await;
    for done in ["/current-identity/mfa", "/current-identity/mfa/verify"] {
        left.remove(&("POST", done));
    }
    let domain = json!({"id": "domain-id", "typeId": "DOMAIN", "domain": "corp.example"});
    let os = json!({"id": "os-id", "typeId": "OS", "type": "Linux", "version": "6.1.0"});
    let wanted = json!({"serviceId": "wiki-id"});
    let none = Value::Null;
    let mut id = String::new();
    for (method, path, body) in [
        (Method::GET, "", &none),
        (Method::GET, "/", &none),
        (Method::GET, "/version", &none),
        (Method::GET, "/current-api-session", &none),
        (Method::GET, "/current-api-session/service-updates", &none),
        (Method::GET, "/current-identity", &none),
        (Method::GET, "/current-identity/mfa", &none),
        (Method::POST, "/authenticate/mfa", &json!({"code": app.next(&world)})),
        (Method::GET, "/current-identity/mfa/recovery-codes", &json!({"code": app.next(&world)})),
        (Method::POST, "/current-identity/mfa/recovery-codes", &json!({"code": app.next(&world)})),
        (Method::POST, "/posture-response", &os),
        (Method::POST, "/posture-response-bulk", &json!([os, domain])),
        (Method::GET, "/services?limit=100", &none),
        (Method::GET, "/services/wiki-id", &none),
        (Method::GET, "/services/wiki-id/edge-routers", &none),
        (Method::GET, "/services/wiki-id/terminators", &none),
        (Method::GET, "/current-identity/edge-routers", &none),
        (Method::GET, "/external-jwt-signers", &none),
        (Method::GET, "/protocols", &none),
        (Method::POST, "/sessions", &wanted),
        (Method::GET, "/sessions", &none),
        (Method::GET, "/sessions/{id}", &none),
        (Method::DELETE, "/sessions/{id}", &none),
        (Method::DELETE, "/current-api-session", &none),
    ] {
        let described = operation(&method, path).unwrap_or_else(|| panic!("{method} {path} is no operation"));
        let path = path.replace("{id}", &id);
        let body = Some(body).filter(|body| !body.is_null()).cloned();
        // Whoever asks holds the reply against the schema.
        let (status, reply) = laptop.ask(method.clone(), &path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {reply}");
        left.remove(&(described.0, described.1));
        if path == "/sessions" && method == Method::POST {
            id = reply["data"]["id"].as_str().unwrap().to_owned();
        }
    }
    laptop.token = None;
    let url = api.url("/edge/client/v1/current-identity/mfa");
    let removed = laptop.http.delete(url).header("mfa-validation-code", app.next(&world)).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::OK);
    hold(&Method::DELETE, "/current-identity/mfa", removed.status(), &removed.json().await.unwrap());
    left.remove(&("DELETE", "/current-identity/mfa"));
    assert!(left.is_empty(), "never done here: {left:?}");
}

/// What is routed and not among the operations would never be held against anything.
#[test]
fn what_is_routed_is_among_the_operations() {
    let source = include_str!("../../src/api/client/mod.rs");
    let (_, routes) = source.split_once("fn edge_routes()").unwrap();
    let routed: BTreeSet<&str> =
        routes.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next()).collect();
    assert!(routed.len() > 10, "{routed:?}");
    let described: BTreeSet<&str> = OPERATIONS.iter().map(|(_, path, _)| *path).chain([QR_CODE]).collect();
    assert!(routed.is_subset(&described), "{:?}", routed.difference(&described));
}

#[tokio::test]
async fn our_own_operations_answer_as_the_document_says() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let ask = async |method: &str, path: &str, body: &Value| {
        let request = http.request(method.parse().unwrap(), api.url(path));
        let request = if body.is_null() { request } else { request.json(body) };
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.json::<Value>().await.unwrap())
    };
    let (_, document) = ask("GET", "/api/openapi.json", &Value::Null).await;
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    let mut left: BTreeSet<(String, String)> = operations.collect();
    let none = Value::Null;
    // Once before anything is known of the device, and once after.
    let report = json!({"domain": "home.example", "sentAt": "2026-01-02T03:04:05Z", "unknown": []});
    for (method, path, body, wanted) in [
        ("GET", "/api/v1/services", &none, 200),
        ("GET", "/api/v1/posture/wanted", &none, 200),
        ("GET", "/api/v1/posture/nonce", &none, 200),
        ("PUT", "/api/v1/posture", &report, 200),
        ("PUT", "/api/v1/posture", &json!({"domain": 7}), 400),
        ("GET", "/api/v1/services", &none, 200),
        ("GET", "/api/openapi.json", &none, 200),
        ("GET", "/api/v1/openapi.json", &none, 200),
    ] {
        let (status, reply) = ask(method, path, body).await;
        assert_eq!(status, wanted, "{method} {path}: {reply}");
        described::hold(&document, method, path, status, "application/json", &reply);
        left.remove(&(method.to_owned(), path.to_owned()));
    }
    assert!(left.is_empty(), "never done here: {left:?}");
    let stranger = world.http(&api, Some(&world.ca.client("stranger"))).get(api.url("/api/v1/services"));
    let refused = stranger.send().await.unwrap();
    let status = refused.status().as_u16();
    described::hold(&document, "GET", "/api/v1/services", status, "application/json", &refused.json().await.unwrap());
}
