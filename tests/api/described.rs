//! Every reply is one that the published document describes: its status, and its body by the document's JSON Schemas.
//!
//! Schemas of OpenZiti's shapes are written from the definitions of its own API description.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use rcgen::{CertificateParams, KeyPair};
use reqwest::Client;
use serde_json::{Value, json};

use crate::diagnostics::refuse;
use crate::under_way::UnderWay;
use crate::world::{ACCOUNT, ADMIN_TOKEN, Served, World};

const MANAGEMENT: &str = "/edge/management/v1";

/// Somebody who asks and holds each reply against the document.
struct Reader {
    world: World,
    api: Served,
    http: Client,
    document: Value,
    /// Method and path of each operation that was done at least once.
    done: BTreeSet<(String, String)>,
}

impl Reader {
    async fn new() -> Reader {
        let mut world = World::in_force();
        world.issues = true;
        let api = world.admin().await;
        let http = world.http(&api, None);
        let request = http.get(api.url("/api/openapi.json")).bearer_auth(ADMIN_TOKEN);
        let document = request.send().await.unwrap().json().await.unwrap();
        Reader { world, api, http, document, done: BTreeSet::new() }
    }

    /// Asks for a path of the document, its parts filled in, and for a query after it.
    async fn ask(&mut self, method: &str, described: &str, parts: &[&str], query: &str, body: &Value) -> (u16, Value) {
        let mut path = described.to_owned();
        for part in parts {
            let (before, rest) = path.split_once('{').unwrap_or_else(|| panic!("{described} has fewer parts"));
            let (_, after) = rest.split_once('}').unwrap();
            path = format!("{before}{part}{after}");
        }
        let request = self.http.request(method.parse().unwrap(), self.api.url(&format!("{path}{query}")));
        let request = request.bearer_auth(ADMIN_TOKEN);
        let request = if body.is_null() { request } else { request.json(body) };
        let reply = request.send().await.unwrap();
        let (status, kind) = (reply.status().as_u16(), reply.headers()["content-type"].to_str().unwrap().to_owned());
        let reply = match kind.as_str() {
            "application/json" => reply.json().await.unwrap(),
            _ => Value::from(reply.text().await.unwrap()),
        };
        self.holds(method, described, status, &kind, &reply);
        if status < 300 {
            self.done.insert((method.to_lowercase(), described.to_owned()));
        }
        (status, reply)
    }

    fn holds(&self, method: &str, described: &str, status: u16, kind: &str, reply: &Value) {
        hold(&self.document, method, described, status, kind, reply);
    }

    async fn manage(&mut self, method: &str, path: &str, parts: &[&str], body: Value) -> (u16, Value) {
        self.ask(method, &format!("{MANAGEMENT}{path}"), parts, "", &body).await
    }

    /// Makes an object and tells its id.
    async fn make(&mut self, collection: &str, body: Value) -> String {
        let (status, reply) = self.manage("POST", collection, &[], body).await;
        assert_eq!(status, 201, "{reply}");
        reply["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Does what must succeed.
    async fn succeed(&mut self, method: &str, path: &str, parts: &[&str], body: Value) -> Value {
        let (status, reply) = self.ask(method, path, parts, "", &body).await;
        assert!(status < 300, "{method} {path}: {status} {reply}");
        reply
    }

    /// Everything described that was not done yet.
    fn left(&self) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        });
        all.filter(|operation| !self.done.contains(operation)).collect()
    }
}

/// Holds a reply against what a document says of an operation.
#[track_caller]
pub(crate) fn hold(document: &Value, method: &str, described: &str, status: u16, kind: &str, reply: &Value) {
    let place = format!("{method} {described} {status}");
    let operation = &document["paths"][described][method.to_lowercase()];
    let answer = &operation["responses"][status.to_string()]["content"][kind];
    assert!(answer.is_object(), "{place} with {kind} is not described: {reply}");
    let problems = problems(&validator(document, &answer["schema"]), reply);
    assert!(problems.is_empty(), "{place}: {problems:#?}\n{reply:#}");
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let root = json!({"components": document["components"], "allOf": [schema]});
    jsonschema::options().should_validate_formats(true).build(&root).unwrap()
}

