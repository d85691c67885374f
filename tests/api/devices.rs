//! The client API as OpenZiti's clients use it: log in, see one's services and what they ask, ask for sessions.

use std::time::Duration;

use postern::decision::DenialReason;
use postern::policy::objects::{PolicyType, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use rcgen::SanType;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::json_schema::validate;
use crate::objects;
use crate::operations;
use crate::world::{Served, World, policy};

const BASE: &str = "/edge/client/v1";

/// A device with a way to ask.
pub(crate) struct Device<'a> {
    pub(crate) http: Client,
    pub(crate) api: &'a Served,
    pub(crate) token: Option<String>,
}

impl<'a> Device<'a> {
    pub(crate) fn new(world: &World, api: &'a Served, name: &str) -> Self {
        Device { http: world.http(api, Some(&world.ca.client(name))), api, token: None }
    }

    /// The same device with a further certificate.
    pub(crate) fn renewed(world: &World, api: &'a Served, name: &str) -> Self {
        let uri = format!("spiffe://postern.test/{name}");
        let certificate = world.ca.client_with(&format!("{name}-renewed"), |params| {
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        });
        Device { http: world.http(api, Some(&certificate)), api, token: None }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.http.request(method.clone(), self.api.url(&format!("{BASE}{path}")));
        if let Some(token) = &self.token {
            request = request.header("zt-session", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.unwrap();
        let (status, reply) = (reply.status(), reply.json().await.unwrap_or_default());
        operations::hold(&method, path, status, &reply);
        (status, reply)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// A reply that went well, of the form our schema asks for.
    pub(crate) async fn good(&self, method: Method, path: &str, body: Option<Value>, form: &str) -> Value {
        let (status, reply) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {reply}");
        fits(form, &reply["data"]);
        assert_eq!(reply["meta"].get("pagination").is_some(), reply["data"].is_array(), "{path}");
        reply["data"].clone()
    }

    pub(crate) async fn log_in(&mut self) -> Value {
        let session = self.good(Method::POST, "/authenticate?method=cert", None, "apiSession").await;
        self.token = Some(session["token"].as_str().unwrap().to_owned());
        session
    }

    pub(crate) async fn report_domain(&self, domain: &str) {
        let body = json!({"id": "domain-id", "typeId": "DOMAIN", "domain": domain});
        self.good(Method::POST, "/posture-response", Some(body), "postureResponse").await;
    }

    /// The listed services by name, each with whether its one policy passes.
    async fn listed(&self) -> Vec<(String, bool)> {
        let services = self.good(Method::GET, "/services?limit=500", None, "service").await;
        let listed = services.as_array().unwrap().iter().map(|service| {
            let passing = service["postureQueries"][0]["isPassing"].as_bool().unwrap();
            (service["name"].as_str().unwrap().to_owned(), passing)
        });
        listed.collect()
    }
}

/// Holds a value, or each of a list, against a definition of our schema.
#[track_caller]
pub(crate) fn fits(form: &str, data: &Value) {
    let mut schema: Value = serde_json::from_str(include_str!("../data/openziti/client.schema.json")).unwrap();
    assert!(schema["definitions"][form].is_object(), "there is no form {form}");
    schema["$ref"] = format!("#/definitions/{form}").into();
    for value in data.as_array().cloned().unwrap_or_else(|| vec![data.clone()]) {
        let problems = validate(&schema, &value);
        assert!(problems.is_empty(), "{form}: {problems:#?} in {value:#}");
    }
}

#[tokio::test]
async fn a_device_logs_in_with_its_certificate_and_out_again() {
    let world = World::in_force();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    let body =
        json!({"sdkInfo": {"type": "ziti-sdk-c", "version": "1.2.3"}, "envInfo": {"os": "linux"}, "configTypes": []});
    let request = laptop.http.post(api.url(&format!("{BASE}/authenticate?method=cert"))).json(&body);
    let reply = request.send().await.unwrap();
    let header = reply.headers()["zt-session"].to_str().unwrap().to_owned();
    let session: Value = reply.json().await.unwrap();
    assert_eq!(session["data"]["token"], *header);
    assert_eq!(session["data"]["identity"]["name"], "laptop");
    assert_eq!((&session["data"]["authQueries"], &session["data"]["isMfaRequired"]), (&json!([]), &json!(false)));
    laptop.token = Some(header);

    let shown = laptop.good(Method::GET, "/current-api-session", None, "apiSession").await;
    assert_eq!((&shown["id"], &shown["token"]), (&session["data"]["id"], &session["data"]["token"]));
    let identity = laptop.good(Method::GET, "/current-identity", None, "identity").await;
    assert_eq!((&identity["id"], &identity["sdkInfo"]["type"]), (&"laptop-id".into(), &"ziti-sdk-c".into()));

    let phone = Device { token: laptop.token.clone(), ..Device::new(&world, &api, "phone") };
    let (status, refused) = phone.get("/current-identity").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a token is no use to others");
    fits("error", &refused);

    assert_eq!(laptop.ask(Method::DELETE, "/current-api-session", None).await.0, StatusCode::OK);
    assert_eq!(laptop.get("/current-api-session").await.0, StatusCode::UNAUTHORIZED);
    laptop.token = None;
    let shown = laptop.good(Method::GET, "/current-api-session", None, "apiSession").await;
    assert_eq!((&shown["token"], &shown["identityId"]), (&"".into(), &"laptop-id".into()), "the certificate is enough");
}

#[tokio::test]
async fn logging_in_needs_an_identity_and_a_certificate() {
    let world = World::in_force();
    let api = world.client().await;
    for (name, status) in [("stranger", 401), ("lost", 401), ("phone", 200)] {
        let device = Device::new(&world, &api, name);
        assert_eq!(device.ask(Method::POST, "/authenticate?method=cert", None).await.0, status, "{name}");
    }
    let mut laptop = Device::new(&world, &api, "laptop");
    for method in ["?method=password", "?method=ext-jwt", ""] {
        let (status, refused) = laptop.ask(Method::POST, &format!("/authenticate{method}"), None).await;
        assert_eq!((status, &refused["error"]["cause"]["field"]), (StatusCode::BAD_REQUEST, &"method".into()));
    }
    let long = json!({"sdkInfo": {"version": "x".repeat(256)}});
    assert_eq!(laptop.post("/authenticate?method=cert", long).await.0, StatusCode::BAD_REQUEST);
    laptop.token = Some("an old one".to_owned());
    laptop.log_in().await;
}

#[tokio::test]
async fn an_idle_session_ends() {
    let world = World::in_force();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    laptop.log_in().await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(29 * 60));
        assert_eq!(laptop.get("/current-api-session").await.0, StatusCode::OK);
    }
    world.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(laptop.get("/current-api-session").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn services_are_ones_own_and_say_what_they_ask() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    assert_eq!(laptop.listed().await, [("status".to_owned(), true), ("wiki".to_owned(), false)]);
    let wiki = laptop.good(Method::GET, "/services/wiki-id", None, "service").await;
    assert_eq!(wiki["permissions"], json!(["Dial"]));
    assert_eq!(wiki["upstreams"], Value::Null);
    let queries = &wiki["postureQueries"][0];
    assert_eq!((&queries["policyId"], &queries["policyType"]), (&"wiki-policy".into(), &"Dial".into()));
    assert_eq!(
        (&queries["postureQueries"][0]["id"], &queries["postureQueries"][0]["queryType"]),
        (&"domain-id".into(), &"DOMAIN".into())
    );
    assert!(!queries.to_string().contains("corp.example"), "what would pass is not told: {queries}");

    laptop.report_domain("corp.example").await;
    assert_eq!(laptop.listed().await, [("status".to_owned(), true), ("wiki".to_owned(), true)]);
    let phone = Device::new(&world, &api, "phone");
    assert_eq!(phone.listed().await[1], ("wiki".to_owned(), false), "another's report is another's");

    let page = laptop.get("/services?limit=1&offset=1&filter=name%20contains%20%22i%22").await.1;
    assert_eq!(page["meta"]["pagination"], json!({"limit": 1, "offset": 1, "totalCount": 1}));
    let (status, refused) = laptop.get("/services?filter=upstreams%20%3D%201").await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::BAD_REQUEST, &"INVALID_FILTER".into()));
}

