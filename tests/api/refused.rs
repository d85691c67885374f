//! Bad input, case by case (`openziti.md` 5.3): status, code, the field that is named and what it held; and nothing of it is anywhere
//! afterwards, neither among the objects nor in the policy in force.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::writes::Operator;

const LISTS: [&str; 5] = ["/identities", "/services", "/service-policies", "/posture-checks", "/configs"];

/// What can be seen of a refusal: status, code, field, value.
type Seen = (u16, String, String, String);

/// Sends a body as it is and tells what is seen of the refusal, after which everything must be as it was before.
async fn refused(operator: &Operator, method: &str, path: &str, body: &str) -> Seen {
    let before = everything(operator).await;
    let url = operator.api.url(&format!("/edge/management/v1{path}"));
    let request = operator.http.request(method.parse().unwrap(), url).bearer_auth(operator.token);
    let reply = request.header(CONTENT_TYPE, "application/json").body(body.to_owned()).send().await.unwrap();
    let (status, reply) = (reply.status().as_u16(), reply.json::<Value>().await.unwrap());
    assert_eq!(everything(operator).await, before, "{method} {path} {body:.80}");
    let text = |pointer: &str| reply.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(!text("/error/requestId").is_empty() && !text("/error/message").is_empty(), "{reply}");
    assert_eq!(text("/meta/apiVersion"), "0.0.1");
    let has_cause = reply["error"].get("cause").is_some();
    assert_eq!(has_cause, !text("/error/cause/reason").is_empty(), "a cause says why: {reply}");
    (status, text("/error/code"), text("/error/cause/field"), text("/error/cause/value"))
}

/// The generation in force, every object, and how much is in the trail of changes.
async fn everything(operator: &Operator) -> Value {
    let mut seen = vec![operator.generation().into()];
    for list in LISTS {
        let (status, shown) = operator.management("GET", &format!("{list}?limit=-1"), Value::Null).await;
        assert_eq!(status, 200);
        seen.push(shown["data"].clone());
    }
    let (_, trail) = operator.send("GET", "/api/v1/audit?limit=1", Value::Null).await;
    seen.push(trail["meta"]["pagination"]["totalCount"].clone());
    seen.into()
}

fn seen(status: u16, code: &str, field: &str, value: &str) -> Seen {
    (status, code.to_owned(), field.to_owned(), value.to_owned())
}

/// A valid body of each kind, by its list.
fn valid(list: &str) -> Value {
    match list {
        "/identities" => json!({"name": "n", "type": "Default", "isAdmin": false}),
        "/services" => json!({"name": "n", "encryptionRequired": true}),
        "/service-policies" => json!({"name": "n", "type": "Dial", "semantic": "AllOf"}),
        "/posture-checks" => json!({"name": "n", "typeId": "DOMAIN", "domains": ["d"]}),
        _ => json!({"name": "n", "configTypeId": "NH5p4FpGR",
            "data": {"protocol": "tcp", "address": "10.0.0.7", "port": 80}}),
    }
}

fn with(mut body: Value, member: &str, value: Value) -> String {
    body[member] = value;
    body.to_string()
}

fn without(mut body: Value, member: &str) -> String {
    body.as_object_mut().unwrap().remove(member);
    body.to_string()
}

#[tokio::test]
async fn bodies_that_cannot_be_read_or_lack_something() {
    let operator = Operator::new().await;
    for list in LISTS {
        for text in ["", "{", "{\"name\":", "nothing", "{} {}", "\u{feff}{}"] {
            let expected = seen(400, "COULD_NOT_PARSE_BODY", "body", "");
            assert_eq!(refused(&operator, "POST", list, text).await, expected, "{list} {text}");
        }
        for (text, value) in [("[]", "[]"), ("7", "7"), ("null", ""), ("\"x\"", "x")] {
            let expected = seen(400, "COULD_NOT_VALIDATE", "body", value);
            assert_eq!(refused(&operator, "POST", list, text).await, expected, "{list} {text}");
        }
        let whole = valid(list);
        for member in whole.as_object().unwrap().keys() {
            let code = if member == "typeId" { "COULD_NOT_PARSE_BODY" } else { "COULD_NOT_VALIDATE" };
            let expected = seen(400, code, member, "");
            assert_eq!(refused(&operator, "POST", list, &without(whole.clone(), member)).await, expected, "{list}");
            let empty = with(whole.clone(), member, Value::Null);
            assert_eq!(refused(&operator, "POST", list, &empty).await, expected, "{list} {member}: null");
        }
        for (member, value, field, told) in [
            ("name", json!(""), "name", ""),
            ("name", json!(7), "name", "7"),
            ("tags", json!([]), "tags", "[]"),
            ("tags", json!({"a": {"b": 1}}), "tags.a", "{\"b\":1}"),
        ] {
            let expected = seen(400, "COULD_NOT_VALIDATE", field, told);
            let body = with(whole.clone(), member, value);
            assert_eq!(refused(&operator, "POST", list, &body).await, expected, "{list} {body}");
        }
    }
}

