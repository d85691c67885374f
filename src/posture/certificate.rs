//! Certificates as posture: those a device holds, and those that sign them.
//!
//! Parsing and verifying a signature are pure functions of bytes. Nothing here decides whom the gateway believes in a
//! handshake; that belongs to [`crate::tls`].

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Version};

use crate::clock::Timestamp;
use crate::limits;

/// A certificate in DER, as base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Der(Arc<[u8]>);

impl Der {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn parse(&self) -> Result<X509Certificate<'_>, CertificateProblem> {
        match X509Certificate::from_der(&self.0) {
            Ok(([], certificate)) => Ok(certificate),
            _ => Err(CertificateProblem::Unreadable),
        }
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Der({} bytes)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("expected base64"))?;
        Ok(Der(bytes.into()))
    }
}

/// Why a text is no certificate of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// No `CERTIFICATE` block, or one that is not base64.
    #[error("holds no certificate in PEM form")]
    NotPem,
    /// More than one certificate.
    #[error("holds more than one certificate")]
    SeveralCertificates,
    /// Too long.
    #[error("is longer than {} bytes", limits::POSTURE_CERTIFICATE_BYTES_MAX)]
    TooLong,
    /// Not an X.509 certificate.
    #[error("is not an X.509 certificate")]
    Unreadable,
    /// Its basic constraints do not say that it signs others.
    #[error("is not the certificate of a certificate authority")]
    NotAnAuthority,
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What stands before, in and behind the one certificate of a PEM text.
fn parts_of_pem(text: &str) -> Result<(&str, &str, &str), CertificateProblem> {
    let (before, after) = text.split_once(BEGIN).ok_or(CertificateProblem::NotPem)?;
    let (body, behind) = after.split_once(END).ok_or(CertificateProblem::NotPem)?;
    if behind.contains(BEGIN) { Err(CertificateProblem::SeveralCertificates) } else { Ok((before, body, behind)) }
}

/// The DER of the one certificate in a PEM text. Other blocks, such as a private key, are passed over.
fn der_of_pem(text: &str) -> Result<Der, CertificateProblem> {
    let (_, body, _) = parts_of_pem(text)?;
    let body: String = body.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(body.as_bytes()).map_err(|_| CertificateProblem::NotPem)?;
    if bytes.len() > limits::POSTURE_CERTIFICATE_BYTES_MAX {
        return Err(CertificateProblem::TooLong);
    }
    Ok(Der(bytes.into()))
}

/// The one certificate of a PEM text as it was written, and nothing else that was pasted with it, such as a private key.
pub fn certificate_block(text: &str) -> Result<String, CertificateProblem> {
    let (before, body, behind) = parts_of_pem(text)?;
    let alone = before.trim().is_empty() && behind.trim().is_empty();
    Ok(if alone { text.to_owned() } else { format!("{BEGIN}{body}{END}\n") })
}

/// A certificate that a device says it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCertificate {
    der: Der,
    /// The common name of its subject, if it has one.
    pub common_name: Option<String>,
    /// Its DNS, e-mail, IP and URI names.
    pub names: Vec<String>,
    /// What it may be used for, of the uses that checks ask for.
    pub key_usages: Vec<KeyUsage>,
    /// It is not valid before this moment.
    pub not_before: Timestamp,
    /// It is not valid after this moment.
    pub not_after: Timestamp,
    /// The file it was found in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// The trust store it was found in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub store: Option<TrustStore>,
    /// Whether the device holds its private key as well.
    pub private_key: bool,
}

/// A use of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyUsage {
    /// 1.3.6.1.5.5.7.3.2.
    ClientAuth,
    /// 1.3.6.1.5.5.7.3.4.
    EmailProtection,
}

impl KeyUsage {
    /// Every use.
    pub const ALL: [KeyUsage; 2] = [KeyUsage::ClientAuth, KeyUsage::EmailProtection];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyUsage::ClientAuth => "clientAuth",
            KeyUsage::EmailProtection => "emailProtection",
        }
    }
}

/// A trust store of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrustStore {
    /// The machine's: `LocalMachine\My`, the System keychain, the system's NSS database.
    System,
    /// The user's: `CurrentUser\My`.
    User,
}

impl TrustStore {
    /// Every store.
    pub const ALL: [TrustStore; 2] = [TrustStore::System, TrustStore::User];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrustStore::System => "system",
            TrustStore::User => "user",
        }
    }
}

impl DeviceCertificate {
    /// Reads a certificate out of a PEM text.
    pub fn from_pem(
        pem: &str,
        path: Option<String>,
        store: Option<TrustStore>,
        private_key: bool,
    ) -> Result<Self, CertificateProblem> {
        let der = der_of_pem(pem)?;
        let certificate = der.parse()?;
        let validity = certificate.validity();
        Ok(DeviceCertificate {
            common_name: common_name(&certificate),
            names: names(&certificate),
            key_usages: key_usages(&certificate),
            not_before: seconds(validity.not_before.timestamp()),
            // A certificate is valid through the whole of its last second.
            not_after: seconds(validity.not_after.timestamp()).after(std::time::Duration::from_millis(999)),
            path,
            store,
            private_key,
            der,
        })
    }

