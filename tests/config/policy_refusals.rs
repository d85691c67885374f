//! Broken policy files, and exactly what is said about them.

use crate::support::{brief, load_policy, policy_refusal};

#[test]
fn identities() {
    let text = "\
identities:
  - name: a
    subjects: ['cn:x', 'cn:x', foo]
  - name: a
    subjects: ['cn:y']
  - { id: q, disabled: true }
  - name: b
    subjects: ['cn:z']
    roleAttributes: ['#x', '@y', '']
    role_attributes: []
    tags: { deep: [1] }
services: 3
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:3:24: error: identities[0].subjects[1]: `cn:x` is already listed at p.yaml:3:16
p.yaml:3:32: error: identities[0].subjects[2]: `foo` is not a certificate name: expected spiffe://…, email:…, dns:…, cn:… or sha256:…
p.yaml:4:11: error: identities[1].name: name `a` is taken by the identity at p.yaml:2:5
p.yaml:6:5: error: identities[2].name: required key is missing
p.yaml:9:22: error: identities[3].roleAttributes[0]: role attribute `#x` is written without the leading `#` or `@`
p.yaml:9:28: error: identities[3].roleAttributes[1]: role attribute `@y` is written without the leading `#` or `@`
p.yaml:9:34: error: identities[3].roleAttributes[2]: `` is empty
p.yaml:10:5: error: identities[3].role_attributes: key is given twice, in two spellings of `role_attributes`
p.yaml:11:11: error: identities[3].tags: tag `deep` holds a list or mapping; tags hold single values
p.yaml:12:11: error: services: expected a list, found a number"
    );
}

#[test]
fn services() {
    let text = "\
services:
  - name: s
    hosts: ['http://a/', 'a:1', '', a.example, A.example]
    path_prefix: api
    upstreams: ['http://x:1', { weight: 0 }]
    upstream:
      tls: yes
      balance: robin
      health_check: { interval: 0s }
      timeouts: { read: soon }
  - { name: t, path_prefix: /a/../b }
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:3:13: error: services[0].hosts[0]: `http://a/` is not a host name such as `app.example` or `*.apps.example`; leave out the scheme
p.yaml:3:26: error: services[0].hosts[1]: `a:1` is not a host name such as `app.example` or `*.apps.example`; leave out the port
p.yaml:3:33: error: services[0].hosts[2]: `` is not a host name such as `app.example` or `*.apps.example`
p.yaml:3:48: error: services[0].hosts[4]: `a.example` is listed twice
p.yaml:4:18: error: services[0].path_prefix: `api` is not a path: paths begin with `/`, and blanks and letters beyond ASCII are percent-encoded
p.yaml:5:17: error: services[0].upstreams[0]: `http://x:1` is not `host:port`, such as `127.0.0.1:8080` or `app.internal:8080`; TLS and HTTP version are set under `upstream`
p.yaml:5:31: error: services[0].upstreams[1].address: required key is missing
p.yaml:5:41: error: services[0].upstreams[1].weight: 0 is not between 1 and 65535
p.yaml:7:12: error: services[0].upstream.tls: expected `true` or `false`, found text
p.yaml:8:16: error: services[0].upstream.balance: `robin` is not one of round-robin, least-loaded, hash
p.yaml:9:33: error: services[0].upstream.health_check.interval: must be longer than zero
p.yaml:10:25: error: services[0].upstream.timeouts.read: `soon` is not a duration such as `250ms`, `30s`, `15m` or `1h 30m`
p.yaml:11:5: error: services[1].hosts: required key is missing
p.yaml:11:29: error: services[1].path_prefix: `/a/../b` holds an empty segment, `.`, `..` or a query"
    );
}

#[test]
fn service_policies() {
    let text = "\
service_policies:
  - name: p
    type: dial
    semantic: Any
    identity_roles: ['#all', '#x']
    service_roles: [web]
    require: { all: [], any: [x] }
  - name: q
    identity_roles: []
    service_roles: []
    require: { not: { any: [a, { nor: b }, '#x', 3] } }
  - { name: r, require: { all: [] } }
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:3:11: error: service_policies[0].type: `dial` is not one of Dial, Bind; did you mean `Dial`?
p.yaml:4:15: error: service_policies[0].semantic: `Any` is not one of AllOf, AnyOf
p.yaml:5:22: error: service_policies[0].identity_roles[0]: `#all` must be the only entry of its list
p.yaml:6:21: error: service_policies[0].service_roles[0]: role `web` must be `#attribute`, `@id`, `@name` or `#all`
p.yaml:7:14: error: service_policies[0].require: expected exactly one of `all`, `any` and `not`, or the lists of an Access policy
p.yaml:11:32: error: service_policies[1].require.not.any[1]: expected exactly one of `all`, `any` and `not`, or the lists of an Access policy
p.yaml:11:34: error: service_policies[1].require.not.any[1].nor: unknown key; did you mean `not`?
p.yaml:11:44: error: service_policies[1].require.not.any[2]: `#x` is an attribute; an expression names single checks
p.yaml:11:50: error: service_policies[1].require.not.any[3]: expected text, found a number; put it in quotes
p.yaml:12:5: error: service_policies[2].identity_roles: required key is missing
p.yaml:12:5: error: service_policies[2].service_roles: required key is missing
p.yaml:12:32: error: service_policies[2].require.all: needs at least one part"
    );
}

