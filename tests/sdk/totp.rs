//! One-time passwords as another implementation makes them: Python's `pyotp` reads the provisioning URL and shows the codes.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::Running;
use super::python::interpreter;
use super::support::client::tls;
use super::world::World;

const MFA: &str = "/edge/client/v1/current-identity/mfa";
const PASS: &str = "/edge/client/v1/authenticate/mfa";

/// Who may reach `safe` after a pass.
const POLICY: &str = "\
identities:
  - { name: Alice & co, subjects: [\"spiffe://postern.test/alice\"] }
services:
  - { name: safe, hosts: [safe.example.test], upstreams: [\"127.0.0.1:1\"] }
posture_checks:
  - { name: fresh-mfa, type: MFA, timeout: 1h }
service_policies:
  - { name: all, identity_roles: [\"#all\"], service_roles: [\"@safe\"], posture_check_roles: [\"@fresh-mfa\"] }
";

/// An authenticator app.
struct App {
    python: PathBuf,
    url: String,
}

impl App {
    /// What `pyotp` says of the account, as a Python expression over `account`.
    fn says(&self, expression: &str) -> String {
        let script = format!("import pyotp, sys, time; account = pyotp.parse_uri(sys.argv[1]); print({expression})");
        let output = Command::new(&self.python).args(["-B", "-c", &script, &self.url]).env_clear().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn new(gateway: &Running, world: &World) -> Client {
        let address = gateway.addresses.client_api;
        let tls = tls(&world.authority, Some(&world.certificate("alice")));
        let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
        let http = builder.tls_backend_preconfigured(tls).build().unwrap();
        Client { http, base: format!("https://localhost:{}", address.port()) }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let reply = request.send().await.unwrap();
        (reply.status(), reply.json().await.unwrap_or_default())
    }

    async fn code(&self, path: &str, code: &str) -> StatusCode {
        self.ask(Method::POST, path, Some(json!({ "code": code }))).await.0
    }

    async fn is_open(&self) -> bool {
        let wanted = json!({ "serviceId": "safe" });
        self.ask(Method::POST, "/edge/client/v1/sessions", Some(wanted)).await.0 == StatusCode::CREATED
    }
}

#[tokio::test]
async fn codes_of_an_independent_implementation_pass_once() {
    let python = tokio::task::spawn_blocking(interpreter).await.unwrap();
    assert!(Path::new(&python).exists());
    let world = World::new(POLICY);
    let gateway = world.start().await;
    let client = Client::new(&gateway, &world);
    assert_eq!(client.ask(Method::POST, MFA, None).await.0, StatusCode::CREATED);
    let (_, shown) = client.ask(Method::GET, MFA, None).await;
    let app = App { python, url: shown["data"]["provisioningUrl"].as_str().unwrap().to_owned() };
    assert_eq!(app.says("account.name, account.issuer, account.digits, account.interval"), "Alice & co localhost 6 30");

    let verify = format!("{MFA}/verify");
    for wrong in ["account.at(time.time() - 120)", "account.at(time.time() + 120)", "'000000'"] {
        assert_eq!(client.code(&verify, &app.says(wrong)).await, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert!(!client.is_open().await);
    let code = app.says("account.now()");
    assert_eq!(client.code(&verify, &code).await, StatusCode::OK);
    assert!(client.is_open().await);
    assert_eq!(client.code(PASS, &code).await, StatusCode::BAD_REQUEST, "used");
    assert_eq!(client.code(PASS, &app.says("account.at(time.time() + 30)")).await, StatusCode::OK);

    let secret = app.says("account.secret");
    let log = gateway.log_text();
    assert!(!log.contains(&secret) && !log.contains(&code), "a secret is in the log");
    gateway.stop().await;
}
