//! Bodies that are taken although something about them is odd.

use postern::dialect::cloudflare::check_references;
use postern::policy::integration::Provider;
use serde_json::{Value, json};

use super::{body, create, examples, notes, now};
use crate::vectors::cloudflare::context::Context;

#[track_caller]
fn noted(body: Value, expected: &[&str]) {
    assert_eq!(notes(&create(&body).unwrap()), expected, "{body}");
}

#[test]
fn ordinary_rules_have_no_notes() {
    for example in examples() {
        let deprecated = example["input"].get("issue_count").is_some();
        let written = create(&body(&example)).unwrap();
        assert_eq!(written.warnings.len(), usize::from(deprecated), "{:?}", notes(&written));
    }
    let legacy = json!({"operating_system": "linux", "path": "/a", "running": true, "flavor": "application"});
    noted(json!({"name": "a", "type": "application", "input": legacy, "enabled": true, "id": "x"}), &[]);
    noted(json!({"name": "w", "type": "warp", "schedule": "5m", "expiration": "10m"}), &[]);
}

#[test]
fn odd_times_and_platforms_are_noted() {
    let short = "expiration is shorter than twice the schedule: a report that comes late leaves no result";
    noted(json!({"name": "w", "type": "warp", "schedule": "5m", "expiration": "9m59s"}), &[short]);
    noted(json!({"name": "w", "type": "warp", "expiration": "9m"}), &[short]);
    let firewall = json!({"enabled": true, "operating_system": "mac"});
    noted(
        json!({"name": "f", "type": "firewall", "input": firewall, "match": [{"platform": "windows"}]}),
        &["match and input.operating_system name different platforms: the rule never has a result"],
    );
    noted(
        json!({"name": "a", "type": "antivirus", "match": [{"platform": "mac"}]}),
        &["match names no platform that a rule of type antivirus can be answered on: it never has a result"],
    );
}

#[test]
fn members_without_effect_are_noted() {
    noted(
        json!({"name": "w", "type": "warp", "input": {"a": 1, "b": null}, "account_id": "x"}),
        &[
            "account_id is not a member of a posture rule and was ignored",
            "input.a is not known for this type; it is kept, and has no effect",
        ],
    );
    noted(
        json!({"name": "k", "type": "kolide", "input": {"connection_id": "c", "auth_state": ["Good"], "countOperator": "<"}}),
        &["input.countOperator has nothing to compare"],
    );
    noted(
        json!({"name": "s", "type": "sentinelone_s2s", "input": {"connection_id": "c", "operator": "<"}}),
        &["input.operator has nothing to compare", "the rule asks only whether the provider knows the device"],
    );
    noted(
        json!({"name": "d", "type": "disk_encryption", "input": {}}),
        &["neither input.requireAll nor input.checkDisks selects a volume: the rule fails on every device"],
    );
    let thumbprint = "fe2c359d79d4ceae6bdf7efb507326c6b4e2436e";
    noted(
        json!({"name": "f", "type": "file", "input": {"operating_system": "linux", "path": "/a", "thumbprint": thumbprint}}),
        &["input.thumbprint never matches on linux, where programs are not signed"],
    );
    let version = json!({"operating_system": "mac", "operator": "<", "version": "1.0.0", "os_distro_name": "debian"});
    noted(
        json!({"name": "o", "type": "os_version", "input": version}),
        &["only linux has distributions: the rule fails on every device"],
    );
}

#[test]
fn comparisons_that_are_left_out_are_noted() {
    let crowdstrike = json!({"connection_id": "c", "overall": "80", "last_seen": "1d", "version": "2.1.0"});
    noted(
        json!({"name": "c", "type": "crowdstrike_s2s", "input": crowdstrike}),
        &[
            "input.operator is not given; input.overall is compared with >=",
            "input.operator is not given; input.last_seen is compared with <=",
            "input.versionOperator is not given; input.version is compared with ==",
        ],
    );
    let tanium = json!({"connection_id": "c", "risk_level": "low", "eid_last_seen": "7d", "total_score": 10});
    noted(
        json!({"name": "t", "type": "tanium_s2s", "input": tanium}),
        &[
            "input.operator is not given; input.risk_level is compared with ==",
            "input.operator is not given; input.eid_last_seen is compared with <=",
            "input.scoreOperator is not given; input.total_score is compared with <=",
        ],
    );
    noted(
        json!({"name": "s", "type": "sentinelone_s2s", "input": {"connection_id": "c", "active_threats": 0}}),
        &["input.operator is not given; input.active_threats is compared with =="],
    );
}

#[test]
fn a_connection_of_another_kind_is_noted() {
    let vectors = include_str!("../../data/vectors/cloudflare.json");
    let context = Context::new(&serde_json::from_str(vectors).unwrap(), now());
    let mut objects = context.objects();
    for integration in objects.integrations.values_mut() {
        std::sync::Arc::make_mut(integration).provider = Provider::Kolide;
    }
    let connection = "bc7cbfbb-600a-42e4-8a23-45b5e85f804f";
    let input = json!({"connection_id": connection, "operator": "<", "score": 1});
    let rule = json!({"name": "c", "type": "custom_s2s", "input": input, "expiration": "19m"});
    let warnings = check_references(&create(&rule).unwrap().object, &objects).unwrap();
    let warnings = serde_json::to_value(warnings).unwrap();
    assert_eq!(warnings[0]["message"], "input.connection_id names an integration of type kolide, not custom_s2s");
    assert_eq!(
        warnings[1]["message"],
        "expiration is shorter than twice the integration's interval: one failed call leaves no result"
    );
}
