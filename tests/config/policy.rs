//! Policy files become the objects they describe.

use std::time::Duration;

use postern::config::Place;
use postern::policy::objects::{Origin, PolicyType};
use postern::policy::roles::{Role, Semantic};
use postern::policy::service::{Balance, Disclosure, ServiceProtocol};
use postern::posture::check::Predicate;

use crate::support::{load_policy, policy};

#[test]
fn a_service_in_short_has_the_defaults() {
    let loaded = policy("services: [{ name: wiki, hosts: [Wiki.Example], upstreams: ['127.0.0.1:80'] }]\n");
    let service = &loaded.objects.services["wiki"];
    assert_eq!(service.matching.hosts, ["wiki.example"]);
    assert_eq!(service.matching.path_prefix, "/");
    assert_eq!(service.upstreams[0].weight, 1);
    assert_eq!(service.transport.tls, None);
    assert_eq!(service.transport.balance, Balance::RoundRobin);
    assert_eq!(service.transport.connect_timeout, Duration::from_secs(5));
    assert_eq!(service.disclosure, Disclosure::Checks);
    assert!(!service.concealed);
}

#[test]
fn paths_in_a_policy_file_start_at_its_folder() {
    let loaded = policy(
        "services: [{ name: s, hosts: [s.example], path_prefix: /api/, upstream: { tls: { ca_file: ca.crt } } }]\n",
    );
    let service = &loaded.objects.services["s"];
    assert_eq!(service.matching.path_prefix, "/api");
    let tls = service.transport.tls.as_ref().unwrap();
    let ca_file = tls.ca_file.as_deref().unwrap();
    assert!(ca_file.starts_with('/') && ca_file.ends_with("/ca.crt"), "{ca_file}");
}

#[test]
fn a_service_over_tcp_waits_an_hour_unless_it_says_otherwise() {
    let idle = |more: &str| {
        let service = format!("{{ name: s, protocol: tcp, hosts: [s.example]{more} }}");
        let loaded = policy(&format!("services: [{service}]\n"));
        let service = &loaded.objects.services["s"];
        assert_eq!(service.protocol, ServiceProtocol::Tcp);
        service.transport.idle_timeout
    };
    assert_eq!(idle(""), Duration::from_secs(3600));
    assert_eq!(idle(", upstream: { timeouts: { idle: 5m } }"), Duration::from_secs(300));
    let loaded = policy("services: [{ name: s, hosts: [s.example] }]\n");
    assert_eq!(loaded.objects.services["s"].protocol, ServiceProtocol::Http);
}

#[test]
fn a_policy_keeps_its_roles_sorted_and_its_expression() {
    let loaded = policy(
        "service_policies:\n  - name: p\n    identity_roles: ['@b', '#a', '#a']\n    service_roles: ['#all']\n    require: { all: [x, { not: '@y' }] }\n",
    );
    let policy = &loaded.objects.policies["p"];
    assert_eq!(policy.policy_type, PolicyType::Dial);
    assert_eq!(policy.semantic, Semantic::AllOf);
    let roles = [Role::Attribute("a".into()), Role::Entity("b".into())];
    assert_eq!(policy.identity_roles, roles);
    assert_eq!(policy.service_roles, [Role::All]);
    let expression = serde_json::to_value(policy.expression.as_ref().unwrap()).unwrap();
    let expected = serde_json::json!({ "all": [{ "check": "x" }, { "not": { "check": "@y" } }] });
    assert_eq!(expression, expected);
}