#[tokio::test]
async fn members_with_values_that_cannot_be() {
    let operator = Operator::new().await;
    let os = |versions: Value| {
        json!({"name": "n", "typeId": "OS", "operatingSystems": [{"type": "Linux", "versions": versions}]}).to_string()
    };
    let check =
        |kind: &str, member: &str, value: Value| json!({"name": "n", "typeId": kind, member: value}).to_string();
    let policy = |member: &str, value: Value| with(valid("/service-policies"), member, value);
    for (list, body, field, value) in [
        ("/posture-checks", check("OS", "operatingSystems", json!([])), "operatingSystems", "[]"),
        ("/posture-checks", os(json!(["banana"])), "operatingSystems[0].versions[0]", "banana"),
        ("/posture-checks", os(json!([">=1.2.3", "1.2"])), "operatingSystems[0].versions[1]", "1.2"),
        ("/posture-checks", os(json!([""])), "operatingSystems[0].versions[0]", ""),
        (
            "/posture-checks",
            check("OS", "operatingSystems", json!([{"type": "linux", "versions": []}])),
            "operatingSystems[0].type",
            "linux",
        ),
        ("/posture-checks", check("DOMAIN", "domains", json!([])), "domains", "[]"),
        ("/posture-checks", check("MAC", "macAddresses", json!([])), "macAddresses", "[]"),
        ("/posture-checks", check("PROCESS_MULTI", "semantic", json!("OneOf")), "semantic", "OneOf"),
        ("/posture-checks", with(valid("/posture-checks"), "roleAttributes", json!(["#a"])), "roleAttributes[0]", "#a"),
        ("/service-policies", policy("semantic", json!("allof")), "semantic", "allof"),
        ("/service-policies", policy("type", json!("Invalid")), "type", "Invalid"),
        ("/service-policies", policy("identityRoles", json!(["staff"])), "identityRoles[0]", "staff"),
        ("/service-policies", policy("serviceRoles", json!(["#a", "@nothing"])), "serviceRoles[1]", "@nothing"),
        ("/service-policies", policy("postureCheckRoles", json!(["@nothing"])), "postureCheckRoles[0]", "@nothing"),
        ("/service-policies", policy("identityRoles", json!(["#all", "#a"])), "identityRoles", "[\"#all\",\"#a\"]"),
        ("/identities", with(valid("/identities"), "isAdmin", json!(true)), "isAdmin", "true"),
        ("/identities", with(valid("/identities"), "authPolicyId", json!("strict")), "authPolicyId", "strict"),
        ("/identities", with(valid("/identities"), "permissions", json!(["ops"])), "permissions", "[\"ops\"]"),
        ("/services", with(valid("/services"), "encryptionRequired", json!("yes")), "encryptionRequired", "yes"),
        ("/services", with(valid("/services"), "configs", json!(["nothing"])), "configs[0]", "nothing"),
        ("/configs", with(valid("/configs"), "configTypeId", json!("x")), "configTypeId", "x"),
    ] {
        let got = refused(&operator, "POST", list, &body).await;
        assert_eq!(got, seen(400, "COULD_NOT_VALIDATE", field, value), "{list} {body}");
    }
    for kind in ["os", "BIOS", ""] {
        let expected = seen(400, "COULD_NOT_PARSE_BODY", "typeId", kind);
        assert_eq!(
            refused(&operator, "POST", "/posture-checks", &check(kind, "domains", json!(["d"]))).await,
            expected
        );
    }
}

