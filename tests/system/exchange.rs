//! `postern import` and `postern export`: objects that move between OpenZiti's files and gateways.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use super::client::Client;
use super::process::{Running, postern};
use super::support::Origin;
use super::world::{ADMIN_TOKEN, World};

const APP: &str = "app.example.test";

/// What `ziti ops export --yaml` writes of a small network, with routers and all.
fn exported(upstream: &str) -> String {
    let (address, port) = upstream.rsplit_once(':').unwrap();
    format!(
        "\
authPolicies:
  - {{ name: Test123, primary: {{ cert: {{ allowed: false }} }}, secondary: {{ requireTotp: false }}, tags: {{}} }}
certificateAuthorities: []
configTypes:
  - {{ name: Empty Config Type, schema: null, tags: {{}} }}
configs:
  - configType: '@intercept.v1'
    data: {{ addresses: [{APP}], portRanges: [{{ high: 443, low: 443 }}], protocols: [tcp, udp] }}
    name: app-intercept
    tags: {{}}
  - configType: '@host.v1'
    data: {{ address: {address}, allowedProtocols: [tcp], forwardProtocol: true, port: {port} }}
    name: app-host
    tags: {{}}
  - {{ configType: '@Empty Config Type', data: {{}}, name: odd, tags: {{}} }}
edgeRouters:
  - {{ name: router1, isTunnelerEnabled: true, roleAttributes: [public], tags: {{}} }}
edgeRouterPolicies: []
externalJwtSigners: []
identities:
  - {{ authPolicy: '@Default', disabled: false, externalId: null, isAdmin: false, name: alice, roleAttributes: [staff], tags: {{ team: a }}, typeId: Default, subjects: ['spiffe://postern.test/alice'] }}
  - {{ authPolicy: '@Test123', disabled: true, externalId: null, isAdmin: true, name: bob, roleAttributes: null, tags: {{}}, typeId: Default }}
  - {{ authPolicy: '@Default', name: router1, roleAttributes: [], tags: {{}}, typeId: Router }}
postureChecks:
  - {{ name: OS, operatingSystems: [{{ type: Linux, versions: ['>=1.0.0'] }}], roleAttributes: [os], tags: {{}}, typeId: OS }}
  - {{ name: Bad, typeId: OS, operatingSystems: [{{ type: Linux, versions: ['nonsense'] }}], roleAttributes: [], tags: {{}} }}
serviceEdgeRouterPolicies: []
services:
  - {{ configs: ['@app-intercept', '@app-host', '@odd'], encryptionRequired: true, name: app, roleAttributes: [web], tags: {{}}, terminatorStrategy: smartrouting }}
servicePolicies:
  - {{ name: bind, type: Bind, semantic: AnyOf, identityRoles: ['@router1'], serviceRoles: ['@app'], postureCheckRoles: null, tags: {{}} }}
  - {{ name: dial, type: Dial, semantic: AnyOf, identityRoles: ['@alice'], serviceRoles: ['#web'], postureCheckRoles: [], tags: {{}} }}
  - {{ name: strict, type: Dial, semantic: AnyOf, identityRoles: ['#all'], serviceRoles: ['@app'], postureCheckRoles: ['@Bad'], tags: {{}} }}
"
    )
}

/// A gateway with no objects but an identity that keeps its folder from being empty.
fn blank() -> World {
    World::new("identities:\n  - { name: resident, subjects: [\"spiffe://postern.test/resident\"] }\n")
}

/// Runs a command against a gateway's admin API.
async fn command(gateway: &Running, world: &World, arguments: &[&str]) -> Output {
    let mut command = postern();
    command.args(arguments).env("POSTERN_ADMIN_URL", format!("https://localhost:{}", gateway.addresses.admin.port()));
    command.env("POSTERN_ADMIN_TOKEN", ADMIN_TOKEN).env("POSTERN_ADMIN_CA", world.authority.ca_file());
    world.attempt(command).await
}

/// Each line as JSON: name to outcome.
fn outcomes(output: &Output) -> Vec<(String, String, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{text}")));
    let told = lines.filter(|line| line.get("name").is_some());
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    told.map(|line| (text(&line, "kind"), text(&line, "name"), text(&line, "outcome"))).collect()
}

