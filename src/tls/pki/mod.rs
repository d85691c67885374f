//! A small certificate authority for development, tests and the demo: one directory, one CA, ECDSA P-256.
//!
//! The directory holds `ca.pem`, `ca.key`, `crl.pem`, `index.json` and a `NAME.pem` with its `NAME.key` for every
//! certificate. Keys are readable by their owner only, and no existing key or certificate is ever overwritten.
//! Every change holds a lock on `ca.key`, so that two processes do not issue over each other.

mod error;
mod files;
mod index;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevocationReason, RevokedCertParams,
    SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use time::OffsetDateTime;

pub use self::error::PkiError;
use self::files::{CaDirectory, create_private, create_public, replace_public};
use self::index::{CertificateKind, CertificateRecord, Index};
use super::identity::{Certificate, is_spiffe_id};
use super::material::load_certificates;
use crate::clock::Timestamp;

/// How long the CA itself is valid, in days.
const CA_DAYS: u32 = 3650;
/// How long a revocation list counts before it must be signed again, in days.
const CRL_DAYS: u32 = 365;
/// Longest validity of a certificate, in days.
const CERTIFICATE_DAYS_MAX: u32 = 3650;
/// Longest name of a CA or certificate, in bytes (the bound of a common name).
const NAME_BYTES_MAX: usize = 64;
/// Certificates begin a little in the past: the clocks of two machines never agree exactly.
const BACKDATED: Duration = Duration::from_secs(300);

/// A new CA.
#[derive(Clone, Debug, Serialize)]
pub struct NewCa {
    /// The CA certificate, for clients and for the gateway's client CAs.
    pub ca_file: PathBuf,
    /// The CA's private key. Whoever has it can make anybody's certificate.
    pub key_file: PathBuf,
    /// The revocation list, empty so far.
    pub crl_file: PathBuf,
    /// The CA's name.
    pub subject: String,
    /// When the CA ends.
    pub not_after: Timestamp,
}

/// What a server certificate should say.
#[derive(Clone, Debug)]
pub struct ServerRequest<'a> {
    /// The name of the files, and the common name.
    pub name: &'a str,
    /// DNS names the server answers to; `*.example.org` is allowed.
    pub dns_names: &'a [String],
    /// Addresses the server answers on.
    pub ip_addresses: &'a [IpAddr],
    /// How long it is valid, in days.
    pub days: u32,
}

/// What a client certificate should say.
#[derive(Clone, Debug)]
pub struct ClientRequest<'a> {
    /// The name of the files, and the common name.
    pub name: &'a str,
    /// The SPIFFE ID, such as `spiffe://example.org/laptop-7`.
    pub spiffe_uri: Option<&'a str>,
    /// E-mail addresses of the holder.
    pub emails: &'a [String],
    /// DNS names of the device.
    pub dns_names: &'a [String],
    /// How long it is valid, in days.
    pub days: u32,
}

