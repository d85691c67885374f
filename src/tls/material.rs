//! Reads certificate and key files and checks them before anything serves with them.
//!
//! Errors name the file and what is wrong with it. A private key leaves this module only inside rustls's signing key,
//! which does not show it; neither errors nor `Debug` carry key bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::identity::{Certificate, MalformedCertificate};
use super::ocsp::OcspProblem;
use super::settings::crypto_provider;
use crate::clock::Timestamp;
use crate::limits::CERTIFICATE_FILE_BYTES_MAX;

/// A certificate, key or revocation file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct MaterialError {
    file: PathBuf,
    problem: MaterialProblem,
}

impl MaterialError {
    pub(super) fn new(file: &Path, problem: MaterialProblem) -> Self {
        MaterialError { file: file.to_owned(), problem }
    }

    /// The file that cannot be used.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &MaterialProblem {
        &self.problem
    }
}

/// What is wrong with a certificate, key or revocation file.
#[derive(Debug, thiserror::Error)]
pub enum MaterialProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is larger than any honest file of its kind.
    #[error("is larger than {max} bytes")]
    TooLarge {
        /// The bound, in bytes.
        max: u64,
    },
    /// It is not PEM.
    #[error("is not PEM: {0}")]
    NotPem(pem::Error),
    /// It holds no certificate.
    #[error("holds no certificate (no `BEGIN CERTIFICATE` block)")]
    NoCertificate,
    /// It holds no private key.
    #[error("holds no private key (no `BEGIN PRIVATE KEY` block; encrypted keys are not supported)")]
    NoPrivateKey,
    /// One of its certificates cannot be read.
    #[error("certificate {position} in the file: {cause}")]
    Malformed {
        /// Which certificate, counting from 1.
        position: usize,
        /// What is wrong with it.
        cause: MalformedCertificate,
    },
    /// One of its certificates is not acceptable to the TLS library.
    #[error("certificate {position} in the file cannot be used: {cause}")]
    Unusable {
        /// Which certificate, counting from 1.
        position: usize,
        /// What the TLS library says.
        cause: rustls::Error,
    },
    /// A certificate given as a CA may not sign others.
    #[error("certificate {position} in the file (`{subject}`) is not a CA certificate")]
    NotACa {
        /// Which certificate, counting from 1.
        position: usize,
        /// Its subject.
        subject: Arc<str>,
    },
    /// The private key is of a kind the TLS library cannot use.
    #[error("the private key cannot be used: {0}")]
    UnusableKey(rustls::Error),
    /// The private key belongs to another certificate.
    #[error("the private key does not match the certificate in {}", certificate_file.display())]
    KeyMismatch {
        /// The file of the certificate.
        certificate_file: PathBuf,
    },
    /// The revocation list cannot be used.
    #[error("is not a usable revocation list: {0}")]
    UnusableCrl(String),
    /// The revocation list claims a CA that did not sign it.
    #[error("the revocation list names `{issuer}` as its issuer but is not signed by that CA's key")]
    ForgedCrl {
        /// The claimed issuer.
        issuer: String,
    },
    /// The response that is to be shown beside a server certificate cannot be.
    #[error("cannot be shown beside the certificate: {0}")]
    UnusableOcsp(OcspProblem),
    /// The revocation list is older than the one in use, so it could make a revoked certificate good again.
    #[error("the revocation list of `{issuer}` is older than the one in use (its CRL number went down)")]
    OlderCrl {
        /// The issuer of both.
        issuer: String,
    },
}

/// Something about a file that works, but that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterialWarning {
    /// The file it is about.
    pub file: PathBuf,
    /// What should be known.
    pub concern: Concern,
}

impl fmt::Display for MaterialWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file.display(), self.concern)
    }
}

