//! Postern's own paths, described, from the definitions the reader itself uses where there are some.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::evidence::{NONCE_FIELD, SIGNATURE_FIELD, TIME_FIELD};
use super::lock::LockBody;
use super::report::PostureReport;
use super::wanted::Wanted;
use crate::dialect::openapi::{Operation, Room, array, object, schema};
use crate::posture::provider::ProviderMember;

/// What operators ask, under `/api`.
pub fn admin_room() -> Room {
    const LOCK: &str = "/v1/identities/{id}/lock";
    let (body, mut schemas) = read_as::<LockBody>();
    let (policy, lock) = (detail(schema("PolicyInForce")), detail(schema("Lock")));
    let operations = vec![
        get("/v1/policy", "The policy in force and how its last loads went").answers(200, &policy),
        Operation::new("post", "/v1/reload", "Loads the policy files again")
            .answers(200, &policy)
            .answers(422, &policy),
        explain(),
        audit(),
        provider_values(),
        get("/v1/locks", "The locks on identities that hold now").answers(200, &detail(array(&schema("Lock")))),
        get(LOCK, "The lock of an identity, which is given by id or name").answers(200, &lock).refuses(&[400, 404]),
        Operation::new("put", LOCK, "Locks an identity out, whatever it has open")
            .takes(&body)
            .answers(200, &lock)
            .refuses(&[404]),
        Operation::new("delete", LOCK, "Takes an identity's lock away").answers(200, &empty()).refuses(&[400, 404]),
        sessions(),
        Operation::new("delete", "/v1/sessions/{id}", "Ends a session, now; whose it was may begin another")
            .answers(200, &empty())
            .refuses(&[404]),
        own_document("/openapi.json"),
        own_document("/v1/openapi.json"),
    ];
    schemas.extend(admin_schemas());
    room(operations, schemas)
}

/// What devices ask, under `/api`.
pub fn client_room() -> Room {
    let (report, mut schemas) = read_as::<PostureReport>();
    let (wanted, more) = read_as::<Wanted>();
    schemas.extend(more);
    let (text, moment) = (json!({ "type": "string" }), json!({ "type": "string", "format": "date-time" }));
    let nonce = object([("nonce", text), ("expiresAt", moment.clone()), ("time", moment)]);
    let operations = vec![
        posture(&report),
        get("/v1/posture/wanted", "What the policies for the device ask about: where to look, never what would pass")
            .answers(200, &detail(wanted)),
        get("/v1/posture/nonce", "A number for the next signed report, until when it counts, and the gateway's time")
            .answers(200, &detail(nonce)),
        get("/v1/services", "The device's own services: which are open, which are shut, and what to do about it")
            .answers(200, &detail(own_services()))
            .refuses(&[404]),
        own_document("/openapi.json"),
        own_document("/v1/openapi.json"),
    ];
    room(operations, schemas)
}

fn own_services() -> Value {
    let (text, flag) = (json!({ "type": "string" }), json!({ "type": "boolean" }));
    let moment = json!({ "type": "string", "format": "date-time" });
    let maybe_moment = json!({ "type": ["string", "null"], "format": "date-time" });
    let check = json!({
        "type": "object",
        "required": ["name", "type", "reason"],
        "properties": {
            "id": text, "name": text, "type": text, "reason": text, "remediation": text, "expected": {}, "actual": {},
        },
    });
    let service = json!({
        "type": "object",
        "required": ["id", "name", "hosts", "pathPrefix", "open", "reason"],
        "properties": {
            "id": text, "name": text, "hosts": array(&text), "pathPrefix": text, "open": flag, "reason": text,
            "detail": text, "validUntil": moment, "checks": array(&check),
        },
    });
    object([
        ("identity", object([("id", text.clone()), ("name", text)])),
        ("time", moment),
        ("checkedInAt", maybe_moment.clone()),
        ("signedInAt", maybe_moment),
        ("clockSkewMillis", json!({ "type": ["integer", "null"] })),
        ("services", array(&service)),
    ])
}

/// The schema of a body as its reader has it, and those it refers to.
fn read_as<T: JsonSchema>() -> (Value, Map<String, Value>) {
    let settings = SchemaSettings::draft2020_12();
    let settings = settings.with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let body = json!(generator.subschema_for::<T>());
    (body, generator.take_definitions(true))
}

fn room(operations: Vec<Operation>, schemas: Map<String, Value>) -> Room {
    Room { prefix: "/api", tag: "Postern", refusal: schema("ApiErrorEnvelope"), operations, schemas }
}

fn get(path: &str, summary: &'static str) -> Operation {
    Operation::new("get", path, summary)
}

fn detail(data: Value) -> Value {
    object([("data", data), ("meta", json!({ "type": "object" }))])
}

fn empty() -> Value {
    detail(json!({ "type": "object" }))
}

/// The report belongs to the identity of the certificate the connection was made with; OpenAPI has no word for that. Three header
/// fields make it a signed one: all of them or none.
fn posture(report: &Value) -> Operation {
    let services = json!({ "type": "object", "required": ["services"] });
    Operation::new("put", "/v1/posture", "Reports what is known of the device, whole or not at all")
        .hears(NONCE_FIELD, "A number from `/api/v1/posture/nonce` or from the reply to the last signed report; it is used up")
        .hears(TIME_FIELD, "The time by the device's clock, in RFC 3339; at most five minutes from the gateway's")
        .hears(
            SIGNATURE_FIELD,
            "A signature in base64 by the key of the client certificate (ECDSA in ASN.1 with SHA-256 or, on P-384, SHA-384; \
             Ed25519; RSA-PSS with SHA-256) over four lines, each ended by a line feed: `postern posture evidence 1`, the \
             number, the time as it is sent, and the SHA-256 of the body in lower-case hex",
        )
        .takes(report)
        .answers(200, &detail(services))
}

