//! The examples in `config/` load, and say the truth about defaults.

use postern::config::policy;
use postern::config::{self, ClientAuthMode, Cloudflare, Environment, ServiceDefaults};

use crate::support::{examples, settings};

#[test]
fn the_minimal_example_loads_without_a_word() {
    let path = examples().join("minimal.yaml");
    let (settings, warnings) = config::load(&path, &Environment::empty()).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(settings.listeners.gateway.address.to_string(), "0.0.0.0:8443");
    assert_eq!(settings.listeners.client_api.address.to_string(), "0.0.0.0:8444");
    assert_eq!(settings.listeners.admin.address.to_string(), "127.0.0.1:9443");
    assert_eq!(settings.listeners.ops.address.to_string(), "127.0.0.1:9901");
    assert_eq!(settings.policy_directory, examples().join("policy"));
    assert_eq!(settings.data.directory, examples().join("data"));
    assert_eq!(settings.data.secrets_key_file, examples().join("data/secrets.key"));
    assert_eq!(settings.cloudflare, Cloudflare { account_id: None, test_integrations: true, ca_files: vec![] });
    assert_eq!(settings.tls.client_ca_files, [examples().join("pki/client-ca.crt")]);
    let shared = &settings.tls.certificates;
    assert_eq!(&settings.listeners.admin.certificates, shared);
}

#[test]
fn the_full_example_shows_the_defaults() {
    let load = |name| config::load(&examples().join(name), &Environment::empty()).unwrap();
    let (full, warnings) = load("full.yaml");
    let (minimal, _) = load("minimal.yaml");
    assert!(warnings.is_empty(), "{warnings}");

    assert_eq!(full.tls.client_auth.otherwise, minimal.tls.client_auth.otherwise);
    let tls = config::Tls { client_auth: minimal.tls.client_auth.clone(), ..full.tls };
    assert_eq!(tls, minimal.tls);
    assert_eq!(full.identity.subjects, minimal.identity.subjects);
    assert_eq!(full.identity.auto_enroll, minimal.identity.auto_enroll);
    let enrollment = full.identity.enrollment.unwrap();
    assert_eq!((enrollment.token_lifetime.as_secs(), enrollment.certificate_days), (3 * 60 * 60, 365));
    assert_eq!(full.policy_directory, minimal.policy_directory);
    assert_eq!(full.data, minimal.data);
    assert_eq!(full.cloudflare.test_integrations, minimal.cloudflare.test_integrations);
    assert_eq!(full.proxy, minimal.proxy);
    assert_eq!(full.limits, minimal.limits);
    assert_eq!(full.log, minimal.log);
    assert_eq!(full.workers, minimal.workers);
    assert_eq!(full.shutdown, minimal.shutdown);
    let (shown, built_in) = (&full.listeners, &minimal.listeners);
    assert_eq!(shown.gateway.address, built_in.gateway.address);
    assert_eq!(shown.client_api, built_in.client_api);
    assert_eq!(shown.admin, built_in.admin);
    assert_eq!(shown.ops, built_in.ops);
}

#[test]
fn the_example_of_the_readme_says_who_needs_a_certificate() {
    let readme = std::fs::read_to_string(examples().join("../README.md")).unwrap();
    let mut examples = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let example = examples.find(|example| example.contains("client_auth_by_name")).unwrap();
    let tls = settings(example).tls;
    let modes = [
        (Some("status.public.example.org"), ClientAuthMode::Optional),
        (Some("STATUS.public.example.org"), ClientAuthMode::Optional),
        (Some("admin.public.example.org"), ClientAuthMode::Require),
        (Some("a.b.public.example.org"), ClientAuthMode::Require),
        (Some("public.example.org"), ClientAuthMode::Require),
        (None, ClientAuthMode::Require),
    ];
    for (name, mode) in modes {
        assert_eq!(tls.client_auth.of(name), mode, "{name:?}");
    }
    assert!(tls.certificates[0].ocsp_file.as_ref().unwrap().ends_with("pki/server.ocsp"));
}

#[test]
fn the_agents_example_shows_the_defaults() {
    let (settings, warnings) = config::load_agent(&examples().join("agent.yaml")).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(settings.gateway, "https://gateway.example.org:8444");
    assert_eq!(settings.cert_file, examples().join("device.pem"));
    assert_eq!(settings.interval, postern::limits::AGENT_INTERVAL);
    assert_eq!(settings.services, ["https://app.example.org/"]);
}

#[test]
fn an_agents_configuration_is_refused_with_every_mistake_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.yaml");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        config::load_agent(&path).unwrap_err().iter().map(|finding| finding.key.to_string()).collect::<Vec<_>>()
    };
    let required = ["gateway", "cert_file", "key_file", "ca_file"];
    assert_eq!(refused("log: { level: info }\n"), required);
    let files = "cert_file: a\nkey_file: b\nca_file: c\n";
    assert_eq!(refused(&format!("gateway: http://gateway.example\n{files}")), ["gateway"]);
    assert_eq!(refused(&format!("gateway: https://g\n{files}interval: 0s\nintreval: 1m\n")), ["interval", "intreval"]);
}

#[test]
fn the_example_policy_loads_and_compiles() {
    let loaded = policy::load(&examples().join("policy"), &ServiceDefaults::default())
        .unwrap_or_else(|findings| panic!("{findings}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.objects.identities.len(), 3);
    assert_eq!(loaded.objects.services.len(), 2);
    assert_eq!(loaded.objects.policies.len(), 3);
    assert_eq!(loaded.objects.checks.len(), 9);
    assert_eq!(loaded.objects.lists.len(), 1);
    assert_eq!(loaded.objects.signing_certificates.len(), 1);
    postern::policy::compile::compile(loaded.objects, 1).unwrap();
}
