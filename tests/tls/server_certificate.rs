//! The server's own certificates: choice by name, reload, and files that are wrong.

use std::fs;
use std::time::Duration;

use postern::tls::{Certificate, ReloadableResolver, ServerCertificateFiles};

use crate::support::ocsp::{Status, response};
use crate::support::{Authority, Client, Gate, Issued, TLS12, TLS13, now};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn serial_shown(client: &Client, gate: &Gate, name: &str) -> String {
    let greeted = client.connect_as(gate.address, name).await.unwrap();
    Certificate::parse(&greeted.server_certificate).unwrap().serial().to_string()
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate() {
    let ca = Authority::new("Test CA");
    let fallback = ca.server("fallback", &["gate.postern.test", "x.other.test", "a.b.apps.test", "apps.test"]);
    let wildcard = ca.server("wildcard", &["*.apps.test"]);
    let exact = ca.server("exact", &["wiki.apps.test"]);
    let servers = [fallback.clone(), wildcard.clone(), exact.clone()];
    let gate = Gate::start(&servers, ca.trusted(), false).await;
    let client = Client::new(&ca.ca_file(), None);

    for (name, expected) in [
        ("wiki.apps.test", &exact),
        ("mail.apps.test", &wildcard),
        ("MAIL.apps.test", &wildcard),
        ("gate.postern.test", &fallback),
        ("x.other.test", &fallback),
        // A wildcard stands for one label: neither for two nor for none.
        ("a.b.apps.test", &fallback),
        ("apps.test", &fallback),
    ] {
        assert_eq!(serial_shown(&client, &gate, name).await, expected.serial, "{name}");
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_without_a_restart() {
    let ca = Authority::new("Test CA");
    let (old, new) = (ca.server("old", &["gate.postern.test"]), ca.server("new", &["gate.postern.test"]));
    let gate = Gate::start(std::slice::from_ref(&old), ca.trusted(), false).await;
    let shown = async || {
        let client = Client::new(&ca.ca_file(), None);
        serial_shown(&client, &gate, "gate.postern.test").await
    };
    assert_eq!(shown().await, old.serial);

    fs::copy(&new.certificate_file, &old.certificate_file).unwrap();
    // Half a renewal: the certificate is new, the key is not.
    let error = gate.resolver.reload(now()).unwrap_err().to_string();
    assert!(error.contains("does not match"), "{error}");
    assert_eq!(shown().await, old.serial);

    fs::copy(&new.key_file, &old.key_file).unwrap();
    gate.resolver.reload(now()).unwrap();
    assert_eq!(shown().await, new.serial);
}

/// The certificate with a file for what its CA says of it.
fn stapling(server: &Issued, response: &[u8]) -> ServerCertificateFiles {
    let ocsp_file = server.certificate_file.with_extension("ocsp");
    fs::write(&ocsp_file, response).unwrap();
    ServerCertificateFiles { ocsp_file: Some(ocsp_file), ..server.as_server() }
}

#[tokio::test]
async fn what_the_ca_says_of_the_certificate_is_shown_with_it() {
    let ca = Authority::new("Test CA");
    let (spoken_for, plain) = (ca.server("gate", &["gate.postern.test"]), ca.server("plain", &["plain.test"]));
    let first = response(&spoken_for.serial, Status::Good, "20991231235959Z");
    let files = vec![stapling(&spoken_for, &first), plain.as_server()];
    let gate = Gate::showing(files, ca.trusted(), false).await;
    let shown = async |version, name: &str| {
        let client = Client::speaking(version, &ca.ca_file(), None);
        client.connect_as(gate.address, name).await.unwrap();
        client.stapled()
    };
    for version in [TLS12, TLS13] {
        assert_eq!(shown(version, "gate.postern.test").await, first);
        assert!(shown(version, "plain.test").await.is_empty());
    }

    // The next one is read with the certificate's files; what cannot be shown leaves what is shown.
    let next = response(&spoken_for.serial, Status::Good, "20991231235958Z");
    stapling(&spoken_for, &next);
    gate.resolver.reload(now()).unwrap();
    assert_eq!(shown(TLS13, "gate.postern.test").await, next);
    for (wrong, why) in [
        (b"nonsense".to_vec(), "it is not an OCSP response in DER"),
        (response(&plain.serial, Status::Good, "20991231235959Z"), "it says nothing of this certificate"),
        (response(&spoken_for.serial, Status::Revoked, "20991231235959Z"), "it says that the certificate is not good"),
    ] {
        stapling(&spoken_for, &wrong);
        let error = gate.resolver.reload(now()).unwrap_err().to_string();
        assert!(error.contains(&format!("gate.ocsp: cannot be shown beside the certificate: {why}")), "{error}");
        assert_eq!(shown(TLS13, "gate.postern.test").await, next);
    }

    // Clients refuse what is past its time, and would take nothing for less.
    stapling(&spoken_for, &response(&spoken_for.serial, Status::Good, "20260102000000Z"));
    let warnings = gate.resolver.reload(now()).unwrap();
    assert!(warnings[0].to_string().contains("should have been replaced at 2026-01-02T00:00:00.000Z"), "{warnings:?}");
    assert!(shown(TLS13, "gate.postern.test").await.is_empty());
}

fn problem(certificate_file: &std::path::Path, key_file: &std::path::Path) -> String {
    let files = ServerCertificateFiles {
        certificate_file: certificate_file.into(),
        key_file: key_file.into(),
        ocsp_file: None,
    };
    ReloadableResolver::load(vec![files], now()).unwrap_err().to_string()
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let ca = Authority::new("Test CA");
    let (one, two) = (ca.server("one", &["one.test"]), ca.server("two", &["two.test"]));
    let text = ca.path().join("notes.txt");
    fs::write(&text, "not a certificate").unwrap();
    let missing = ca.path().join("missing.pem");

    let cases = [
        (&one.certificate_file, &two.key_file, "two.key: the private key does not match the certificate in "),
        (&missing, &one.key_file, "missing.pem: cannot be read: "),
        (&text, &one.key_file, "notes.txt: holds no certificate"),
        (&one.certificate_file, &text, "notes.txt: holds no private key"),
        (&one.certificate_file, &one.certificate_file, "one.pem: holds no private key"),
        (&one.key_file, &one.key_file, "one.key: holds no certificate"),
    ];
    for (certificate_file, key_file, expected) in cases {
        let error = problem(certificate_file, key_file);
        assert!(error.contains(expected), "`{expected}` in: {error}");
    }

    let error = ReloadableResolver::load(Vec::new(), now()).unwrap_err();
    assert_eq!(error.to_string(), "no server certificate is configured");
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let ca = Authority::new("Test CA");
    let server = ca.server("gate", &["gate.postern.test"]);
    let load = |at| ReloadableResolver::load(vec![server.as_server()], at).unwrap().warnings();
    assert_eq!(load(now()), []);
    assert!(load(now().after(31 * DAY))[0].to_string().contains("`CN=gate` expired at"));
    assert!(load(now().before(DAY))[0].to_string().contains("is not valid before"));
}

#[test]
fn neither_debug_nor_errors_show_a_key() {
    let ca = Authority::new("Test CA");
    let Issued { certificate_file, key_file, .. } = ca.server("gate", &["gate.postern.test"]);
    let key = fs::read_to_string(&key_file).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let files = ServerCertificateFiles {
        certificate_file: certificate_file.clone(),
        key_file: key_file.clone(),
        ocsp_file: None,
    };
    let resolver = ReloadableResolver::load(vec![files], now()).unwrap();
    let damaged = key.replace("-----END", "-----BEND");
    fs::write(&key_file, damaged).unwrap();
    let error = resolver.reload(now()).unwrap_err();
    for text in [format!("{resolver:?}"), format!("{error:?}"), error.to_string()] {
        assert!(!text.contains(secret), "{text}");
    }
}