/// `policy()` with a service for `phone` alone, a concealed one for everybody, and a Bind policy.
fn world_of_more() -> World {
    let mut written = objects::World { objects: policy() };
    let role = |text: &str| vec![Role::try_from(text.to_owned()).unwrap()];
    for (id, who, concealed) in [("foreign", "@phone", false), ("vault", "#staff", true)] {
        let mut service = objects::service(&format!("{id}-id"), id, &[]);
        service.matching.hosts = vec![format!("{id}.postern.test")];
        service.concealed = concealed;
        written.add_service(service);
        let (policy_id, service) = (format!("{id}-policy"), format!("@{id}"));
        written.add_policy(objects::policy(&policy_id, Semantic::AnyOf, role(who), role(&service), role("@domain-id")));
    }
    let bind = objects::policy("bind-policy", Semantic::AnyOf, role("#staff"), role("@status"), vec![]);
    written.add_policy(ServicePolicy { policy_type: PolicyType::Bind, ..bind });
    let world = World::new();
    world.enforcer.publish_files(written.objects).unwrap();
    world
}

#[tokio::test]
async fn others_services_and_concealed_ones_are_told_to_nobody() {
    let world = world_of_more();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    let names: Vec<_> = laptop.listed().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["status", "wiki"]);
    for id in ["foreign-id", "vault-id", "nowhere"] {
        assert_eq!(laptop.get(&format!("/services/{id}")).await.0, StatusCode::NOT_FOUND, "{id}");
        let (status, refused) = laptop.post("/sessions", json!({"serviceId": id})).await;
        assert_eq!(
            (status, &refused["error"]["cause"]["reason"]),
            (StatusCode::BAD_REQUEST, &"service not found".into())
        );
    }
    assert!(world.enforcer.device(&"laptop-id".into()).unwrap().failures().is_empty());
    let status = laptop.good(Method::GET, "/services/status-id", None, "service").await;
    assert_eq!(status["permissions"], json!(["Dial", "Bind"]));
    assert_eq!(status["postureQueries"].as_array().unwrap().len(), 2);

    laptop.report_domain("corp.example").await;
    let names: Vec<_> = laptop.listed().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["status", "vault", "wiki"], "open to it now");
}