fn provider_values() -> Operation {
    let path = "/v1/identities/{id}/posture/providers/{connection}";
    Operation::new("put", path, "Writes what a posture provider says about a device, in place of what it said before")
        .takes(&schema("ProviderValues"))
        .answers(200, &empty())
        .refuses(&[404])
}

fn explain() -> Operation {
    let name = || json!({ "type": "string" });
    get("/v1/explain", "Why an identity may reach a service now, or why not")
        .asks("identity", name(), "The identity's id or name")
        .asks("service", name(), "The service's id or name")
        .answers(200, &detail(schema("Explanation")))
        .refuses(&[400, 404])
}

fn audit() -> Operation {
    let whole = || json!({ "type": "integer" });
    get("/v1/audit", "The changes made through the API, newest first")
        .asks("limit", whole(), "Entries at most: 10 unless told")
        .asks("offset", whole(), "Entries to leave out")
        .answers(200, &object([("data", array(&schema("AuditEntry"))), ("meta", schema("ListMeta"))]))
        .refuses(&[400])
}

fn sessions() -> Operation {
    let (text, whole) = (|| json!({ "type": "string" }), || json!({ "type": "integer" }));
    get("/v1/sessions", "The requests, streams and connections under way, in the order in which they began")
        .asks("identity", text(), "Only those of the identity with this id or name")
        .asks("service", text(), "Only those for the service with this id or name")
        .asks("limit", whole(), "Sessions at most: 10 unless told")
        .asks("offset", whole(), "Sessions to leave out")
        .answers(200, &object([("data", array(&schema("Session"))), ("meta", schema("ListMeta"))]))
        .refuses(&[400, 404])
}

fn own_document(path: &str) -> Operation {
    get(path, "This document").answers(200, &object([("openapi", json!({ "type": "string" }))]))
}

fn admin_schemas() -> Map<String, Value> {
    let (text, flag, number) =
        (json!({ "type": "string" }), json!({ "type": "boolean" }), json!({ "type": "integer" }));
    let maybe_moment = json!({ "type": ["string", "null"], "format": "date-time" });
    let maybe_object = json!({ "type": ["object", "null"] });
    let named = object([("id", text.clone()), ("name", text.clone())]);
    let names: Vec<&str> = ProviderMember::ALL.iter().map(|member| member.as_str()).collect();
    let described = [
        (
            "Lock",
            object([
                ("identity", object([("id", text.clone()), ("name", json!({ "type": ["string", "null"] }))])),
                ("reason", text.clone()),
                ("lockedAt", json!({ "type": "string", "format": "date-time" })),
                ("lockedBy", text.clone()),
                ("until", maybe_moment.clone()),
            ]),
        ),
        ("Session", session()),
        (
            "PolicyInForce",
            object([
                ("generation", number.clone()),
                ("loaded", flag.clone()),
                ("loadedAt", maybe_moment.clone()),
                ("identities", number.clone()),
                ("services", number.clone()),
                ("servicePolicies", number.clone()),
                ("postureChecks", number.clone()),
                ("warnings", array(&json!({ "type": "object" }))),
                ("lastError", maybe_object.clone()),
            ]),
        ),
        (
            "Explanation",
            object([
                ("allowed", flag),
                ("reasonCode", text.clone()),
                ("reason", text.clone()),
                ("identity", named.clone()),
                ("service", named),
                ("policy", maybe_object.clone()),
                ("policyFailures", array(&schema("PolicyFailure"))),
                ("generation", number.clone()),
                ("askedAt", json!({ "type": "string", "format": "date-time" })),
                ("validUntil", maybe_moment),
            ]),
        ),
        (
            "AuditEntry",
            object([
                ("number", number),
                ("at", json!({ "type": "string", "format": "date-time" })),
                ("author", object([("name", text.clone())])),
                ("action", json!({ "enum": ["create", "update", "delete"] })),
                ("kind", text.clone()),
                ("id", text),
                ("before", maybe_object.clone()),
                ("after", maybe_object),
            ]),
        ),
        (
            "ProviderValues",
            json!({
                "type": "object",
                "description": format!(
                    "Values in Cloudflare's or the vendor's spelling: {}. Which ones count depends on the connection's \
                     provider; moments are RFC 3339, or ages in seconds under a name that ends in `_seconds`.",
                    names.join(", ")
                ),
            }),
        ),
    ];
    described.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn session() -> Value {
    let (text, moment) = (json!({ "type": "string" }), json!({ "type": "string", "format": "date-time" }));
    let named = |kind: Value| {
        json!({
            "type": kind,
            "required": ["id", "name"],
            "properties": { "id": { "type": "string" }, "name": { "type": ["string", "null"] } },
        })
    };
    object([
        ("id", json!({ "type": "string", "pattern": "^[0-9]+$" })),
        ("protocol", json!({ "enum": ["connection", "http1", "http2", "grpc", "websocket", "tcp"] })),
        ("identity", named(json!("object"))),
        ("service", named(json!(["object", "null"]))),
        ("policy", named(json!(["object", "null"]))),
        ("requestId", text.clone()),
        ("connectionId", text),
        ("sourceAddress", json!({ "type": ["string", "null"] })),
        ("startedAt", moment),
        ("validUntil", json!({ "type": ["string", "null"], "format": "date-time" })),
    ])
}
