//! Signatures by a device's own key: made by [`DeviceSigner`], verified by [`verify`] against the device's certificate.
//!
//! The kind of key decides the algorithm, so there is nothing to negotiate: ECDSA P-256 with SHA-256, ECDSA P-384 with SHA-384,
//! Ed25519, and RSA (2048 to 8192 bits) as PSS with SHA-256.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::identity::Certificate;
use super::material::{MaterialError, load_certified_key};
use crate::enforce::SignatureRefused;

/// The schemes reports are signed with, of which a key supports one.
const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];

/// Verifies that the key of the certificate `leaf` (DER) made `signature` over `message`.
pub(super) fn verify(leaf: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| SignatureRefused::UnsupportedKey)?;
    let key = certificate.public_key();
    let algorithm = algorithm_of(key).ok_or(SignatureRefused::UnsupportedKey)?;
    let key = UnparsedPublicKey::new(algorithm, &key.subject_public_key.data);
    key.verify(message, signature).map_err(|_| SignatureRefused::Mismatch)
}

fn algorithm_of(key: &SubjectPublicKeyInfo<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let kind = &key.algorithm.algorithm;
    if *kind == OID_SIG_ED25519 {
        Some(&ED25519)
    } else if *kind == OID_PKCS1_RSAENCRYPTION {
        Some(&RSA_PSS_2048_8192_SHA256)
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
        match curve {
            curve if curve == OID_EC_P256 => Some(&ECDSA_P256_SHA256_ASN1),
            curve if curve == OID_NIST_EC_P384 => Some(&ECDSA_P384_SHA384_ASN1),
            _ => None,
        }
    } else {
        None
    }
}

/// Signs with the key of a device's certificate. The key stays inside the TLS library's own signing key.
#[derive(Clone)]
pub struct DeviceSigner {
    key: Arc<CertifiedKey>,
    certificate: Certificate,
}

/// A signature that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key is of a kind that no scheme fits.
    #[error("the key is of a kind that reports are not signed with; use ECDSA P-256 or P-384, Ed25519, or RSA")]
    UnsupportedKey,
    /// The TLS library refused.
    #[error("the report cannot be signed: {0}")]
    Tls(#[from] rustls::Error),
}

impl DeviceSigner {
    /// Loads the certificate and its key, both PEM files.
    pub fn load(certificate_file: &Path, key_file: &Path) -> Result<Self, MaterialError> {
        let (key, certificate) = load_certified_key(certificate_file, key_file)?;
        Ok(DeviceSigner { key: Arc::new(key), certificate })
    }

    /// The certificate it signs for.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signer = self.key.key.choose_scheme(&SCHEMES).ok_or(SigningError::UnsupportedKey)?;
        Ok(signer.sign(message)?)
    }
}

impl fmt::Debug for DeviceSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeviceSigner").field("subject", self.certificate.subject()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    use super::*;

    fn device(algorithm: &'static SignatureAlgorithm) -> (DeviceSigner, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let (certificate_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (DeviceSigner::load(&certificate_file, &key_file).unwrap(), certificate.der().to_vec())
    }

    #[test]
    fn each_kind_of_key_signs_for_its_own_certificate_only() {
        let kinds = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        let devices = kinds.map(device);
        for (signer, certificate) in &devices {
            let signature = signer.sign(b"a report").unwrap();
            assert_eq!(verify(certificate, b"a report", &signature), Ok(()));
            assert_eq!(verify(certificate, b"another", &signature), Err(SignatureRefused::Mismatch));
            assert_eq!(verify(certificate, b"a report", b""), Err(SignatureRefused::Mismatch));
            for (_, other) in devices.iter().filter(|(_, other)| other != certificate) {
                assert_eq!(verify(other, b"a report", &signature), Err(SignatureRefused::Mismatch));
            }
        }
        let (twin, _) = device(&rcgen::PKCS_ECDSA_P256_SHA256);
        let signature = twin.sign(b"a report").unwrap();
        assert_eq!(verify(&devices[0].1, b"a report", &signature), Err(SignatureRefused::Mismatch));
    }

    #[test]
    fn a_certificate_that_is_none_verifies_nothing() {
        assert_eq!(verify(b"junk", b"a report", b"x"), Err(SignatureRefused::UnsupportedKey));
    }

    #[test]
    fn debug_shows_no_key() {
        let (signer, _) = device(&rcgen::PKCS_ED25519);
        let shown = format!("{signer:?}");
        assert!(shown.contains("subject") && !shown.contains("key"), "{shown}");
    }
}
