//! TLS resumption against trust that has changed.
//!
//! The story. A verifier with a fresh revocation list was swapped in, and the revoked client still got in, every time:
//! rustls keeps the client's chain inside the session and restores it on resumption without asking the verifier, in
//! TLS 1.3 and 1.2 alike, and Pingora gives no way to switch resumption off. Revoking a stolen laptop's certificate
//! did nothing for as long as the laptop kept its session ticket. Since then an identity is asked about again on every
//! connection and every request; these tests hold the door open at the TLS level on purpose, to show that it is so.

use std::time::Duration;

use postern::tls::{DistrustReason, NoIdentity};
use rustls::HandshakeKind::{Full, Resumed};
use rustls::SupportedProtocolVersion;

use crate::support::{Authority, Client, Gate, TLS12, TLS13, now};

async fn a_resumed_session_of_a_revoked_certificate(version: &'static SupportedProtocolVersion) {
    let ca = Authority::new("Test CA");
    let laptop = ca.client("laptop");
    let server = ca.server("gate", &["gate.postern.test"]);
    let mut gate = Gate::open(&server, ca.trusted_with_crl()).await;
    let client = Client::speaking(version, &ca.ca_file(), Some(&laptop));

    assert_eq!(client.connect(gate.address).await.unwrap().kind, Full);
    let first = gate.next_peer().await.unwrap();
    let identity = first.identity().unwrap();
    gate.trust.recheck(identity, now()).unwrap();

    ca.revoke(&laptop);
    assert!(gate.trust.reload(now()).unwrap().changed);

    // The connection that is already open is refused from now on,
    assert_eq!(gate.trust.recheck(identity, now()), Err(DistrustReason::CertificateRevoked));
    // and the resumed handshake succeeds, but brings no identity with it.
    assert_eq!(client.connect(gate.address).await.unwrap().kind, Resumed);
    let resumed = gate.next_peer().await.unwrap();
    let reason = NoIdentity::Distrusted(DistrustReason::CertificateRevoked);
    assert_eq!(resumed.identity().unwrap_err(), reason);
    assert_eq!(gate.counts.of("certificate-revoked"), 1);
}

#[tokio::test]
async fn tls13_resumption_does_not_outlive_revocation() {
    a_resumed_session_of_a_revoked_certificate(TLS13).await;
}

#[tokio::test]
async fn tls12_resumption_does_not_outlive_revocation() {
    a_resumed_session_of_a_revoked_certificate(TLS12).await;
}

#[tokio::test]
async fn resumption_does_not_outlive_the_ca() {
    let (ca, other) = (Authority::new("Test CA"), Authority::new("Other CA"));
    let server = ca.server("gate", &["gate.postern.test"]);
    let mut gate = Gate::open(&server, ca.trusted()).await;
    let client = Client::new(&ca.ca_file(), Some(&ca.client("laptop")));

    client.connect(gate.address).await.unwrap();
    let first = gate.next_peer().await.unwrap();
    gate.trust.replace(other.trusted(), now()).unwrap();

    let reason = DistrustReason::CertificateUntrustedCa;
    assert_eq!(gate.trust.recheck(first.identity().unwrap(), now()), Err(reason));
    assert_eq!(client.connect(gate.address).await.unwrap().kind, Resumed);
    let resumed = gate.next_peer().await.unwrap();
    assert_eq!(resumed.identity().unwrap_err(), NoIdentity::Distrusted(reason));

    // The CA comes back, and so does the device.
    gate.trust.replace(ca.trusted(), now()).unwrap();
    gate.trust.recheck(first.identity().unwrap(), now()).unwrap();
}

#[tokio::test]
async fn resumption_does_not_outlive_the_certificate() {
    let ca = Authority::new("Test CA");
    let server = ca.server("gate", &["gate.postern.test"]);
    let mut gate = Gate::open(&server, ca.trusted()).await;
    let client = Client::new(&ca.ca_file(), Some(&ca.client("laptop")));

    client.connect(gate.address).await.unwrap();
    let first = gate.next_peer().await.unwrap();
    let identity = first.identity().unwrap();
    let until = gate.trust.current().trusted_until(identity, now()).unwrap();
    assert_eq!(until, identity.not_after().after(Duration::from_secs(1)));

    // Good through its last second, and not one millisecond longer.
    gate.trust.recheck(identity, until.before(Duration::from_millis(1))).unwrap();
    assert_eq!(gate.trust.recheck(identity, until), Err(DistrustReason::CertificateExpired));
    let too_early = identity.not_before().before(Duration::from_millis(1));
    assert_eq!(gate.trust.recheck(identity, too_early), Err(DistrustReason::CertificateNotYetValid));

    gate.clock.set(until);
    assert_eq!(client.connect(gate.address).await.unwrap().kind, Resumed);
    let resumed = gate.next_peer().await.unwrap();
    let reason = NoIdentity::Distrusted(DistrustReason::CertificateExpired);
    assert_eq!(resumed.identity().unwrap_err(), reason);
}

#[tokio::test]
async fn a_resumed_session_of_a_good_certificate_keeps_its_identity() {
    let ca = Authority::new("Test CA");
    let server = ca.server("gate", &["gate.postern.test"]);
    let mut gate = Gate::open(&server, ca.trusted_with_crl()).await;
    let client = Client::new(&ca.ca_file(), Some(&ca.client("laptop")));

    for kind in [Full, Resumed] {
        assert_eq!(client.connect(gate.address).await.unwrap().kind, kind);
        let peer = gate.next_peer().await.unwrap();
        assert_eq!(peer.identity().unwrap().common_name().unwrap().as_ref(), "laptop");
    }
    assert_eq!(gate.counts.of("accepted"), 2);
}
