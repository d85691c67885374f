//! Bodies that are refused, each with a pointer to what is wrong in it.

use postern::dialect::cloudflare::{ErrorCode, RuleType, check_references, create_rule};
use postern::id::CheckId;
use postern::policy::Objects;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{body, create, data, examples, now};
use crate::vectors::cloudflare::context::Context;

#[test]
fn every_refusal_points_at_what_is_wrong() {
    let mut seen = std::collections::BTreeMap::new();
    for refusal in data("refusals").as_array().unwrap() {
        let error = create(&refusal["body"]).expect_err(&refusal["body"].to_string());
        let item = &error.items()[0];
        assert_eq!(error.code(), ErrorCode::Invalid, "{refusal}");
        assert_eq!(item.pointer(), refusal["pointer"].as_str(), "{refusal}: {error}");
        let message = serde_json::to_value(item).unwrap()["message"].clone();
        assert_eq!(message, refusal["message"], "{}", refusal["body"]);
        *seen.entry(refusal["body"]["type"].as_str().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    for kind in RuleType::ALL.iter().filter(|kind| !["tanium", "warp", "gateway"].contains(&kind.as_str())) {
        assert!(seen.contains_key(kind.as_str()), "no refusal of a rule of type {}", kind.as_str());
    }
}

#[test]
fn a_required_member_is_missed_where_it_should_be() {
    for example in examples() {
        let optional: Vec<&str> = example["optional"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|names| names.as_str().unwrap().split('+'))
            .collect();
        for name in example["input"].as_object().unwrap().keys().filter(|name| !optional.contains(&name.as_str())) {
            // These can be left out as well, but then something else is asked.
            if ["exists", "checkDisks", "locations", "auth_state", "eid_last_seen", "issue_count"]
                .contains(&name.as_str())
            {
                continue;
            }
            let mut body = body(&example);
            body["input"][name] = Value::Null;
            let error = create(&body).expect_err(&body.to_string());
            assert_eq!(error.items()[0].pointer(), Some(format!("/input/{name}").as_str()), "{body}");
        }
    }
}

#[test]
fn what_is_no_object_is_malformed() {
    for body in ["", "{", "[]", "null", "\"x\"", "{\"name\":\"n\"} x", "{\"name\": 1e999}"] {
        let error = create_rule(body.as_bytes(), CheckId::from("id"), now()).unwrap_err();
        assert_eq!((error.code(), error.code().status()), (ErrorCode::Malformed, 400), "{body}");
    }
    let deep = format!("{{\"input\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(create_rule(deep.as_bytes(), CheckId::from("id"), now()).unwrap_err().code(), ErrorCode::Malformed);
}

#[test]
fn what_a_rule_refers_to_must_be_there() {
    let vectors = include_str!("../../data/vectors/cloudflare.json");
    let objects = Context::new(&serde_json::from_str(vectors).unwrap(), now()).objects();
    for example in examples() {
        let object = create(&body(&example)).unwrap().object;
        check_references(&object, &objects).unwrap();
        let (pointer, warnings) = match check_references(&object, &Objects::default()) {
            Ok(warnings) => (None, warnings.len()),
            Err(error) => (error.items()[0].pointer().map(str::to_owned), 0),
        };
        let input = &example["input"];
        let expected = match input {
            _ if input.get("id").is_some() => (Some("/input/id"), 0),
            _ if input.get("certificate_id").is_some() => (Some("/input/certificate_id"), 0),
            _ => (None, usize::from(input.get("connection_id").is_some())),
        };
        assert_eq!((pointer.as_deref(), warnings), expected, "{input}");
    }
    // A list of the other type.
    let device = "9e597887-345e-4a32-a09c-68811b129768";
    let object = create(&json!({"name": "n", "type": "serial_number", "input": {"id": device}})).unwrap().object;
    let error = check_references(&object, &objects).unwrap_err();
    assert_eq!(error.to_string(), "input.id names a list that is not of type SERIAL (2017)");
}

proptest! {
    #[test]
    fn no_body_makes_a_reader_panic(example in any::<prop::sample::Index>(), member in any::<prop::sample::Index>(), text in "\\PC{0,12}", number in any::<f64>()) {
        let examples = examples();
        let mut body = body(example.get(&examples));
        let names: Vec<String> = body["input"].as_object().unwrap().keys().cloned().collect();
        for value in [json!(text), json!(number), json!([text]), json!([number]), json!({text.clone(): number}), json!(true)] {
            if !names.is_empty() {
                body["input"][member.get(&names)] = value.clone();
            }
            let _ = create(&body);
            for name in ["match", "schedule", "expiration", "type", "name", "role_attributes", "remediation", "input"] {
                let mut body = body.clone();
                body[name] = value.clone();
                let _ = create(&body);
            }
        }
        let _ = create_rule(text.as_bytes(), CheckId::from("id"), now());
    }
}