#[tokio::test]
async fn a_session_is_granted_or_refused_like_a_request() {
    let world = World::in_force();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    laptop.log_in().await;
    let (status, refused) = laptop.post("/sessions", json!({"serviceId": "wiki-id", "type": "Dial"})).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &"INVALID_POSTURE".into()));
    fits("error", &refused);
    let failing = json!({"wiki-policy": [{"id": "domain-id", "typeId": "DOMAIN", "isPassing": false}]});
    assert_eq!(refused["error"]["cause"]["data"], failing);
    assert!(refused["error"]["cause"]["message"].as_str().unwrap().contains("[wiki-policy]"));
    let failures = world.enforcer.device(&"laptop-id".into()).unwrap().failures();
    assert_eq!((failures.len(), failures[0].reason), (1, DenialReason::PostureFailed));
    let session_id = laptop.get("/current-api-session").await.1["data"]["id"].clone();
    assert_eq!(session_id, *failures[0].connection_id);
    assert_eq!(refused["error"]["requestId"], *failures[0].request_id);

    laptop.report_domain("corp.example").await;
    let (status, created) = laptop.post("/sessions", json!({"serviceId": "wiki-id"})).await;
    assert_eq!(status, StatusCode::CREATED);
    fits("session", &created["data"]);
    assert_eq!((&created["data"]["type"], &created["data"]["apiSessionId"]), (&"Dial".into(), &session_id));
    let again = laptop.post("/sessions", json!({"serviceId": "wiki-id"})).await.1;
    assert_eq!(again["data"]["id"], created["data"]["id"], "there is one already");
    laptop.post("/sessions", json!({"serviceId": "status-id"})).await;
    let listed = laptop.good(Method::GET, "/sessions?sort=serviceName", None, "session").await;
    assert_eq!((&listed[0]["serviceId"], &listed[1]["serviceId"]), (&"status-id".into(), &"wiki-id".into()));
    let path = format!("/sessions/{}", created["data"]["id"].as_str().unwrap());
    laptop.good(Method::GET, &path, None, "session").await;

    let phone = Device::new(&world, &api, "phone");
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(phone.ask(method, &path, None).await.0, StatusCode::NOT_FOUND, "another's");
    }
    laptop.report_domain("elsewhere.example").await;
    assert_eq!(laptop.get(&path).await.0, StatusCode::NOT_FOUND, "it ended with the posture");
    let (status, _) = laptop.post("/sessions", json!({"serviceId": "wiki-id"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "asked anew every time");
    let status_session = laptop.good(Method::GET, "/sessions", None, "session").await[0]["id"].clone();
    let path = format!("/sessions/{}", status_session.as_str().unwrap());
    assert_eq!(laptop.ask(Method::DELETE, &path, None).await.0, StatusCode::OK);
    assert_eq!(laptop.ask(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_no_request_for_a_session_is_refused() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    for (body, field) in [
        (json!({}), "serviceId"),
        (json!({"serviceId": 7}), "serviceId"),
        (json!({"serviceId": "status-id", "type": "Invalid"}), "type"),
        (json!({"serviceId": "status-id", "type": "Bind"}), "type"),
        (json!([]), "body"),
    ] {
        let (status, refused) = laptop.post("/sessions", body.clone()).await;
        assert_eq!((status, &refused["error"]["cause"]["field"]), (StatusCode::BAD_REQUEST, &field.into()), "{body}");
    }
}

#[tokio::test]
async fn news_of_services_is_told_with_each_cause() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    let phone = Device::new(&world, &api, "phone");
    let last_change = async |device: &Device<'_>| {
        let path = "/current-api-session/service-updates";
        let told = device.good(Method::GET, path, None, "serviceUpdates").await;
        told["lastChangeAt"].as_str().unwrap().to_owned()
    };
    let first = last_change(&laptop).await;
    let others = last_change(&phone).await;
    assert_eq!(last_change(&laptop).await, first, "nothing has changed");
    laptop.report_domain("corp.example").await;
    let second = last_change(&laptop).await;
    assert!(second > first, "{second}");
    assert_eq!(last_change(&phone).await, others, "another's report changes nothing");
    world.enforcer.publish_files(policy()).unwrap();
    let third = last_change(&laptop).await;
    assert!(third > second && last_change(&phone).await > others);
}

/// SDKs ask for routers and the like when they have logged in and before they dial; a refusal would stop them.
#[tokio::test]
async fn what_only_a_network_has_is_an_empty_list() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    for path in ["/current-identity/edge-routers", "/services/wiki-id/terminators", "/external-jwt-signers"] {
        let (status, reply) = laptop.get(path).await;
        assert_eq!((status, &reply["data"]), (StatusCode::OK, &json!([])), "{path}");
        assert_eq!(reply["meta"]["pagination"]["totalCount"], 0, "{path}");
    }
    let (status, reply) = laptop.get("/services/wiki-id/edge-routers").await;
    assert_eq!((status, &reply["data"]), (StatusCode::OK, &json!({"edgeRouters": []})));
    for path in ["/services/none/terminators", "/services/none/edge-routers"] {
        assert_eq!(laptop.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let (status, reply) = laptop.get("/protocols").await;
    let address = reply["data"]["https"]["address"].as_str().unwrap().to_owned();
    assert_eq!((status, address), (StatusCode::OK, format!("{}:{}", crate::world::HOST, api.address.port())));
}
