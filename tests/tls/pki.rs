//! The development CA: what it makes, what it refuses, and that the gate believes it.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use postern::tls::pki::{self, ClientRequest, PkiError, RevokeTarget, ServerRequest};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::support::{Authority, Client, Gate, now};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn client<'a>(name: &'a str, days: u32) -> ClientRequest<'a> {
    ClientRequest { name, spiffe_uri: None, emails: &[], dns_names: &[], days }
}

#[tokio::test]
async fn what_it_issues_is_believed_on_both_sides() {
    let dir = TempDir::new().unwrap();
    let ca = pki::init(dir.path(), "Round Trip CA", now()).unwrap();
    assert_eq!(ca.subject, "CN=Round Trip CA");
    let addresses: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let names = ["gate.postern.test".to_owned(), "*.apps.postern.test".to_owned()];
    let request = ServerRequest { name: "gate", dns_names: &names, ip_addresses: &addresses, days: 90 };
    let server = pki::issue_server(dir.path(), &request, now()).unwrap();
    let laptop = pki::issue_client(dir.path(), &client("laptop", 90), now()).unwrap();

    let sources = postern::tls::TrustSources {
        ca_files: vec![ca.ca_file.clone()],
        crl_files: vec![ca.crl_file.clone()],
        ..postern::tls::TrustSources::default()
    };
    let gate = Gate::open(&server.into(), sources).await;
    let client = Client::new(&ca.ca_file, Some(&laptop.into()));
    for name in ["gate.postern.test", "wiki.apps.postern.test", "127.0.0.1"] {
        client.connect_as(gate.address, name).await.unwrap();
    }
}

#[test]
fn keys_are_the_owner_s_alone() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    assert_eq!(mode(&ca.path().join("ca.key")), 0o600);
    assert_eq!(mode(&laptop.key_file), 0o600);
    assert_eq!(mode(&laptop.certificate_file) & 0o444, 0o444);
}

#[test]
fn nothing_is_overwritten() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let before = fs::read(&laptop.key_file).unwrap();

    let error = pki::init(ca.path(), "Another CA", now()).unwrap_err();
    assert!(error.to_string().ends_with("ca.key exists already and is not overwritten"), "{error}");
    let error = pki::issue_client(ca.path(), &client("laptop", 1), now()).unwrap_err();
    assert!(matches!(error, PkiError::AlreadyExists(_)), "{error}");
    for reserved in ["ca", "crl"] {
        let error = pki::issue_client(ca.path(), &client(reserved, 1), now()).unwrap_err();
        assert!(matches!(error, PkiError::AlreadyExists(_)), "{error}");
    }
    assert_eq!(fs::read(&laptop.key_file).unwrap(), before);
}

#[test]
fn names_and_dates_that_cannot_stand_are_refused() {
    let ca = Authority::new("Test CA");
    for name in ["", ".hidden", "../up", "a/b", "-flag", "two words", &"x".repeat(65)] {
        let error = pki::issue_client(ca.path(), &client(name, 1), now()).unwrap_err();
        assert!(error.to_string().contains("not a usable certificate name"), "{error}");
    }
    for days in [0, 3651] {
        let error = pki::issue_client(ca.path(), &client("laptop", days), now()).unwrap_err();
        assert!(matches!(error, PkiError::InvalidDays(_)), "{error}");
    }
    let late = now().after(3600 * DAY);
    let error = pki::issue_client(ca.path(), &client("laptop", 90), late).unwrap_err();
    assert!(matches!(error, PkiError::OutlivesCa { .. }), "{error}");

    let emails = ["nobody".to_owned()];
    let wrong = [
        ClientRequest { spiffe_uri: Some("https://x.test/"), ..client("laptop", 1) },
        ClientRequest { emails: &emails, ..client("laptop", 1) },
        ClientRequest { dns_names: &["a..b".to_owned()], ..client("laptop", 1) },
        ClientRequest { dns_names: &["a b".to_owned()], ..client("laptop", 1) },
    ];
    for request in wrong {
        let error = pki::issue_client(ca.path(), &request, now()).unwrap_err();
        assert!(matches!(error, PkiError::InvalidName { .. }), "{error}");
    }
    let request = ServerRequest { name: "gate", dns_names: &[], ip_addresses: &[], days: 1 };
    let error = pki::issue_server(ca.path(), &request, now()).unwrap_err();
    assert!(matches!(error, PkiError::NoServerName), "{error}");
    assert!(!ca.path().join("laptop.key").exists());
}

#[test]
fn a_directory_without_a_ca_says_so() {
    let dir = TempDir::new().unwrap();
    let error = pki::issue_client(dir.path(), &client("laptop", 1), now()).unwrap_err();
    assert!(error.to_string().contains("holds no CA; make one with `postern pki init`"), "{error}");
}

#[test]
fn every_list_has_a_higher_number_and_all_revocations() {
    let ca = Authority::new("Test CA");
    let (one, two) = (ca.client("one"), ca.client("two"));
    let read = || {
        let der = CertificateRevocationListDer::from_pem_file(ca.crl_file()).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
        let number: u64 = list.crl_number().unwrap().try_into().unwrap();
        (number, list.iter_revoked_certificates().count())
    };
    assert_eq!(read(), (1, 0));

    let first = pki::revoke(ca.path(), RevokeTarget::Serial(&one.serial), now()).unwrap();
    assert_eq!((first.name.as_str(), first.already_revoked), ("one", false));
    assert_eq!(read(), (2, 1));

    // The same serial in the spelling other tools print, and revoked already.
    let shouted = one.serial.to_uppercase();
    let again = pki::revoke(ca.path(), RevokeTarget::Serial(&shouted), now().after(DAY)).unwrap();
    assert!(again.already_revoked);
    assert_eq!(again.revoked_at, first.revoked_at);
    assert_eq!(read(), (3, 1));

    let second = pki::revoke(ca.path(), RevokeTarget::CertificateFile(&two.certificate_file), now()).unwrap();
    assert_eq!(second.serial, two.serial);
    assert_eq!((second.crl.number, second.crl.revoked), (4, 2));
    assert_eq!(read(), (4, 2));
}

#[test]
fn only_its_own_certificates_are_revoked() {
    let ca = Authority::new("Test CA");
    let error = pki::revoke(ca.path(), RevokeTarget::Serial("0badcafe"), now()).unwrap_err();
    assert_eq!(error.to_string(), "no certificate with serial `0badcafe` was issued by this CA");
    let other_ca = Authority::new("Other CA");
    let other = other_ca.client("stranger");
    let error = pki::revoke(ca.path(), RevokeTarget::CertificateFile(&other.certificate_file), now()).unwrap_err();
    assert!(error.to_string().contains("is from `CN=Other CA`, not from this CA"), "{error}");
}

#[test]
fn serials_are_random_and_128_bits_long() {
    let ca = Authority::new("Test CA");
    let (one, two) = (ca.client("one"), ca.client("two"));
    assert_ne!(one.serial, two.serial);
    // A leading zero byte is dropped from the text; two in a row would be an odd generator.
    assert!(one.serial.len() >= 28 && two.serial.len() >= 28);
    let index = fs::read_to_string(ca.path().join("index.json")).unwrap();
    assert!(index.contains(&one.serial) && index.contains(&two.serial), "{index}");
}
