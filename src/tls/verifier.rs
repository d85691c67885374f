//! The one place where a client's certificate becomes an identity.
//!
//! [`ReloadableVerifier`] is what rustls asks during a full handshake; [`ReloadableVerifier::identify`] is what the
//! handshake callback asks afterwards, for resumed sessions too. Both go through the same function, which remembers
//! chains it has verified: the second question, and the next connection of the same device, cost a look-up and a
//! [`recheck`](TrustBundle::recheck) instead of signature arithmetic.

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use ring::digest::{Context, SHA256};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use tracing::warn;

use super::distrust::DistrustReason;
use super::handshake::{HandshakeObserver, HandshakeOutcome};
use super::identity::{Certificate, VerifiedIdentity};
use super::trust::TrustStore;
use crate::clock::SharedClock;
use crate::limits::{LOGGED_NAME_BYTES_MAX, REMEMBERED_CHAIN_BYTES_MAX, REMEMBERED_CHAINS_MAX};

#[cfg(doc)]
use super::trust::TrustBundle;

/// Verifies client certificates against whatever trust is current.
///
/// The time is the given clock's, so that handshakes and later re-checks never disagree about *now*.
pub struct ReloadableVerifier {
    shared: Arc<Shared>,
    observer: Arc<dyn HandshakeObserver>,
    certificate_required: bool,
}

struct Shared {
    trust: Arc<TrustStore>,
    clock: SharedClock,
    remembered: RememberedChains,
}

impl ReloadableVerifier {
    /// A verifier that refuses clients without a certificate.
    pub fn new(trust: Arc<TrustStore>, clock: SharedClock, observer: Arc<dyn HandshakeObserver>) -> Arc<Self> {
        let remembered = RememberedChains::default();
        let shared = Arc::new(Shared { trust, clock, remembered });
        Arc::new(ReloadableVerifier { shared, observer, certificate_required: true })
    }

    /// The same verifier for a listener where a client may come without a certificate. One that comes with a bad
    /// certificate is still refused.
    pub fn certificate_optional(&self) -> Arc<Self> {
        let (shared, observer) = (Arc::clone(&self.shared), Arc::clone(&self.observer));
        Arc::new(ReloadableVerifier { shared, observer, certificate_required: false })
    }

    /// The same verifier for another listener, with its handshakes counted by another observer.
    pub fn observed_by(&self, observer: Arc<dyn HandshakeObserver>) -> Arc<Self> {
        let shared = Arc::clone(&self.shared);
        Arc::new(ReloadableVerifier { shared, observer, certificate_required: self.certificate_required })
    }

    /// The trust behind this verifier.
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.shared.trust
    }

    /// Who is behind a chain the client has proved to hold the key of, the leaf first.
    ///
    /// It believes nothing because a handshake succeeded: the chain is verified here unless it is remembered and
    /// still stands.
    pub fn identify(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<VerifiedIdentity>, DistrustReason> {
        self.shared.verify(chain).map_err(|error| DistrustReason::of(&error))
    }

    /// Logs and counts a refused certificate.
    pub(super) fn report_refusal(&self, leaf: &CertificateDer<'_>, reason: DistrustReason, when: &'static str) {
        match Certificate::parse(leaf) {
            Ok(certificate) => warn!(
                reason = reason.code(),
                subject = shortened(certificate.subject()),
                serial = shortened(certificate.serial()),
                issuer = shortened(certificate.issuer()),
                fingerprint = &**certificate.fingerprint(),
                when,
                "client certificate refused: {reason}"
            ),
            Err(problem) => warn!(reason = reason.code(), when, "client certificate refused: {problem}"),
        }
        self.observer.handshake(HandshakeOutcome::Refused(reason));
    }

    /// Who counts handshakes.
    pub(super) fn observer(&self) -> &dyn HandshakeObserver {
        &*self.observer
    }
}

impl Shared {
    fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<VerifiedIdentity>, rustls::Error> {
        let now = self.clock.now();
        let trust = self.trust.current();
        let key = ChainKey::of(chain);
        if let Some(identity) = self.remembered.recall(&key) {
            if trust.recheck(&identity, now).is_ok() {
                return Ok(identity);
            }
            self.remembered.forget(&key);
        }
        trust.verify(chain, now)?;
        let leaf = chain.first().ok_or(rustls::Error::NoCertificatesPresented)?;
        // INVARIANT: Pingora panics on a client certificate its own parser cannot read; what ours cannot read is
        // refused here, before Pingora sees it.
        let leaf = Certificate::parse(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let standing = trust.standing(&leaf, chain, now);
        let owned = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let identity = Arc::new(VerifiedIdentity::new(leaf, owned, standing));
        self.remembered.remember(key, &identity);
        Ok(identity)
    }
}

impl ClientCertVerifier for ReloadableVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.certificate_required
    }

    /// No hints: clients then offer whatever they have, and the CAs can change while a borrow of them is out.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match self.shared.verify(&chain) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => {
                self.report_refusal(end_entity, DistrustReason::of(&error), "handshake");
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.shared.trust.current().verifier().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.shared.trust.current().verifier().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.shared.trust.current().verifier().supported_verify_schemes()
    }
}

impl fmt::Debug for ReloadableVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReloadableVerifier")
            .field("trust", &self.shared.trust)
            .field("certificate_required", &self.certificate_required)
            .finish_non_exhaustive()
    }
}

/// SHA-256 over every certificate of a chain as sent, so that no other chain can pass for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ChainKey([u8; 32]);

impl ChainKey {
    fn of(chain: &[CertificateDer<'_>]) -> Self {
        let mut context = Context::new(&SHA256);
        for certificate in chain {
            context.update(&certificate.len().to_be_bytes());
            context.update(certificate);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        ChainKey(key)
    }
}

/// Verified chains by their digest, a bounded number of them. Only verified chains get in, so a stranger cannot fill it.
#[derive(Default)]
struct RememberedChains(DashMap<ChainKey, Arc<VerifiedIdentity>>);

impl RememberedChains {
    fn recall(&self, key: &ChainKey) -> Option<Arc<VerifiedIdentity>> {
        self.0.get(key).map(|entry| Arc::clone(entry.value()))
    }

    fn remember(&self, key: ChainKey, identity: &Arc<VerifiedIdentity>) {
        let bytes: usize = identity.chain().iter().map(|certificate| certificate.len()).sum();
        if bytes > REMEMBERED_CHAIN_BYTES_MAX {
            return;
        }
        if self.0.len() >= REMEMBERED_CHAINS_MAX {
            self.0.clear();
        }
        self.0.insert(key, Arc::clone(identity));
    }

    fn forget(&self, key: &ChainKey) {
        self.0.remove(key);
    }
}

fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(LOGGED_NAME_BYTES_MAX)).unwrap_or(name)
}
