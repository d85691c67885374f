//! What other clients than the SDK meet: the envelope around every reply, whatever was asked.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::process::Running;
use super::scripts::{ACCOUNT, world, world_with};
use super::support::Authority;
use super::support::client::tls;
use super::world::ADMIN_TOKEN;

/// No object has it.
const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// Somebody who speaks HTTP.
struct Http {
    http: reqwest::Client,
    base: String,
}

impl Http {
    fn new(gateway: &Running, authority: &Authority) -> Http {
        let address = gateway.addresses.admin;
        let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
        let http = builder.tls_backend_preconfigured(tls(authority, None)).build().unwrap();
        Http { http, base: format!("https://localhost:{}", address.port()) }
    }

    /// A request without credentials.
    fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(ADMIN_TOKEN)
    }

    /// A request with a body that says it is JSON.
    fn sending(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body)
    }
}

/// A path of the account.
fn path(rest: &str) -> String {
    format!("/client/v4/accounts/{ACCOUNT}/{rest}")
}

/// The status and the whole envelope of a reply.
async fn envelope(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let (status, url) = (response.status(), response.url().clone());
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    assert!(kind.is_some_and(|kind| kind.starts_with("application/json")), "{url}");
    let envelope: Value = response.json().await.unwrap();
    for member in ["success", "errors", "messages", "result"] {
        assert!(envelope.get(member).is_some(), "{url}: no {member} in {envelope}");
    }
    assert_eq!(envelope["success"], status.is_success(), "{url}: {envelope}");
    assert!(envelope["messages"].is_array(), "{url}: {envelope}");
    (status, envelope)
}

/// The first error of a reply that must be refused with `status`.
async fn refused(request: RequestBuilder, status: StatusCode) -> Value {
    let (got, mut envelope) = envelope(request).await;
    assert_eq!(got, status, "{envelope}");
    assert!(envelope["result"].is_null(), "{envelope}");
    let error = envelope["errors"][0].take();
    assert!(error["code"].as_u64().is_some_and(|code| code >= 1000), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    error
}

/// The result of a reply that must be a success.
async fn result(request: RequestBuilder) -> Value {
    let (status, mut envelope) = envelope(request).await;
    assert_eq!(status, StatusCode::OK, "{envelope}");
    assert_eq!(envelope["errors"], json!([]), "{envelope}");
    envelope["result"].take()
}

#[tokio::test]
async fn every_reply_has_its_envelope() {
    let world = world();
    let gateway = world.start().await;
    let http = Http::new(&gateway, &world.authority);
    for collection in ["devices/posture", "devices/posture/integration", "gateway/lists", "mtls_certificates"] {
        let (status, envelope) = envelope(http.request("GET", &path(collection))).await;
        assert_eq!((status, &envelope["result"]), (StatusCode::OK, &json!([])), "{collection}");
        assert_eq!(envelope["result_info"]["total_count"], 0, "{collection}");
    }
    let rule = json!({ "name": "wire", "type": "warp" }).to_string();
    let made = result(http.sending("POST", &path("devices/posture"), rule)).await;
    let one = path(&format!("devices/posture/{}", made["id"].as_str().unwrap()));
    assert_eq!(result(http.request("GET", &one)).await, made);
    // The SDK announces JSON with every DELETE, and sends none; old definitions of the API ask for an object.
    assert_eq!(result(http.sending("DELETE", &one, "")).await, json!({ "id": made["id"] }));
    assert_eq!(result(http.sending("DELETE", &one, "{}")).await, json!({ "id": made["id"] }));
    refused(http.request("GET", &path(&format!("devices/posture/integration/{NOWHERE}"))), StatusCode::NOT_FOUND).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_is_none_is_refused() {
    let world = world();
    let gateway = world.start().await;
    let http = Http::new(&gateway, &world.authority);
    for collection in ["devices/posture", "devices/posture/integration", "gateway/lists", "mtls_certificates"] {
        for body in ["", "{", "{\"name\":", "[]", "\"text\"", "null", "{\"name\":\"x\"} {}"] {
            refused(http.sending("POST", &path(collection), body), StatusCode::BAD_REQUEST).await;
        }
        let large = json!({ "name": "x".repeat(2 * 1024 * 1024), "type": "warp" }).to_string();
        refused(http.sending("POST", &path(collection), large), StatusCode::PAYLOAD_TOO_LARGE).await;
        assert_eq!(result(http.request("GET", &path(collection))).await, json!([]), "nothing was stored");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let world = world();
    let gateway = world.start().await;
    let http = Http::new(&gateway, &world.authority);
    let unknown = ["/client/v4", "/client/v4/", "/client/v4/nowhere", "/client/v4/accounts", "/client/v4/zones"]
        .map(str::to_owned);
    let below = ["", "devices", "devices/postures", "gateway/rules", "devices/posture/x/y"].map(path);
    for path in unknown.iter().chain(&below) {
        let error = refused(http.request("GET", path), StatusCode::NOT_FOUND).await;
        assert_eq!(error["code"], 7003, "{path}");
    }
    let rule = path(&format!("devices/posture/{NOWHERE}"));
    let integration = path(&format!("devices/posture/integration/{NOWHERE}"));
    let certificate = path(&format!("mtls_certificates/{NOWHERE}"));
    for (method, path) in [
        ("PATCH", &rule),
        ("POST", &rule),
        ("PUT", &integration),
        ("PATCH", &certificate),
        ("DELETE", &path("devices/posture")),
        ("PUT", &path("devices/posture/integration")),
        ("DELETE", &path("gateway/lists")),
    ] {
        refused(http.sending(method, path, "{}"), StatusCode::METHOD_NOT_ALLOWED).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_credentials_nothing_is_told() {
    let world = world();
    let gateway = world.start().await;
    let http = Http::new(&gateway, &world.authority);
    for path in [path("devices/posture"), path("gateway/lists"), "/client/v4/nowhere".to_owned()] {
        let error = refused(http.bare("GET", &path), StatusCode::UNAUTHORIZED).await;
        assert_eq!(error["code"], 10000, "{path}");
    }
    let rule = json!({ "name": "uninvited", "type": "warp" }).to_string();
    let uninvited = http.bare("POST", &path("devices/posture")).header("content-type", "application/json").body(rule);
    assert_eq!(refused(uninvited, StatusCode::UNAUTHORIZED).await["code"], 10000);
    // An address alone is no proof of anything.
    let half = http.bare("GET", &path("devices/posture")).header("x-auth-email", "ada@example.org");
    assert_eq!(refused(half, StatusCode::UNAUTHORIZED).await["code"], 10000);
    assert_eq!(result(http.request("GET", &path("devices/posture"))).await, json!([]), "nothing was stored");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_of_one_account_serves_no_other() {
    let world = world_with(&format!("account_id: \"{ACCOUNT}\", test_integrations: false"));
    let gateway = world.start().await;
    let http = Http::new(&gateway, &world.authority);
    assert_eq!(result(http.request("GET", &path("devices/posture"))).await, json!([]));
    let other = "/client/v4/accounts/00000000000000000000000000000001/devices/posture";
    let rule = json!({ "name": "elsewhere", "type": "warp" }).to_string();
    for request in [http.request("GET", other), http.sending("POST", other, rule)] {
        let (status, envelope) = envelope(request).await;
        assert!([StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&status), "{status}: {envelope}");
    }
    assert_eq!(result(http.request("GET", &path("devices/posture"))).await, json!([]), "nothing was stored");
    gateway.stop().await;
}
