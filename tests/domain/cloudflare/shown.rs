//! Rules are shown as they were written.

use std::sync::Arc;
use std::time::Duration;

use postern::dialect::cloudflare::{create_rule, implicit_rule, replace_rule, rule, rule_type, same_content};
use postern::id::{CheckId, ListId};
use postern::policy::device_list::DeviceList;
use postern::policy::objects::{Origin, PostureCheck};
use postern::posture::check::Predicate;
use postern::posture::check::listed::DeviceName;
use postern::posture::platform::{Families, Family};
use serde_json::{Value, json};

use super::{body, create, examples, now};

fn shown(object: &PostureCheck) -> Value {
    serde_json::to_value(rule(object).unwrap()).unwrap()
}

#[test]
fn every_type_is_shown_member_for_member() {
    for example in examples() {
        let written = create(&body(&example)).unwrap().object;
        let shown = shown(&written);
        let disabled = example["type"] == "kolide" && example["input"]["auth_state"].is_null();
        let expected = json!({
            "id": "id", "name": "a rule", "type": example["type"], "input": example["input"], "schedule": "5m",
            "enabled": !disabled, "source": "api",
        });
        assert_eq!(shown, expected);
        assert_eq!(rule_type(&written).unwrap().as_str(), example["type"]);
        // What is shown reads as the same rule.
        assert_eq!(create(&shown).unwrap().object.check, written.check);
    }
    let legacy = create(&json!({"name": "t", "type": "tanium", "input": {"port": 17472}})).unwrap().object;
    assert_eq!(shown(&legacy)["input"], json!({"port": 17472}));
    assert_eq!(shown(&legacy)["enabled"], true);
}

#[test]
fn everything_written_is_kept_and_nulls_are_not() {
    let full = json!({
        "name": "n", "type": "antivirus", "description": "", "match": [{"platform": "windows"}, {"platform": "mac"}],
        "schedule": "1h0m", "expiration": "25.0h", "input": {"update_window_days": 1.50, "later": [1, {"a": "b"}]},
        "role_attributes": ["b", "a"], "remediation": "switch it on",
    });
    let written = create(&full).unwrap().object;
    let mut expected = full.clone();
    expected.as_object_mut().unwrap().extend([
        ("id".to_owned(), json!("id")),
        ("enabled".to_owned(), json!(true)),
        ("source".to_owned(), json!("api")),
    ]);
    assert_eq!(shown(&written), expected);
    assert_eq!(written.role_attributes, [Arc::from("a"), Arc::from("b")]);
    assert_eq!(written.check.remediation.as_deref(), Some("switch it on"));
    assert_eq!(written.check.max_age, Some(Duration::from_secs(25 * 3600) - Duration::from_millis(1)));
    assert_eq!(written.check.applies_to, Some(Families::of(&[Family::Windows])));

    let unset = json!({
        "name": "n", "type": "antivirus", "description": null, "match": null, "schedule": "", "expiration": "",
        "input": {"update_window_days": null}, "role_attributes": null, "remediation": null,
        "id": "other", "enabled": false, "source": "file:x:1",
    });
    let expected = json!({"id": "id", "name": "n", "type": "antivirus", "schedule": "5m", "input": {}, "enabled": true, "source": "api"});
    assert_eq!(shown(&create(&unset).unwrap().object), expected);
}

#[test]
fn the_place_in_a_file_is_shown() {
    let mut object = create(&json!({"name": "g", "type": "gateway"})).unwrap().object;
    object.meta.origin = Origin::File { path: "policy/cloudflare.yaml".into(), line: 12 };
    assert_eq!(shown(&object)["source"], "file:policy/cloudflare.yaml:12");
}

