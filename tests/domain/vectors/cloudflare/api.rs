//! Requests to the API, as far as they are decided by what is pure: reading bodies and looking objects up. Listeners, tokens and the
//! store behind the real HTTP layer are tested where they live.

use postern::dialect::cloudflare::{ApiError, ErrorCode, check_references, create_rule, failure, rule, success};
use postern::id::CheckId;
use serde_json::{Value, json, to_value};

use super::super::Case;
use super::context::Context;

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
    let result = match (request["verb"].as_str()?, path.trim_end_matches('/').strip_prefix("devices/posture")?) {
        ("POST", "") => create(&body, context),
        ("GET", "") => Ok(json!([])),
        ("GET", path) if path.starts_with("/integration/") => Err(ErrorCode::IntegrationNotFound.into()),
        ("GET" | "PUT", path) if path.starts_with('/') => Err(ErrorCode::RuleNotFound.into()),
        // To delete what is not there is no mistake.
        ("DELETE", path) => Ok(json!({"id": path.strip_prefix('/')?})),
        _ => return None,
    };
    Some(match result {
        Ok(result) => (200, to_value(success(result, Vec::new())).unwrap()),
        Err(error) => (error.code().status(), to_value(failure(&error)).unwrap()),
    })
}

fn create(body: &str, context: &Context) -> Result<Value, ApiError> {
    let written = create_rule(body.as_bytes(), CheckId::from("f174e90a-fafe-4643-bbbc-4a0ed4fc8415"), context.now)?;
    check_references(&written.object, &context.objects())?;
    Ok(to_value(rule(&written.object)).unwrap())
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