#[tokio::test]
async fn names_that_are_taken_and_things_that_are_not_there() {
    let operator = Operator::new().await;
    for list in LISTS {
        let (first, second) = (valid(list), with(valid(list), "name", json!("another")));
        let id = operator.make(list, first.clone()).await;
        let other = operator.make(list, serde_json::from_str(&second).unwrap()).await;
        let taken = seen(400, "COULD_NOT_VALIDATE", "name", "n");
        assert_eq!(refused(&operator, "POST", list, &first.to_string()).await, taken, "{list}");
        let one = format!("{list}/{other}");
        assert_eq!(refused(&operator, "PUT", &one, &first.to_string()).await, taken, "{list}");
        let mut renamed = json!({"name": "n"});
        if list == "/posture-checks" {
            renamed["typeId"] = json!("DOMAIN");
        }
        assert_eq!(refused(&operator, "PATCH", &one, &renamed.to_string()).await, taken, "{list}");
        let missing = seen(404, "NOT_FOUND", "", "");
        for (method, path) in ["GET", "PUT", "PATCH", "DELETE"].map(|method| (method, format!("{list}/nothing"))) {
            assert_eq!(refused(&operator, method, &path, &first.to_string()).await, missing, "{method} {path}");
        }
        let wrong_method = seen(405, "METHOD_NOT_ALLOWED", "", "");
        assert_eq!(refused(&operator, "DELETE", list, "").await, wrong_method, "{list}");
        assert_eq!(refused(&operator, "POST", &format!("{list}/{id}"), "{}").await, wrong_method, "{list}");
        let large = with(first, "name", json!("x".repeat(2 * 1024 * 1024)));
        assert_eq!(refused(&operator, "POST", list, &large).await, seen(413, "REQUEST_ENTITY_TOO_LARGE", "", ""));
    }
}

#[tokio::test]
async fn questions_to_lists_that_cannot_be_answered() {
    let operator = Operator::new().await;
    for list in LISTS {
        for (query, code, field, value) in [
            ("filter=name%20%3D", "INVALID_FILTER", "filter", "name ="),
            ("filter=nowhere%20%3D%201", "INVALID_FILTER", "filter", "nowhere"),
            ("sort=nowhere", "INVALID_SORT_IDENTIFIER", "sort", "nowhere"),
            ("limit=ten", "INVALID_PAGINATION", "limit", "ten"),
            ("offset=1.5", "INVALID_PAGINATION", "offset", "1.5"),
        ] {
            let got = refused(&operator, "GET", &format!("{list}?{query}"), "").await;
            assert_eq!(got, seen(400, code, field, value), "{list} {query}");
        }
    }
}

#[tokio::test]
async fn what_others_need_and_whoever_may_not() {
    let mut operator = Operator::new().await;
    let check = operator.make("/posture-checks", valid("/posture-checks")).await;
    let roles = json!([format!("@{check}")]);
    let mut policies = Vec::new();
    for name in ["first", "second"] {
        let policy = json!({"name": name, "type": "Dial", "semantic": "AllOf", "postureCheckRoles": roles});
        policies.push(operator.make("/service-policies", policy).await);
    }
    policies.sort();
    let path = format!("/posture-checks/{check}");
    let got = refused(&operator, "DELETE", &path, "").await;
    assert_eq!(got, seen(409, "CAN_NOT_DELETE_REFERENCED_ENTITY", "id", &policies.join(",")));
    let other_type = json!({"name": "n", "typeId": "MAC", "macAddresses": ["aa"]}).to_string();
    for method in ["PUT", "PATCH"] {
        let got = refused(&operator, method, &path, &other_type).await;
        assert_eq!(got, seen(400, "COULD_NOT_VALIDATE", "typeId", "MAC"), "{method}");
    }
    operator.token = crate::world::VIEWER_TOKEN;
    for list in LISTS {
        let got = refused(&operator, "POST", list, &valid(list).to_string()).await;
        assert_eq!(got, seen(401, "UNAUTHORIZED", "", ""), "{list}");
    }
    assert_eq!(refused(&operator, "DELETE", &path, "").await, seen(401, "UNAUTHORIZED", "", ""));
}
