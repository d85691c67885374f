//! What OpenZiti's command line sends, request by request as its sources have it, and the gateway that follows each of them at once.
//!
//! The command line finds the paths by itself, looks entities up by id and then by name before it names them, sends `null` for
//! lists nobody gave it, and reads only some members of the replies: those that this reads, and no others.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postern::tls::install_crypto_provider;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::Client;
use super::posture::Device;
use super::process::Running;
use super::support::client::tls;
use super::support::{Authority, Issued, Origin};
use super::world::World;

const USER: &str = "grace";
const PASSWORD: &str = "a nice long pass phrase";
const HOST: &str = "cli.example.test";

/// The command line, with what `ziti edge login` found out.
struct Ziti {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Ziti {
    /// `ziti edge login HOST -u USER -p PASSWORD --yes`, which is told nothing but the host.
    async fn login(gateway: &Running, authority: &Authority) -> Ziti {
        let address = gateway.addresses.admin;
        let host = format!("https://localhost:{}", address.port());
        let trusting = || reqwest::Client::builder().resolve("localhost", address).no_proxy();
        install_crypto_provider();
        let nobody_trusted = trusting().build().unwrap();
        let cas = "/.well-known/est/cacerts";
        assert!(nobody_trusted.get(format!("{host}{cas}")).send().await.is_err(), "the CA is not the system's");

        let careless = trusting().tls_danger_accept_invalid_certs(true).build().unwrap();
        let bundle = careless.get(format!("{host}{cas}")).send().await.unwrap().text().await.unwrap();
        let bundle = STANDARD.decode(bundle).unwrap();
        let pem = std::fs::read_to_string(authority.ca_file()).unwrap();
        let encoded: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let ca = STANDARD.decode(encoded).unwrap();
        assert!(bundle.windows(ca.len()).any(|window| window == ca), "the CA that issued the server's certificate");

        let http = trusting().tls_backend_preconfigured(tls(authority, None)).build().unwrap();
        assert!(http.get(format!("{host}{cas}")).send().await.is_ok(), "what was told to be trusted is");
        let version = http.get(format!("{host}/edge/management/v1/version")).send().await.unwrap();
        assert!(version.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
        let version: Value = version.json().await.unwrap();
        let path = version.pointer("/data/apiVersions/edge-management/v1/path").unwrap().as_str().unwrap();
        let base = format!("{host}{path}");
        let capabilities = version["data"]["capabilities"].as_array().unwrap();
        assert!(capabilities.is_empty(), "or it would log in by OIDC: {capabilities:?}");

        let login = json!({"configTypes": [], "password": PASSWORD, "username": USER});
        let request = http.post(format!("{base}/authenticate?method=password")).header("accept", "application/json");
        let session = request.json(&login).send().await.unwrap();
        assert_eq!(session.status(), StatusCode::OK);
        let session: Value = session.json().await.unwrap();
        let token = session["data"]["token"].as_str().unwrap().to_owned();
        Ziti { http, base, token }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}/{path}", self.base)).header("zt-session", &self.token);
        // It says so of every request, also of those without a body.
        let request = request.header("content-type", "application/json");
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let reply = request.send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    /// `ziti edge create …`
    async fn create(&self, entity_type: &str, body: Value) -> String {
        let (status, reply) = self.send(Method::POST, entity_type, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{reply}");
        reply["data"]["id"].as_str().unwrap().to_owned()
    }

    /// `ziti edge update …`
    async fn update(&self, entity_type: &str, name: &str, change: Value) {
        let path = format!("{entity_type}/{}", self.id_of(entity_type, name).await);
        let (status, reply) = self.send(Method::PATCH, &path, Some(change)).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
    }

    /// `ziti edge delete …`, with the line that it prints of a refusal.
    async fn delete(&self, entity_type: &str, name: &str) -> Result<(), String> {
        let filter = format!(r#"id = "{name}" or name="{name}""#);
        let (found, _) = self.list(entity_type, &filter).await;
        assert_eq!(found.len(), 1, "{name} is not one of {entity_type}");
        let path = format!("{entity_type}/{}", found[0]["id"].as_str().unwrap());
        let (status, reply) = self.send(Method::DELETE, &path, None).await;
        if status == StatusCode::OK {
            return Ok(());
        }
        let text = |pointer: &str| reply.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Err(format!(
            "{} - {}: INVALID_FIELD - {} [{}] {}",
            text("/error/code"),
            text("/error/message"),
            text("/error/cause/field"),
            text("/error/cause/value"),
            text("/error/cause/reason")
        ))
    }

    /// `ziti edge list ENTITIES FILTER`, with limit, offset and total count as it prints them.
    async fn list(&self, entity_type: &str, filter: &str) -> (Vec<Value>, [i64; 3]) {
        let query: String = form_encoded(filter);
        let path = if query.is_empty() { entity_type.to_owned() } else { format!("{entity_type}?filter={query}") };
        let (status, reply) = self.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{filter}: {reply}");
        let pagination = |member: &str| reply["meta"]["pagination"][member].as_i64().unwrap();
        let pagination = ["limit", "offset", "totalCount"].map(pagination);
        (reply["data"].as_array().unwrap().clone(), pagination)
    }

    async fn names(&self, entity_type: &str, filter: &str) -> Vec<String> {
        let (found, _) = self.list(entity_type, filter).await;
        found.iter().map(|entity| entity["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The id of an entity that is named on the command line: it may be an id, or else a name.
    async fn id_of(&self, entity_type: &str, name: &str) -> String {
        if !self.list(entity_type, &format!(r#"id="{name}""#)).await.0.is_empty() {
            return name.to_owned();
        }
        let (found, _) = self.list(entity_type, &format!(r#"name="{name}""#)).await;
        assert_eq!(found.len(), 1, "{name} is not one of {entity_type}");
        found[0]["id"].as_str().unwrap().to_owned()
    }

    /// What `ziti edge policy-advisor identities IDENTITY SERVICE` prints: status, dial and bind.
    async fn advise(&self, identity: &str, service: &str) -> String {
        let (identity, service) = (self.id_of("identities", identity).await, self.id_of("services", service).await);
        let path = format!("identities/{identity}/policy-advice/{service}");
        let (status, reply) = self.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        let advice = &reply["data"];
        let (dial, bind) = (advice["isDialAllowed"].as_bool().unwrap(), advice["isBindAllowed"].as_bool().unwrap());
        let routers = advice["commonRouters"].as_array().unwrap();
        let online = routers.iter().filter(|router| router["isOnline"].as_bool().unwrap()).count();
        let connected = ["identityRouterCount", "serviceRouterCount"].iter().all(|count| advice[count] != 0);
        let status = if (dial || bind) && connected && online > 0 { "OKAY" } else { "ERROR" };
        let names = ["identity", "service"].map(|end| advice[end]["name"].as_str().unwrap());
        format!("{status}: {} -> {} Dial: {dial} Bind: {bind}", names[0], names[1])
    }
}

/// As Go writes a query: a space is a plus.
fn form_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// A client on its way to the service, and what it is told.
struct Traveller {
    client: Client,
    device: Device,
}

impl Traveller {
    fn new(gateway: &Running, authority: &Authority, certificate: &Issued) -> Traveller {
        Traveller {
            client: Client::http1(gateway, authority, certificate),
            device: Device::new(gateway, authority, certificate),
        }
    }

    /// `open`, or the reason and the checks that stand in the way.
    async fn asks(&self) -> String {
        let response = self.client.get(HOST, "/").await;
        if response.status() == StatusCode::OK {
            response.bytes().await.unwrap();
            return "open".to_owned();
        }
        let problem: Value = response.json().await.unwrap();
        let checks = problem["checks"].as_array().into_iter().flatten();
        let names: Vec<_> = checks.map(|check| check["name"].as_str().unwrap()).collect();
        format!("{} {}", problem["reason"].as_str().unwrap(), names.join(",")).trim_end().to_owned()
    }
}

/// Only `alice` is there before the command line comes.
async fn started(origin: &Origin) -> (World, Running) {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(7168, 5, 1, None).unwrap());
    let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"salt of the test").unwrap();
    let alice = "  - { name: alice, subjects: [\"spiffe://postern.test/alice\"], role_attributes: [staff] }\n";
    let files = "  - { name: files, hosts: [files.example.test], upstreams: [\"UPSTREAM\"] }\n";
    let policy = format!("identities:\n{alice}services:\n{files}").replace("UPSTREAM", &origin.upstream());
    let user = format!("  users:\n    - {{ name: {USER}, password_hash: \"{hash}\", role: admin }}\n");
    let world = World::new(&policy).configured(&user);
    let gateway = world.start().await;
    (world, gateway)
}

/// `ziti edge create service cli`, and then what only Postern knows of a service, as a script would add it.
async fn with_service(ziti: &Ziti, origin: &Origin) {
    let service = json!({"configs": null, "encryptionRequired": true, "maxIdleTimeMillis": 0, "name": "cli",
        "roleAttributes": null, "tags": {}});
    let id = ziti.create("services", service).await;
    let place = json!({"match": {"hosts": [HOST]}, "upstreams": [origin.upstream()]});
    assert_eq!(ziti.send(Method::PATCH, &format!("services/{id}"), Some(place)).await.0, StatusCode::OK);
}

/// `ziti edge create service-policy cli-dial Dial --identity-roles '#staff' --service-roles @cli --posture-check-roles '#baseline'`
async fn with_policy(ziti: &Ziti) {
    let service = format!("@{}", ziti.id_of("services", "cli").await);
    let policy = json!({"identityRoles": ["#staff"], "name": "cli-dial", "postureCheckRoles": ["#baseline"],
        "semantic": "AnyOf", "serviceRoles": [service], "tags": {}, "type": "Dial"});
    ziti.create("service-policies", policy).await;
}

/// A `ziti edge create posture-check …` of each type with `-a baseline`, and what a device says that passes it. The operating
/// systems are spelt as the command line spells them.
fn checks() -> [(&'static str, Value, Value); 5] {
    let (hash, signer) = ("ab".repeat(64), "cd".repeat(20));
    let check = |kind: &str, name: &str, more: Value| {
        let mut body = json!({"name": name, "roleAttributes": ["baseline"], "tags": {}, "typeId": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let runs = json!({"id": "ID", "typeId": "PROCESS", "path": "/usr/bin/guard", "isRunning": true, "hash": hash,
        "signerFingerprints": [signer]});
    [
        (
            "os",
            check("OS", "os", json!({"operatingSystems": [{"Type": "Linux", "Versions": [">=6.1.0"]}]})),
            json!({"id": "ID", "typeId": "OS", "type": "linux", "version": "6.6.0"}),
        ),
        (
            "domain",
            check("DOMAIN", "domain", json!({"domains": ["corp.example"]})),
            json!({"id": "ID", "typeId": "DOMAIN", "domain": "corp.example"}),
        ),
        (
            "mac",
            check("MAC", "mac", json!({"macAddresses": ["001122334455"]})),
            json!({"id": "ID", "typeId": "MAC", "macAddresses": ["00:11:22:33:44:55"]}),
        ),
        (
            "process",
            check(
                "PROCESS",
                "process",
                json!({"process": {"hashes": [hash], "osType": "Linux", "path": "/usr/bin/guard", "signerFingerprint": signer}}),
            ),
            runs.clone(),
        ),
        (
            "multi",
            check(
                "PROCESS_MULTI",
                "multi",
                json!({"processes": [{"hashes": null, "osType": "Linux", "path": "/usr/bin/guard", "signerFingerprints": null}],
                    "semantic": "AllOf"}),
            ),
            runs,
        ),
    ]
}

// `ziti edge create posture-check os` used to be refused, because Go spells the members of its operating systems with capitals;
// `ziti edge policy-advisor` called every pair an error; `ziti edge update posture-check process` lost what it did not name.
#[tokio::test]
async fn the_gateway_follows_a_session_of_the_command_line() {
    let origin = Origin::start().await;
    let (world, gateway) = started(&origin).await;
    let alice = Traveller::new(&gateway, &world.authority, &world.certificate("alice"));
    let ziti = Ziti::login(&gateway, &world.authority).await;

    assert_eq!(ziti.advise("alice", "files").await, "ERROR: alice -> files Dial: false Bind: false");
    with_service(&ziti, &origin).await;
    // Nobody may enter who can reach nothing; so there is something for alice.
    let open = json!({"identityRoles": ["#staff"], "name": "open", "postureCheckRoles": [], "semantic": "AnyOf",
        "serviceRoles": [format!("@{}", ziti.id_of("services", "files").await)], "tags": {}, "type": "Dial"});
    ziti.create("service-policies", open).await;
    assert_eq!(alice.asks().await, "no-policy");
    with_policy(&ziti).await;
    assert_eq!(alice.asks().await, "open", "the policy asks for nothing yet");
    assert_eq!(ziti.advise("alice", "cli").await, "OKAY: alice -> cli Dial: true Bind: false");

    for (name, body, report) in checks() {
        let id = ziti.create("posture-checks", body).await;
        // Both checks of processes look at the same program, which is known by then.
        let known = name == "multi";
        assert_eq!(alice.asks().await, if known { "open".to_owned() } else { format!("posture-failed {name}") });
        let mut report = report;
        report["id"] = json!(id);
        alice.device.report(&[report]).await;
        assert_eq!(alice.asks().await, "open", "{name}");
    }
    let mfa = json!({"ignoreLegacyEndpoints": false, "name": "mfa", "promptOnUnlock": false, "promptOnWake": true,
        "roleAttributes": ["baseline"], "tags": {}, "timeoutSeconds": 600, "typeId": "MFA"});
    ziti.create("posture-checks", mfa).await;
    assert_eq!(alice.asks().await, "posture-failed mfa");
    ziti.update("posture-checks", "mfa", json!({"roleAttributes": [], "typeId": "MFA"})).await;
    assert_eq!(alice.asks().await, "open");

    lists_are_filtered_and_paged(&ziti).await;
    updates_are_followed(&ziti, &alice).await;
    deletions_are_followed(&ziti, &alice).await;
    gateway.stop().await;
}

async fn lists_are_filtered_and_paged(ziti: &Ziti) {
    let mut all = ziti.names("posture-checks", "").await;
    all.sort();
    assert_eq!(all, ["domain", "mac", "mfa", "multi", "os", "process"]);
    let (page, pagination) = ziti.list("posture-checks", "true sort by name skip 1 limit 2").await;
    assert_eq!((page[0]["name"].as_str(), page[1]["name"].as_str(), page.len()), (Some("mac"), Some("mfa"), 2));
    assert_eq!(pagination, [2, 1, 6]);
    assert_eq!(ziti.names("posture-checks", r#"typeId in ["MAC", "OS"] sort by name desc"#).await, ["os", "mac"]);
    assert_eq!(ziti.names("posture-checks", r#"not anyOf(roleAttributes) = "baseline""#).await, ["mfa"]);
    assert_eq!(ziti.list("service-policies", "skip 10 limit 10").await, (Vec::new(), [10, 10, 2]));
    assert_eq!(ziti.names("identities", r#"anyOf(roleAttributes) contains "sta" skip 0 limit 20"#).await, ["alice"]);
    let (policies, _) = ziti.list("service-policies", r#"name in ["cli-dial"] and semantic="AnyOf""#).await;
    // It shows roles by the names that come with them.
    assert_eq!(policies[0]["serviceRolesDisplay"][0]["name"], "@cli");
    assert_eq!(policies[0]["serviceRolesDisplay"][0]["role"], policies[0]["serviceRoles"][0]);
    let policy = ziti.id_of("service-policies", "cli-dial").await;
    assert_eq!(ziti.names(&format!("service-policies/{policy}/posture-checks"), "limit none").await.len(), 5);
    assert_eq!(ziti.names(&format!("service-policies/{policy}/services"), "").await, ["cli"]);
    assert_eq!(ziti.names("auth-policies", r#"id="default""#).await, ["Default"], "asked before an identity is made");
    let (attributes, _) = ziti.list("posture-check-role-attributes", "").await;
    assert_eq!(attributes, ["baseline"]);
    let (status, summary) = ziti.send(Method::GET, "summary", None).await;
    assert_eq!((status, &summary["data"]["postureChecks"]), (StatusCode::OK, &json!(6)));
}

async fn updates_are_followed(ziti: &Ziti, alice: &Traveller) {
    let versions = |range: &str| json!({"operatingSystems": [{"Type": "Linux", "Versions": [range]}], "typeId": "OS"});
    ziti.update("posture-checks", "os", versions(">=7.0.0")).await;
    assert_eq!(alice.asks().await, "posture-failed os");
    ziti.update("posture-checks", "os", versions(">=6.5.0 <7.0.0")).await;
    assert_eq!(alice.asks().await, "open");

    let digests = |digest: &str| json!({"process": {"hashes": [digest.repeat(64)]}, "typeId": "PROCESS"});
    ziti.update("posture-checks", "process", digests("ff")).await;
    assert_eq!(alice.asks().await, "posture-failed process");
    ziti.update("posture-checks", "process", digests("ab")).await;
    assert_eq!(alice.asks().await, "open");
    let (checks, _) = ziti.list("posture-checks", r#"name = "process""#).await;
    assert_eq!(checks[0]["process"]["path"], "/usr/bin/guard", "what is not named stays");

    ziti.update("posture-checks", "mac", json!({"macAddresses": ["aabbccddeeff"], "typeId": "MAC"})).await;
    assert_eq!(alice.asks().await, "posture-failed mac");
    ziti.update("posture-checks", "mac", json!({"roleAttributes": [], "typeId": "MAC"})).await;
    assert_eq!(alice.asks().await, "open", "no longer asked for");
}

async fn deletions_are_followed(ziti: &Ziti, alice: &Traveller) {
    ziti.update("posture-checks", "domain", json!({"domains": ["other.example"], "typeId": "DOMAIN"})).await;
    assert_eq!(alice.asks().await, "posture-failed domain");
    let refused = ziti.delete("posture-checks", "domain").await.unwrap_err();
    let policy = ziti.id_of("service-policies", "cli-dial").await;
    assert!(refused.starts_with("CAN_NOT_DELETE_REFERENCED_ENTITY - "), "{refused}");
    assert!(refused.contains(&format!("INVALID_FIELD - id [{policy}] is asked for by 1")), "{refused}");
    assert_eq!(alice.asks().await, "posture-failed domain", "a refused deletion changes nothing");
    ziti.update("service-policies", "cli-dial", json!({"postureCheckRoles": []})).await;
    assert_eq!(alice.asks().await, "open");
    ziti.delete("posture-checks", "domain").await.unwrap();
    assert_eq!(alice.asks().await, "open");

    ziti.delete("service-policies", "cli-dial").await.unwrap();
    assert_eq!(alice.asks().await, "no-policy");
    assert_eq!(ziti.advise("alice", "cli").await, "ERROR: alice -> cli Dial: false Bind: false");
    ziti.delete("services", "cli").await.unwrap();
    assert_eq!(alice.asks().await, "unknown-service");
}

#[tokio::test]
async fn a_session_that_is_over_is_told_apart_from_an_error() {
    let origin = Origin::start().await;
    let (world, gateway) = started(&origin).await;
    let ziti = Ziti::login(&gateway, &world.authority).await;
    // Looked for after each login, to find other controllers; it goes on with the one it knows when there are none.
    assert_eq!(ziti.send(Method::GET, "controllers", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ziti.send(Method::DELETE, "current-api-session", None).await.0, StatusCode::OK);
    // This it answers with the advice to log in again.
    assert_eq!(ziti.send(Method::GET, "services", None).await.0, StatusCode::UNAUTHORIZED);
    gateway.stop().await;
}

#[tokio::test]
async fn config_types_and_configs_of_identities_are_managed_and_seen() {
    let origin = Origin::start().await;
    let (world, gateway) = started(&origin).await;
    let ziti = Ziti::login(&gateway, &world.authority).await;

    // `ziti edge create config-type printer.v1 SCHEMA`, `update config-type -d SCHEMA`, `create config`, `show`
    let schema = |required: &str| json!({"type": "object", "required": [required]});
    ziti.create("config-types", json!({"name": "printer.v1", "schema": schema("paper"), "tags": {}})).await;
    ziti.update("config-types", "printer.v1", json!({"schema": schema("tray")})).await;
    let kind = ziti.id_of("config-types", "printer.v1").await;
    let (_, shown) = ziti.send(Method::GET, &format!("config-types/{kind}"), None).await;
    assert_eq!(shown["data"]["schema"], schema("tray"));
    let config = |name: &str, data: Value| json!({"configTypeId": kind, "data": data, "name": name, "tags": {}});
    let first = ziti.create("configs", config("first", json!({"tray": 1}))).await;
    ziti.create("configs", config("second", json!({"tray": 2}))).await;
    assert_eq!(ziti.names("config-types", "not (name contains \"v1\") sort by name").await, ["host.v2"]);

    // `ziti edge update identity-configs dave cli second`, and the same with `-r`
    let service = json!({"configs": [first], "encryptionRequired": true, "maxIdleTimeMillis": 0, "name": "cli",
        "roleAttributes": null, "tags": {}});
    ziti.create("services", service).await;
    let dave = json!({"isAdmin": false, "name": "dave", "roleAttributes": ["staff"], "tags": {}, "type": "User"});
    let dave = ziti.create("identities", dave).await;
    let pair =
        json!([{"configId": ziti.id_of("configs", "second").await, "serviceId": ziti.id_of("services", "cli").await}]);
    let assigned = format!("identities/{dave}/service-configs");
    assert_eq!(ziti.send(Method::POST, &assigned, Some(pair.clone())).await.0, StatusCode::OK);
    let (_, shown) = ziti.send(Method::GET, &assigned, None).await;
    assert_eq!(shown["data"][0]["config"]["name"], "second");

    // `ziti edge list services --as-identity dave --config-types printer.v1`
    let seen = async || {
        let path = "services?asIdentity=dave&configTypes=printer.v1";
        let (status, reply) = ziti.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        let services = reply["data"].as_array().unwrap().iter();
        services.map(|service| service["config"]["printer.v1"]["tray"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, [Value::Null; 0], "no policy leads there");
    with_policy(&ziti).await;
    assert_eq!(seen().await, [2]);
    assert_eq!(ziti.send(Method::DELETE, &assigned, Some(pair)).await.0, StatusCode::OK);
    assert_eq!(seen().await, [1]);
    let refused = ziti.delete("config-types", "printer.v1").await.unwrap_err();
    assert!(refused.contains("CAN_NOT_DELETE_REFERENCED_ENTITY"), "{refused}");

    // What `ziti ops export` lists beside all this.
    for nothing in
        ["cas", "edge-routers", "edge-router-policies", "external-jwt-signers", "service-edge-router-policies"]
    {
        assert_eq!(ziti.list(nothing, "true").await, (vec![], [10, 0, 0]), "{nothing}");
    }
}
