//! The paths of OpenZiti's management API, described: what they take and how they answer.
//!
//! The schemas say what OpenZiti's own file says of names, types and required members, and what its controller always sends;
//! members that are additions of ours are among them.

use serde_json::{Map, Value, json};

use crate::dialect::openapi::{Operation, Room, array, object, schema};

/// The schemas, by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// Everything under `/edge/management/v1`.
pub fn management_room() -> Room {
    let operations = [
        objects("/identities", "Identity"),
        objects("/services", "Service"),
        objects("/service-policies", "ServicePolicy"),
        objects("/posture-checks", "PostureCheck"),
        objects("/configs", "Config"),
        objects("/config-types", "ConfigType"),
        of_identities(),
        enrolment(),
        relations(),
        catalogue(),
        sessions(),
        informational().map(|path| version(path).open()).into(),
        vec![authorities("/.well-known/est/cacerts")],
    ];
    room("/edge/management/v1", operations.into_iter().flatten().collect())
}

/// What is asked at the root, and under the path of the other API, before it is known where the management API is.
pub fn discovery_room() -> Room {
    let versions = ["/", "/version", "/edge/client/v1/version"].map(|path| version(path).open());
    room("", versions.into_iter().chain([authorities("/.well-known/est/cacerts")]).collect())
}

/// The schemas of refusals, for documents of other languages that refuse in this one.
pub fn refusal_schemas() -> Map<String, Value> {
    schemas().into_iter().filter(|(name, _)| name.starts_with("ApiError")).collect()
}

fn room(prefix: &'static str, operations: Vec<Operation>) -> Room {
    Room { prefix, tag: "OpenZiti", refusal: schema("ApiErrorEnvelope"), operations, schemas: schemas() }
}

/// They are a text that is part of the program; a test reads it.
fn schemas() -> Map<String, Value> {
    serde_json::from_str(SCHEMAS).unwrap_or_default()
}

/// A reply with one thing.
fn detail(data: Value) -> Value {
    object([("data", data), ("meta", json!({ "type": "object" }))])
}

/// A reply with a page of a list.
fn page(items: &Value) -> Value {
    object([("data", array(items)), ("meta", schema("ListMeta"))])
}

fn empty() -> Value {
    detail(json!({ "type": "object" }))
}

fn get(path: impl Into<String>, summary: &'static str) -> Operation {
    Operation::new("get", path, summary)
}

/// A list, which takes filters, orders and pages.
fn list(path: impl Into<String>, summary: &'static str, items: &Value) -> Operation {
    let path = path.into();
    let missing: &[u16] = if path.contains('{') { &[404] } else { &[] };
    let whole = || json!({ "type": "integer" });
    get(path, summary)
        .asks(
            "filter",
            json!({ "type": "string" }),
            "A query in OpenZiti's language, such as `name contains \"lap\" sort by name`",
        )
        .asks("sort", json!({ "type": "string" }), "Fields, each with `asc` or `desc`")
        .asks("limit", whole(), "Items at most: 10 unless told, 500 at most, -1 for all")
        .asks("offset", whole(), "Items to leave out")
        .answers(200, &page(items))
        .refuses(&[400])
        .refuses(missing)
}

/// A list whose items also carry role attributes.
fn list_by_role(path: impl Into<String>, summary: &'static str, items: &Value) -> Operation {
    list(path, summary, items)
        .asks("roleFilter", array(&json!({ "type": "string" })), "`#attribute`, `@id` or `#all`, as often as needed")
        .asks("roleSemantic", json!({ "enum": ["AllOf", "AnyOf"] }), "Whether all attributes are wanted or any")
}

/// A reply with services, which shows the data of their configs where it is asked for.
fn with_configs(operation: Operation) -> Operation {
    let names = array(&json!({ "type": "string" }));
    operation.asks("configTypes", names, "The types of configs whose data is shown, by id or name, or `all`")
}

