//! `postern check`: everything that is wrong, at once, with its place.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::support::{Gateway, POLICY, SETTINGS, arg, output, text};

fn check(gateway: &Gateway, more: &[&str]) -> Output {
    let config = gateway.config();
    let words = [&["check", "--config", arg(&config)], more].concat();
    output(&words)
}

/// Each finding as place, severity and message.
fn findings(gateway: &Gateway) -> Vec<Value> {
    let checked = check(gateway, &["--output", "json"]);
    text(&checked.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_good_configuration_has_no_findings() {
    let gateway = Gateway::new();
    let checked = check(&gateway, &[]);
    let stdout = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{stdout}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert_eq!(text(&checked.stderr), "");
    assert!(!gateway.path("data").exists(), "nothing is made by looking");
}

#[test]
fn every_error_of_the_configuration_file_is_told_in_order() {
    let gateway = Gateway::new();
    gateway.write("postern.yaml", &format!("{SETTINGS}wurkers: 2\nlog: {{ format: fancy }}\n"));
    let checked = check(&gateway, &[]);
    assert_eq!(checked.status.code(), Some(1));
    let stdout = text(&checked.stdout);
    let lines = SETTINGS.lines().count();
    let positions = [format!("postern.yaml:{}:1: error: ", lines + 1), format!("postern.yaml:{}:", lines + 2)];
    let found: Vec<_> = positions.iter().map(|position| stdout.find(position.as_str()).expect(&stdout)).collect();
    assert!(found.is_sorted(), "{stdout}");
    assert!(stdout.contains("did you mean `workers`?"), "{stdout}");
    assert!(stdout.lines().last().unwrap().contains("2 errors"), "{stdout}");
}

#[test]
fn certificates_and_policy_are_looked_at_together() {
    let gateway = Gateway::new();
    fs::remove_file(gateway.path("pki/server.key")).unwrap();
    gateway.write("pki/crl.pem", "nonsense");
    gateway.write("policy/objects.yaml", &POLICY.replace("hosts: [wiki.example]", "hosts: wiki.example/x"));
    gateway.write("policy/more.yaml", "services:\n  - nane: x\n");
    let found = findings(&gateway);
    let has = |file: &str, key: &str| {
        found.iter().any(|finding| {
            finding["severity"] == "error"
                && finding["file"].as_str().is_some_and(|path| path.ends_with(file))
                && finding["line"].is_u64()
                && finding["key"].as_str().is_some_and(|path| path.contains(key))
        })
    };
    assert!(has("postern.yaml", "tls.certificates[0].key_file"), "{found:#?}");
    assert!(has("postern.yaml", "tls.crl_files[0]"), "{found:#?}");
    assert!(has("objects.yaml", "hosts"), "{found:#?}");
    assert!(has("more.yaml", "services[0]"), "{found:#?}");
}

#[test]
fn a_response_that_cannot_be_shown_beside_a_certificate_is_told_with_its_key() {
    let gateway = Gateway::new();
    let key_file = "key_file: pki/server.key\n";
    gateway.write("postern.yaml", &SETTINGS.replacen(key_file, &format!("{key_file}      ocsp_file: pki/ca.pem\n"), 1));
    let found = findings(&gateway);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["key"], "tls.certificates[0].ocsp_file");
    assert!(
        found[0]["message"].as_str().unwrap().contains("ca.pem: cannot be shown beside the certificate"),
        "{found:#?}"
    );
}

#[test]
fn what_the_compiler_refuses_is_told_with_its_place() {
    let gateway = Gateway::new();
    let twice = "  - name: wiki-again\n    hosts: [wiki.example]\nservice_policies:";
    gateway.write("policy/objects.yaml", &POLICY.replacen("service_policies:", twice, 1));
    let found = findings(&gateway);
    assert!(found.iter().any(|finding| finding["line"].is_u64() && finding["severity"] == "error"), "{found:#?}");
}

#[test]
fn warnings_alone_are_told_and_do_no_harm() {
    let gateway = Gateway::new();
    let bypass = "\
service_policies:
  - name: everybody-too
    identity_roles: [\"#staff\"]
    service_roles: [\"@wiki\"]
";
    gateway.write("policy/objects.yaml", &POLICY.replacen("service_policies:\n", bypass, 1));
    let checked = check(&gateway, &[]);
    let stdout = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("objects.yaml:10:") && stdout.contains(": warning: "), "{stdout}");
    assert!(findings(&gateway).iter().all(|finding| finding["severity"] == "warning"));
}

#[test]
fn a_file_that_is_not_there_is_a_finding() {
    let checked = output(&["check", "--config", "/nowhere/postern.yaml"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("/nowhere/postern.yaml: error: "), "{}", text(&checked.stdout));
}

#[test]
fn a_key_that_others_may_read_is_a_finding_and_a_missing_one_is_not_made() {
    use std::os::unix::fs::PermissionsExt;

    let gateway = Gateway::new();
    let more = "data: { secrets_key_file: the.key }\ncloudflare: { ca_files: [pki/nobody.pem] }\n";
    gateway.write("postern.yaml", &format!("{SETTINGS}{more}"));
    let keys =
        |found: &[Value]| found.iter().map(|finding| finding["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&findings(&gateway)), ["cloudflare.ca_files[0]"]);
    assert!(!gateway.path("the.key").exists(), "nothing is made by looking");
    gateway.write("the.key", &"k".repeat(32));
    fs::set_permissions(gateway.path("the.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let found = findings(&gateway);
    assert_eq!(keys(&found), ["data.secrets_key_file", "cloudflare.ca_files[0]"], "{found:#?}");
    assert!(found[0]["message"].as_str().unwrap().contains("chmod 600"), "{found:#?}");
    assert!(found[0]["line"].is_u64(), "{found:#?}");
}