const EXPECTED: [(&str, &str, &str); 14] = [
    ("posture check", "OS", "taken"),
    ("posture check", "Bad", "refused"),
    ("config type", "Empty Config Type", "taken"),
    ("config", "app-intercept", "changed"),
    ("config", "app-host", "taken"),
    ("config", "odd", "taken"),
    ("service", "app", "taken"),
    ("identity", "alice", "taken"),
    ("identity", "bob", "changed"),
    ("identity", "router1", "left"),
    ("service policy", "bind", "changed"),
    ("service policy", "dial", "taken"),
    ("service policy", "strict", "refused"),
    ("authentication policy", "Test123", "left"),
];

#[tokio::test]
async fn what_another_network_exported_is_in_force_here() {
    let origin = Origin::start().await;
    let world = blank();
    let gateway = world.start().await;
    let file = world.path("export.yaml");
    fs::write(&file, exported(&origin.upstream())).unwrap();
    let file = file.to_str().unwrap();
    let alice = world.certificate("alice");

    let tried = command(&gateway, &world, &["import", "openziti", file, "--dry-run", "--output", "json"]).await;
    let found = outcomes(&tried);
    let expected = |(kind, name, outcome): (&str, &str, &str)| (kind.to_owned(), name.to_owned(), outcome.to_owned());
    let mut all: Vec<_> = EXPECTED.into_iter().map(expected).collect();
    all.push(expected(("edge router", "router1", "left")));
    assert_eq!(found, all);
    assert_eq!(tried.status.code(), Some(1), "something was refused");

    let done = command(&gateway, &world, &["import", "openziti", file, "--output", "json"]).await;
    assert_eq!(outcomes(&done), all, "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(Client::http2(&gateway, &world.authority, &alice).status(APP, "/").await, 200);

    let again = command(&gateway, &world, &["import", "openziti", file]).await;
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(text.contains("there is one of this name already") && text.contains("0 taken"), "{text}");
    assert!(text.contains("it asks for posture check `Bad`, which was not taken"), "{text}");
}

#[tokio::test]
async fn what_is_exported_can_be_imported_again() {
    let origin = Origin::start().await;
    let world = blank();
    let gateway = world.start().await;
    let file = world.path("first.yaml");
    fs::write(&file, exported(&origin.upstream())).unwrap();
    let _ = command(&gateway, &world, &["import", "openziti", file.to_str().unwrap()]).await;
    let export = async |gateway: &Running, world: &World, format: &str| {
        let output = command(gateway, world, &["export", "--dialect", "openziti", "--format", format]).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = export(&gateway, &world, "json").await;
    let yaml = export(&gateway, &world, "yaml").await;

    let other = blank();
    let elsewhere = other.start().await;
    let file = other.path("second.yaml");
    fs::write(&file, yaml).unwrap();
    let done = command(&elsewhere, &other, &["import", "openziti", file.to_str().unwrap(), "--output", "json"]).await;
    for (kind, name, outcome) in outcomes(&done) {
        let expected = match &*name {
            "resident" => "left",
            // UDP cannot be taken, however often it is tried.
            "app-intercept" => "changed",
            _ => "taken",
        };
        assert_eq!(outcome, expected, "{kind} {name}");
    }
    let sorted = |text: &str| {
        let mut document: Value = serde_json::from_str(text).unwrap();
        for list in document.as_object_mut().unwrap().values_mut() {
            list.as_array_mut().unwrap().sort_by_key(|object| object["name"].to_string());
        }
        document
    };
    assert_eq!(sorted(&export(&elsewhere, &other, "json").await), sorted(&first));
    assert_eq!(sorted(&first)["servicePolicies"][1]["identityRoles"], json!(["@alice"]));

    let rules = command(&gateway, &world, &["export", "--dialect", "cloudflare"]).await;
    let rules: Value = serde_json::from_slice(&rules.stdout).unwrap();
    assert_eq!(rules["gateway_lists"], json!([]));
    assert!(rules["posture_rules"].is_array() && rules["mtls_certificates"].is_array(), "{rules}");
}

#[tokio::test]
async fn files_that_are_no_export_are_refused() {
    let world = blank();
    for (name, text, told) in [
        ("list.yaml", "- a\n- b\n", "it is not a set of lists"),
        ("bad.json", "{\"services\": ", "is not what `ziti ops export` writes"),
    ] {
        fs::write(world.path(name), text).unwrap();
        let mut command = postern();
        command.args(["import", "openziti", "--dry-run"]).arg(world.path(name));
        let output = world.attempt(command).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{name}: {output:?}");
    }
}
