//! The paths of Cloudflare's API, described: what they take and how they answer.

use serde_json::{Map, Value, json};

use super::rule::RuleType;
use crate::dialect::openapi::{Operation, Room, array, object, schema};
use crate::policy::integration::Provider;

/// Everything under `/client/v4/accounts/{account_id}`.
pub fn room() -> Room {
    let operations = [rules(), integrations(), lists(), certificates()];
    Room {
        prefix: "/client/v4/accounts/{account_id}",
        tag: "Cloudflare",
        refusal: schema("CloudflareFailure"),
        operations: operations.into_iter().flatten().map(in_an_account).collect(),
        schemas: schemas(),
    }
}

/// Every path is refused for accounts that are not this gateway's.
fn in_an_account(operation: Operation) -> Operation {
    let account = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" });
    operation.below("account_id", account).refuses(&[400, 403, 404])
}

/// A reply to something that was done.
fn success(result: Value) -> Value {
    object([
        ("success", json!({ "const": true })),
        ("errors", json!({ "type": "array", "maxItems": 0 })),
        ("messages", array(&schema("CloudflareMessage"))),
        ("result", result),
    ])
}

fn get(path: &'static str, summary: &'static str, result: Value) -> Operation {
    Operation::new("get", path, summary).answers(200, &success(result))
}

/// What is made tells its id in the result.
fn create(path: &'static str, summary: &'static str, body: &str, result: &str) -> Operation {
    write("post", path, summary, body, result).makes("/result/id")
}

fn write(method: &'static str, path: &'static str, summary: &'static str, body: &str, result: &str) -> Operation {
    Operation::new(method, path, summary).takes(&schema(body)).answers(200, &success(schema(result)))
}

fn delete(path: &'static str, result: Value) -> Operation {
    Operation::new("delete", path, "Deletes it")
        .asks("force", json!({ "type": "string" }), "`true` also deletes what others need")
        .answers(200, &success(result))
        .refuses(&[409])
}

fn rules() -> Vec<Operation> {
    const ALL: &str = "/devices/posture";
    const ONE: &str = "/devices/posture/{id}";
    vec![
        get(ALL, "The posture rules", array(&schema("PostureRule"))),
        create(ALL, "Makes a posture rule", "PostureRuleWrite", "PostureRule"),
        get(ONE, "One posture rule", schema("PostureRule")),
        write("put", ONE, "Replaces a posture rule", "PostureRuleWrite", "PostureRule"),
        delete(ONE, object([("id", json!({ "type": "string" }))])),
    ]
}

fn integrations() -> Vec<Operation> {
    const ALL: &str = "/devices/posture/integration";
    const ONE: &str = "/devices/posture/integration/{id}";
    vec![
        get(ALL, "The posture integrations", array(&schema("PostureIntegration"))),
        create(ALL, "Makes a posture integration", "PostureIntegrationWrite", "PostureIntegration"),
        get(ONE, "One posture integration", schema("PostureIntegration")),
        write("patch", ONE, "Changes a posture integration", "PostureIntegrationPatch", "PostureIntegration"),
        delete(ONE, json!({ "type": ["object", "null"] })),
    ]
}

fn lists() -> Vec<Operation> {
    const ALL: &str = "/gateway/lists";
    const ONE: &str = "/gateway/lists/{id}";
    vec![
        get(ALL, "The lists of devices", array(&schema("GatewayList"))),
        create(ALL, "Makes a list of devices", "GatewayListCreate", "GatewayList"),
        get(ONE, "One list of devices", schema("GatewayList")),
        write("put", ONE, "Replaces a list of devices", "GatewayListReplace", "GatewayList"),
        write("patch", ONE, "Adds items to a list and takes others out", "GatewayListPatch", "GatewayList"),
        delete(ONE, json!({ "type": "object" })),
        get("/gateway/lists/{id}/items", "The items of a list", array(&schema("GatewayItem"))),
    ]
}

fn certificates() -> Vec<Operation> {
    const ALL: &str = "/mtls_certificates";
    const ONE: &str = "/mtls_certificates/{id}";
    let associations = "/mtls_certificates/{id}/associations";
    vec![
        get(ALL, "The signing certificates", array(&schema("MtlsCertificate"))),
        create(ALL, "Uploads a signing certificate", "MtlsCertificateCreate", "MtlsCertificate"),
        get(ONE, "One signing certificate", schema("MtlsCertificate")),
        get(associations, "Services that use it: none", array(&json!({ "type": "object" }))),
        delete(ONE, schema("MtlsCertificate")),
    ]
}

