//! What a finished handshake leaves with the connection: [`TlsPeer`].
//!
//! The callback cannot refuse a connection, it can only describe it; whoever reads the description refuses. For a
//! full handshake with a bad certificate there is nothing to describe: rustls has already sent the alert.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::protocols::tls::TlsRef;
use rustls_pki_types::CertificateDer;

use super::distrust::DistrustReason;
use super::identity::VerifiedIdentity;
use super::verifier::ReloadableVerifier;
use crate::decision::DenialReason;

/// Who is at the other end of a TLS connection, and under which name they called.
///
/// In a Pingora application it is found with `session.digest().ssl_digest.extension.get::<TlsPeer>()`.
#[derive(Clone, Debug)]
pub struct TlsPeer {
    identity: Result<Arc<VerifiedIdentity>, NoIdentity>,
    server_name: Option<Arc<str>>,
    attachment: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl TlsPeer {
    /// The identity at the time of the handshake, or why there is none.
    ///
    /// It must be re-checked before use: see [`TrustBundle::recheck`](super::TrustBundle::recheck).
    pub fn identity(&self) -> Result<&Arc<VerifiedIdentity>, NoIdentity> {
        self.identity.as_ref().map_err(|reason| *reason)
    }

    /// The server name the client asked for, in lower case.
    pub fn server_name(&self) -> Option<&Arc<str>> {
        self.server_name.as_ref()
    }

    /// What was attached to the connection, or `value` from now on. Requests find it again with [`TlsPeer::attached`].
    pub fn attach<T: Send + Sync + 'static>(&self, value: impl FnOnce() -> Arc<T>) -> Option<Arc<T>> {
        Arc::clone(self.attachment.get_or_init(|| value())).downcast().ok()
    }

    /// What was attached to the connection, if it is a `T`.
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.attachment.get()?).downcast().ok()
    }
}

/// Why a connection has no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoIdentity {
    /// The client sent no certificate.
    #[error("no client certificate was presented")]
    NoCertificate,
    /// The session was resumed, and its certificate is no longer believed.
    #[error(transparent)]
    Distrusted(DistrustReason),
}

impl NoIdentity {
    /// The stable code in logs, metrics and answers.
    pub fn code(self) -> &'static str {
        match self {
            NoIdentity::NoCertificate => "no-certificate",
            NoIdentity::Distrusted(reason) => reason.code(),
        }
    }
}

impl From<NoIdentity> for DenialReason {
    fn from(reason: NoIdentity) -> Self {
        match reason {
            NoIdentity::NoCertificate => DenialReason::NoIdentity,
            NoIdentity::Distrusted(reason) => reason.into(),
        }
    }
}

/// How a handshake ended, as far as the client's certificate is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeOutcome {
    /// With a believed certificate.
    Accepted,
    /// Without a certificate, on a listener where that is allowed.
    Anonymous,
    /// With a certificate that is not believed.
    Refused(DistrustReason),
}

impl HandshakeOutcome {
    /// The stable code in metrics.
    pub fn code(self) -> &'static str {
        match self {
            HandshakeOutcome::Accepted => "accepted",
            HandshakeOutcome::Anonymous => NoIdentity::NoCertificate.code(),
            HandshakeOutcome::Refused(reason) => reason.code(),
        }
    }
}

/// Who counts handshakes. Each handshake that gets as far as the client's certificate is told exactly once; a client
/// that sends none where one is required is refused by the TLS library without anybody being asked.
pub trait HandshakeObserver: Send + Sync + 'static {
    /// A handshake has ended.
    fn handshake(&self, outcome: HandshakeOutcome);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentObserver;

impl HandshakeObserver for SilentObserver {
    fn handshake(&self, _outcome: HandshakeOutcome) {}
}

/// Turns finished handshakes into [`TlsPeer`]s.
#[derive(Clone, Debug)]
pub struct HandshakeInspector {
    verifier: Arc<ReloadableVerifier>,
}

impl HandshakeInspector {
    /// An inspector that believes what `verifier` believes.
    pub fn new(verifier: Arc<ReloadableVerifier>) -> Self {
        HandshakeInspector { verifier }
    }

    /// Describes a connection accepted by rustls directly, outside Pingora.
    pub fn inspect(&self, connection: &rustls::ServerConnection) -> TlsPeer {
        self.peer(connection.peer_certificates(), connection.server_name())
    }

    fn peer(&self, chain: Option<&[CertificateDer<'_>]>, server_name: Option<&str>) -> TlsPeer {
        let server_name = server_name.map(|name| name.to_ascii_lowercase().into());
        TlsPeer { identity: self.identity(chain.unwrap_or_default()), server_name, attachment: OnceLock::new() }
    }

    fn identity(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<VerifiedIdentity>, NoIdentity> {
        let Some(leaf) = chain.first() else {
            self.verifier.observer().handshake(HandshakeOutcome::Anonymous);
            return Err(NoIdentity::NoCertificate);
        };
        match self.verifier.identify(chain) {
            Ok(identity) => {
                self.verifier.observer().handshake(HandshakeOutcome::Accepted);
                Ok(identity)
            }
            Err(reason) => {
                self.verifier.report_refusal(leaf, reason, "resumption");
                Err(NoIdentity::Distrusted(reason))
            }
        }
    }
}

#[async_trait]
impl TlsAccept for HandshakeInspector {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(self.peer(tls.peer_cert_chain_der(), tls.server_name())))
    }
}