/// A new certificate.
#[derive(Clone, Debug, Serialize)]
pub struct IssuedCertificate {
    /// The certificate.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// The CA that vouches for it.
    pub ca_file: PathBuf,
    /// Its serial number, in lower-case hexadecimal: what `revoke` takes.
    pub serial: String,
    /// Its holder.
    pub subject: String,
    /// Its SHA-256 fingerprint, in lower-case hexadecimal.
    pub fingerprint: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Which certificate to revoke.
#[derive(Clone, Copy, Debug)]
pub enum RevokeTarget<'a> {
    /// The one with this serial number in hexadecimal; colons and upper case are fine.
    Serial(&'a str),
    /// The first one in this PEM file.
    CertificateFile(&'a Path),
}

/// A revocation.
#[derive(Clone, Debug, Serialize)]
pub struct Revocation {
    /// The serial number that is now revoked.
    pub serial: String,
    /// The name the certificate was issued under.
    pub name: String,
    /// Since when it is revoked.
    pub revoked_at: Timestamp,
    /// Whether it was revoked before; the list was signed again all the same.
    pub already_revoked: bool,
    /// The list it is now in.
    pub crl: SignedCrl,
}

/// A revocation list that was signed and written.
#[derive(Clone, Debug, Serialize)]
pub struct SignedCrl {
    /// The file.
    pub crl_file: PathBuf,
    /// Its number; it only ever grows.
    pub number: u64,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// When it must be signed again.
    pub next_update: Timestamp,
}

/// Makes a CA called `name` in `dir`, with an empty revocation list.
pub fn init(dir: &Path, name: &str, now: Timestamp) -> Result<NewCa, PkiError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(PkiError::InvalidName { what: "CA name", value: name.to_owned() });
    }
    let directory = CaDirectory::create(dir)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = dated_params(now, CA_DAYS)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    // The key comes first: it is what an existing CA is recognised by, and what must not be overwritten.
    create_private(&directory.key_file(), &key.serialize_pem())?;
    create_public(&directory.ca_file(), &certificate.pem())?;
    let ca = Ca::open(dir)?;
    let mut index = Index::default();
    let crl = ca.sign_crl(&mut index, now)?;
    Ok(NewCa {
        ca_file: directory.ca_file(),
        key_file: directory.key_file(),
        crl_file: crl.crl_file,
        subject: ca.certificate.subject().to_string(),
        not_after: ca.certificate.not_after(),
    })
}

/// Issues a server certificate by the CA in `dir`.
pub fn issue_server(dir: &Path, request: &ServerRequest<'_>, now: Timestamp) -> Result<IssuedCertificate, PkiError> {
    if request.dns_names.is_empty() && request.ip_addresses.is_empty() {
        return Err(PkiError::NoServerName);
    }
    let mut alternative_names = dns_names(request.dns_names)?;
    alternative_names.extend(request.ip_addresses.iter().copied().map(SanType::IpAddress));
    let kind = CertificateKind::Server;
    Ca::open(dir)?.issue(kind, request.name, alternative_names, request.days, now)
}

/// Issues a client certificate by the CA in `dir`.
pub fn issue_client(dir: &Path, request: &ClientRequest<'_>, now: Timestamp) -> Result<IssuedCertificate, PkiError> {
    let mut alternative_names = dns_names(request.dns_names)?;
    if let Some(uri) = request.spiffe_uri {
        if !is_spiffe_id(uri) {
            return Err(PkiError::InvalidName { what: "SPIFFE ID", value: uri.to_owned() });
        }
        alternative_names.push(SanType::URI(ia5("SPIFFE ID", uri)?));
    }
    for email in request.emails {
        let has_both_sides = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
        if !has_both_sides || email.contains(|character: char| character.is_control() || character == ' ') {
            return Err(PkiError::InvalidName { what: "e-mail address", value: email.clone() });
        }
        alternative_names.push(SanType::Rfc822Name(ia5("e-mail address", email)?));
    }
    let kind = CertificateKind::Client;
    Ca::open(dir)?.issue(kind, request.name, alternative_names, request.days, now)
}

/// Revokes a certificate of the CA in `dir` and signs a new revocation list.
pub fn revoke(dir: &Path, target: RevokeTarget<'_>, now: Timestamp) -> Result<Revocation, PkiError> {
    let ca = Ca::open(dir)?;
    let serial = ca.serial_of(target)?;
    let mut index = ca.directory.read_index()?;
    let Some(record) = index.certificates.iter_mut().find(|record| record.serial == serial) else {
        return Err(PkiError::UnknownSerial(serial));
    };
    let already_revoked = record.revoked_at.is_some();
    let revoked_at = *record.revoked_at.get_or_insert(now);
    let name = record.name.clone();
    // Signed again even when it was revoked before: the process may have been stopped between index and list.
    let crl = ca.sign_crl(&mut index, now)?;
    Ok(Revocation { serial, name, revoked_at, already_revoked, crl })
}