#[test]
fn all_six_checks_in_openziti_spelling() {
    let text = r#"
posture_checks:
  - { typeId: OS, name: os, operatingSystems: [{ type: Windows, versions: [">=10.0.0"] }, { type: Android, versions: [] }] }
  - { typeId: DOMAIN, name: domain, domains: [corp.example] }
  - { typeId: MAC, name: mac, macAddresses: [14-B2-2C-E5-F0-61] }
  - { typeId: PROCESS, name: process, process: { osType: Linux, path: /a, signerFingerprint: "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01" } }
  - { typeId: PROCESS_MULTI, name: multi, semantic: AnyOf, processes: [{ osType: Windows, path: b }, { osType: Linux, path: a }] }
  - { typeId: MFA, name: mfa, timeoutSeconds: -1, promptOnWake: true }
"#;
    let loaded = policy(text);
    let predicate = |id: &str| &loaded.objects.checks[id].check.predicate;
    let Predicate::Os(os) = predicate("os") else { panic!() };
    let systems: Vec<_> = os.systems.iter().map(|system| system.platform.as_str()).collect();
    assert_eq!(systems, ["Android", "Windows"]);
    let Predicate::Mac(mac) = predicate("mac") else { panic!() };
    assert_eq!(mac.addresses, ["14b22ce5f061"]);
    let Predicate::Process(process) = predicate("process") else { panic!() };
    assert_eq!(process.process.signer_fingerprints, ["abcdef0123456789abcdef0123456789abcdef01"]);
    let Predicate::Processes(multi) = predicate("multi") else { panic!() };
    let paths: Vec<_> = multi.processes.iter().map(|process| &*process.path).collect();
    assert_eq!(paths, ["a", "b"]);
    let Predicate::Mfa(mfa) = predicate("mfa") else { panic!() };
    assert_eq!(mfa.timeout, None);
    assert_eq!(mfa.grace, Duration::from_secs(300));
    assert!(mfa.prompt_on_wake && !mfa.prompt_on_unlock);
    assert!(matches!(predicate("domain"), Predicate::Domain(_)));
}

#[test]
fn objects_know_where_they_come_from() {
    let loaded = policy(
        "posture_checks:\n  - { name: c, type: MFA }\nservice_policies:\n  - name: p\n    identity_roles: ['@nobody']\n    service_roles: []\n    require:\n      all: [gone, c]\n",
    );
    let policy = &loaded.objects.policies["p"];
    let Origin::File { path, line } = &policy.meta.origin else { panic!() };
    assert!(path.ends_with("/p.yaml"));
    assert_eq!(*line, 4);
    assert!(policy.meta.created_at.as_millis() > 0);
    assert_eq!(policy.meta.created_at, policy.meta.updated_at);

    let position = |entity: &str| match loaded.places.reference(&"p".into(), entity) {
        Some(Place::File { line, column, .. }) => (*line, *column),
        _ => (0, 0),
    };
    assert_eq!(position("nobody"), (5, 22));
    assert_eq!(position("gone"), (8, 13));
    assert!(loaded.places.policy(&"p".into()).is_some());
    assert!(loaded.places.check(&"c".into()).is_some());
}

#[test]
fn the_fingerprint_follows_contents_and_names_only() {
    let text = "posture_checks: [{ name: a, type: MFA }]\n";
    let of = |files: &[(&str, &str)]| {
        let folder = crate::support::policy_folder(files);
        let load = || postern::config::policy::load(folder.path(), &Default::default()).unwrap();
        let first = load().fingerprint;
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert_eq!(load().fingerprint, first);
        first
    };
    assert_ne!(of(&[("a.yaml", text)]), of(&[("a.yaml", "# empty\n")]));
}

#[test]
fn odd_but_accepted_policies_warn() {
    let text = "\
identities:
  - { name: a }
  - { name: b, id: a2, subjects: ['cn:b'], role_attributes: [all] }
  - { name: a2, id: c, subjects: ['cn:c'] }
";
    let loaded = load_policy(&[("p.yaml", text)]).unwrap();
    let warnings = crate::support::brief(&loaded.warnings);
    assert_eq!(
        warnings,
        "\
p.yaml:2:5: warning: identities[0]: no certificate is this identity; list its names under `subjects`
p.yaml:3:62: warning: identities[1].role_attributes[0]: `#all` selects everything, never this attribute alone
p.yaml:4:13: warning: identities[2].name: `@a2` means the identity of that id at p.yaml:3:5, not this one"
    );
}
