//! The server's own certificates: which one a client is shown, and their replacement while serving.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use super::identity::Certificate;
use super::material::{Concern, MaterialError, MaterialWarning, date_concern, load_certified_key};
use super::ocsp::OcspResponse;
use crate::clock::Timestamp;

/// A server certificate chain and its key, both PEM, and what is shown beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// What its CA says of it, in DER, to be shown with it.
    pub ocsp_file: Option<PathBuf>,
}

/// One certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificateInfo {
    /// Where it came from.
    pub certificate_file: PathBuf,
    /// What it says.
    pub certificate: Certificate,
}

/// Server certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// A file cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// There is nothing to show to a client.
    #[error("no server certificate is configured")]
    NoneConfigured,
}

/// Chooses the server certificate by the name the client asks for, among certificates that can be replaced.
///
/// A certificate answers to its DNS names: an exact name first, then a wildcard for its last label. Whoever asks for
/// another name, or for none, is shown the first certificate. Where two answer to a name, the one named first wins.
pub struct ReloadableResolver {
    current: ArcSwap<Certificates>,
    /// Held while files are read, so that reloads happen one after the other.
    files: Mutex<Vec<ServerCertificateFiles>>,
}

impl ReloadableResolver {
    /// Loads the certificates, the default first. Blocks on files.
    pub fn load(files: Vec<ServerCertificateFiles>, now: Timestamp) -> Result<Arc<Self>, ServerCertificateError> {
        let certificates = Certificates::load(&files, now)?;
        Ok(Arc::new(ReloadableResolver { current: ArcSwap::from_pointee(certificates), files: Mutex::new(files) }))
    }

    /// Reads the same files again. On any error the certificates in use stay. Blocks on files.
    pub fn reload(&self, now: Timestamp) -> Result<Vec<MaterialWarning>, ServerCertificateError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap_in(&files, now)
    }

    /// Reads other files from now on. On any error the certificates and the files in use stay. Blocks on files.
    pub fn replace(
        &self,
        files: Vec<ServerCertificateFiles>,
        now: Timestamp,
    ) -> Result<Vec<MaterialWarning>, ServerCertificateError> {
        let mut current = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let warnings = self.swap_in(&files, now)?;
        *current = files;
        Ok(warnings)
    }

    /// The certificates in use, the default first.
    pub fn certificates(&self) -> Vec<ServerCertificateInfo> {
        self.current.load().infos.clone()
    }

    /// The certificates shown beside them: the CAs that issued them, as far as the files hold those.
    pub fn issuers(&self) -> Vec<CertificateDer<'static>> {
        self.current.load().issuers.clone()
    }

    /// A JSON web token with these claims, signed with the key of the certificate that `server_name` is shown; `None` if that
    /// key cannot sign one.
    pub fn sign_token(&self, server_name: &str, claims: &serde_json::Value) -> Option<String> {
        let key = self.current.load().select(Some(server_name));
        let certificate = key.end_entity_cert().ok().and_then(|der| Certificate::parse(der).ok())?;
        super::jwt::sign(&key, certificate.fingerprint(), claims)
    }

    /// What should be known about the certificates in use, as of their loading.
    pub fn warnings(&self) -> Vec<MaterialWarning> {
        self.current.load().warnings.clone()
    }

    fn swap_in(
        &self,
        files: &[ServerCertificateFiles],
        now: Timestamp,
    ) -> Result<Vec<MaterialWarning>, ServerCertificateError> {
        let next = Certificates::load(files, now)?;
        let warnings = next.warnings.clone();
        self.current.store(Arc::new(next));
        Ok(warnings)
    }
}

impl ResolvesServerCert for ReloadableResolver {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().select(client_hello.server_name()))
    }
}

impl fmt::Debug for ReloadableResolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.load();
        let files = current.infos.iter().map(|info| &info.certificate_file);
        formatter.write_str("ReloadableResolver ")?;
        formatter.debug_list().entries(files).finish()
    }
}

/// All server certificates, ready to be chosen from.
struct Certificates {
    default: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    infos: Vec<ServerCertificateInfo>,
    /// What follows the servers' own certificates in their chains.
    issuers: Vec<CertificateDer<'static>>,
    warnings: Vec<MaterialWarning>,
}

impl Certificates {
    fn load(files: &[ServerCertificateFiles], now: Timestamp) -> Result<Self, ServerCertificateError> {
        let mut loaded = Vec::with_capacity(files.len());
        let mut warnings = Vec::new();
        for files in files {
            let (mut key, certificate) = load_certified_key(&files.certificate_file, &files.key_file)?;
            if let Some(file) = &files.ocsp_file {
                let response = OcspResponse::load(file, &certificate)?;
                match response.overdue(&certificate, now) {
                    Some(concern) => warnings.push(MaterialWarning { file: file.clone(), concern }),
                    None => key.ocsp = Some(response.into_der()),
                }
            }
            let info = ServerCertificateInfo { certificate_file: files.certificate_file.clone(), certificate };
            loaded.push((Arc::new(key), info));
        }
        let Some((default, _)) = loaded.first() else {
            return Err(ServerCertificateError::NoneConfigured);
        };
        let default = Arc::clone(default);
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (key, info) in &loaded {
            for name in info.certificate.dns_names() {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.into()).or_insert_with(|| Arc::clone(key)),
                    None => exact.entry((**name).into()).or_insert_with(|| Arc::clone(key)),
                };
            }
            warnings.extend(concerns(info, now));
        }
        let issuers = loaded.iter().flat_map(|(key, _)| key.cert.iter().skip(1).cloned()).collect();
        let infos = loaded.into_iter().map(|(_, info)| info).collect();
        Ok(Certificates { default, exact, wildcard, infos, issuers, warnings })
    }

    fn select(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let chosen = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let of_parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name.as_str()).or_else(of_parent)
        });
        Arc::clone(chosen.unwrap_or(&self.default))
    }
}

fn concerns(info: &ServerCertificateInfo, now: Timestamp) -> impl Iterator<Item = MaterialWarning> {
    let nameless = info.certificate.dns_names().is_empty();
    let nameless = nameless.then(|| Concern::NoDnsName { subject: Arc::clone(info.certificate.subject()) });
    let file = info.certificate_file.clone();
    let found = [date_concern(&info.certificate, now), nameless];
    found.into_iter().flatten().map(move |concern| MaterialWarning { file: file.clone(), concern })
}