/// Whether a certificate of the CA in `dir` was revoked.
pub fn is_revoked(dir: &Path, certificate_file: &Path) -> Result<bool, PkiError> {
    let ca = Ca::open(dir)?;
    let serial = ca.serial_of(RevokeTarget::CertificateFile(certificate_file))?;
    Ok(ca.directory.read_index()?.revoked().any(|(revoked, _)| revoked == serial))
}

/// Signs the revocation list of the CA in `dir` again, before it runs out.
pub fn refresh_crl(dir: &Path, now: Timestamp) -> Result<SignedCrl, PkiError> {
    let ca = Ca::open(dir)?;
    let mut index = ca.directory.read_index()?;
    ca.sign_crl(&mut index, now)
}

/// An existing CA, locked for this process.
struct Ca {
    directory: CaDirectory,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    /// Held for as long as the CA is open.
    _lock: std::fs::File,
}

impl Ca {
    fn open(dir: &Path) -> Result<Self, PkiError> {
        let directory = CaDirectory::at(dir);
        let (key_pem, lock) = directory.lock_and_read_key()?;
        let key = KeyPair::from_pem(&key_pem)?;
        let ca_file = directory.ca_file();
        let (certificate, der) = first_certificate(&ca_file)?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Ca { directory, certificate, issuer, _lock: lock })
    }

    fn issue(
        &self,
        kind: CertificateKind,
        name: &str,
        alternative_names: Vec<SanType>,
        days: u32,
        now: Timestamp,
    ) -> Result<IssuedCertificate, PkiError> {
        check_file_name(name)?;
        if days == 0 || days > CERTIFICATE_DAYS_MAX {
            return Err(PkiError::InvalidDays(days));
        }
        if now.after(days_long(days)) > self.certificate.not_after() {
            return Err(PkiError::OutlivesCa { ca_not_after: self.certificate.not_after() });
        }
        let (certificate_file, key_file) = self.directory.certificate_files(name);
        for file in [&certificate_file, &key_file] {
            if file.exists() {
                return Err(PkiError::AlreadyExists(file.clone()));
            }
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let signed = leaf_params(kind, name, alternative_names, days, now)?.signed_by(&key, &self.issuer)?;
        let certificate = parse(&certificate_file, signed.der())?;
        // Recorded before it exists: a certificate that is not in the index could not be revoked.
        self.record(kind, name, &certificate)?;
        create_private(&key_file, &key.serialize_pem())?;
        create_public(&certificate_file, &signed.pem())?;
        Ok(IssuedCertificate {
            certificate_file,
            key_file,
            ca_file: self.directory.ca_file(),
            serial: certificate.serial().to_string(),
            subject: certificate.subject().to_string(),
            fingerprint: certificate.fingerprint().to_string(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        })
    }

    fn record(&self, kind: CertificateKind, name: &str, certificate: &Certificate) -> Result<(), PkiError> {
        let mut index = self.directory.read_index()?;
        index.certificates.push(CertificateRecord {
            serial: certificate.serial().to_string(),
            name: name.to_owned(),
            kind,
            fingerprint: certificate.fingerprint().to_string(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            revoked_at: None,
        });
        self.directory.write_index(&index)
    }

    fn serial_of(&self, target: RevokeTarget<'_>) -> Result<String, PkiError> {
        match target {
            RevokeTarget::Serial(text) => Ok(index::normal_serial(text)),
            RevokeTarget::CertificateFile(file) => {
                let (certificate, _) = first_certificate(file)?;
                if certificate.issuer() != self.certificate.subject() {
                    let issuer = certificate.issuer().to_string();
                    return Err(PkiError::OtherCa { file: file.to_owned(), issuer });
                }
                Ok(certificate.serial().to_string())
            }
        }
    }

    /// Signs what the index says. The number is on disk before the list that carries it, so it never comes twice.
    fn sign_crl(&self, index: &mut Index, now: Timestamp) -> Result<SignedCrl, PkiError> {
        index.crl_number = index.crl_number.saturating_add(1);
        self.directory.write_index(index)?;
        let revoked_certs =
            index.revoked().map(|(serial, at)| revoked_entry(serial, at)).collect::<Result<Vec<_>, _>>()?;
        let revoked = revoked_certs.len();
        let next_update = now.after(days_long(CRL_DAYS));
        let list = CertificateRevocationListParams {
            this_update: offset(now.before(BACKDATED))?,
            next_update: offset(next_update)?,
            crl_number: SerialNumber::from(index.crl_number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl_file = self.directory.crl_file();
        replace_public(&crl_file, &list.signed_by(&self.issuer)?.pem()?)?;
        Ok(SignedCrl { crl_file, number: index.crl_number, revoked, next_update })
    }
}

/// A client certificate with a common name and nothing else to be recognised by, from now on.
pub(super) fn client_params(common_name: &str, days: u32, now: Timestamp) -> Result<CertificateParams, PkiError> {
    leaf_params(CertificateKind::Client, common_name, Vec::new(), days, now)
}

fn leaf_params(
    kind: CertificateKind,
    name: &str,
    alternative_names: Vec<SanType>,
    days: u32,
    now: Timestamp,
) -> Result<CertificateParams, PkiError> {
    let mut params = dated_params(now, days)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = alternative_names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match kind {
        CertificateKind::Server => ExtendedKeyUsagePurpose::ServerAuth,
        CertificateKind::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    Ok(params)
}

fn dated_params(now: Timestamp, days: u32) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = offset(now.before(BACKDATED))?;
    params.not_after = offset(now.after(days_long(days)))?;
    params.serial_number = Some(random_serial()?);
    Ok(params)
}

fn random_serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PkiError::NoRandomness)?;
    Ok(SerialNumber::from_slice(&bytes))
}

fn revoked_entry(serial: &str, at: Timestamp) -> Result<RevokedCertParams, PkiError> {
    let bytes = index::serial_bytes(serial).ok_or_else(|| PkiError::UnknownSerial(serial.to_owned()))?;
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from(bytes),
        revocation_time: offset(at)?,
        reason_code: Some(RevocationReason::Unspecified),
        invalidity_date: None,
    })
}