    /// Its public key, as the certificate carries it (`SubjectPublicKeyInfo` in DER).
    pub fn public_key(&self) -> Option<Vec<u8>> {
        Some(self.der.parse().ok()?.public_key().raw.to_vec())
    }

    /// Who says that they signed it, in words.
    pub fn issuer(&self) -> Option<String> {
        self.der.parse().ok().map(|certificate| certificate.issuer().to_string())
    }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(str::to_owned)
}

/// Names of the supported kinds; an `otherName` never matches anything.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => ip_address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    named.take(limits::CERTIFICATE_NAMES_MAX).collect()
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn key_usages(certificate: &X509Certificate<'_>) -> Vec<KeyUsage> {
    let Ok(Some(extension)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let usage = extension.value;
    let uses = [(usage.client_auth, KeyUsage::ClientAuth), (usage.email_protection, KeyUsage::EmailProtection)];
    uses.into_iter().filter_map(|(present, usage)| present.then_some(usage)).collect()
}

/// A certificate that an operator uploaded because devices hold certificates that it signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signer(Der);

/// What is shown of a signing certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerDetails {
    /// Whose it is, in words.
    pub subject: String,
    /// Who signed it, in words.
    pub issuer: String,
    /// Its serial number in decimal.
    pub serial_number: String,
    /// The object identifier of its signature's algorithm.
    pub signature_algorithm: String,
    /// Its last moment.
    pub not_after: Timestamp,
}

impl Signer {
    /// Reads a signing certificate out of a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateProblem> {
        let der = der_of_pem(pem)?;
        let certificate = der.parse()?;
        match certificate.basic_constraints() {
            Ok(Some(constraints)) if !constraints.value.ca => Err(CertificateProblem::NotAnAuthority),
            // Silence means no (RFC 5280, 4.2.1.9), save in the versions that could not say it.
            Ok(None) if certificate.version() == X509Version::V3 => Err(CertificateProblem::NotAnAuthority),
            Ok(_) => Ok(Signer(der)),
            Err(_) => Err(CertificateProblem::Unreadable),
        }
    }

    /// The certificate alone in PEM.
    pub fn to_pem(&self) -> String {
        const LINE: usize = 64;
        let encoded = STANDARD.encode(self.0.as_bytes());
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(LINE) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// What is shown of it.
    pub fn details(&self) -> Result<SignerDetails, CertificateProblem> {
        let certificate = self.0.parse()?;
        Ok(SignerDetails {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial_number: certificate.serial.to_string(),
            signature_algorithm: certificate.signature_algorithm.algorithm.to_id_string(),
            not_after: seconds(certificate.validity().not_after.timestamp()),
        })
    }

    /// Whether it signed a device's certificate directly: issuer, key identifier and signature.
    ///
    /// Chains are not walked (`cloudflare.md` 1.15). Verifying the signature takes about 100 µs.
    pub fn signed(&self, device: &DeviceCertificate) -> bool {
        let (Ok(signer), Ok(leaf)) = (self.0.parse(), device.der.parse()) else {
            return false;
        };
        leaf.issuer().as_raw() == signer.subject().as_raw()
            && key_identifiers_agree(&leaf, &signer)
            && leaf.verify_signature(Some(signer.public_key())).is_ok()
    }
}

/// Whether the leaf names the signer's key, or one of the two says nothing of it.
fn key_identifiers_agree(leaf: &X509Certificate<'_>, signer: &X509Certificate<'_>) -> bool {
    let wanted = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref(),
        _ => None,
    });
    let own = signer.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier),
        _ => None,
    });
    match (wanted, own) {
        (Some(wanted), Some(own)) => wanted.0 == own.0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_certificate_says_why() {
        let wrapped = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let cases = [
            (String::new(), CertificateProblem::NotPem),
            (wrapped("!!"), CertificateProblem::NotPem),
            (wrapped("aGVsbG8="), CertificateProblem::Unreadable),
            (wrapped("aGVsbG8=").repeat(2), CertificateProblem::SeveralCertificates),
            (wrapped(&"AAAA".repeat(limits::POSTURE_CERTIFICATE_BYTES_MAX)), CertificateProblem::TooLong),
        ];
        for (text, expected) in cases {
            assert_eq!(Signer::from_pem(&text).unwrap_err(), expected);
            assert_eq!(DeviceCertificate::from_pem(&text, None, None, false).unwrap_err(), expected);
        }
    }
}
