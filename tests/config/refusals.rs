//! Broken configuration files, and exactly what is said about them.

use crate::support::{TLS, load, refusal, settings};

/// A configuration with everything it needs, and `text`.
fn refusal_beside_tls(text: &str) -> String {
    refusal(format!("{text}{TLS}"))
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "\
listeners:
  gatway:
    address: 0.0.0.0:1
  admin: { address: nope }
  ops:
    address: 99
log: { level: 12, format: xml }
workers: 0
tls:
  certificates: []
  client_ca_files: ca.crt
";
    assert_eq!(
        refusal(text),
        "\
postern.yaml:2:3: error: listeners.gatway: unknown key; did you mean `gateway`?
postern.yaml:4:21: error: listeners.admin.address: `nope` is not an IP address with a port, such as `0.0.0.0:8443` or `[::]:8443`
postern.yaml:6:14: error: listeners.ops.address: expected an IP address with a port, such as `0.0.0.0:8443`, found a number
postern.yaml:7:15: error: log.level: expected a log filter such as `info`, found a number
postern.yaml:7:27: error: log.format: `xml` is not one of json, pretty
postern.yaml:8:10: error: workers: expected `auto` or a whole number from 1 to 1024
postern.yaml:10:17: error: tls.certificates: needs at least one entry
postern.yaml:11:20: error: tls.client_ca_files: expected a list, found text"
    );
}

#[test]
fn enrolment_needs_a_ca_an_address_and_fingerprints() {
    let text = "\
identity:
  subjects: [spiffe]
  enrollment:
    cert_file: ca.pem
    url: gateway.example:8444
    token_lifetime: 0s
    certificate_days: 4000
";
    assert_eq!(
        refusal_beside_tls(text),
        "\
postern.yaml:4:5: error: identity.enrollment: needs `fingerprint` among `identity.subjects`: certificates it issues are known by theirs
postern.yaml:4:5: error: identity.enrollment.key_file: required key is missing
postern.yaml:5:10: error: identity.enrollment.url: is not an address such as `https://gateway.example:8444`
postern.yaml:6:21: error: identity.enrollment.token_lifetime: must be longer than zero
postern.yaml:7:23: error: identity.enrollment.certificate_days: 4000 is not between 1 and 3650"
    );
}

#[test]
fn values_that_do_not_fit_their_key() {
    let text = "\
proxy:
  concealed: yes
  retries: 99
  timeouts: { connect: 0s, read: 10, idle: soon }
  forwarded: { trusted: [10.0.0.1/8, x] }
identity: { subjects: [dns, dns, cn] }
shutdown: { grace: 10years }
limits: { report_bytes: 2000000 }
data: { store: disk }
";
    assert_eq!(
        refusal_beside_tls(text),
        "\
postern.yaml:2:14: error: proxy.concealed: expected `true` or `false`, found text
postern.yaml:3:12: error: proxy.retries: 99 is not between 0 and 16
postern.yaml:4:24: error: proxy.timeouts.connect: must be longer than zero
postern.yaml:4:34: error: proxy.timeouts.read: expected a duration such as `30s`, found a number
postern.yaml:4:44: error: proxy.timeouts.idle: `soon` is not a duration such as `250ms`, `30s`, `15m` or `1h 30m`
postern.yaml:5:26: error: proxy.forwarded.trusted[0]: `10.0.0.1/8` has bits set beyond its prefix; the network is `10.0.0.0/8`
postern.yaml:5:38: error: proxy.forwarded.trusted[1]: `x` is not a network such as `10.0.0.0/8` or `fd00::/8`
postern.yaml:6:29: error: identity.subjects[1]: is listed twice
postern.yaml:6:34: error: identity.subjects[2]: `cn` is not one of spiffe, email, dns, common-name, fingerprint
postern.yaml:7:20: error: shutdown.grace: `10years` is longer than a year
postern.yaml:8:25: error: limits.report_bytes: 2000000 is not between 1024 and 1048576
postern.yaml:9:16: error: data.store: `disk` is not one of redb, memory"
    );
}

#[test]
fn a_required_key_is_missed_where_it_should_stand() {
    assert_eq!(
        refusal("tls:\n  certificates:\n    - cert_file: a.crt\n"),
        "\
postern.yaml:2:3: error: tls.client_ca_files: required key is missing
postern.yaml:3:7: error: tls.certificates[0].key_file: required key is missing"
    );
    assert_eq!(
        refusal(""),
        "\
postern.yaml: error: tls.certificates: required key is missing
postern.yaml: error: tls.client_ca_files: required key is missing"
    );
}

