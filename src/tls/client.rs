//! The other side: TLS configurations for Postern's own clients (the demo, the health probe, the agent, tests).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::material::{MaterialError, MaterialProblem, load_certificates, load_certified_key};
use super::settings::crypto_provider;

/// A client certificate chain and its key, both PEM files.
#[derive(Clone, Copy, Debug)]
pub struct ClientCertificateFiles<'a> {
    /// The chain, the client's own certificate first.
    pub certificate_file: &'a Path,
    /// Its private key.
    pub key_file: &'a Path,
}

/// A client of servers anywhere: it believes those that the system's CAs vouch for, and those that the CAs in `ca_files` do.
///
/// A system without CAs is no error: then only the given ones count.
pub fn outgoing_config(ca_files: &[PathBuf]) -> Result<ClientConfig, ClientConfigError> {
    let mut roots = RootCertStore::empty();
    // Of the system's many certificates some may be unreadable; the others serve as well as before.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for file in ca_files {
        add_all(&mut roots, file)?;
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// A client configuration that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// A file cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The TLS library refuses the whole.
    #[error("the client's TLS configuration cannot be made")]
    Tls(#[source] rustls::Error),
}

/// A client that believes servers vouched for by the CAs in `ca_file` and shows `identity` when asked.
///
/// It offers h2 and HTTP/1.1. Hand it to an HTTP client as its preconfigured TLS.
pub fn client_config(
    ca_file: &Path,
    identity: Option<ClientCertificateFiles<'_>>,
) -> Result<ClientConfig, ClientConfigError> {
    let mut roots = RootCertStore::empty();
    add_all(&mut roots, ca_file)?;
    let builder = builder()?.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (key, _) = load_certified_key(files.certificate_file, files.key_file)?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(Arc::new(key))))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn add_all(roots: &mut RootCertStore, file: &Path) -> Result<(), ClientConfigError> {
    for (certificate, position) in load_certificates(file)?.into_iter().zip(1..) {
        roots
            .add(certificate)
            .map_err(|cause| MaterialError::new(file, MaterialProblem::Unusable { position, cause }))?;
    }
    Ok(())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ClientConfigError> {
    ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(ClientConfigError::Tls)
}
