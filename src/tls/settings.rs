//! Listener settings: Pingora's for the gateway, rustls's for the listeners that are not Pingora's.

use std::sync::Arc;

use pingora::listeners::tls::TlsSettings;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::NoServerSessionStorage;

use super::handshake::HandshakeInspector;
use super::server_cert::ReloadableResolver;
use super::verifier::ReloadableVerifier;

/// Makes *ring* the cryptography of the whole process. Called first thing in `main`; calling it again does nothing.
pub fn install_crypto_provider() {
    // The error means that a provider is installed already, which is what was asked for.
    let _ = ring::default_provider().install_default();
}

/// The cryptography everything on this floor uses, whether or not a process default is installed.
pub(super) fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS settings for a Pingora listener: h2 and HTTP/1.1, the certificate by server name, client certificates judged by
/// `verifier`, and a [`TlsPeer`](super::TlsPeer) left with each connection.
///
/// Pingora gives no way to switch session resumption off, so every user of the connection re-checks its identity.
pub fn gateway_settings(
    certificates: Arc<ReloadableResolver>,
    verifier: Arc<ReloadableVerifier>,
) -> pingora::Result<TlsSettings> {
    // INVARIANT: `TlsSettings::build` panics on bad certificate files; with a resolver it reads none.
    let inspector = HandshakeInspector::new(Arc::clone(&verifier));
    let mut settings = TlsSettings::with_callbacks(Box::new(inspector))?;
    settings.set_cert_resolver(certificates);
    settings.set_client_cert_verifier(verifier);
    settings.enable_h2();
    Ok(settings)
}

/// A rustls configuration with the same properties for a listener that is not Pingora's.
///
/// Sessions are not resumable here: these listeners carry few connections, and without resumption each one asks the
/// verifier. Their connections are re-checked all the same, because they may stay open.
pub fn server_config(
    certificates: Arc<ReloadableResolver>,
    verifier: Arc<ReloadableVerifier>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
