//! Findings about checks, names and exclusions of a policy that compiles.

use std::sync::Arc;

use postern::dialect::cloudflare::{AccessGroup, access_expression, create_rule};
use postern::policy::compile::compile;
use postern::policy::lint::lint;
use postern::policy::roles::{Role, Semantic};
use serde_json::{Value, json};

use crate::objects::{World, check, identity, meta, policy, service};

const THEN: postern::clock::Timestamp = postern::clock::Timestamp::from_millis(1_700_000_000_000);

fn roles(texts: &[&str]) -> Vec<Role> {
    texts.iter().map(|text| Role::try_from((*text).to_owned()).unwrap()).collect()
}

/// Somebody, something, and the rules.
fn world(rules: &[Value]) -> World {
    let mut world = World::default();
    let mut somebody = identity("u", "u", &[]);
    somebody.subjects = vec!["cn:u".parse().unwrap()];
    world.add_identity(somebody);
    let mut something = service("s", "s", &[]);
    something.matching.hosts = vec!["s.example".into()];
    world.add_service(something);
    for rule in rules {
        let id = rule["name"].as_str().unwrap().into();
        world.add_check(create_rule(rule.to_string().as_bytes(), id, THEN).unwrap().object);
    }
    world
}

fn texts(world: World) -> Vec<String> {
    lint(&compile(world.objects, 1).unwrap()).iter().map(ToString::to_string).collect()
}

fn intune(name: &str, status: &str, connection: &str) -> Value {
    let input = json!({"compliance_status": status, "connection_id": connection});
    json!({"name": name, "type": "intune", "input": input})
}

/// What is found about a policy with this Access group; the connection itself does not matter here.
fn about_group(rules: &[Value], group: Value) -> Vec<String> {
    let mut world = world(rules);
    let group: AccessGroup = serde_json::from_value(group).unwrap();
    let mut access = policy("p", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), vec![]);
    access.expression = access_expression(&group.include, &group.require, &group.exclude).unwrap();
    world.add_policy(access);
    texts(world).into_iter().filter(|text| text.starts_with("service policy")).collect()
}

fn posture(id: &str) -> Value {
    json!({"device_posture": {"integration_uid": id}})
}

const LETS_IN: &str = "service policy `p`: its exclusion of check `bad` lets in devices for which that check has no result; \
                       require another answer of the same source beside it";

#[test]
fn an_exclusion_that_lets_unknown_devices_in_is_pointed_out() {
    let everyone = json!([{"everyone": {}}]);
    let rules =
        [intune("bad", "noncompliant", "c1"), intune("good", "compliant", "c1"), intune("other", "compliant", "c2")];
    let group = |require: &[&str]| {
        let require: Vec<Value> = require.iter().map(|id| posture(id)).collect();
        json!({"include": everyone, "require": require, "exclude": [posture("bad")]})
    };
    assert_eq!(about_group(&rules, group(&[])), [LETS_IN]);
    assert_eq!(about_group(&rules, group(&["other"])), [LETS_IN], "another provider vouches for nothing");
    assert_eq!(about_group(&rules, group(&["good"])), [""; 0], "the same provider must know the device");
    let any = json!({"include": [posture("good"), posture("other")], "exclude": [posture("bad")]});
    assert_eq!(about_group(&rules, any), [LETS_IN], "one of two may be the other");
}

#[test]
fn a_requirement_that_accepts_older_answers_or_other_devices_vouches_for_nothing() {
    let mut brief = intune("bad", "noncompliant", "c1");
    brief["expiration"] = json!("10m");
    let group = json!({"include": [posture("good")], "exclude": [posture("bad")]});
    assert_eq!(about_group(&[brief, intune("good", "compliant", "c1")], group.clone()), [LETS_IN]);
    let mut narrow = intune("bad", "noncompliant", "c1");
    narrow["match"] = json!([{"platform": "mac"}]);
    assert_eq!(about_group(&[narrow, intune("good", "compliant", "c1")], group), [LETS_IN]);
}

#[test]
fn a_name_that_several_checks_have_is_pointed_out_where_it_is_used() {
    let mut world = world(&[]);
    for (id, age) in [("old", 0), ("new", 1)] {
        let mut named = check(id, "disk", &[]);
        named.meta.created_at = THEN.after(std::time::Duration::from_secs(age));
        world.add_check(named);
    }
    world.add_policy(policy("p", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), roles(&["@disk"])));
    world.add_policy(policy("q", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), roles(&["@new"])));
    let expected = "service policy `p`: `@disk` could mean 2 checks; it means the one with id `old`, which has had the name longest";
    assert_eq!(texts(world), [expected]);
}

#[test]
fn checks_that_can_never_pass_are_pointed_out() {
    let firewall = json!({"enabled": true, "operating_system": "mac"});
    let world = world(&[
        json!({"name": "nobody", "type": "firewall", "match": [{"platform": "windows"}], "input": firewall}),
        json!({"name": "listless", "type": "serial_number", "input": {"id": "gone"}}),
        intune("unconnected", "compliant", "c1"),
    ]);
    let texts = texts(world);
    for expected in [
        "posture check `nobody`: it is meant for no kind of device: its `match` and its operating system do not meet, so it never \
         has a result",
        "posture check `listless`: it refers to list `gone`, which does not exist, so it never passes",
        "posture check `unconnected`: it refers to posture integration `c1`, which does not exist, so it never passes",
    ] {
        assert!(texts.iter().any(|text| text == expected), "missing {expected:?} in {texts:#?}");
    }
}

#[test]
fn a_list_of_checks_that_selects_none_is_pointed_out() {
    let mut world = world(&[]);
    world.add_policy(policy("p", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), roles(&["#baseline"])));
    let expected = "service policy `p`: its `posture_check_roles` select no check, so it opens without asking anything";
    assert_eq!(texts(world), [expected]);
}

/// A check made later under the same name must not change what a policy means.
#[test]
fn the_check_that_was_there_first_keeps_its_name() {
    let mut world = world(&[]);
    let mut first = check("z-first", "disk", &[]);
    first.meta = meta();
    let mut second = check("a-second", "disk", &[]);
    second.meta.created_at = THEN.after(std::time::Duration::from_secs(1));
    let mut filed = check("m-filed", "disk", &[]);
    filed.meta.created_at = THEN.after(std::time::Duration::from_secs(2));
    world.add_check(first);
    world.add_check(second);
    world.add_policy(policy("p", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), roles(&["@disk"])));
    let asked = |world: &World| {
        let snapshot = compile(world.objects.clone(), 1).unwrap();
        let asked = ["a-second", "m-filed", "z-first"].map(|id| !snapshot.policies_asking(&id.into()).is_empty());
        asked.map(u8::from)
    };
    assert_eq!(asked(&world), [0, 0, 1]);
    filed.meta.origin = postern::policy::objects::Origin::File { path: Arc::from("p.yaml"), line: 1 };
    world.add_check(filed);
    assert_eq!(asked(&world), [0, 1, 0], "what is written in a file comes first");
}
