//! Requests to the API, as far as they are decided by what is pure: reading bodies and looking objects up. Listeners, tokens and the
//! store behind the real HTTP layer are tested where they live.

use postern::dialect::cloudflare::{
    ApiError, ErrorCode, Message, check_references, create_integration, create_list, create_rule, failure,
    gateway_list, integration, rule, success,
};
use serde_json::{Value, json, to_value};

use super::super::Case;
use super::context::Context;

const INTEGRATIONS: &str = "devices/posture/integration";
const RULES: &str = "devices/posture";
const LISTS: &str = "gateway/lists";
/// The longer path first.
const ROOMS: [&str; 3] = [INTEGRATIONS, RULES, LISTS];
/// The id of what is made.
const NEW: &str = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415";

pub(super) fn case(vector: &Value, context: &Context) -> Case {
    let name = format!("{} (api)", vector["id"].as_str().unwrap_or("?"));
    let expected = &vector["expected"];
    match reply(&vector["request"], context) {
        Some((status, reply)) => {
            let wrong = differences(expected, status, &reply);
            Case::new(name, expected.to_string(), format!("{status} {reply}: {wrong:?}"), wrong.is_empty())
        }
        None => Case::new(name, expected.to_string(), "a request that this test does not know", false),
    }
}

/// The status and the body.
fn reply(request: &Value, context: &Context) -> Option<(u16, Value)> {
    let (_, path) = request["path"].as_str()?.split_once("/accounts/")?;
    let (_, path) = path.split_once('/')?;
    let body = match &request["body"] {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let (room, id) = ROOMS.iter().find_map(|room| Some((*room, path.trim_end_matches('/').strip_prefix(room)?)))?;
    let id = id.trim_start_matches('/');
    let now = context.now;
    let objects = context.objects();
    let result = match (request["verb"].as_str()?, room, id) {
        ("POST", RULES, "") => rule_made(&body, context),
        ("POST", INTEGRATIONS, "") => create_integration(body.as_bytes(), NEW.into(), now)
            .map(|made| (json!(integration(&made.object.integration, None)), made.warnings)),
        ("POST", LISTS, "") => create_list(body.as_bytes(), NEW.into(), now)
            .map(|made| (json!(gateway_list(&made.object, true)), made.warnings)),
        ("GET", _, "") => Ok((json!([]), Vec::new())),
        ("GET", LISTS, id) => match objects.lists.get(id) {
            Some(list) => Ok((json!(gateway_list(list, false)), Vec::new())),
            None => Err(ErrorCode::ListNotFound.into()),
        },
        // To delete what is not there is no mistake.
        ("DELETE", RULES, id) => Ok((json!({"id": id}), Vec::new())),
        ("GET" | "PUT", RULES, _) => Err(ErrorCode::RuleNotFound.into()),
        ("GET" | "PATCH", INTEGRATIONS, _) => Err(ErrorCode::IntegrationNotFound.into()),
        ("PUT" | "PATCH", LISTS, _) => Err(ErrorCode::ListNotFound.into()),
        _ => return None,
    };
    Some(match result {
        Ok((result, warnings)) => (200, to_value(success(result, warnings)).unwrap()),
        Err(error) => (error.code().status(), to_value(failure(&error)).unwrap()),
    })
}

fn rule_made(body: &str, context: &Context) -> Result<(Value, Vec<Message>), ApiError> {
    let made = create_rule(body.as_bytes(), NEW.into(), context.now)?;
    let mut warnings = made.warnings;
    warnings.extend(check_references(&made.object, &context.objects())?);
    Ok((json!(rule(&made.object)), warnings))
}

/// What a reply lacks of what is expected.
fn differences(expected: &Value, status: u16, reply: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: &Value, got: Value| {
        if !expected.is_null() && *expected != got {
            wrong.push(format!("{what} is {got}"));
        }
    };
    let error = &reply["errors"][0];
    compare("status", &expected["status"], json!(status));
    compare("error code", &expected["error_code"], error["code"].clone());
    compare("error pointer", &expected["error_pointer"], error["source"]["pointer"].clone());
    compare("success", &expected["success"], reply["success"].clone());
    compare("result", &expected["result"], reply["result"].clone());
    match &expected["result_has"] {
        Value::Array(names) => {
            for name in names.iter().filter_map(Value::as_str) {
                compare(name, &json!(true), json!(reply["result"].get(name).is_some()));
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                compare(name, value, reply["result"][name].clone());
            }
        }
        _ => {}
    }
    wrong
}