#[test]
fn a_key_given_twice_is_refused_with_both_places() {
    assert_eq!(
        refusal_beside_tls("log: { level: info }\nlog: { level: warn }\n"),
        "postern.yaml:2:1: error: log: key is given twice, first at postern.yaml:1:1"
    );
}

#[test]
fn sections_are_mappings_and_empty_ones_are_fine() {
    assert_eq!(refusal("- a\n"), "postern.yaml: error: expected a mapping of keys, found a list");
    // A list must not be taken for the section's values in order.
    assert_eq!(
        refusal_beside_tls("log: [json, info]\n"),
        "postern.yaml:1:6: error: log: expected a mapping of keys, found a list"
    );
    settings(&format!("log:\n  # level: info\n{TLS}"));
    assert_eq!(
        refusal_beside_tls("log: { level: }\n"),
        "postern.yaml:1:13: error: log.level: expected a log filter such as `info`, found nothing"
    );
}

#[test]
fn text_that_is_not_yaml() {
    let cases = [
        (
            "tls:\n\tcertificates: []\n",
            "2:2: error: is not valid YAML: tabs disallowed within this context (block indentation)",
        ),
        ("log: [\n", "1:6: error: is not valid YAML: unclosed bracket '['"),
        ("log: a: b\n", "1:7: error: is not valid YAML: mapping values are not allowed in this context"),
        ("log: *nope\n", "1:6: error: `*alias` names an anchor that does not exist"),
        ("log: !foo bar\n", "1:11: error: YAML tags (`!name`) have no meaning here"),
        ("? [a, b]\n: c\n", "1:3: error: expected a plain key here"),
        ("---\nlog: {}\n---\nlog: {}\n", "4:1: error: holds more than one YAML document; remove the `---`"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), format!("postern.yaml:{expected}"), "{text:?}");
    }
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let clash = "listeners: { ops: { address: 127.0.0.1:8443 } }\n";
    assert_eq!(
        refusal_beside_tls(clash),
        "postern.yaml:1:30: error: listeners.ops.address: `127.0.0.1:8443` is taken by another listener"
    );
    // Port 0 is a different port each time.
    settings(&format!("listeners: {{ gateway: {{ address: 127.0.0.1:0 }}, ops: {{ address: 127.0.0.1:0 }} }}\n{TLS}"));
}

#[test]
fn enrolment_names_its_authorities() {
    assert_eq!(
        refusal_beside_tls("identity: { auto_enroll: { enabled: true } }\n"),
        "postern.yaml:1:37: error: identity.auto_enroll.enabled: enrolment needs `ca_files`: the CAs whose clients are enrolled"
    );
}

#[test]
fn admin_tokens_are_known_by_digest_only() {
    let text = "\
admin:
  tokens:
    - { name: a, sha256: hunter2-is-my-token }
    - { name: b, token: hunter2-is-my-token }
    - hunter2-is-my-token
    - { name: c, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 }
  client_certificates: [ada, { subject: 'cn:ada' }, 'cn:ada']
";
    let told = refusal_beside_tls(text);
    assert_eq!(
        told,
        "\
postern.yaml:3:26: error: admin.tokens[0].sha256: expected the 64 hex digits of the token's SHA-256, not the token itself
postern.yaml:4:7: error: admin.tokens[1].sha256: required key is missing
postern.yaml:4:18: error: admin.tokens[1].token: unknown key
postern.yaml:5:7: error: admin.tokens[2]: expected a mapping of keys, found text
postern.yaml:6:26: error: admin.tokens[3].sha256: this is the digest of the empty text
postern.yaml:7:25: error: admin.client_certificates[0]: `ada` is not a certificate name: expected spiffe://…, email:…, dns:…, cn:… or sha256:…
postern.yaml:7:53: error: admin.client_certificates[2]: this certificate name is listed twice"
    );
    assert!(!told.contains("hunter2"));
}

