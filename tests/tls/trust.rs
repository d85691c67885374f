//! Reloading whose certificates are believed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::tls::pki::{self, ClientRequest};
use postern::tls::{CrlPolicy, DistrustReason, TrustSources, TrustStore};
use rustls::AlertDescription;

use crate::support::{Authority, Client, Gate, Refusal, now};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_reloaded_revocation_list_refuses_afterwards() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let server = ca.server("gate", &["gate.postern.test"]);
    let gate = Gate::open(&server, ca.trusted_with_crl()).await;
    let mut epochs = gate.trust.subscribe();
    // A client of its own each time, so that nothing is resumed.
    let connect = async || Client::new(&ca.ca_file(), Some(&laptop)).connect(gate.address).await;

    connect().await.unwrap();
    ca.revoke(&laptop);
    connect().await.unwrap();
    let reloaded = gate.trust.reload(now()).unwrap();
    assert!(reloaded.changed);
    assert!(epochs.has_changed().unwrap());
    assert_eq!(*epochs.borrow_and_update(), reloaded.epoch);
    assert_eq!(connect().await.unwrap_err(), Refusal::Alert(AlertDescription::CertificateRevoked));
}

#[tokio::test]
async fn a_second_ca_joins_and_leaves_without_a_restart() {
    let (first, second) = (Authority::new("First CA"), Authority::new("Second CA"));
    let newcomer = second.client("newcomer");
    let gate = Gate::open(&first.server("gate", &["gate.postern.test"]), first.trusted()).await;
    let connect = async || Client::new(&first.ca_file(), Some(&newcomer)).connect(gate.address).await;

    connect().await.unwrap_err();
    let both = TrustSources { ca_files: vec![first.ca_file(), second.ca_file()], ..first.trusted() };
    gate.trust.replace(both, now()).unwrap();
    connect().await.unwrap();
    gate.trust.replace(first.trusted(), now()).unwrap();
    assert_eq!(connect().await.unwrap_err(), Refusal::Alert(AlertDescription::UnknownCA));
}

#[test]
fn a_broken_reload_keeps_what_was_there_and_names_the_file() {
    let ca = Authority::new("Test CA");
    let store = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    let good_ca = fs::read(ca.ca_file()).unwrap();
    let good_crl = fs::read(ca.crl_file()).unwrap();
    let leaf = fs::read(ca.client("laptop").certificate_file).unwrap();
    let truncated = &good_ca[..good_ca.len() / 2];

    let cases: [(PathBuf, &[u8], &str); 7] = [
        (ca.ca_file(), b"", "holds no certificate"),
        (ca.ca_file(), truncated, "is not PEM"),
        (ca.ca_file(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not an X.509 certificate"),
        (ca.ca_file(), &leaf, "is not a CA certificate"),
        (ca.crl_file(), b"nonsense", "is not a usable revocation list"),
        (ca.crl_file(), &good_ca, "no `BEGIN X509 CRL` block"),
        (ca.crl_file(), &good_crl[..good_crl.len() / 2], "is not PEM"),
    ];
    for (file, contents, expected) in cases {
        fs::write(&file, contents).unwrap();
        let error = store.reload(now()).unwrap_err().to_string();
        assert!(error.contains(expected), "`{expected}` in: {error}");
        assert!(error.contains(&file.display().to_string()), "file name in: {error}");
        assert_eq!(store.current().epoch(), 1);
        fs::write(ca.ca_file(), &good_ca).unwrap();
        fs::write(ca.crl_file(), &good_crl).unwrap();
    }

    fs::remove_file(ca.crl_file()).unwrap();
    let error = store.reload(now()).unwrap_err().to_string();
    assert!(error.contains("crl.pem: cannot be read"), "{error}");
}

#[test]
fn the_same_files_again_change_nothing() {
    let ca = Authority::new("Test CA");
    let store = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    let epochs = store.subscribe();
    let reloaded = store.reload(now()).unwrap();
    assert!(!reloaded.changed);
    assert_eq!(reloaded.epoch, 1);
    assert!(!epochs.has_changed().unwrap());
}

#[test]
fn a_revocation_list_signed_by_somebody_else_is_refused() {
    let ca = Authority::new("Test CA");
    let store = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    let impostor = Authority::new("Test CA");
    fs::copy(impostor.crl_file(), ca.crl_file()).unwrap();
    let error = store.reload(now()).unwrap_err().to_string();
    assert!(error.contains("is not signed by that CA's key"), "{error}");
}

#[test]
fn an_older_revocation_list_does_not_make_anybody_good_again() {
    let ca = Authority::new("Test CA");
    let before = fs::read(ca.crl_file()).unwrap();
    ca.revoke(&ca.client("lost"));
    let store = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    fs::write(ca.crl_file(), before).unwrap();
    let error = store.reload(now()).unwrap_err().to_string();
    assert!(error.contains("older than the one in use"), "{error}");
}

#[tokio::test]
async fn an_expired_revocation_list_refuses_unless_tolerated() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let server = ca.server("gate", &["gate.postern.test"]);
    // Signed long ago, it ran out yesterday.
    pki::refresh_crl(ca.path(), now().before(366 * DAY)).unwrap();
    let mut gate = Gate::open(&server, ca.trusted_with_crl()).await;
    let warnings = gate.trust.current().warnings().to_vec();
    assert!(warnings[0].to_string().contains("should have been replaced"), "{warnings:?}");

    let client = Client::new(&ca.ca_file(), Some(&laptop));
    client.connect(gate.address).await.unwrap_err();
    assert!(gate.next_peer().await.is_none());
    assert_eq!(gate.counts.of("crl-expired"), 1);

    let tolerant = CrlPolicy { accept_expired: true, ..CrlPolicy::default() };
    gate.trust.replace(TrustSources { crl_policy: tolerant, ..ca.trusted_with_crl() }, now()).unwrap();
    client.connect(gate.address).await.unwrap();
    let peer = gate.next_peer().await.unwrap();
    let identity = peer.identity().unwrap();
    gate.trust.recheck(identity, now()).unwrap();

    // Strict again: the open connection is refused, and with it the reason.
    gate.trust.replace(ca.trusted_with_crl(), now()).unwrap();
    assert_eq!(gate.trust.recheck(identity, now()), Err(DistrustReason::CrlExpired));
}

#[tokio::test]
async fn a_list_that_runs_out_ends_trust_at_that_moment() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let server = ca.server("gate", &["gate.postern.test"]);
    // Runs out in ten days, long before the certificate does.
    let crl = pki::refresh_crl(ca.path(), now().before(355 * DAY)).unwrap();
    let whole_seconds = Timestamp::from_millis(crl.next_update.as_millis() / 1000 * 1000);
    let mut gate = Gate::open(&server, ca.trusted_with_crl()).await;
    Client::new(&ca.ca_file(), Some(&laptop)).connect(gate.address).await.unwrap();
    let peer = gate.next_peer().await.unwrap();
    let identity = peer.identity().unwrap();

    let trust = gate.trust.current();
    assert_eq!(trust.trusted_until(identity, now()), Ok(whole_seconds));
    assert_eq!(trust.recheck(identity, whole_seconds), Err(DistrustReason::CrlExpired));
}