fn problems(validator: &Validator, reply: &Value) -> Vec<String> {
    validator.iter_errors(reply).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A creation, a replacement and a change of each kind of object.
fn objects() -> BTreeMap<&'static str, Vec<[Value; 3]>> {
    let check = |kind: &str, more: Value| {
        let mut whole = json!({"typeId": kind, "name": format!("a {kind}"), "roleAttributes": ["baseline"]});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        [whole.clone(), whole, json!({"typeId": kind, "tags": {"team": "x", "floor": 3, "old": false, "by": null}})]
    };
    let programs = json!([{"osType": "Linux", "path": "/usr/bin/guard", "hashes": ["aa"], "signerFingerprints": []}]);
    let identity = json!({"name": "desktop", "type": "Default", "isAdmin": false, "roleAttributes": ["staff"],
        "subjects": ["spiffe://postern.test/desktop"]});
    let service = json!({"name": "files", "encryptionRequired": true, "match": {"hosts": ["files.postern.test"]},
        "upstreams": ["127.0.0.1:8080", {"address": "127.0.0.1:8081", "weight": 2}]});
    let config = json!({"name": "served", "configTypeId": "NH5p4FpGR",
        "data": {"protocol": "tcp", "address": "10.0.0.7", "port": 8080}});
    let kind = json!({"name": "printer.v1", "schema": {"type": "object"}, "tags": {"team": "x"}});
    let policy = json!({"name": "files for staff", "type": "Dial", "semantic": "AnyOf", "identityRoles": ["#staff"],
        "serviceRoles": ["@wiki-id"], "postureCheckRoles": ["@domain-id", "#baseline"],
        "postureExpression": {"any": [{"check": "domain-id"}]}});
    BTreeMap::from([
        (
            "/posture-checks",
            vec![
                check("OS", json!({"operatingSystems": [{"type": "Linux", "versions": [">=6.1.0"]}], "maxAge": "1h"})),
                check("DOMAIN", json!({"domains": ["corp.example"], "remediation": "Join the domain."})),
                check("MAC", json!({"macAddresses": ["00:11:22:33:44:55"]})),
                check(
                    "PROCESS",
                    json!({"process": {"osType": "Linux", "path": "/usr/bin/guard", "hashes": ["aa"], "signerFingerprint": "bb"}}),
                ),
                check("PROCESS_MULTI", json!({"semantic": "AnyOf", "processes": programs})),
                check("MFA", json!({"timeoutSeconds": 600, "promptOnWake": true, "promptGracePeriodSeconds": 60})),
            ],
        ),
        ("/identities", vec![[identity.clone(), identity, json!({"roleAttributes": ["staff", "home"]})]]),
        ("/services", vec![[service.clone(), service, json!({"disclosure": "values", "concealed": true})]]),
        ("/configs", vec![[config.clone(), config, json!({"tags": {"team": "x"}})]]),
        ("/config-types", vec![[kind.clone(), kind, json!({"schema": null})]]),
        ("/service-policies", vec![[policy.clone(), policy, json!({"semantic": "AllOf"})]]),
    ])
}

#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let mut reader = Reader::new().await;
    let mut ids = BTreeMap::new();
    for (collection, kinds) in objects() {
        for [created, replaced, patched] in kinds {
            let id = reader.make(collection, created).await;
            let one = format!("{collection}/{{id}}");
            assert_eq!(reader.manage("PUT", &one, &[&id], replaced).await.0, 200);
            assert_eq!(reader.manage("PATCH", &one, &[&id], patched).await.0, 200);
            assert_eq!(reader.manage("GET", &one, &[&id], Value::Null).await.0, 200);
            ids.entry(collection).or_insert_with(Vec::new).push(id);
        }
        reader.succeed("GET", &format!("{MANAGEMENT}{collection}"), &[], Value::Null).await;
    }
    configs(&mut reader, &ids["/configs"][0]).await;
    devices_and_diagnostics(&mut reader).await;
    enrolment(&mut reader).await;
    relations_and_catalogue(&mut reader).await;
    sessions_and_discovery(&mut reader).await;
    cloudflare(&mut reader).await;
    native(&mut reader).await;
    for (collection, ids) in ids.into_iter().rev() {
        for id in ids {
            let one = format!("{MANAGEMENT}{collection}/{{id}}");
            let (status, reply) = reader.ask("DELETE", &one, &[&id], "?force=true", &Value::Null).await;
            assert_eq!(status, 200, "{reply}");
        }
    }
    let left = reader.left();
    assert!(left.is_empty(), "never done here: {left:#?}");
}

