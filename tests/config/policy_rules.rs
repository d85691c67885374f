//! Posture rules, device lists, signing certificates and Access groups in policy files.

use postern::clock::Timestamp;
use postern::dialect::cloudflare::create_rule;
use postern::dialect::native::{Wanted, WantedFact, read_posture_report};
use postern::policy::expression::Expression;
use postern::posture::Posture;
use postern::posture::check::Predicate;
use postern::posture::facts::Source;
use postern::posture::outcome::{FailReason, NoResultReason, Outcome};
use postern::posture::platform::Family;

use super::support::{load_policy, policy_refusal};

#[test]
fn a_rule_in_a_file_is_what_the_api_takes() {
    let text = "\
posture_rules:
  - name: Encrypted
    id: f174e90a
    type: disk_encryption
    match: [{ platform: mac }]
    schedule: 10m
    expiration: 25m
    input: { checkDisks: [/], requireAll: false }
    role_attributes: [baseline]
    remediation: Turn it on.
    tags: { owner: it }
";
    let loaded = load_policy(&[("p.yaml", text)]).unwrap();
    let rule = &loaded.objects.checks["f174e90a"];
    assert!(matches!(&rule.check.predicate, Predicate::Disk(rule) if rule.volumes == ["/"] && !rule.every_volume));
    assert_eq!(rule.check.remediation.as_deref(), Some("Turn it on."));
    assert_eq!(rule.role_attributes, ["baseline".into()]);
    assert_eq!(rule.meta.tags["owner"], "it");
    let written = serde_json::to_value(rule.as_written.as_deref().unwrap()).unwrap();
    assert_eq!(written["input"], serde_json::json!({"checkDisks": ["/"], "requireAll": false}));
    assert_eq!(written["schedule"], "10m");
}

/// Cloudflare's agent tells neither on Linux, and its API knows no such rules. Ours tells both, so a file may ask.
#[test]
fn a_file_may_ask_linux_for_its_firewall_and_its_antivirus() {
    let text = "\
posture_rules:
  - { name: wall, type: firewall, input: { operating_system: linux, enabled: true } }
  - { name: clam, type: antivirus, match: [{ platform: linux }], input: { update_window_days: 2 } }
  - { name: windows, type: antivirus }
";
    let loaded = load_policy(&[("p.yaml", text)]).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let reported = |body: &str| {
        let report = read_posture_report(body.as_bytes(), at, Source::Device).unwrap();
        Posture::default().apply(&report).unwrap()
    };
    let assess = |name: &str, posture: &Posture| loaded.objects.checks[name].check.assess(posture, at).outcome;
    let good = reported(
        r#"{"os": {"name": "Linux", "version": "6.1.0"}, "firewall": {"packetFilter": true},
            "antivirus": [{"name": "ClamAV", "on": true, "upToDate": true, "signaturesAt": "2026-01-01T00:00:00Z"}]}"#,
    );
    let bad = reported(
        r#"{"os": {"name": "Linux", "version": "6.1.0"}, "firewall": {"packetFilter": false},
            "antivirus": [{"name": "ClamAV", "on": true, "upToDate": true, "signaturesAt": "2025-12-24T00:00:00Z"}]}"#,
    );
    let silent = reported(r#"{"os": {"name": "Linux", "version": "6.1.0"}}"#);
    assert_eq!(assess("wall", &good), Outcome::Pass);
    assert_eq!(assess("wall", &bad), Outcome::Fail(FailReason::FirewallOff));
    assert_eq!(assess("wall", &silent), Outcome::Fail(FailReason::FactMissing));
    assert_eq!(assess("clam", &good), Outcome::Pass);
    assert_eq!(assess("clam", &bad), Outcome::Fail(FailReason::AntivirusOutdated));
    assert_eq!(assess("windows", &good), Outcome::NoResult(NoResultReason::NotApplicable));
    let checks = loaded.objects.checks.values().map(|check| &*check.check);
    let wanted = Wanted::of(checks, Some(Family::Linux));
    assert_eq!(wanted.facts, [WantedFact::Firewall, WantedFact::Antivirus]);

    let body = r#"{"name": "wall", "type": "firewall", "input": {"operating_system": "linux", "enabled": true}}"#;
    let refused = create_rule(body.as_bytes(), "id".into(), at).unwrap_err();
    assert_eq!(refused.items()[0].message(), "input.operating_system must be one of windows mac");
    let body = r#"{"name": "clam", "type": "antivirus", "match": [{"platform": "linux"}]}"#;
    let clam = create_rule(body.as_bytes(), "id".into(), at).unwrap();
    assert_eq!(clam.object.check.assess(&good, at).outcome, Outcome::NoResult(NoResultReason::NotApplicable));
    assert!(clam.warnings[0].text().contains("never has a result"));
}