/// A collection of objects that are made, read, replaced, changed and deleted.
fn objects(path: &'static str, kind: &str) -> Vec<Operation> {
    let of = |part: &str| schema(&format!("{kind}{part}"));
    let one = format!("{path}/{{id}}");
    let shown = of("Detail");
    let all = match kind {
        "Config" | "ConfigType" | "ServicePolicy" => list(path, "A page of the objects", &shown),
        "Service" => list_by_role(path, "A page of the objects", &shown)
            .asks(
                "asIdentity",
                json!({ "type": "string" }),
                "Only what policies give to the identity with this id or name, as it is shown it",
            )
            .refuses(&[404]),
        _ => list_by_role(path, "A page of the objects", &shown),
    };
    let write = |method, summary, body: &Value| {
        Operation::new(method, one.clone(), summary).takes(body).answers(200, &empty()).refuses(&[404])
    };
    let show = get(one.clone(), "One object").answers(200, &detail(shown)).refuses(&[400, 404]);
    let [all, show] = [all, show].map(|operation| if kind == "Service" { with_configs(operation) } else { operation });
    vec![
        all,
        Operation::new("post", path, "Makes an object")
            .takes(&of("Create"))
            .answers(201, &detail(schema("CreateLocation")))
            .makes("/data/id"),
        show,
        write("put", "Replaces an object", &of("Update")),
        write("patch", "Changes the members that the body names", &of("Patch")),
        Operation::new("delete", one.clone(), "Deletes an object")
            .asks("force", json!({ "type": "string" }), "`true` also deletes what others need")
            .answers(200, &empty())
            .refuses(&[400, 404, 409]),
    ]
}

fn of_identities() -> Vec<Operation> {
    let path = |rest: &str| format!("/identities/{{id}}/{rest}");
    let failures = array(&schema("FailedServiceRequest"));
    let some = page(&schema("FailedServiceRequest"));
    vec![
        Operation::new("post", path("disable"), "Shuts an identity out at once")
            .may_take(&schema("DisableParams"))
            .answers(200, &empty())
            .refuses(&[404]),
        Operation::new("post", path("enable"), "Lets an identity in again").answers(200, &empty()).refuses(&[400, 404]),
        get(path("posture-data"), "What is known of the identity's device")
            .answers(200, &detail(schema("PostureData")))
            .refuses(&[400, 404]),
        list(path("failed-service-requests"), "What the identity was refused, oldest first", &Value::Null)
            .answers(200, &json!({ "anyOf": [detail(failures), some] })),
        Operation::new("delete", path("mfa"), "Takes the identity's second factor away")
            .answers(200, &empty())
            .refuses(&[400, 404]),
        get(path("service-configs"), "Configs the identity is shown in the place of those of services")
            .answers(200, &detail(array(&schema("ServiceConfigDetail"))))
            .refuses(&[400, 404]),
        Operation::new("post", path("service-configs"), "Assigns such configs")
            .takes(&array(&schema("ServiceConfigAssign")))
            .answers(200, &empty())
            .refuses(&[404]),
        Operation::new("delete", path("service-configs"), "Takes such configs back, all where none is named")
            .may_take(&array(&schema("ServiceConfigAssign")))
            .answers(200, &empty())
            .refuses(&[404]),
        get(path("policy-advice/{service}"), "What policies grant, before any posture")
            .answers(200, &detail(schema("PolicyAdvice")))
            .refuses(&[400, 404]),
    ]
}

/// One-time tokens, and the certificates that were issued for them.
fn enrolment() -> Vec<Operation> {
    let (token, certificate) = (schema("EnrollmentDetail"), schema("AuthenticatorDetail"));
    let made = detail(schema("CreateLocation"));
    let delete = |path, summary| Operation::new("delete", path, summary).answers(200, &empty()).refuses(&[400, 404]);
    vec![
        list("/enrollments", "Identities that wait for their token", &token),
        list("/identities/{id}/enrollments", "The token that the identity waits for", &token),
        Operation::new("post", "/enrollments", "Makes a one-time token")
            .takes(&schema("EnrollmentCreate"))
            .answers(201, &made)
            .makes("/data/id")
            .refuses(&[409]),
        get("/enrollments/{id}", "One token").answers(200, &detail(token)).refuses(&[400, 404]),
        Operation::new("post", "/enrollments/{id}/refresh", "Moves the end of a token")
            .takes(&schema("EnrollmentRefresh"))
            .answers(200, &made)
            .refuses(&[404]),
        delete("/enrollments/{id}", "Takes a token back"),
        list("/authenticators", "Certificates that were issued for tokens", &certificate),
        list("/identities/{id}/authenticators", "The identity's certificates", &certificate),
        get("/authenticators/{id}", "One certificate").answers(200, &detail(certificate)).refuses(&[400, 404]),
        delete("/authenticators/{id}", "Makes a certificate nobody's"),
        Operation::new(
            "post",
            "/authenticators/{id}/re-enroll",
            "Makes a certificate nobody's, and a token for another",
        )
        .takes(&schema("EnrollmentRefresh"))
        .answers(201, &made)
        .makes("/data/id")
        .refuses(&[404, 409]),
    ]
}