async fn devices_and_diagnostics(reader: &mut Reader) {
    let of = |rest: &str| format!("{MANAGEMENT}/identities/{{id}}/{rest}");
    reader.succeed("GET", &of("posture-data"), &["laptop-id"], Value::Null).await;
    refuse(&reader.world, "nothing was known");
    let devices = reader.world.client().await;
    let device = reader.world.http(&devices, Some(&reader.world.ca.client("laptop")));
    let report = json!([
        {"id": "os-id", "typeId": "OS", "type": "windows", "version": "10.0.26200", "build": "1"},
        {"id": "domain-id", "typeId": "DOMAIN", "domain": "home.example"},
        {"id": "mac-id", "typeId": "MAC", "macAddresses": ["02-00-00-00-00-0A"]},
        {"id": "p-id", "typeId": "PROCESS", "path": "/usr/bin/guard", "isRunning": false, "hash": "AB:CD"},
        {"id": "e-id", "typeId": "ENDPOINT_STATE", "woken": true, "unlocked": true},
    ]);
    let reply = device.post(devices.url("/edge/client/v1/posture-response-bulk")).json(&report).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    refuse(&reader.world, "the wrong domain");
    reader.succeed("GET", &of("posture-data"), &["laptop-id"], Value::Null).await;
    for query in ["", "?limit=1", "?filter=when%20!=%20null"] {
        let (status, reply) =
            reader.ask("GET", &of("failed-service-requests"), &["laptop-id"], query, &Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        assert!(!reply["data"][0]["policyFailures"][0]["checks"].as_array().unwrap().is_empty(), "{reply}");
    }
    reader.succeed("GET", &of("policy-advice/{service}"), &["laptop-id", "wiki-id"], Value::Null).await;
    assert_eq!(reader.ask("DELETE", &of("mfa"), &["laptop-id"], "", &Value::Null).await.0, 404);
    let enrolled = device.post(devices.url("/edge/client/v1/current-identity/mfa")).send().await.unwrap();
    assert_eq!(enrolled.status(), 201);
    reader.succeed("DELETE", &of("mfa"), &["laptop-id"], Value::Null).await;
    let (_, all) = reader.manage("GET", "/identities", &[], Value::Null).await;
    let desktop = all["data"].as_array().unwrap().iter().find(|identity| identity["name"] == "desktop").unwrap();
    let desktop = desktop["id"].as_str().unwrap().to_owned();
    reader.succeed("POST", &of("disable"), &[&desktop], json!({"durationMinutes": 0})).await;
    reader.succeed("POST", &of("enable"), &[&desktop], Value::Null).await;
}

/// A service that is where its config says.
async fn configs(reader: &mut Reader, config: &str) {
    let service = json!({"name": "by config", "encryptionRequired": true, "configs": [config]});
    let service = reader.make("/services", service).await;
    let one = format!("{MANAGEMENT}/services/{{id}}");
    let (status, shown) = reader.ask("GET", &one, &[&service], "?configTypes=all", &Value::Null).await;
    assert_eq!((status, &shown["data"]["config"]["host.v1"]["port"]), (200, &json!(8080)));
    reader.succeed("GET", &format!("{one}/configs"), &[&service], Value::Null).await;
    reader.succeed("GET", &format!("{MANAGEMENT}/configs/{{id}}/services"), &[config], Value::Null).await;
    let (status, _) =
        reader.ask("GET", &format!("{MANAGEMENT}/services"), &[], "?asIdentity=laptop", &Value::Null).await;
    assert_eq!(status, 200);
    let owner = json!({"name": "owner", "type": "Default", "isAdmin": false});
    let owner = reader.make("/identities", owner).await;
    let assigned = format!("{MANAGEMENT}/identities/{{id}}/service-configs");
    let pairs = json!([{"serviceId": service, "configId": config}]);
    reader.succeed("POST", &assigned, &[&owner], pairs.clone()).await;
    let shown = reader.succeed("GET", &assigned, &[&owner], Value::Null).await;
    assert_eq!(shown["data"][0]["service"]["name"], "by config");
    reader.succeed("DELETE", &assigned, &[&owner], pairs).await;
    reader.succeed("DELETE", &format!("{MANAGEMENT}/identities/{{id}}"), &[&owner], Value::Null).await;
    reader.succeed("DELETE", &one, &[&service], Value::Null).await;
}

/// A token that is made, moved and taken back, and one that is redeemed.
async fn enrolment(reader: &mut Reader) {
    let identity = json!({"name": "tablet", "type": "Default", "isAdmin": false, "enrollment": {"ott": true}});
    let tablet = reader.make("/identities", identity).await;
    let one = format!("{MANAGEMENT}/identities/{{id}}");
    let shown = reader.succeed("GET", &one, &[&tablet], Value::Null).await;
    let ott = &shown["data"]["enrollment"]["ott"];
    let (first, token) = (ott["id"].as_str().unwrap(), ott["token"].as_str().unwrap());
    for (method, path, parts, body) in [
        ("GET", "/enrollments", &[][..], Value::Null),
        ("GET", "/identities/{id}/enrollments", &[&*tablet], Value::Null),
        ("GET", "/enrollments/{id}", &[first], Value::Null),
        ("POST", "/enrollments/{id}/refresh", &[first], json!({"expiresAt": "2999-01-01T00:00:00Z"})),
    ] {
        reader.succeed(method, &format!("{MANAGEMENT}{path}"), parts, body).await;
    }
    let devices = reader.world.client().await;
    redeem(&reader.world, &devices, token).await;
    let certificates = reader.succeed("GET", &format!("{MANAGEMENT}/authenticators"), &[], Value::Null).await;
    let certificate = certificates["data"][0]["id"].as_str().unwrap();
    let of_tablet = format!("{one}/authenticators");
    reader.succeed("GET", &of_tablet, &[&tablet], Value::Null).await;
    reader.succeed("GET", &format!("{MANAGEMENT}/authenticators/{{id}}"), &[certificate], Value::Null).await;

    let again = format!("{MANAGEMENT}/authenticators/{{id}}/re-enroll");
    let made = reader.succeed("POST", &again, &[certificate], json!({"expiresAt": "2999-01-01T00:00:00Z"})).await;
    let waiting = format!("{MANAGEMENT}/enrollments/{{id}}");
    let shown = reader.succeed("GET", &waiting, &[made["data"]["id"].as_str().unwrap()], Value::Null).await;
    redeem(&reader.world, &devices, shown["data"]["token"].as_str().unwrap()).await;
    let (_, left) = reader.manage("GET", "/identities/{id}/authenticators", &[&tablet], Value::Null).await;
    assert_eq!(left["data"].as_array().unwrap().len(), 1, "the first one went with the second token");
    let second = left["data"][0]["id"].as_str().unwrap();
    assert_ne!(second, certificate);
    reader.succeed("DELETE", &format!("{MANAGEMENT}/authenticators/{{id}}"), &[second], Value::Null).await;

    let again = json!({"method": "ott", "identityId": tablet, "expiresAt": "2999-01-01T00:00:00Z"});
    let third = reader.make("/enrollments", again.clone()).await;
    assert_eq!(reader.manage("POST", "/enrollments", &[], again).await.0, 409);
    reader.succeed("DELETE", &waiting, &[&third], Value::Null).await;
    reader.succeed("DELETE", &one, &[&tablet], Value::Null).await;
}

/// Gets a certificate for a token.
async fn redeem(world: &World, devices: &Served, token: &str) {
    let request = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let redeem = devices.url(&format!("/edge/client/v1/enroll?method=ott&token={token}"));
    let device = world.http(devices, None).post(redeem).header("content-type", "application/x-pem-file");
    assert_eq!(device.body(request).send().await.unwrap().status(), 200);
}

async fn relations_and_catalogue(reader: &mut Reader) {
    for (path, id) in [
        ("/service-policies/{id}/identities", "wiki-policy"),
        ("/service-policies/{id}/services", "wiki-policy"),
        ("/service-policies/{id}/posture-checks", "wiki-policy"),
        ("/identities/{id}/services", "laptop-id"),
        ("/identities/{id}/service-policies", "laptop-id"),
        ("/services/{id}/identities", "wiki-id"),
        ("/services/{id}/service-policies", "wiki-id"),
        ("/posture-check-types/{id}", "OS"),
        ("/auth-policies/{id}", "default"),
        ("/identity-types/{id}", "Default"),
        ("/config-types/{id}/configs", "NH5p4FpGR"),
    ] {
        reader.succeed("GET", &format!("{MANAGEMENT}{path}"), &[id], Value::Null).await;
    }
    for (path, parts) in [
        ("/cas", &[][..]),
        ("/edge-router-policies", &[]),
        ("/edge-router-role-attributes", &[]),
        ("/edge-routers", &[]),
        ("/external-jwt-signers", &[]),
        ("/identities/{id}/edge-router-policies", &["laptop-id"]),
        ("/identities/{id}/edge-routers", &["laptop-id"]),
        ("/routers", &[]),
        ("/service-edge-router-policies", &[]),
        ("/services/{id}/edge-routers", &["wiki-id"]),
        ("/services/{id}/service-edge-router-policies", &["wiki-id"]),
        ("/services/{id}/terminators", &["wiki-id"]),
        ("/terminators", &[]),
        ("/transit-routers", &[]),
    ] {
        let empty = reader.succeed("GET", &format!("{MANAGEMENT}{path}"), parts, Value::Null).await;
        assert_eq!((&empty["data"], &empty["meta"]["pagination"]["totalCount"]), (&json!([]), &json!(0)), "{path}");
    }
    for path in [
        "/posture-check-types",
        "/auth-policies",
        "/identity-types",
        "/identity-role-attributes",
        "/service-role-attributes",
        "/posture-check-role-attributes",
        "/summary",
    ] {
        reader.succeed("GET", &format!("{MANAGEMENT}{path}"), &[], Value::Null).await;
    }
}

async fn sessions_and_discovery(reader: &mut Reader) {
    let login = json!({"username": "grace", "password": crate::world::PASSWORD});
    let authenticate = format!("{MANAGEMENT}/authenticate");
    let (status, session) = reader.ask("POST", &authenticate, &[], "?method=password", &login).await;
    assert_eq!(status, 200, "{session}");
    for what in ["/current-api-session", "/current-identity"] {
        reader.succeed("GET", &format!("{MANAGEMENT}{what}"), &[], Value::Null).await;
    }
    for path in ["/", "/version", "/edge/client/v1/version", "/.well-known/est/cacerts"] {
        reader.succeed("GET", path, &[], Value::Null).await;
    }
    for path in ["", "/", "/version", "/.well-known/est/cacerts"] {
        reader.succeed("GET", &format!("{MANAGEMENT}{path}"), &[], Value::Null).await;
    }
    // The reader's own token cannot be logged out, which is described, too.
    let session_path = format!("{MANAGEMENT}/current-api-session");
    assert_eq!(reader.ask("DELETE", &session_path, &[], "", &Value::Null).await.0, 400);
    let token = session["data"]["token"].as_str().unwrap();
    let request = reader.http.delete(reader.api.url(&session_path)).header("zt-session", token);
    let reply: Value = request.send().await.unwrap().json().await.unwrap();
    reader.holds("DELETE", &session_path, 200, "application/json", &reply);
    reader.done.insert(("delete".to_owned(), session_path));
}

async fn cloudflare(reader: &mut Reader) {
    let path = |rest: &str| format!("/client/v4/accounts/{{account_id}}{rest}");
    let rule = json!({"name": "encrypted", "type": "disk_encryption", "input": {"requireAll": true}});
    let list = json!({"name": "laptops", "type": "SERIAL", "items": [{"value": "C02"}]});
    let pem = std::fs::read_to_string(reader.world.ca.ca_file()).unwrap();
    let certificate = json!({"name": "ours", "ca": true, "certificates": pem});
    for (collection, made, changes) in [
        ("/devices/posture", rule.clone(), vec![("PUT", rule)]),
        (
            "/gateway/lists",
            list.clone(),
            vec![("PUT", list), ("PATCH", json!({"append": [{"value": "C03"}], "remove": ["C02"]}))],
        ),
        ("/mtls_certificates", certificate, vec![]),
    ] {
        let made = reader.succeed("POST", &path(collection), &[ACCOUNT], made).await;
        let id = made["result"]["id"].as_str().unwrap();
        let one = path(&format!("{collection}/{{id}}"));
        for (method, change) in changes {
            reader.succeed(method, &one, &[ACCOUNT, id], change).await;
        }
        reader.succeed("GET", &one, &[ACCOUNT, id], Value::Null).await;
        reader.succeed("GET", &path(collection), &[ACCOUNT], Value::Null).await;
        match collection {
            "/gateway/lists" => {
                reader.succeed("GET", &format!("{one}/items"), &[ACCOUNT, id], Value::Null).await;
            }
            "/mtls_certificates" => {
                reader.succeed("GET", &format!("{one}/associations"), &[ACCOUNT, id], Value::Null).await;
            }
            _ => {}
        }
        reader.succeed("DELETE", &one, &[ACCOUNT, id], Value::Null).await;
        assert_eq!(reader.ask("GET", &one, &[ACCOUNT, id], "", &Value::Null).await.0, 404);
    }
    let other = "0".repeat(32);
    assert_eq!(reader.ask("GET", &path("/devices/posture"), &[&other], "", &Value::Null).await.0, 403);
    let wrong = json!({"name": "x", "type": "disk_encryption", "input": {"requireAll": "yes"}});
    assert_eq!(reader.ask("POST", &path("/devices/posture"), &[ACCOUNT], "", &wrong).await.0, 400);
    integrations(reader, &path("/devices/posture/integration")).await;
}

/// Of a vendor that has no connector, whose values operators write themselves.
async fn integrations(reader: &mut Reader, all: &str) {
    let config = json!({"client_id": "a", "client_secret": "b", "customer_id": "c"});
    let integration = json!({"name": "mdm", "type": "intune", "interval": "10m", "config": config});
    let made = reader.succeed("POST", all, &[ACCOUNT], integration).await;
    let (id, one) = (made["result"]["id"].as_str().unwrap(), format!("{all}/{{id}}"));
    reader.succeed("PATCH", &one, &[ACCOUNT, id], json!({"name": "device management"})).await;
    reader.succeed("GET", &one, &[ACCOUNT, id], Value::Null).await;
    reader.succeed("GET", all, &[ACCOUNT], Value::Null).await;
    let values = "/api/v1/identities/{id}/posture/providers/{connection}";
    reader.succeed("PUT", values, &["laptop-id", id], json!({"complianceState": "compliant"})).await;
    assert_eq!(reader.ask("PUT", values, &["nobody", id], "", &json!({})).await.0, 404);
    reader.succeed("DELETE", &one, &[ACCOUNT, id], Value::Null).await;
}

async fn native(reader: &mut Reader) {
    reader.succeed("GET", "/api/openapi.json", &[], Value::Null).await;
    reader.succeed("GET", "/api/v1/openapi.json", &[], Value::Null).await;
    reader.succeed("GET", "/api/v1/audit", &[], Value::Null).await;
    for service in ["wiki", "status"] {
        let query = format!("?identity=laptop&service={service}");
        assert_eq!(reader.ask("GET", "/api/v1/explain", &[], &query, &Value::Null).await.0, 200);
    }
    assert_eq!(reader.ask("GET", "/api/v1/explain", &[], "?identity=nobody", &Value::Null).await.0, 404);
    let lock = "/api/v1/identities/{id}/lock";
    reader.succeed("PUT", lock, &["laptop"], json!({"reason": "lost", "for": "1h"})).await;
    reader.succeed("GET", lock, &["laptop"], Value::Null).await;
    reader.succeed("GET", "/api/v1/locks", &[], Value::Null).await;
    reader.succeed("DELETE", lock, &["laptop"], Value::Null).await;
    assert_eq!(reader.ask("DELETE", lock, &["laptop"], "", &Value::Null).await.0, 404);
    let session = UnderWay::begin(&reader.world, "laptop", "status");
    reader.succeed("GET", "/api/v1/sessions", &[], Value::Null).await;
    assert_eq!(reader.ask("GET", "/api/v1/sessions", &[], "?service=nothing", &Value::Null).await.0, 404);
    assert_eq!(reader.ask("GET", "/api/v1/sessions", &[], "?limit=all", &Value::Null).await.0, 400);
    reader.succeed("DELETE", "/api/v1/sessions/{id}", &[&session.id()], Value::Null).await;
    drop(session);
    assert_eq!(reader.ask("DELETE", "/api/v1/sessions/{id}", &["1"], "", &Value::Null).await.0, 404);
    reader.succeed("POST", "/api/v1/reload", &[], Value::Null).await;
    reader.succeed("GET", "/api/v1/policy", &[], Value::Null).await;
}

/// What is refused comes in the same envelope wherever it happens, and says where the mistake is.
#[tokio::test]
async fn every_refusal_is_as_the_document_says() {
    let mut reader = Reader::new().await;
    let check = json!({"typeId": "MAC", "name": "mac", "macAddresses": ["aa"]});
    let large = json!({"typeId": "MAC", "name": "x".repeat(2 * 1024 * 1024), "macAddresses": ["aa"]});
    for (method, path, parts, query, body, status) in [
        ("POST", "/posture-checks", &[][..], "", json!({"typeId": "MAC", "name": "n"}), 400),
        ("POST", "/posture-checks", &[], "", json!({"name": "n"}), 400),
        ("POST", "/posture-checks", &[], "", large, 413),
        ("PUT", "/posture-checks/{id}", &["nothing"], "", check.clone(), 404),
        ("PATCH", "/posture-checks/{id}", &["nothing"], "", check.clone(), 404),
        ("DELETE", "/posture-checks/{id}", &["nothing"], "", Value::Null, 404),
        ("DELETE", "/posture-checks/{id}", &["domain-id"], "", Value::Null, 409),
        ("GET", "/posture-checks/{id}", &["nothing"], "", Value::Null, 404),
        ("GET", "/identities", &[], "?filter=nowhere%20%3D%201", Value::Null, 400),
        ("GET", "/identities", &[], "?sort=nowhere", Value::Null, 400),
        ("GET", "/identities", &[], "?limit=ten", Value::Null, 400),
        ("GET", "/identities/{id}/posture-data", &["nobody"], "", Value::Null, 404),
        ("GET", "/identities/{id}/policy-advice/{service}", &["laptop-id", "nothing"], "", Value::Null, 404),
        ("POST", "/authenticate", &[], "?method=password", json!({"username": "grace", "password": "wrong"}), 401),
        ("POST", "/authenticate", &[], "", json!({}), 400),
    ] {
        let (got, reply) = reader.ask(method, &format!("{MANAGEMENT}{path}"), parts, query, &body).await;
        assert_eq!(got, status, "{method} {path}{query}: {reply}");
    }
    let made = reader.make("/posture-checks", check).await;
    let policy =
        json!({"name": "asks", "type": "Dial", "semantic": "AnyOf", "postureCheckRoles": [format!("@{made}")]});
    reader.make("/service-policies", policy).await;
    assert_eq!(reader.manage("DELETE", "/posture-checks/{id}", &[&made], Value::Null).await.0, 409);

    let checks = format!("{MANAGEMENT}/posture-checks");
    let form = reader.http.post(reader.api.url(&checks)).bearer_auth(ADMIN_TOKEN).body("name=x");
    let stranger = reader.http.get(reader.api.url(&checks)).bearer_auth("wrong");
    for (method, request, status) in [("POST", form, 415), ("GET", stranger, 401)] {
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status);
        reader.holds(method, &checks, status, "application/json", &reply.json().await.unwrap());
    }
    // These are no operations, but refused in the same envelope.
    let refusal = validator(&reader.document, &json!({"$ref": "#/components/schemas/ApiErrorEnvelope"}));
    for (method, path, status) in [("GET", "/nowhere", 404), ("DELETE", "/identities", 405), ("POST", "/version", 405)]
    {
        let request = reader.http.request(method.parse().unwrap(), reader.api.url(&format!("{MANAGEMENT}{path}")));
        let reply = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status);
        let reply: Value = reply.json().await.unwrap();
        assert_eq!(problems(&refusal, &reply), [""; 0], "{reply}");
    }
}
