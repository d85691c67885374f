//! The native API, described in OpenAPI 3.0 from the definitions the reader itself uses.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::evidence::{NONCE_FIELD, SIGNATURE_FIELD, TIME_FIELD};
use super::lock::LockBody;
use super::report::PostureReport;
use super::wanted::Wanted;
use crate::posture::provider::ProviderMember;

/// The document, as its text.
pub fn document() -> String {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let report = generator.subschema_for::<PostureReport>();
    let lock = generator.subschema_for::<LockBody>();
    let wanted = generator.subschema_for::<Wanted>();
    let schemas: Map<String, Value> = generator.take_definitions(true);
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Postern",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0" },
            "description": "Postern's own endpoints; those of OpenZiti and Cloudflare are described by their makers.",
        },
        "paths": {
            "/api/v1/posture": { "put": put_posture(&json!(report)) },
            "/api/v1/posture/wanted": { "get": get_wanted(&json!(wanted)) },
            "/api/v1/posture/nonce": { "get": own("A number for the next signed report, until when it counts, and the gateway's time") },
            "/api/v1/services": { "get": own("The device's own services: which are open, which are shut, and what to do about it") },
            "/api/v1/identities/{id}/posture/providers/{connectionId}": { "put": put_provider() },
            "/api/v1/policy": { "get": simple("The policy in force and how its last loads went", &["admin"]) },
            "/api/v1/explain": { "get": explain() },
            "/api/v1/audit": { "get": audit() },
            "/api/v1/locks": { "get": simple("The locks on identities that hold now", &["admin"]) },
            "/api/v1/identities/{id}/lock": locks(&json!(lock)),
            "/api/v1/reload": { "post": simple("Loads the policy files again", &["admin"]) },
        },
        "components": { "schemas": schemas, "securitySchemes": security_schemes() },
    });
    format!("{document:#}\n")
}

fn put_posture(report: &Value) -> Value {
    json!({
        "summary": "Reports what is known of the device",
        "description": "On the client API. The report belongs to the identity of the certificate the connection was made with. \
            OpenAPI 3.0 has no word for client certificates; one is needed. It is taken whole or not at all, and is durable and in force when the reply is sent.",
        "tags": ["client"],
        "security": [],
        "parameters": evidence_fields(),
        "requestBody": body(report),
        "responses": {
            "200": { "description": "The report is durable and in force" },
            "400": { "description": "The report is refused; the reply names the member, or the code of what is wrong with the signature" },
            "401": { "description": "The certificate belongs to nobody, or is not trusted" },
            "413": { "description": "The report is too large" },
            "429": { "description": "The device has too many reports under way" },
            "503": { "description": "The report could not be made durable; what was known before stays" },
        },
    })
}

/// The header fields that make a report a signed one: all three or none.
fn evidence_fields() -> Value {
    let field = |name: &str, description: &str| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
    };
    json!([
        field(
            NONCE_FIELD,
            "A number from `/api/v1/posture/nonce` or from the reply to the last signed report; it is used up"
        ),
        field(TIME_FIELD, "The time by the device's clock, in RFC 3339; at most five minutes from the gateway's"),
        field(
            SIGNATURE_FIELD,
            "A signature in base64 by the key of the client certificate (ECDSA in ASN.1 with SHA-256 or, on P-384, SHA-384; \
             Ed25519; RSA-PSS with SHA-256) over four lines, each ended by a line feed: `postern posture evidence 1`, the \
             number, the time as it is sent, and the SHA-256 of the body in lower-case hex"
        ),
    ])
}

fn get_wanted(wanted: &Value) -> Value {
    let schema = json!({ "type": "object", "properties": { "data": wanted, "meta": { "type": "object" } } });
    let content = json!({ "application/json": { "schema": schema } });
    let mut operation = own("What the policies for the device ask about: where to look, never what would pass");
    if let Some(answer) = operation.pointer_mut("/responses/200").and_then(Value::as_object_mut) {
        answer.insert("content".to_owned(), content);
    }
    operation
}

/// What a device asks about itself on the client API.
fn own(summary: &str) -> Value {
    json!({
        "summary": summary,
        "description": "On the client API, for the identity of the certificate the connection was made with.",
        "tags": ["client"],
        "security": [],
        "responses": {
            "200": { "description": "The answer" },
            "401": { "description": "The certificate belongs to nobody, or is not trusted" },
        },
    })
}

fn put_provider() -> Value {
    let names: Vec<&str> = ProviderMember::ALL.iter().map(|member| member.as_str()).collect();
    let values = json!({
        "type": "object",
        "description": format!(
            "Values in Cloudflare's or the vendor's spelling: {}. Which ones count depends on the connection's provider; moments \
             are RFC 3339, or ages in seconds under a name that ends in `_seconds`.",
            names.join(", ")
        ),
        "additionalProperties": true,
    });
    json!({
        "summary": "Writes what a posture provider says about a device",
        "description": "On the admin API. The values take the place of those written before for the same connection.",
        "tags": ["admin"],
        "security": [{ "token": [] }],
        "parameters": [parameter("id", "path", "The identity's id"), parameter("connectionId", "path", "The id of a posture integration")],
        "requestBody": body(&values),
        "responses": {
            "200": { "description": "The values are durable and in force" },
            "400": { "description": "The values are refused; the reply names the member" },
            "404": { "description": "There is no such identity or connection" },
            "503": { "description": "The values could not be made durable; what was known before stays" },
        },
    })
}

/// Reading, putting on and taking away the lock of one identity.
fn locks(lock: &Value) -> Value {
    let about = |summary: &str| {
        let mut operation = simple(summary, &["admin"]);
        if let Some(operation) = operation.as_object_mut() {
            operation.insert("parameters".to_owned(), json!([parameter("id", "path", "The identity's id or name")]));
        }
        operation
    };
    let mut put = about("Locks an identity out, whatever it has open; durable and in force when the reply is sent");
    if let Some(put) = put.as_object_mut() {
        put.insert("requestBody".to_owned(), body(lock));
    }
    json!({
        "get": about("The identity's lock"),
        "put": put,
        "delete": about("Takes the identity's lock away"),
    })
}

fn explain() -> Value {
    let mut operation = simple("Why an identity may reach a service now, or why not", &["admin"]);
    let parameters = [
        parameter("identity", "query", "The identity's id or name"),
        parameter("service", "query", "The service's id or name"),
    ];
    if let Some(operation) = operation.as_object_mut() {
        operation.insert("parameters".to_owned(), json!(parameters));
    }
    operation
}

fn audit() -> Value {
    let mut operation = simple("The changes made through the API, newest first", &["admin"]);
    let number = |name: &str, description: &str| {
        let schema = json!({ "type": "integer" });
        json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
    };
    if let Some(operation) = operation.as_object_mut() {
        let parameters = [number("limit", "Entries at most: 10 unless told"), number("offset", "Entries to leave out")];
        operation.insert("parameters".to_owned(), json!(parameters));
    }
    operation
}

fn simple(summary: &str, tags: &[&str]) -> Value {
    json!({
        "summary": summary,
        "tags": tags,
        "security": [{ "token": [] }],
        "responses": { "200": { "description": "Done" } },
    })
}

fn body(schema: &Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

fn parameter(name: &str, place: &str, description: &str) -> Value {
    json!({ "name": name, "in": place, "required": true, "description": description, "schema": { "type": "string" } })
}

fn security_schemes() -> Value {
    json!({
        "token": { "type": "http", "scheme": "bearer" },
    })
}