#[tokio::test]
async fn a_ca_without_a_list_is_refused_beside_one_with_unless_accepted() {
    let (listed, unlisted) = (Authority::new("Listed CA"), Authority::new("Unlisted CA"));
    let server = listed.server("gate", &["gate.postern.test"]);
    let ca_files = vec![listed.ca_file(), unlisted.ca_file()];
    let strict = TrustSources { ca_files, ..listed.trusted_with_crl() };
    let gate = Gate::open(&server, strict.clone()).await;
    let warnings = gate.trust.current().warnings().to_vec();
    assert!(warnings[0].to_string().contains("`CN=Unlisted CA`"), "{warnings:?}");

    let client = Client::new(&listed.ca_file(), Some(&unlisted.client("laptop")));
    client.connect(gate.address).await.unwrap_err();
    assert_eq!(gate.counts.of("crl-missing"), 1);

    let crl_policy = CrlPolicy { accept_missing: true, ..CrlPolicy::default() };
    gate.trust.replace(TrustSources { crl_policy, ..strict }, now()).unwrap();
    client.connect(gate.address).await.unwrap();
}

#[test]
fn a_der_revocation_list_is_read_too() {
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject;

    let ca = Authority::new("Test CA");
    let der = CertificateRevocationListDer::from_pem_file(ca.crl_file()).unwrap();
    fs::write(ca.crl_file(), der.as_ref()).unwrap();
    TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
}

#[test]
fn an_expired_ca_is_loaded_with_a_warning() {
    let dir = tempfile::TempDir::new().unwrap();
    pki::init(dir.path(), "Old CA", now().before(3700 * DAY)).unwrap();
    let sources = TrustSources { ca_files: vec![dir.path().join("ca.pem")], ..TrustSources::default() };
    let store = TrustStore::load(sources, now()).unwrap();
    let warnings = store.current().warnings().to_vec();
    assert!(warnings[0].to_string().contains("`CN=Old CA` expired"), "{warnings:?}");
}

#[test]
fn no_ca_file_at_all_is_an_error() {
    let error = TrustStore::load(TrustSources::default(), now()).unwrap_err();
    assert_eq!(error.to_string(), "no client CA file is configured");
}

#[test]
fn the_sweep_after_a_reload_finds_revoked_leaves_by_look_up() {
    use postern::clock::SystemClock;
    use postern::tls::{ReloadableVerifier, SilentObserver, load_certificates};
    use std::sync::Arc;

    let ca = Authority::new("Test CA");
    let request = ClientRequest { name: "lost", spiffe_uri: None, emails: &[], dns_names: &[], days: 1 };
    let lost = pki::issue_client(ca.path(), &request, now()).unwrap();
    let store = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
    let verifier = ReloadableVerifier::new(store.clone(), Arc::new(SystemClock), Arc::new(SilentObserver));
    let identity = verifier.identify(&load_certificates(&lost.certificate_file).unwrap()).unwrap();
    assert!(!store.current().lists_as_revoked(&identity));
    ca.revoke(&lost.into());
    store.reload(now()).unwrap();
    assert!(store.current().lists_as_revoked(&identity));
}