/// Which objects belong to which.
fn relations() -> Vec<Operation> {
    let summary = "A page of the objects that belong to this one";
    let by_role = [
        ("/service-policies/{id}/identities", "IdentityDetail"),
        ("/service-policies/{id}/services", "ServiceDetail"),
        ("/service-policies/{id}/posture-checks", "PostureCheckDetail"),
        ("/identities/{id}/services", "ServiceDetail"),
        ("/services/{id}/identities", "IdentityDetail"),
        ("/configs/{id}/services", "ServiceDetail"),
    ];
    let plain = [
        ("/identities/{id}/service-policies", "ServicePolicyDetail"),
        ("/services/{id}/service-policies", "ServicePolicyDetail"),
        ("/services/{id}/configs", "ConfigDetail"),
        ("/config-types/{id}/configs", "ConfigDetail"),
    ];
    let by_role = by_role.map(|(path, kind)| {
        let all = list_by_role(path, summary, &schema(kind));
        if kind == "ServiceDetail" { with_configs(all) } else { all }
    });
    let plain = plain.map(|(path, kind)| list(path, summary, &schema(kind)));
    by_role.into_iter().chain(plain).collect()
}

/// Paths of lists of what a gateway has none of. Tools show them beside those that it has.
pub const FOREIGN_LISTS: [&str; 14] = [
    "/cas",
    "/edge-router-policies",
    "/edge-router-role-attributes",
    "/edge-routers",
    "/external-jwt-signers",
    "/identities/{id}/edge-router-policies",
    "/identities/{id}/edge-routers",
    "/routers",
    "/service-edge-router-policies",
    "/services/{id}/edge-routers",
    "/services/{id}/service-edge-router-policies",
    "/services/{id}/terminators",
    "/terminators",
    "/transit-routers",
];

/// What there is beside the objects.
fn catalogue() -> Vec<Operation> {
    let standing = [
        ("/posture-check-types", "PostureCheckTypeDetail"),
        ("/auth-policies", "AuthPolicyDetail"),
        ("/identity-types", "IdentityTypeDetail"),
    ];
    let foreign =
        FOREIGN_LISTS.map(|path| list_by_role(path, "What a gateway has none of: an empty list", &json!(false)));
    let attributes = ["/identity-role-attributes", "/service-role-attributes", "/posture-check-role-attributes"];
    let standing = standing.into_iter().flat_map(|(path, kind)| {
        let one = get(format!("{path}/{{id}}"), "One of them").answers(200, &detail(schema(kind)));
        [list(path, "What is always there", &schema(kind)), one.refuses(&[400, 404])]
    });
    let attributes = attributes.map(|path| list(path, "The role attributes in use", &json!({ "type": "string" })));
    let summary = get("/summary", "How many objects of each kind there are").answers(200, &detail(schema("Summary")));
    standing.chain(attributes).chain(foreign).chain([summary]).collect()
}

fn sessions() -> Vec<Operation> {
    let session = detail(schema("CurrentApiSessionDetail"));
    vec![
        Operation::new("post", "/authenticate", "Logs an operator in")
            .open()
            .asks("method", json!({ "enum": ["password", "cert"] }), "By what")
            .may_take(&schema("Authenticate"))
            .answers(200, &session)
            .refuses(&[401, 429]),
        get("/current-api-session", "The caller's session").answers(200, &session),
        Operation::new("delete", "/current-api-session", "Logs the caller out").answers(200, &empty()).refuses(&[400]),
        get("/current-identity", "The caller").answers(200, &detail(schema("IdentityDetail"))),
    ]
}

const fn informational() -> [&'static str; 3] {
    ["", "/", "/version"]
}

fn version(path: &str) -> Operation {
    get(path, "Which program answers, and under which paths").answers(200, &detail(schema("Version")))
}

fn authorities(path: &str) -> Operation {
    get(path, "The CAs to know: PKCS #7 in base64").open().answers_with(200, "application/pkcs7-mime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_read() {
        let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap();
        assert!(schemas.len() > 50);
        assert_eq!(management_room().schemas, schemas);
    }
}