/// What should be known about a file that works.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Concern {
    /// A certificate is no longer valid.
    #[error("certificate `{subject}` expired at {not_after}")]
    Expired {
        /// Whose certificate.
        subject: Arc<str>,
        /// When it ended.
        not_after: Timestamp,
    },
    /// A certificate is not valid yet.
    #[error("certificate `{subject}` is not valid before {not_before}")]
    NotYetValid {
        /// Whose certificate.
        subject: Arc<str>,
        /// When it begins.
        not_before: Timestamp,
    },
    /// A server certificate without a DNS name is found by nobody's server name.
    #[error("certificate `{subject}` has no DNS name, so it is only used as the default")]
    NoDnsName {
        /// Whose certificate.
        subject: Arc<str>,
    },
    /// A revocation list is past its next update.
    #[error("the revocation list of `{issuer}` should have been replaced at {next_update}")]
    CrlExpired {
        /// Whose list.
        issuer: String,
        /// When it should have been replaced.
        next_update: Timestamp,
    },
    /// An OCSP response is past its next update.
    #[error("the OCSP response about `{subject}` should have been replaced at {next_update}, so it is not shown")]
    OcspExpired {
        /// Whose certificate it is about.
        subject: Arc<str>,
        /// When it should have been replaced.
        next_update: Timestamp,
    },
    /// A revocation list whose issuer is not among the CAs, so its signature is judged only when it is needed.
    #[error("no CA file holds `{issuer}`, the issuer of this revocation list")]
    CrlIssuerUnknown {
        /// Whose list.
        issuer: String,
    },
    /// A CA without a revocation list while another has one.
    #[error("no revocation list covers certificates issued by `{subject}`")]
    NoCrl {
        /// The CA.
        subject: Arc<str>,
    },
}

/// Reads every certificate of a PEM file.
pub fn load_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let bytes = read(file, CERTIFICATE_FILE_BYTES_MAX)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| MaterialError::new(file, MaterialProblem::NotPem(error)))?;
    if certificates.is_empty() {
        return Err(MaterialError::new(file, MaterialProblem::NoCertificate));
    }
    Ok(certificates)
}

/// Reads the first private key of a PEM file.
pub(super) fn load_private_key(file: &Path) -> Result<PrivateKeyDer<'static>, MaterialError> {
    let bytes = read(file, CERTIFICATE_FILE_BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let problem = match error {
            pem::Error::NoItemsFound => MaterialProblem::NoPrivateKey,
            other => MaterialProblem::NotPem(other),
        };
        MaterialError::new(file, problem)
    })
}

/// Loads a certificate chain with its key, and checks that they belong together and can be used.
pub(super) fn load_certified_key(
    certificate_file: &Path,
    key_file: &Path,
) -> Result<(CertifiedKey, Certificate), MaterialError> {
    let chain = load_certificates(certificate_file)?;
    let mut leaf = None;
    for (der, position) in chain.iter().zip(1..) {
        let certificate = parse_at(certificate_file, der, position)?;
        leaf.get_or_insert(certificate);
    }
    let Some(leaf) = leaf else {
        return Err(MaterialError::new(certificate_file, MaterialProblem::NoCertificate));
    };
    let key = load_private_key(key_file)?;
    let certified = CertifiedKey::from_der(chain, key, &crypto_provider()).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => {
                MaterialProblem::KeyMismatch { certificate_file: certificate_file.to_owned() }
            }
            other => MaterialProblem::UnusableKey(other),
        };
        MaterialError::new(key_file, problem)
    })?;
    Ok((certified, leaf))
}

/// Parses one certificate of a file, counting from 1.
pub(super) fn parse_at(file: &Path, der: &[u8], position: usize) -> Result<Certificate, MaterialError> {
    Certificate::parse(der).map_err(|cause| MaterialError::new(file, MaterialProblem::Malformed { position, cause }))
}

/// What should be known about the dates of a certificate at `now`.
pub(super) fn date_concern(certificate: &Certificate, now: Timestamp) -> Option<Concern> {
    let subject = Arc::clone(certificate.subject());
    if now < certificate.not_before() {
        Some(Concern::NotYetValid { subject, not_before: certificate.not_before() })
    } else if now > certificate.not_after() {
        Some(Concern::Expired { subject, not_after: certificate.not_after() })
    } else {
        None
    }
}

/// Reads a whole file of at most `max` bytes.
pub(super) fn read(file: &Path, max: u64) -> Result<Vec<u8>, MaterialError> {
    let unreadable = |error| MaterialError::new(file, MaterialProblem::Unreadable(error));
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= max => Ok(bytes),
        _ => Err(MaterialError::new(file, MaterialProblem::TooLarge { max })),
    }
}
