//! `postern run`: it starts with one clear line or says in one why not, reloads and stops when told.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use crate::support::{Gateway, POLICY, Running, SETTINGS, arg, output, text};

fn run(gateway: &Gateway) -> Output {
    output(&["run", "--config", arg(&gateway.config()), "--log", "off"])
}

/// Expects a refusal in one line that says all of `wanted`.
fn assert_refused(gateway: &Gateway, wanted: &[&str]) {
    let refused = run(gateway);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for wanted in wanted {
        assert!(stderr.contains(wanted), "`{wanted}` is not in: {stderr}");
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        let gateway = Gateway::new();
        let mut running = Running::start(&["run", "--config", arg(&gateway.config())]);
        running.read_log_until("listening");
        running.signal(signal);
        let (status, stderr) = running.wait();
        assert_eq!(status.code(), Some(0), "{signal}: {stderr}");
    }
}

#[test]
fn a_hangup_reads_policy_and_certificates_again() {
    let gateway = Gateway::new();
    let mut running = Running::start(&["run", "--config", arg(&gateway.config())]);
    running.read_log_until("listening");
    running.signal("HUP");
    let loaded = running.read_log_until("policy loaded");
    assert!(loaded["generation"].as_u64().unwrap() >= 2, "{loaded}");
    running.read_log_until("client trust loaded");
    running.read_log_until("server certificates loaded");
    running.signal("TERM");
    assert!(running.wait().0.success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for listener in ["gateway", "client_api", "admin", "ops"] {
        let gateway = Gateway::new();
        let free = format!("{listener}: {{ address: 127.0.0.1:0 }}");
        gateway.write("postern.yaml", &SETTINGS.replace(&free, &format!("{listener}: {{ address: \"{address}\" }}")));
        assert_refused(&gateway, &[&address]);
    }
}

#[test]
fn a_data_folder_in_use_is_named() {
    let gateway = Gateway::new();
    let mut first = Running::start(&["run", "--config", arg(&gateway.config())]);
    first.read_log_until("listening");
    assert_refused(&gateway, &["in use", "data"]);
}

#[test]
fn a_key_that_cannot_be_used_is_named() {
    let gateway = Gateway::new();
    gateway.write("pki/server.key", "not a key\n");
    assert_refused(&gateway, &["server.key"]);
    fs::remove_file(gateway.path("pki/server.key")).unwrap();
    assert_refused(&gateway, &["server.key"]);
}

#[test]
fn every_error_of_a_configuration_is_told_with_its_place() {
    let gateway = Gateway::new();
    gateway.write("postern.yaml", &format!("{SETTINGS}wurkers: 2\nlog: {{ format: fancy }}\n"));
    let refused = run(&gateway);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    let lines = SETTINGS.lines().count();
    for wanted in [format!("postern.yaml:{}:1: error: ", lines + 1), format!("postern.yaml:{}:", lines + 2)] {
        assert!(stderr.contains(&wanted), "`{wanted}` is not in: {stderr}");
    }

    let gateway = Gateway::new();
    gateway.write("policy/objects.yaml", &POLICY.replace("type: OS", "type: OZ"));
    let refused = run(&gateway);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("objects.yaml:16:"), "{stderr}");
}
