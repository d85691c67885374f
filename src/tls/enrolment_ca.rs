//! The CA that signs certificates for one-time tokens.
//!
//! Of a request it takes the public key and nothing else: what the certificate says is up to the gateway, or a device could ask
//! for the names of another.

use std::path::Path;
use std::sync::Arc;

use rcgen::{Issuer, KeyPair, PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::identity::Certificate;
use super::material::{self, MaterialError, MaterialProblem, load_certificates, parse_at};
use super::pem::certificate_block;
use super::pki::{self, PkiError};
use super::trust::TrustBundle;
use crate::clock::Timestamp;
use crate::limits::CERTIFICATE_FILE_BYTES_MAX;

/// The CA that signs certificates for one-time tokens. Its key is never shown.
pub struct EnrolmentCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    chain: Vec<CertificateDer<'static>>,
    days: u32,
}

/// The CA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentCaError {
    /// A file cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The key cannot be used.
    #[error("{}: the private key cannot be used; it must be unencrypted PKCS #8: {source}", file.display())]
    Key {
        /// The file of the key.
        file: std::path::PathBuf,
        /// Why not.
        source: rcgen::Error,
    },
}

/// A certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum NotIssued {
    /// The request is not one, or is not signed by the key it names.
    #[error("the certificate signing request cannot be used: {0}")]
    Request(String),
    /// The CA could not sign.
    #[error(transparent)]
    Signing(#[from] PkiError),
    /// The gateway would not believe the certificate, so it would be of no use.
    #[error("the gateway would not believe a certificate of the enrolment CA: {0}")]
    NotBelieved(rustls::Error),
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// What it says.
    pub certificate: Certificate,
    /// The certificate and its CA's, as PEM.
    pub chain_pem: String,
}

impl EnrolmentCa {
    /// Loads the CA's certificate chain, its own certificate first, and its key. Certificates are good for `days`. Blocks.
    pub fn load(certificate_file: &Path, key_file: &Path, days: u32) -> Result<Arc<Self>, EnrolmentCaError> {
        let chain = load_certificates(certificate_file)?;
        let first =
            chain.first().ok_or_else(|| MaterialError::new(certificate_file, MaterialProblem::NoCertificate))?;
        let certificate = parse_at(certificate_file, first, 1)?;
        if !certificate.is_ca() {
            let subject = Arc::clone(certificate.subject());
            return Err(MaterialError::new(certificate_file, MaterialProblem::NotACa { position: 1, subject }).into());
        }
        let unusable = |source| EnrolmentCaError::Key { file: key_file.to_owned(), source };
        let pem = zeroize::Zeroizing::new(material::read(key_file, CERTIFICATE_FILE_BYTES_MAX)?);
        let key = KeyPair::from_pem(&String::from_utf8_lossy(&pem)).map_err(unusable)?;
        if !belongs_to(key.der_bytes(), first) {
            let problem = MaterialProblem::KeyMismatch { certificate_file: certificate_file.to_owned() };
            return Err(MaterialError::new(key_file, problem).into());
        }
        let issuer = Issuer::from_ca_cert_der(first, key).map_err(unusable)?;
        Ok(Arc::new(EnrolmentCa { issuer, certificate, chain, days }))
    }

    /// The CA's certificates.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Issues a client certificate with `common_name` for the key of a PEM request, if `trust` would believe it.
    pub fn issue(
        &self,
        request: &[u8],
        common_name: &str,
        trust: &TrustBundle,
        now: Timestamp,
    ) -> Result<Enrolled, NotIssued> {
        let key = requested_key(request)?;
        let mut params = pki::client_params(common_name, self.days, now)?;
        let ends = OffsetDateTime::from_unix_timestamp(self.certificate.not_after().as_millis().div_euclid(1000));
        params.not_after = ends.map_or(params.not_after, |ends| params.not_after.min(ends));
        let signed = params.signed_by(&key, &self.issuer).map_err(PkiError::from)?;
        let der = signed.der().clone();
        let certificate = Certificate::parse(&der).map_err(|error| NotIssued::Request(error.to_string()))?;
        let chain: Vec<_> = std::iter::once(der).chain(self.chain.iter().cloned()).collect();
        trust.verify(&chain, now).map_err(NotIssued::NotBelieved)?;
        Ok(Enrolled { certificate, chain_pem: pem_of(&chain) })
    }
}

/// Whether a public key is the one of a certificate.
fn belongs_to(key: &[u8], certificate: &[u8]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, read)| *read.public_key().subject_public_key.data == *key)
}

/// Certificates as PEM, one after the other.
pub fn pem_of(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| certificate_block(certificate)).collect()
}

/// The public key of a request that proves to hold the private one.
fn requested_key(request: &[u8]) -> Result<SubjectPublicKeyInfo, NotIssued> {
    let wrong = |what: &str| NotIssued::Request(what.to_owned());
    let der = CertificateSigningRequestDer::from_pem_slice(request)
        .map_err(|_| wrong("it holds no PEM block `CERTIFICATE REQUEST`"))?;
    let (rest, read) = X509CertificationRequest::from_der(&der).map_err(|_| wrong("it is not a PKCS #10 request"))?;
    if !rest.is_empty() {
        return Err(wrong("something follows it"));
    }
    read.verify_signature().map_err(|_| wrong("it is not signed by the key it names, or not in a known way"))?;
    let key = read.certification_request_info.subject_pki.raw;
    SubjectPublicKeyInfo::from_der(key).map_err(|_| wrong("its key is of no known kind"))
}

impl std::fmt::Debug for EnrolmentCa {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EnrolmentCa").field("subject", self.certificate.subject()).finish_non_exhaustive()
    }
}