fn dns_names(names: &[String]) -> Result<Vec<SanType>, PkiError> {
    names
        .iter()
        .map(|name| {
            let host = name.strip_prefix("*.").unwrap_or(name);
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let labels_fit =
                host.split('.').all(|label| !label.is_empty() && label.len() < 64 && label.bytes().all(fits));
            if !labels_fit || host.len() > 253 {
                return Err(PkiError::InvalidName { what: "DNS name", value: name.clone() });
            }
            Ok(SanType::DnsName(ia5("DNS name", name)?))
        })
        .collect()
}

fn ia5(what: &'static str, value: &str) -> Result<Ia5String, PkiError> {
    Ia5String::try_from(value).map_err(|_| PkiError::InvalidName { what, value: value.to_owned() })
}

fn check_file_name(name: &str) -> Result<(), PkiError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !begins_well || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
        return Err(PkiError::InvalidName { what: "certificate name", value: name.to_owned() });
    }
    Ok(())
}

fn first_certificate(file: &Path) -> Result<(Certificate, rustls_pki_types::CertificateDer<'static>), PkiError> {
    let der = load_certificates(file)?.swap_remove(0);
    Ok((parse(file, &der)?, der))
}

fn parse(file: &Path, der: &[u8]) -> Result<Certificate, PkiError> {
    Ok(super::material::parse_at(file, der, 1)?)
}

fn days_long(days: u32) -> Duration {
    Duration::from_secs(u64::from(days).saturating_mul(24 * 60 * 60))
}

/// The same instant in the form the certificate library wants, in whole seconds.
fn offset(at: Timestamp) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000)).map_err(|_| PkiError::InvalidTime(at))
}