#[test]
fn what_goes_with_the_admin_api_is_well_formed() {
    let text = "\
admin:
  tokens:
    - { name: a, sha256: SHA256, email: ada }
    - { name: b, sha256: OTHERS, email: 'ada lovelace@example.org' }
    - { name: c, email: 7 }
cloudflare:
  account_id: 0123456789abcdef
  test_integrations: maybe
  acount_id: x
data: { secrets_key_file: '' }
";
    let text = text.replace("SHA256", &"ab".repeat(32)).replace("OTHERS", &"cd".repeat(32));
    assert_eq!(
        refusal_beside_tls(&text),
        "\
postern.yaml:3:99: error: admin.tokens[0].email: `ada` is not an address such as `ada@example.org`
postern.yaml:4:99: error: admin.tokens[1].email: `ada lovelace@example.org` is not an address such as `ada@example.org`
postern.yaml:5:7: error: admin.tokens[2].sha256: required key is missing
postern.yaml:5:25: error: admin.tokens[2].email: expected an address such as `ada@example.org`, found a number
postern.yaml:7:15: error: cloudflare.account_id: `0123456789abcdef` is not an account id of 32 hex digits
postern.yaml:8:22: error: cloudflare.test_integrations: expected `true` or `false`, found text
postern.yaml:9:3: error: cloudflare.acount_id: unknown key; did you mean `account_id`?
postern.yaml:10:27: error: data.secrets_key_file: the path is empty"
    );
}

#[test]
fn a_secret_file_named_by_mistake_is_not_printed() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg: kqhkiG9w0\n-----END PRIVATE KEY-----\n";
    for text in [pem.to_owned(), format!("key: |\n{pem}"), pem.replace(": ", "")] {
        let told = refusal(text);
        assert!(!told.contains("MIIEvQ") && !told.contains("kqhki"), "{told}");
    }
}

#[test]
fn dangerous_choices_are_accepted_with_a_warning() {
    let (_, warnings) = load(format!("{TLS}  expired_crl: dangerous-tolerate\n")).unwrap();
    let warnings = warnings.to_string();
    assert!(
        warnings.ends_with(":4:16: warning: tls.expired_crl: certificates revoked after the list expired are let in"),
        "{warnings}"
    );
}

#[test]
fn findings_have_a_form_for_machines() {
    let findings = load(format!("lgo: 1\n{TLS}")).unwrap_err();
    let json = serde_json::to_value(&findings).unwrap();
    let finding = &json[0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["key"], "lgo");
    assert_eq!((&finding["line"], &finding["column"]), (&1.into(), &1.into()));
    assert_eq!(finding["message"], "unknown key");
    assert_eq!(finding["suggestion"], "log");
    assert!(finding["file"].as_str().unwrap().ends_with("/postern.yaml"));
}

#[test]
fn users_need_a_hash_that_is_worth_its_name() {
    let hash = |cost: &str| {
        format!("'$argon2id$v=19${cost}$c29tZSBzYWx0IHRoZXJlIQ$KAUGBMVXf7Se8WUD93wsRWmcFVRDWPp+GkGJyXKDvZk'")
    };
    let (good, cheap, costly) = (hash("m=19456,t=2,p=1"), hash("m=4096,t=3,p=1"), hash("m=1048576,t=2,p=1"));
    let text = format!(
        "admin:
  users:
    - {{ name: a, password_hash: hunter2 }}
    - {{ name: b, password_hash: {cheap} }}
    - {{ name: c, password_hash: {costly} }}
    - {{ name: d, password_hash: {good} }}
    - {{ name: d, password_hash: {good} }}
    - {{ name: e, password: hunter2 }}
  session: {{ idle: 2h, lifetime: 1h }}
"
    );
    assert_eq!(
        refusal_beside_tls(&text),
        "\
postern.yaml:3:33: error: admin.users[0].password_hash: expected an argon2id hash as `postern admin hash-password` prints it, not the password itself
postern.yaml:4:33: error: admin.users[1].password_hash: the hash is too cheap to guess: argon2id needs m=19456,t=2 at least, or as much work, with salt and digest of 16 bytes; `postern admin hash-password` makes one
postern.yaml:5:33: error: admin.users[2].password_hash: the hash costs too much at each login: m=131072, t=10 and p=16 are the most that is accepted
postern.yaml:7:15: error: admin.users[4].name: another user has the same name
postern.yaml:8:7: error: admin.users[5].password_hash: required key is missing
postern.yaml:8:18: error: admin.users[5].password: unknown key
postern.yaml:9:20: error: admin.session.idle: is longer than the session's lifetime"
    );
    let text = "admin: { session: { lifetime: 30days } }\n";
    assert!(refusal_beside_tls(text).ends_with("admin.session.lifetime: is longer than a week"));
}