fn schemas() -> Map<String, Value> {
    let (text, flag, moment) =
        (json!({ "type": "string" }), json!({ "type": "boolean" }), json!({ "type": "string", "format": "date-time" }));
    let maybe = json!({ "type": ["string", "null"] });
    let texts = json!({ "type": ["array", "null"], "items": text });
    let kinds: Vec<_> = RuleType::ALL.iter().map(|kind| kind.as_str()).collect();
    let providers: Vec<_> = Provider::ALL.iter().map(|provider| provider.as_str()).collect();
    let rule = json!({
        "name": text, "type": { "enum": kinds }, "description": maybe, "schedule": maybe, "expiration": maybe,
        "match": { "type": ["array", "null"], "items": { "type": "object" } }, "input": { "type": ["object", "null"] },
        "role_attributes": texts, "remediation": maybe,
    });
    let mut shown_rule = rule.clone();
    merge(&mut shown_rule, json!({ "id": text, "enabled": flag, "source": text }));
    let integration =
        json!({ "name": text, "type": { "enum": providers }, "interval": text, "config": { "type": "object" } });
    let mut shown_integration = integration.clone();
    let last_error = json!({ "type": "object", "required": ["at", "code", "message"] });
    merge(
        &mut shown_integration,
        json!({ "id": text, "source": text, "last_success_at": moment, "last_error": last_error }),
    );
    let list_kind = json!({ "enum": ["SERIAL", "DEVICE"] });
    let item =
        json!({ "type": "object", "required": ["value"], "properties": { "value": text, "description": maybe } });
    let items = json!({ "type": ["array", "null"], "items": item });
    let list = json!({ "name": text, "type": list_kind, "description": maybe, "items": items });
    let described = json!({
        "CloudflareMessage": object([("code", json!({ "type": "integer" })), ("message", text.clone())]),
        "CloudflareFailure": object([
            ("success", json!({ "const": false })),
            ("errors", json!({
                "type": "array", "minItems": 1,
                "items": {
                    "type": "object", "required": ["code", "message"],
                    "properties": {
                        "code": { "type": "integer", "minimum": 1000 }, "message": text,
                        "source": object([("pointer", text.clone())]),
                    },
                },
            })),
            ("messages", json!({ "type": "array" })),
            ("result", json!({ "type": "null" })),
        ]),
        "PostureRule": members(shown_rule, &["id", "name", "type", "enabled", "source"]),
        "PostureRuleWrite": members(rule, &["name", "type"]),
        "PostureIntegration": members(shown_integration, &["id", "name", "type", "interval", "config", "source"]),
        "PostureIntegrationWrite": members(integration.clone(), &["name", "type", "interval", "config"]),
        "PostureIntegrationPatch": members(integration, &[]),
        "GatewayItem": members(json!({ "value": text, "description": text, "created_at": moment }), &["value", "created_at"]),
        "GatewayList": members(
            json!({
                "id": text, "name": text, "type": list_kind, "description": text, "count": { "type": "integer" },
                "items": array(&schema("GatewayItem")), "created_at": moment, "updated_at": moment, "source": text,
            }),
            &["id", "name", "type", "count", "created_at", "updated_at", "source"],
        ),
        "GatewayListCreate": members(list.clone(), &["name", "type"]),
        "GatewayListReplace": members(list, &["name"]),
        "GatewayListPatch": members(json!({ "append": items, "remove": texts }), &[]),
        "MtlsCertificateCreate": members(json!({ "name": maybe, "ca": flag, "certificates": text }), &["ca", "certificates"]),
        "MtlsCertificate": members(
            json!({
                "id": text, "name": text, "ca": flag, "certificates": text, "issuer": text, "serial_number": text,
                "signature": text, "expires_on": moment, "uploaded_on": moment, "updated_at": moment, "source": text,
            }),
            &["id", "ca", "certificates", "uploaded_on", "updated_at", "source"],
        ),
    });
    match described {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

fn members(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
