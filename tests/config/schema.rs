//! The JSON Schemas in `config/` are those of this program, and describe what it accepts.

use std::path::Path;

use postern::config::schema;
use serde_json::Value;

use crate::json_schema::validate;
use crate::support::{examples, load, load_policy};

fn schema_named(name: &str) -> Value {
    let schemas = schema::all();
    let schema = schemas.iter().find(|schema| schema.name == name).unwrap();
    serde_json::from_str(&schema.text).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn yaml_file(path: &Path) -> Value {
    yaml(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn committed_schemas_are_up_to_date() {
    for schema in schema::all() {
        let path = examples().join(schema.name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &schema.text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == schema.text,
            "config/{} is not what the reader accepts; write it anew with\n    UPDATE_SCHEMAS=1 cargo test --test config schema",
            schema.name
        );
    }
}

#[test]
fn examples_fit_their_schema() {
    let settings = schema_named("postern.schema.json");
    let agent = validate(&schema_named("agent.schema.json"), &yaml_file(&examples().join("agent.yaml")));
    assert!(agent.is_empty(), "{agent:#?}");
    for name in ["minimal.yaml", "full.yaml"] {
        let problems = validate(&settings, &yaml_file(&examples().join(name)));
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
    let policy = schema_named("policy.schema.json");
    for entry in std::fs::read_dir(examples().join("policy")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let problems = validate(&policy, &yaml_file(&path));
            assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
        }
    }
}

#[test]
fn the_full_examples_show_every_key() {
    let full = [yaml_file(&examples().join("full.yaml"))];
    let missing = keys_not_shown(&schema_named("postern.schema.json"), &full);
    assert!(missing.is_empty(), "full.yaml lacks {missing:?}");

    let agent = [yaml_file(&examples().join("agent.yaml"))];
    assert_eq!(keys_not_shown(&schema_named("agent.schema.json"), &agent), [] as [&str; 0]);

    let paths = std::fs::read_dir(examples().join("policy")).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let policy: Vec<Value> = files.map(|path| yaml_file(&path)).collect();
    let missing = keys_not_shown(&schema_named("policy.schema.json"), &policy);
    // OpenZiti's own ways to write what the examples write differently.
    assert_eq!(missing, ["signer_fingerprint", "timeout_seconds"]);
}

#[test]
fn schema_and_reader_refuse_the_same_mistakes() {
    let tls = "tls: { certificates: [{ cert_file: a, key_file: b }], client_ca_files: [c] }\n";
    let settings = schema_named("postern.schema.json");
    for text in [
        "lgo: {}",
        "log: 3",
        "log: { level: 3 }",
        "log: { format: xml }",
        "workers: 0",
        "workers: many",
        "proxy: { retries: 17 }",
        "proxy: { timeouts: { read: 10 } }",
        "admin: { tokens: [{ name: a }] }",
        "admin: { tokens: [{ name: a, sha256: short }] }",
        "admin: { tokens: [{ name: a, sha256: SHA256, email: ada }] }",
        "admin: { client_certificates: [ada] }",
        "admin: { users: [{ name: a }] }",
        "admin: { users: [{ name: a, password_hash: hunter2 }] }",
        "admin: { session: { idle: 30 } }",
        "cloudflare: { account: 0 }",
        "cloudflare: { account_id: 0123456789abcdef }",
        "cloudflare: { account_id: 0123456789abcdef0123456789abcdeg }",
        "cloudflare: { test_integrations: maybe }",
        "data: { secrets_key_file: '' }",
        "listeners: { ops: { certificates: [] } }",
        "identity: { subjects: [cn] }",
        "limits: { report_bytes: 9999999 }",
    ] {
        let text = format!("{text}\n{tls}").replace("SHA256", &"ab".repeat(32));
        assert!(load(&text).is_err(), "the reader accepts {text}");
        assert!(!validate(&settings, &yaml(&text)).is_empty(), "the schema accepts {text}");
    }
    let policy = schema_named("policy.schema.json");
    for text in [
        "identities: [{}]",
        "identities: [{ name: a, subjects: [ada] }]",
        "identities: [{ name: a, role_attributes: ['#a'] }]",
        "services: [{ name: a }]",
        "services: [{ name: a, hosts: [b], upstreams: [{ weight: 1 }] }]",
        "services: [{ name: a, hosts: [b], upstream: { tls: 3 } }]",
        "service_policies: [{ name: a }]",
        "service_policies: [{ name: a, identity_roles: [b], service_roles: [] }]",
        "service_policies: [{ name: a, identity_roles: [], service_roles: [], require: { all: [a], any: [b] } }]",
        "posture_checks: [{ name: a }]",
        "posture_checks: [{ name: a, type: os }]",
        "posture_checks: [{ name: a, type: OS }]",
        "posture_checks: [{ name: a, type: MFA, domains: [b] }]",
        "posture_checks: [{ name: a, type: OS, operating_systems: [macos] }]",
        "posture_rules: [{ name: a }]",
        "posture_rules: [{ name: a, type: uptycs, input: {} }]",
        "posture_rules: [{ name: a, type: warp, inputs: {} }]",
        "device_lists: [{ name: a, type: SERIAL }]",
        "device_lists: [{ name: a, type: URL, items: [] }]",
        "signing_certificates: [{ name: a }]",
        "service_policies: [{ name: a, identity_roles: [], service_roles: [], require: { all: [a], include: [] } }]",
        "service_policies: [{ name: a, identity_roles: [], service_roles: [], require: { include: [{ email: a }] } }]",
    ] {
        assert!(load_policy(&[("p.yaml", text)]).is_err(), "the reader accepts {text}");
        assert!(!validate(&policy, &yaml(text)).is_empty(), "the schema accepts {text}");
    }
}

/// Keys of the schema that none of the documents uses.
fn keys_not_shown(schema: &Value, documents: &[Value]) -> Vec<String> {
    let mut known = Vec::new();
    collect(schema, &mut |key, value| {
        if let ("properties", Some(properties)) = (key, value.as_object()) {
            // Rules that refuse a key are not descriptions of it.
            let described = properties.iter().filter(|(_, schema)| schema.get("const").is_none() && **schema != false);
            known.extend(described.map(|(key, _)| key.clone()));
        }
    });
    let mut shown = Vec::new();
    for document in documents {
        collect(document, &mut |key, _| shown.push(key.to_owned()));
    }
    known.retain(|key| !shown.contains(key));
    known.sort();
    known.dedup();
    known
}

fn collect(value: &Value, see: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            see(key, value);
            collect(value, see);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, see)),
        _ => {}
    }
}