#[test]
fn posture_checks() {
    let text = "\
posture_checks:
  - { name: a, type: os }
  - { name: b, type: OS }
  - { name: c, type: MAC, mac_addresses: [zz], domains: [x] }
  - { name: d, type: MFA, timeout: 1h, timeout_seconds: 5, max_age: 0s }
  - { name: e, type: OS, operating_systems: [macos, { type: Linux, versions: [1.10] }, Linux, { versions: [] }] }
  - name: f
    type: PROCESS_MULTI
    processes:
      - { os_type: Linux, path: '', hashes: [abc] }
      - { osType: Linux, path: /a, signer_fingerprint: 0123456789abcdef0123456789abcdef01234567 }
      - { os_type: Linux, path: /a }
  - { name: g, typeId: DOMAIN, domains: [] }
  - { name: h }
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:2:22: error: posture_checks[0].type: `os` is not one of OS, DOMAIN, MAC, PROCESS, PROCESS_MULTI, MFA; did you mean `OS`?
p.yaml:3:5: error: posture_checks[1].operating_systems: required key is missing
p.yaml:4:43: error: posture_checks[2].mac_addresses[0]: `zz` is not a hardware address such as `02:42:ac:11:00:02`
p.yaml:4:48: error: posture_checks[2].domains: has no meaning for a check of type MAC
p.yaml:5:57: error: posture_checks[3].timeout_seconds: give either `timeout` or `timeout_seconds`
p.yaml:5:69: error: posture_checks[3].max_age: must be longer than zero
p.yaml:6:46: error: posture_checks[4].operating_systems[0]: `macos` is not one of Android, Linux, Windows, WindowsServer, iOS, macOS; did you mean `macOS`?
p.yaml:6:79: error: posture_checks[4].operating_systems[1].versions[0]: expected text, found a number; put it in quotes
p.yaml:6:88: error: posture_checks[4].operating_systems[2]: `Linux` is listed twice
p.yaml:6:95: error: posture_checks[4].operating_systems[3].type: required key is missing
p.yaml:7:5: error: posture_checks[5].semantic: required key is missing
p.yaml:10:33: error: posture_checks[5].processes[0].path: the path is empty
p.yaml:10:46: error: posture_checks[5].processes[0].hashes[0]: `abc` is not a digest in hex digits (40 for SHA-1, 64 for SHA-256, 128 for SHA-512)
p.yaml:11:56: error: posture_checks[5].processes[1].signer_fingerprint: a check of type PROCESS_MULTI takes `signer_fingerprints`
p.yaml:12:9: error: posture_checks[5].processes[2]: this process is listed twice
p.yaml:13:41: error: posture_checks[6].domains: needs at least one entry
p.yaml:14:5: error: posture_checks[7].type: required key is missing"
    );
}

#[test]
fn names_ids_and_subjects_are_unique_over_files() {
    let first = "identities: [{ name: a, id: one, subjects: ['cn:x'] }]\nposture_checks: [{ name: c, type: MFA }]\n";
    let second =
        "identities: [{ name: b, id: one, subjects: ['cn:x'] }]\nposture_checks: [{ name: c, id: d, type: MFA }]\n";
    let findings = load_policy(&[("1.yaml", first), ("2.yml", second)]).unwrap_err();
    assert_eq!(
        brief(&findings),
        "\
2.yml:1:29: error: identities[0].id: id `one` is taken by the identity at 1.yaml:1:14
2.yml:1:45: error: identities[0].subjects[0]: `cn:x` is already listed at 1.yaml:1:45
2.yml:2:26: error: posture_checks[0].name: name `c` is taken by the posture check at 1.yaml:2:18"
    );
}

#[test]
fn a_service_over_tcp_has_no_paths_and_a_protocol_that_exists() {
    let text = "\
services:
  - { name: s, protocol: tcp, hosts: [s.example], path_prefix: /s }
  - { name: t, protocol: udp, hosts: [t.example] }
";
    assert_eq!(
        policy_refusal(text),
        "\
p.yaml:2:64: error: services[0].path_prefix: a TCP service has no paths
p.yaml:3:26: error: services[1].protocol: `udp` is not one of http, tcp"
    );
}

#[test]
fn expressions_are_bounded() {
    let nested = |depth: usize| {
        let expression = "{ not: ".repeat(depth) + "a" + &" }".repeat(depth);
        format!("service_policies: [{{ name: p, identity_roles: [], service_roles: [], require: {expression} }}]\n")
    };
    assert!(load_policy(&[("p.yaml", &nested(31))]).is_ok());
    let told = policy_refusal(&nested(32));
    assert!(told.ends_with("the expression nests deeper than 32 levels"), "{told}");
    let told = policy_refusal(&nested(500));
    assert!(told.contains("recursion limit exceeded"), "{told}");

    let leaves = vec!["a"; 1025].join(", ");
    let told = policy_refusal(&format!(
        "service_policies: [{{ name: p, identity_roles: [], service_roles: [], require: {{ any: [{leaves}] }} }}]\n"
    ));
    assert!(told.ends_with("the expression names more than 1024 checks"), "{told}");
}
