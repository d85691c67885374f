//! What a certificate says about its holder, and the proof that it was believed.
//!
//! [`Certificate`] is what was *read*, believed or not; it names a certificate in logs and in the tools.
//! [`VerifiedIdentity`] is what was *verified*: it has private fields and one constructor, called by the verifier alone.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::distinguished_name::{self, hex};
use super::pem;
use super::trust::Standing;
use crate::clock::Timestamp;
use crate::limits::{CERTIFICATE_NAMES_MAX, SPIFFE_ID_BYTES_MAX};
use crate::policy::Subject;
use crate::policy::subject::SubjectKind;

/// The facts of one certificate, as far as Postern asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    fingerprint: Arc<str>,
    serial: Arc<str>,
    subject: Arc<str>,
    issuer: Arc<str>,
    common_name: Option<Arc<str>>,
    spiffe_uri: Option<Arc<str>>,
    uris: Vec<Arc<str>>,
    emails: Vec<Arc<str>>,
    dns_names: Vec<Arc<str>>,
    not_before: Timestamp,
    not_after: Timestamp,
    is_ca: bool,
    issuer_der: Box<[u8]>,
    serial_der: Box<[u8]>,
}

impl Certificate {
    /// Reads a DER certificate. It says nothing about whether the certificate should be believed.
    pub fn parse(der: &[u8]) -> Result<Self, MalformedCertificate> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| MalformedCertificate::NotX509)?;
        if !rest.is_empty() {
            return Err(MalformedCertificate::NotX509);
        }
        let names = AlternativeNames::of(&certificate)?;
        Ok(Certificate {
            fingerprint: hex(digest(&SHA256, der).as_ref()).into(),
            serial: serial_text(certificate.raw_serial()).into(),
            subject: distinguished_name::to_text(certificate.subject()).into(),
            issuer: distinguished_name::to_text(certificate.issuer()).into(),
            common_name: common_name(&certificate)?,
            spiffe_uri: names.spiffe_uri(),
            uris: names.uris,
            emails: names.emails,
            dns_names: names.dns_names,
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            is_ca: certificate.is_ca(),
            issuer_der: certificate.issuer().as_raw().into(),
            serial_der: certificate.raw_serial().into(),
        })
    }

    /// SHA-256 of the whole certificate, in lower-case hexadecimal.
    pub fn fingerprint(&self) -> &Arc<str> {
        &self.fingerprint
    }

    /// The serial number in lower-case hexadecimal, without leading zero bytes.
    pub fn serial(&self) -> &Arc<str> {
        &self.serial
    }

    /// The subject's distinguished name as RFC 4514 text.
    pub fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// The issuer's distinguished name as RFC 4514 text.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The subject's common name; none when there are several, because no one of them is more right than another.
    pub fn common_name(&self) -> Option<&Arc<str>> {
        self.common_name.as_ref()
    }

    /// The SPIFFE ID, when the certificate is a SPIFFE document: exactly one URI name, and that one a SPIFFE ID.
    pub fn spiffe_uri(&self) -> Option<&Arc<str>> {
        self.spiffe_uri.as_ref()
    }

    /// Every URI among the alternative names, as written.
    pub fn uris(&self) -> &[Arc<str>] {
        &self.uris
    }

    /// Every e-mail address among the alternative names, as written.
    pub fn emails(&self) -> &[Arc<str>] {
        &self.emails
    }

    /// Every DNS name among the alternative names, in lower case.
    pub fn dns_names(&self) -> &[Arc<str>] {
        &self.dns_names
    }

    /// The names of the given kinds, in the order of the kinds and as policy files spell them.
    pub fn subjects(&self, kinds: &[SubjectKind]) -> Vec<Subject> {
        kinds.iter().flat_map(|kind| self.subjects_of(*kind)).collect()
    }

    /// The first instant at which the certificate is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second in which the certificate is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether the certificate may sign others.
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }

    fn subjects_of(&self, kind: SubjectKind) -> Vec<Subject> {
        let spelled = |email: &Arc<str>| Subject::Email(email.to_ascii_lowercase().into());
        match kind {
            SubjectKind::Spiffe => self.spiffe_uri.iter().cloned().map(Subject::SpiffeUri).collect(),
            SubjectKind::Email => self.emails.iter().map(spelled).collect(),
            SubjectKind::Dns => self.dns_names.iter().cloned().map(Subject::Dns).collect(),
            SubjectKind::CommonName => self.common_name.iter().cloned().map(Subject::CommonName).collect(),
            SubjectKind::Fingerprint => vec![Subject::Fingerprint(Arc::clone(&self.fingerprint))],
        }
    }

    /// The issuer's name as it was signed, to look up revocations.
    pub(super) fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// The serial number as it was signed, to look up revocations.
    pub(super) fn serial_der(&self) -> &[u8] {
        &self.serial_der
    }
}

/// A certificate from which no identity can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCertificate {
    /// The bytes are not one X.509 certificate.
    #[error("not an X.509 certificate")]
    NotX509,
    /// The subject alternative names cannot be read.
    #[error("the subject alternative names cannot be read")]
    AlternativeNames,
    /// More names than Postern is willing to match on.
    #[error("more than {CERTIFICATE_NAMES_MAX} subject alternative names")]
    TooManyNames,
    /// A name holds control characters, which no honest name does.
    #[error("a name holds control characters")]
    ControlCharacters,
}

