//! Who gets through a full handshake, and what those who do not are told.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use postern::tls::{NoIdentity, load_certificates};
use rustls::AlertDescription;
use rustls::HandshakeKind::Full;

use crate::support::{Authority, Client, Gate, Refusal};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_good_certificate_is_accepted_and_read() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let mut gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;

    let greeted = Client::new(&ca.ca_file(), Some(&laptop)).connect(gate.address).await.unwrap();
    assert_eq!(greeted.kind, Full);

    let peer = gate.next_peer().await.unwrap();
    let identity = peer.identity().unwrap();
    assert_eq!(identity.spiffe_uri().unwrap().as_ref(), "spiffe://postern.test/laptop");
    assert_eq!(identity.common_name().unwrap().as_ref(), "laptop");
    assert_eq!(identity.emails(), ["laptop@postern.test".into()]);
    assert_eq!(identity.dns_names(), ["laptop.devices.postern.test".into()]);
    assert_eq!(identity.subject().as_ref(), "CN=laptop");
    assert_eq!(identity.issuer().as_ref(), "CN=Test CA");
    assert_eq!(identity.serial().as_ref(), laptop.serial);
    assert_eq!(identity.fingerprint().len(), 64);
    assert_eq!(peer.server_name().unwrap().as_ref(), "gate.postern.test");
    assert_eq!(gate.counts.of("accepted"), 1);
    assert_eq!(gate.counts.total(), 1);
}

#[tokio::test]
async fn no_certificate_is_refused_where_one_is_required() {
    let ca = Authority::new("Test CA");
    let mut gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;

    let refusal = Client::new(&ca.ca_file(), None).connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::CertificateRequired));
    assert!(gate.next_peer().await.is_none());
}

#[tokio::test]
async fn no_certificate_is_no_identity_where_it_is_optional() {
    let ca = Authority::new("Test CA");
    let server = ca.server("gate", &["gate.postern.test"]);
    let mut gate = Gate::open_with_optional_certificates(&server, ca.trusted()).await;

    Client::new(&ca.ca_file(), None).connect(gate.address).await.unwrap();
    let peer = gate.next_peer().await.unwrap();
    assert_eq!(peer.identity().unwrap_err(), NoIdentity::NoCertificate);
    assert_eq!(gate.counts.of("no-certificate"), 1);

    // Optional does not mean that a bad one is overlooked.
    let other_ca = Authority::new("Other CA");
    let stranger = other_ca.client("stranger");
    let refusal = Client::new(&ca.ca_file(), Some(&stranger)).connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::UnknownCA));
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let ca = Authority::new("Test CA");
    let gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;

    let other_ca = Authority::new("Other CA");
    let stranger = other_ca.client("stranger");
    let refusal = Client::new(&ca.ca_file(), Some(&stranger)).connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::UnknownCA));
    assert_eq!(gate.counts.of("certificate-untrusted-ca"), 1);

    // A CA that only took the name.
    let impostor_ca = Authority::new("Test CA");
    let impostor = impostor_ca.client("impostor");
    Client::new(&ca.ca_file(), Some(&impostor)).connect(gate.address).await.unwrap_err();
    assert_eq!(gate.counts.of("certificate-untrusted-ca"), 2);
    assert_eq!(gate.counts.of("accepted"), 0);
}

#[tokio::test]
async fn certificates_are_refused_before_and_after_their_time() {
    let ca = Authority::new("Test CA");
    let client = Client::new(&ca.ca_file(), Some(&ca.client("laptop")));
    let gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;
    let now = crate::support::now();

    for (at, code) in [(now.after(31 * DAY), "certificate-expired"), (now.before(DAY), "certificate-not-yet-valid")] {
        gate.clock.set(at);
        let refusal = client.connect(gate.address).await.unwrap_err();
        assert_eq!(refusal, Refusal::Alert(AlertDescription::CertificateExpired), "{code}");
        assert_eq!(gate.counts.of(code), 1, "{code}");
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_others_are_not() {
    let ca = Authority::new("Test CA");
    let (lost, kept) = (ca.client("lost"), ca.client("kept"));
    ca.revoke(&lost);
    let server = ca.server("gate", &["gate.postern.test"]);
    let gate = Gate::open(&server, ca.trusted_with_crl()).await;

    let refusal = Client::new(&ca.ca_file(), Some(&lost)).connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::CertificateRevoked));
    assert_eq!(gate.counts.of("certificate-revoked"), 1);
    Client::new(&ca.ca_file(), Some(&kept)).connect(gate.address).await.unwrap();
}

#[tokio::test]
async fn a_server_certificate_does_not_identify_a_client() {
    let ca = Authority::new("Test CA");
    let server = ca.server("gate", &["gate.postern.test"]);
    let gate = Gate::open(&server, ca.trusted()).await;

    let refusal = Client::new(&ca.ca_file(), Some(&server)).connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::UnsupportedCertificate));
    assert_eq!(gate.counts.of("certificate-wrong-purpose"), 1);
}

#[tokio::test]
async fn the_identity_is_the_leaf_s_whatever_else_is_sent() {
    let ca = Authority::new("Test CA");
    let (mallory, admin) = (ca.client("mallory"), ca.client("admin"));
    let mut gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;

    let mut chain = load_certificates(&mallory.certificate_file).unwrap();
    chain.extend(load_certificates(&admin.certificate_file).unwrap());
    let client = Client::with_chain(&ca.ca_file(), &mallory, chain);
    client.connect(gate.address).await.unwrap();

    let peer = gate.next_peer().await.unwrap();
    let identity = peer.identity().unwrap();
    assert_eq!(identity.common_name().unwrap().as_ref(), "mallory");
    assert_eq!(identity.spiffe_uri().unwrap().as_ref(), "spiffe://postern.test/mallory");
    assert_eq!(identity.chain().len(), 2);
}

#[tokio::test]
async fn a_chain_longer_than_the_bound_is_refused() {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let gate = Gate::open(&ca.server("gate", &["gate.postern.test"]), ca.trusted()).await;

    let leaf = load_certificates(&laptop.certificate_file).unwrap().swap_remove(0);
    let chain = vec![leaf; postern::limits::CLIENT_CHAIN_CERTIFICATES_MAX + 1];
    let client = Client::with_chain(&ca.ca_file(), &laptop, chain);
    let refusal = client.connect(gate.address).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert(AlertDescription::BadCertificate));
}

#[tokio::test]
async fn a_refusal_is_logged_with_subject_serial_and_reason() {
    let log = Log::of_this_process();
    let ca = Authority::new("Test CA");
    let lost = ca.client("lost");
    ca.revoke(&lost);
    let server = ca.server("gate", &["gate.postern.test"]);
    let gate = Gate::open(&server, ca.trusted_with_crl()).await;
    Client::new(&ca.ca_file(), Some(&lost)).connect(gate.address).await.unwrap_err();

    let text = log.text();
    // Other tests log here too; the serial number is this one's alone.
    let line = text.lines().find(|line| line.contains(&lost.serial)).unwrap();
    for part in ["certificate-revoked", "CN=lost", "WARN", "client certificate refused"] {
        assert!(line.contains(part), "`{part}` in: {line}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// One log for all tests: a subscriber for one thread loses events whose call site another thread met first.
    fn of_this_process() -> &'static Log {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
