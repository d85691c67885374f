//! The files a person can open and edit: configuration and policy, with comments.

use std::net::SocketAddr;

use super::machine::{Facts, GATEWAY_PROGRAM, KNOWN_HARDWARE, OFFICE_DOMAIN, PROTECTION_AGENT, Program, SUPPORTED_OS};
use super::people::{ALICE, API_HOST, APP_HOST, BOB, CAROL, VAULT_HOST, spiffe_id};
use crate::agent::OperatingSystem;
use crate::app::Addresses;
use crate::posture::Platform;

/// The configuration file.
pub(super) fn settings(addresses: &Addresses, token_sha256: &str) -> String {
    let Addresses { gateway, client_api, admin, ops } = addresses;
    format!(
        "\
# Made by `postern demo`. `postern check --config postern.yaml` says what it thinks of an edit. While the demo is not
# running, `postern run --config postern.yaml` serves the same; only the demo's origin is missing then (502).

listeners:
  # Clients with certificates reach services here.
  gateway: {{ address: \"{gateway}\" }}
  # Devices report their posture here.
  client_api: {{ address: \"{client_api}\" }}
  # Operators: a bearer token is needed.
  admin: {{ address: \"{admin}\" }}
  # Metrics and health, in plain text.
  ops: {{ address: \"{ops}\" }}

tls:
  certificates:
    - cert_file: pki/server.pem
      key_file: pki/server.key
  # Whose client certificates are believed, and which of them are revoked:
  #   postern pki --dir pki revoke --cert pki/{BOB}.pem
  client_ca_files: [pki/ca.pem]
  crl_files: [pki/crl.pem]

policy:
  directory: policy

data:
  directory: data

admin:
  tokens:
    - name: demo
      # The token itself is in demo.json.
      sha256: {token_sha256}
      role: admin

log:
  format: pretty
  level: info

shutdown:
  grace: 2s
"
    )
}

/// The configuration of the first identity's device.
pub(super) fn agent_settings(addresses: &Addresses) -> String {
    let port = addresses.client_api.port();
    format!(
        "\
# Made by `postern demo`: this machine as {ALICE}. `postern agent status --config agent.yaml` shows what is open to it,
# `postern agent run --config agent.yaml` reports whatever happens to it.

gateway: https://{API_HOST}:{port}
cert_file: pki/{ALICE}.pem
key_file: pki/{ALICE}.key
ca_file: pki/ca.pem
log:
  format: pretty
"
    )
}

/// Who may ask.
pub(super) fn identities() -> String {
    let mut text =
        "# Who may ask. One certificate is one device; one device is one identity.\n\nidentities:\n".to_owned();
    for (name, attribute, comment) in [
        (ALICE, "staff", "Reports the true posture of this machine."),
        (BOB, "staff", "In the same group, but not in the posture that is asked for."),
        (CAROL, "visitors", "Known, but let in nowhere: refused before the first byte of HTTP."),
    ] {
        let spiffe_id = spiffe_id(name);
        text.push_str(&format!(
            "  # {comment}
  - name: {name}
    subjects: [\"{spiffe_id}\"]
    role_attributes: [{attribute}]
"
        ));
    }
    text
}

/// What is behind the gate.
pub(super) fn services(origin: SocketAddr) -> String {
    format!(
        "\
# What is behind the gate.

services:
  - name: app
    # `*.localhost` leads to this machine without any set-up.
    hosts: [{APP_HOST}, {API_HOST}, 127.0.0.1]
    upstreams: [\"{origin}\"]
    # A refused client learns which checks failed, and what was seen and expected: good for a demo.
    disclosure: values

  - name: vault
    hosts: [{VAULT_HOST}]
    upstreams: [\"{origin}\"]
    # A refused client gets 404, as if there were no such service.
    concealed: true
"
    )
}

/// Who may reach what, under which checks.
pub(super) fn policies() -> String {
    policies_with("[\"#baseline\"]", CHECKS_KEY)
}

/// The same, asking for more.
pub(super) fn policies_stricter() -> String {
    policies_with(&format!("[\"#baseline\", \"@{OFFICE_DOMAIN}\"]"), CHECKS_KEY)
}

/// The same with a mistake in it: were the key passed over, the app would be open to all staff.
pub(super) fn policies_broken() -> String {
    policies_with("[\"#baseline\"]", "posture_check_rolls")
}

const CHECKS_KEY: &str = "posture_check_roles";

fn policies_with(app_checks: &str, checks_key: &str) -> String {
    format!(
        "\
# Who may reach what, under which checks. A service is open when at least one policy that selects the identity and the
# service has all its checks passing.

service_policies:
  - name: staff-reach-the-app
    identity_roles: [\"#staff\"]
    service_roles: [\"@app\"]
    # Every check with the attribute `baseline`; add \"@{OFFICE_DOMAIN}\" to ask for one more, save, and try again.
    {checks_key}: {app_checks}

  - name: office-reaches-the-vault
    identity_roles: [\"#staff\"]
    service_roles: [\"@vault\"]
    # Beyond lists of checks: an expression of all, any and not.
    require:
      all:
        - {OFFICE_DOMAIN}
        - {PROTECTION_AGENT}
"
    )
}

/// Questions about posture that this machine, as it is now, answers well.
pub(super) fn checks(facts: &Facts) -> String {
    let mut text = "\
# Questions about the posture of a device. What is expected here is what this machine said about itself when the demo
# started; the file is written again at each start.

posture_checks:
"
    .to_owned();
    text.extend(facts.os.as_ref().map(os_check));
    text.extend(facts.mac.as_deref().map(mac_check));
    text.extend(facts.gateway.as_ref().map(|program| gateway_check(facts, program)));
    text.push_str(&agent_check(facts));
    text.push_str(&format!(
        "
  # Asked by the vault. No machine is joined to this domain.
  - name: {OFFICE_DOMAIN}
    type: DOMAIN
    domains: [office.demo.invalid]
    remediation: Join the device to the office's domain.
"
    ));
    text.replacen("posture_checks:\n\n", "posture_checks:\n", 1)
}

fn os_check(os: &OperatingSystem) -> String {
    let platform = os.platform.as_str();
    let mut numbers = os.version.split('.').map(|number| number.parse::<u64>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let next = major.saturating_add(1);
    format!(
        "
  - name: {SUPPORTED_OS}
    type: OS
    operating_systems:
      - type: {platform}
        # This machine has {}. Each entry is a range of its own; one suffices.
        versions: [\">={major}.{minor}.0 <{next}.0.0\"]
    remediation: Install a supported version of the operating system.
    role_attributes: [baseline]
",
        os.version
    )
}

fn mac_check(mac: &str) -> String {
    format!(
        "
  # One of the device's hardware addresses must be listed.
  - name: {KNOWN_HARDWARE}
    type: MAC
    mac_addresses: [\"{mac}\"]
    remediation: Use the device that was enrolled.
    role_attributes: [baseline]
"
    )
}

fn gateway_check(facts: &Facts, program: &Program) -> String {
    format!(
        "
  # The demo itself, with the SHA-256 of its executable.
  - name: {GATEWAY_PROGRAM}
    type: PROCESS
    process:
{}    remediation: Start the demo from the program that was enrolled.
    role_attributes: [baseline]
",
        process(facts, program, "      ", "      ")
    )
}

fn agent_check(facts: &Facts) -> String {
    let mut processes = process(facts, &facts.agent, "      - ", "        ");
    if let Some(resident) = &facts.resident {
        processes.push_str("      # Something that was running here before the demo.\n");
        processes.push_str(&process(facts, resident, "      - ", "        "));
    }
    format!(
        "
  # The program that plays a protection agent. The demo ends it and starts it again.
  - name: {PROTECTION_AGENT}
    type: PROCESS_MULTI
    semantic: AllOf
    processes:
{processes}    remediation: Start the protection agent.
    role_attributes: [baseline]
"
    )
}

fn process(facts: &Facts, program: &Program, first: &str, rest: &str) -> String {
    let platform = facts.os.as_ref().map_or(Platform::Linux, |os| os.platform).as_str();
    let path = quoted(&program.path);
    let mut text = format!("{first}os_type: {platform}\n{rest}path: {path}\n");
    if let Some(sha256) = &program.sha256 {
        text.push_str(&format!("{rest}hashes: [{sha256}]\n"));
    }
    text
}

/// A text in quotes that YAML reads as it was.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