#[test]
fn a_wrong_member_is_found_where_it_stands() {
    let text = "\
posture_rules:
  - name: a
    type: os_version
    input:
      operating_system: linux
      operator: '!='
      version: 1.0.0
  - { name: b, type: firewall, schedule: 30s, input: { enabled: true, operating_system: mac } }
  - name: c
    type: disk_encryption
    match:
      - platform: mac
      - platform: beos
    input: { requireAll: true }
  - { name: d, type: unique_client_id }
  - { name: a, type: warp }
device_lists:
  - { name: l, type: SERIAL }
  - { name: m, type: DEVICES, items: [] }
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:6:17: error: posture_rules[0].input.operator: input.operator must be one of < <= > >= ==
p.yaml:8:42: error: posture_rules[1].schedule: schedule must be at least 1m
p.yaml:13:19: error: posture_rules[2].match[1].platform: match[1].platform must be one of windows mac linux android ios chromeos
p.yaml:15:5: error: posture_rules[3]: input is required
p.yaml:16:13: error: posture_rules[4].name: name `a` is taken by the posture check at p.yaml:2:5
p.yaml:18:5: error: device_lists[0].items: required key is missing
p.yaml:19:22: error: device_lists[1].type: `DEVICES` is not one of SERIAL, DEVICE; did you mean `DEVICE`?"
    );
}

#[test]
fn entries_that_name_no_device_are_left_out_with_a_warning() {
    let text = "device_lists: [{ name: l, type: SERIAL, items: [C02XYZ, To be filled by O.E.M.] }]";
    let loaded = load_policy(&[("p.yaml", text)]).unwrap();
    let values: Vec<&str> = loaded.objects.lists["l"].items.iter().map(|item| &*item.value).collect();
    assert_eq!(values, ["C02XYZ"]);
    let warnings = loaded.warnings.to_string();
    assert!(warnings.contains("device_lists[0].items[1]: names no device"), "{warnings}");
}

#[test]
fn a_signing_certificate_must_be_one() {
    let text = "signing_certificates: [{ name: ca, file: missing.pem }, { name: other, file: p.yaml }]";
    let refused = policy_refusal(text);
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 2, "{refused}");
    assert!(lines[0].contains("signing_certificates[0].file: cannot be read"), "{refused}");
    assert!(lines[1].ends_with("signing_certificates[1].file: holds no certificate in PEM form"), "{refused}");
}

#[test]
fn the_lists_of_access_are_one_more_way_to_write_an_expression() {
    let text = "\
service_policies:
  - name: p
    identity_roles: ['#all']
    service_roles: ['#all']
    require:
      include: [{ everyone: {} }]
      require: [{ device_posture: { integration_uid: a } }]
      exclude: [{ device_posture: { integration_uid: b } }]
";
    let loaded = load_policy(&[("p.yaml", text)]).unwrap();
    let leaf = |name: &str| Expression::Check(name.into());
    let expected = Expression::All(vec![leaf("@a"), Expression::Unless(Box::new(leaf("@b")))]);
    assert_eq!(loaded.objects.policies["p"].expression, Some(expected));

    let refusals = [
        ("{ include: [{ email: { email: a@b.example } }] }", "unknown variant `email`"),
        ("{ include: [{ everyone: {} }] }", "asks nothing of anybody"),
        ("{ exclude: [{ device_posture: { integration_uid: a } }] }", "needs `include` or `require`"),
        (
            "{ include: [], all: [a] }",
            "expected exactly one of `all`, `any` and `not`, or the lists of an Access policy",
        ),
    ];
    for (require, reason) in refusals {
        let text = format!(
            "service_policies: [{{ name: p, identity_roles: ['#all'], service_roles: ['#all'], require: {require} }}]"
        );
        let refused = policy_refusal(&text);
        assert!(refused.contains(reason), "{require}: {refused}");
    }
}