/// The holder of a certificate that was verified, read from its leaf.
///
/// There is one way to get one: the verifier checked the whole chain against the trust of that moment. Whether it is
/// *still* believed is [`TrustBundle::recheck`](super::TrustBundle::recheck)'s answer. It derefs to the leaf's facts.
pub struct VerifiedIdentity {
    leaf: Certificate,
    chain: Arc<[CertificateDer<'static>]>,
    standing: ArcSwap<Standing>,
}

impl VerifiedIdentity {
    /// INVARIANT: called in `verifier.rs` only, right after the chain was verified.
    pub(super) fn new(leaf: Certificate, chain: Arc<[CertificateDer<'static>]>, standing: Standing) -> Self {
        VerifiedIdentity { leaf, chain, standing: ArcSwap::from_pointee(standing) }
    }

    /// The facts of the leaf certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates as the client sent them, the leaf first.
    pub fn chain(&self) -> &Arc<[CertificateDer<'static>]> {
        &self.chain
    }

    /// The leaf certificate as a PEM block.
    pub fn leaf_pem(&self) -> String {
        self.chain.first().map(|leaf| pem::certificate_block(leaf)).unwrap_or_default()
    }

    /// Every certificate of the chain as PEM blocks, the leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem::certificate_block(certificate)).collect()
    }

    /// What trust said about this chain when it was last asked.
    pub(super) fn standing(&self) -> &ArcSwap<Standing> {
        &self.standing
    }
}

impl Deref for VerifiedIdentity {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.leaf
    }
}

impl fmt::Debug for VerifiedIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifiedIdentity")
            .field("subject", &self.leaf.subject)
            .field("serial", &self.leaf.serial)
            .field("fingerprint", &self.leaf.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The alternative names Postern matches on.
#[derive(Default)]
struct AlternativeNames {
    uris: Vec<Arc<str>>,
    emails: Vec<Arc<str>>,
    dns_names: Vec<Arc<str>>,
}

impl AlternativeNames {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, MalformedCertificate> {
        let mut names = AlternativeNames::default();
        let Some(extension) =
            certificate.subject_alternative_name().map_err(|_| MalformedCertificate::AlternativeNames)?
        else {
            return Ok(names);
        };
        if extension.value.general_names.len() > CERTIFICATE_NAMES_MAX {
            return Err(MalformedCertificate::TooManyNames);
        }
        for name in &extension.value.general_names {
            match name {
                GeneralName::URI(uri) => names.uris.push(printable(uri)?),
                GeneralName::RFC822Name(email) => names.emails.push(printable(email)?),
                GeneralName::DNSName(dns) => names.dns_names.push(printable(&dns.to_ascii_lowercase())?),
                GeneralName::Invalid(..) => return Err(MalformedCertificate::AlternativeNames),
                _ => {}
            }
        }
        Ok(names)
    }

    /// A SPIFFE document has exactly one URI name (X509-SVID, section 2): with two, which one speaks is a guess.
    fn spiffe_uri(&self) -> Option<Arc<str>> {
        match self.uris.as_slice() {
            [uri] if is_spiffe_id(uri) => Some(Arc::clone(uri)),
            _ => None,
        }
    }
}

/// Whether `uri` is `spiffe://trust-domain[/path]` in its strict form.
pub(super) fn is_spiffe_id(uri: &str) -> bool {
    if uri.len() > SPIFFE_ID_BYTES_MAX {
        return false;
    }
    let Some(rest) = uri.strip_prefix("spiffe://") else {
        return false;
    };
    let mut segments = rest.split('/');
    let domain = segments.next().unwrap_or_default();
    !domain.is_empty()
        && domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
        && segments.all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        })
}

fn common_name(certificate: &X509Certificate<'_>) -> Result<Option<Arc<str>>, MalformedCertificate> {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(only), None) => only.as_str().ok().map(printable).transpose(),
        _ => Ok(None),
    }
}

fn printable(name: &str) -> Result<Arc<str>, MalformedCertificate> {
    if name.chars().any(char::is_control) {
        return Err(MalformedCertificate::ControlCharacters);
    }
    Ok(name.into())
}

fn serial_text(raw: &[u8]) -> String {
    let leading_zeros = raw.iter().take_while(|byte| **byte == 0).count();
    match raw.get(leading_zeros..) {
        None | Some([]) => "00".to_owned(),
        Some(digits) => hex(digits),
    }
}

/// X.509 knows whole seconds only.
pub(super) fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_are_read_strictly() {
        for good in ["spiffe://example.org", "spiffe://example.org/laptop/7", "spiffe://a_b-c.d/X.y_z-1"] {
            assert!(is_spiffe_id(good), "{good}");
        }
        for bad in [
            "spiffe://",
            "spiffe:///laptop",
            "SPIFFE://example.org/a",
            "https://example.org/a",
            "spiffe://Example.org/a",
            "spiffe://user@example.org/a",
            "spiffe://example.org:8443/a",
            "spiffe://example.org/",
            "spiffe://example.org//a",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/a%20b",
        ] {
            assert!(!is_spiffe_id(bad), "{bad}");
        }
        assert!(!is_spiffe_id(&format!("spiffe://example.org/{}", "a".repeat(SPIFFE_ID_BYTES_MAX))));
    }

    #[test]
    fn serials_drop_the_sign_byte() {
        assert_eq!(serial_text(&[0, 0xff, 1]), "ff01");
        assert_eq!(serial_text(&[0]), "00");
        assert_eq!(serial_text(&[]), "00");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let _ = Certificate::parse(&bytes);
        }
    }
}
