//! Trust that ends while a client keeps a connection, and a session to come back with.
//!
//! The story. TLS resumption restores a session with its certificate and asks no verifier, in TLS 1.3 and 1.2 alike, and a
//! connection that is kept alive outlives any handshake. A client revoked since its first connection used to be able to come
//! back with the ticket of that connection. Whatever the trust ends by, and whatever TLS is spoken, neither is a way round it.

use std::time::Duration;

use postern::tls::TrustSources;
use rcgen::{CertificateParams, DnType, SanType, SerialNumber};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use time::OffsetDateTime;

use super::admission::{REQUEST, answer};
use super::support::client::tls_speaking;
use super::support::{Authority, Gateway, Issued, Origin, RawConnection, now};
use super::wiki;

const HOST: &str = "wiki.example.test";
/// How long the certificate is good for.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How trust ends.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Revoked,
    Expired,
    CaRemoved,
}

impl Loss {
    const ALL: [Loss; 3] = [Loss::Revoked, Loss::Expired, Loss::CaRemoved];

    fn reason(self) -> &'static str {
        match self {
            Loss::Revoked => "certificate-revoked",
            Loss::Expired => "certificate-expired",
            Loss::CaRemoved => "certificate-untrusted-ca",
        }
    }

    /// Comes over the gateway. When this returns, nobody need have noticed yet.
    fn strike(self, gateway: &Gateway, certificate: &Issued) {
        match self {
            Loss::Revoked => {
                gateway.authority.revoke(certificate);
                gateway.trust.reload(now()).unwrap();
            }
            Loss::Expired => gateway.clock.advance(LIFETIME + Duration::from_secs(2)),
            Loss::CaRemoved => {
                let elsewhere = Authority::new("Elsewhere");
                let sources = TrustSources { ca_files: vec![elsewhere.ca_file()], ..TrustSources::default() };
                gateway.trust.replace(sources, now()).unwrap();
            }
        }
    }
}

/// A certificate of alice's that ends before that of the gateway.
fn short_lived(authority: &Authority) -> Issued {
    let shape = |params: &mut CertificateParams| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.subject_alt_names = vec![SanType::URI("spiffe://postern.test/alice".try_into().unwrap())];
        params.not_after = OffsetDateTime::now_utc() + LIFETIME;
        params.serial_number = Some(SerialNumber::from(77));
    };
    authority.client_with("alice-short", shape)
}

async fn open(gateway: &Gateway, config: &ClientConfig) -> RawConnection {
    RawConnection::open(gateway.address, config.clone(), HOST, b"http/1.1").await.unwrap()
}

async fn asked_once(mut connection: RawConnection) -> RawConnection {
    connection.say(REQUEST).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
    connection
}

async fn trust_that_ends(version: &'static SupportedProtocolVersion, loss: Loss) {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    // Revocation goes by the CA's own records, expiry wants a certificate that ends soon.
    let certificate = match loss {
        Loss::Expired => short_lived(&gateway.authority),
        Loss::Revoked | Loss::CaRemoved => gateway.certificate("alice"),
    };
    let config = tls_speaking(version, &gateway.authority, &certificate);
    let kept = asked_once(open(&gateway, &config).await).await;
    let resumed = asked_once(open(&gateway, &config).await).await.into_stream();
    assert_eq!(resumed.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(resumed.get_ref().1.protocol_version(), Some(version.version));
    drop(resumed);
    let reached = origin.requests();

    loss.strike(&gateway, &certificate);
    // Who is first decides what the client sees: the watch that ends the connection, or the request that is refused on it.
    let said = answer(Ok(kept)).await;
    let refused = said.starts_with("HTTP/1.1 403") && said.contains(loss.reason());
    assert!(said.is_empty() || refused, "{loss:?}: {said}");
    // And the session that was begun in better times does not come in at all.
    let again = RawConnection::open(gateway.address, config.clone(), HOST, b"http/1.1").await;
    assert_eq!(answer(again).await, "", "{loss:?}");
    let told = format!("postern_refused_connections_total{{reason=\"{}\"}} 1", loss.reason());
    assert!(gateway.metrics().contains(&told), "{loss:?}: {}", gateway.metrics());
    assert_eq!(origin.requests(), reached, "{loss:?}");
}

#[tokio::test]
async fn over_tls13_neither_a_kept_connection_nor_a_resumed_session_outlives_trust() {
    for loss in Loss::ALL {
        trust_that_ends(&rustls::version::TLS13, loss).await;
    }
}

#[tokio::test]
async fn over_tls12_neither_a_kept_connection_nor_a_resumed_session_outlives_trust() {
    for loss in Loss::ALL {
        trust_that_ends(&rustls::version::TLS12, loss).await;
    }
}
