//! The JSON Schemas in `config/` are those of this program, and describe what it accepts.

use std::path::Path;

use postern::config::schema;
use serde_json::Value;

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

/// What a document does not keep of a schema. Knows exactly the keywords our schemas use, and fails on any other.
fn validate(schema: &Value, document: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(schema, schema, document, "$", &mut problems);
    problems
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        if *schema == false {
            problems.push(format!("{at}: not allowed"));
        }
        return;
    };
    let fits = |schema: &Value, value: &Value| {
        let mut inner = Vec::new();
        check(root, schema, value, at, &mut inner);
        inner.is_empty()
    };
    let mut refuse = |is_refused: bool, keyword: &str| {
        if is_refused {
            problems.push(format!("{at}: {keyword}"));
        }
    };
    let text_length = value.as_str().map(|text| u64::try_from(text.len()).unwrap());
    let size = value.as_object().map(|map| u64::try_from(map.len()).unwrap());
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "definitions" | "default" | "examples" | "format" | "then" => {}
            "type" => {
                let types: Vec<&str> = match rule {
                    Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                refuse(!types.iter().any(|name| is_of_type(value, name)), "type");
            }
            "const" => refuse(value != rule, "const"),
            "enum" => refuse(!rule.as_array().unwrap().contains(value), "enum"),
            "minimum" => refuse(value.as_i64() < rule.as_i64(), "minimum"),
            "maximum" => refuse(value.as_i64() > rule.as_i64(), "maximum"),
            "minLength" => refuse(text_length.is_some_and(|length| Some(length) < rule.as_u64()), "minLength"),
            "maxLength" => refuse(text_length.is_some_and(|length| Some(length) > rule.as_u64()), "maxLength"),
            "minProperties" => refuse(size.is_some_and(|size| Some(size) < rule.as_u64()), "minProperties"),
            "maxProperties" => refuse(size.is_some_and(|size| Some(size) > rule.as_u64()), "maxProperties"),
            "pattern" => {
                let matches = |text| fits_pattern(rule.as_str().unwrap(), text);
                refuse(!value.as_str().is_none_or(matches), "pattern");
            }
            "anyOf" | "oneOf" => {
                let any = rule.as_array().unwrap().iter().any(|schema| fits(schema, value));
                refuse(!any, keyword);
            }
            "required" => {
                for key in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                    refuse(value.is_object() && value.get(key).is_none(), key);
                }
            }
            "if" => {
                if fits(rule, value) {
                    refuse(!fits(&rules["then"], value), "then");
                }
            }
            "allOf" => {
                for schema in rule.as_array().unwrap() {
                    refuse(!fits(schema, value), "allOf");
                }
            }
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(pointer).expect("a $ref leads somewhere");
                check(root, target, value, at, problems);
                return check_rest(root, rules, value, at, problems);
            }
            "properties" | "additionalProperties" | "items" => {}
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
    check_rest(root, rules, value, at, problems);
}

/// The keywords that lead into the value.
fn check_rest(
    root: &Value,
    rules: &serde_json::Map<String, Value>,
    value: &Value,
    at: &str,
    problems: &mut Vec<String>,
) {
    if let (Some(items), Some(list)) = (rules.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            check(root, items, item, &format!("{at}[{index}]"), problems);
        }
    }
    let Some(map) = value.as_object() else {
        return;
    };
    for (key, value) in map {
        let at = format!("{at}.{key}");
        let known = rules.get("properties").and_then(|known| known.get(key));
        match (known, rules.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => check(root, schema, value, &at, problems),
            (None, None) => {}
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    }
}

/// The few patterns our schemas use.
fn fits_pattern(pattern: &str, text: &str) -> bool {
    let hex = |c: char| c.is_ascii_hexdigit();
    match pattern {
        "^[0-9]" => text.starts_with(|c: char| c.is_ascii_digit()),
        "^[0-9A-Fa-f]" => text.starts_with(hex),
        "^[0-9A-Fa-f]{64}$" => text.len() == 64 && text.chars().all(hex),
        "^[0-9A-Fa-f]{32}$" => text.len() == 32 && text.chars().all(hex),
        "^[^@\\s]+@[^@\\s]+$" => {
            let part = |part: &str| !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace());
            text.split_once('@').is_some_and(|(mailbox, domain)| part(mailbox) && part(domain))
        }
        "^[0-9A-Fa-f][0-9A-Fa-f: ]*$" => {
            text.starts_with(hex) && text.chars().all(|c| hex(c) || matches!(c, ':' | ' '))
        }
        "^[^#@]" => !text.starts_with(['#', '@']) && !text.is_empty(),
        "^[^#]" => !text.starts_with('#') && !text.is_empty(),
        "^[#@]." => text.starts_with(['#', '@']) && text.len() > 1,
        "^/" => text.starts_with('/'),
        "^\\$argon2id\\$v=19\\$m=[0-9]" => {
            let costs = text.strip_prefix("$argon2id$v=19$m=");
            costs.is_some_and(|costs| costs.starts_with(|c: char| c.is_ascii_digit()))
        }
        ":[0-9]{1,5}$" => {
            let port = text.rsplit_once(':').map(|(_, port)| port);
            port.is_some_and(|port| port.len() <= 5 && port.parse::<u32>().is_ok())
        }
        "^(spiffe://|email:|dns:|cn:|sha256:)." => {
            let kinds = ["spiffe://", "email:", "dns:", "cn:", "sha256:"];
            kinds.iter().any(|kind| text.len() > kind.len() && text.starts_with(kind))
        }
        other => panic!("pattern {other}"),
    }
}