#[test]
fn put_unsets_what_it_leaves_out_but_loosens_nothing_of_ours() {
    let known = create(&json!({
        "name": "n", "type": "firewall", "description": "d", "expiration": "1h", "schedule": "10m",
        "match": [{"platform": "mac"}], "input": {"enabled": true, "operating_system": "mac"},
        "role_attributes": ["laptop"], "remediation": "switch it on",
    }))
    .unwrap()
    .object;
    let later = now().after(Duration::from_secs(60));
    let put = |body: Value| replace_rule(body.to_string().as_bytes(), &known, later).unwrap().object;

    let replaced = put(json!({"name": "m", "type": "disk_encryption", "input": {"requireAll": true}}));
    let expected = json!({
        "id": "id", "name": "m", "type": "disk_encryption", "schedule": "5m", "input": {"requireAll": true},
        "role_attributes": ["laptop"], "remediation": "switch it on", "enabled": true, "source": "api",
    });
    assert_eq!(shown(&replaced), expected);
    assert_eq!((replaced.check.max_age, replaced.role_attributes.len()), (None, 1));
    assert_eq!((replaced.meta.created_at, replaced.meta.updated_at), (now(), later));

    let emptied = put(json!({"name": "m", "type": "warp", "role_attributes": null, "remediation": ""}));
    assert_eq!((emptied.role_attributes.len(), emptied.check.remediation.clone()), (0, None));
    let expected = json!({"id": "id", "name": "m", "type": "warp", "schedule": "5m", "enabled": true, "source": "api"});
    assert_eq!(shown(&emptied), expected);

    let error = replace_rule(br#"{"name": "m", "type": "firewall"}"#, &known, later).unwrap_err();
    assert_eq!(error.items()[0].pointer(), Some("/input"));
}

#[test]
fn platforms_are_those_of_the_type_the_match_and_the_input() {
    let applies_to = |body: Value| create(&body).unwrap().object.check.applies_to;
    assert_eq!(applies_to(json!({"name": "w", "type": "warp"})), Some(Families::ALL));
    let custom = json!({"connection_id": "c", "operator": ">", "score": 1});
    assert_eq!(applies_to(json!({"name": "c", "type": "custom_s2s", "input": custom})), None);
    let matched = json!([{"platform": "ios"}, {"platform": "mac"}]);
    let expected = Families::of(&[Family::Ios, Family::Mac]);
    assert_eq!(
        applies_to(json!({"name": "c", "type": "custom_s2s", "input": custom, "match": matched})),
        Some(expected)
    );
    let intune = json!({"connection_id": "c", "compliance_status": "conflict"});
    let expected = Families::of(&[Family::Windows, Family::Mac]);
    assert_eq!(applies_to(json!({"name": "i", "type": "intune", "input": intune, "match": []})), Some(expected));
    let file = json!({"operating_system": "linux", "path": "/a"});
    let expected = Families::of(&[Family::Linux]);
    assert_eq!(applies_to(json!({"name": "f", "type": "file", "input": file})), Some(expected));
}

#[test]
fn a_client_is_present_for_its_expiration_or_some_schedules() {
    let presence = |body: Value| match &create(&body).unwrap().object.check.predicate {
        Predicate::Tunnel(rule) => rule.presence,
        other => panic!("{other:?}"),
    };
    assert_eq!(presence(json!({"name": "g", "type": "gateway"})), Duration::from_secs(3 * 5 * 60));
    assert_eq!(presence(json!({"name": "g", "type": "gateway", "schedule": "1m"})), Duration::from_secs(3 * 60));
    assert_eq!(presence(json!({"name": "g", "type": "warp", "expiration": "1h"})), Duration::from_secs(60 * 60));
}

#[test]
fn a_creation_sent_twice_has_the_same_content() {
    let body = json!({"name": "n", "type": "firewall", "input": {"enabled": true, "operating_system": "mac"}});
    let again = |body: &Value| create_rule(body.to_string().as_bytes(), CheckId::from("other"), now()).unwrap().object;
    let first = create(&body).unwrap().object;
    assert!(same_content(&first, &again(&body)));
    let mut other = body.clone();
    other["input"]["enabled"] = json!(false);
    assert!(!same_content(&first, &again(&other)));
    let foreign = crate::objects::check("c", "c", &[]);
    assert!(!same_content(&foreign, &foreign) && rule(&foreign).is_none() && rule_type(&foreign).is_none());
}

#[test]
fn a_list_of_serial_numbers_is_a_rule() {
    let list = |holds| DeviceList {
        id: ListId::from("list"),
        name: "Laptops".into(),
        holds,
        description: None,
        items: vec![],
        meta: crate::objects::meta(),
    };
    let implicit = implicit_rule(&list(DeviceName::SerialNumber)).unwrap();
    let expected = json!({
        "id": "list", "name": "Laptops", "type": "serial_number", "input": {"id": "list"}, "enabled": true, "source": "api",
    });
    assert_eq!(shown(&implicit), expected);
    let body = json!({"name": "Laptops", "type": "serial_number", "input": {"id": "list"}}).to_string();
    let created = create_rule(body.as_bytes(), CheckId::from("list"), now()).unwrap().object;
    assert_eq!(implicit.check, created.check);
    assert_eq!(implicit_rule(&list(DeviceName::UniqueClientId)), None);
}
