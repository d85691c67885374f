//! Client certificates the machine holds: in the PEM files and trust stores that are asked about.
//!
//! On Linux the trust stores are the NSS databases `/etc/pki/nssdb` (the machine's) and `~/.pki/nssdb` (the user's), read through
//! `certutil`. Whether the private key is held is said only when it can be shown: the key beside a PEM file must be the
//! certificate's. A place that is there and cannot be read leaves all certificates unknown, so that none is taken for missing.

use std::env;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

use super::{Collected, Machine, Obstacle, program};
use crate::limits;
use crate::posture::certificate::{DeviceCertificate, TrustStore};

const MACHINE_DATABASE: &str = "etc/pki/nssdb";
const USER_DATABASE: &str = ".pki/nssdb";

/// A certificate as a report carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCertificate {
    /// The certificate in PEM, and nothing else.
    pub pem: String,
    /// Whether its private key is held as well.
    pub private_key: bool,
    /// The file it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The trust store it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<TrustStore>,
}

/// Reads the certificates in `paths` and `stores`.
pub fn held_certificates(
    machine: &Machine,
    paths: &[String],
    stores: &[TrustStore],
) -> Collected<Vec<HeldCertificate>> {
    if !machine.has_linux_kernel() && !stores.is_empty() {
        return Collected::unsupported("trust stores");
    }
    held(machine, paths, stores).into()
}

fn held(machine: &Machine, paths: &[String], stores: &[TrustStore]) -> Result<Vec<HeldCertificate>, Obstacle> {
    let mut held = Vec::new();
    for path in paths {
        held.extend(in_file(machine, path)?);
    }
    for store in stores {
        held.extend(in_store(machine, *store)?);
    }
    if held.len() > limits::CERTIFICATES_PER_IDENTITY_MAX {
        return Err(Obstacle::TooMany { what: "certificates", max: limits::CERTIFICATES_PER_IDENTITY_MAX });
    }
    Ok(held)
}

/// The certificates of a PEM file; none when there is no such file.
fn in_file(machine: &Machine, path: &str) -> Result<Vec<HeldCertificate>, Obstacle> {
    let place = Path::new(path.trim_start_matches('/'));
    let text = match machine.read_text(place) {
        Ok(text) => text,
        Err(reason) if reason.is_absence() => return Ok(Vec::new()),
        Err(reason) => return Err(reason),
    };
    let key = key_beside(machine, place, &text)?;
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| Obstacle::Malformed {
        path: machine.locate(place).display().to_string(),
        expected: "certificates in PEM form",
    })?;
    let held = certificates.iter().map(|certificate| {
        let pem = pem_of(certificate);
        let private_key = key.as_ref().is_some_and(|key| is_of(key, &pem));
        HeldCertificate { pem, private_key, path: Some(path.to_owned()), store: None }
    });
    Ok(held.collect())
}

/// The private key in the file itself, or in the file that usually lies beside it.
fn key_beside(machine: &Machine, place: &Path, text: &str) -> Result<Option<PrivateKeyDer<'static>>, Obstacle> {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        return Ok(Some(key));
    }
    let stem = place.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for name in [format!("{stem}.key"), format!("{stem}-key.pem"), format!("{stem}.key.pem")] {
        match machine.read_text(place.with_file_name(name)) {
            Ok(text) => return Ok(PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()),
            Err(reason) if reason.is_absence() => {}
            Err(reason) => return Err(reason),
        }
    }
    Ok(None)
}

/// Whether a private key is that of a certificate. A key of a kind nobody here can use shows nothing.
fn is_of(key: &PrivateKeyDer<'static>, pem: &str) -> bool {
    let own = rustls::crypto::ring::sign::any_supported_type(key).ok().and_then(|key| Some(key.public_key()?.to_vec()));
    let certificate = DeviceCertificate::from_pem(pem, None, None, false).ok();
    let wanted = certificate.and_then(|certificate| certificate.public_key());
    own.is_some() && own == wanted
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    const LINE: usize = 64;
    let encoded = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines = encoded.as_bytes().chunks(LINE).map(String::from_utf8_lossy);
    let body = lines.fold(String::new(), |body, line| body + &line + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

/// The certificates of a trust store; none when there is no such store.
fn in_store(machine: &Machine, store: TrustStore) -> Result<Vec<HeldCertificate>, Obstacle> {
    let Some(database) = database(machine, store).filter(|database| database.is_dir()) else {
        return Ok(Vec::new());
    };
    let database = format!("sql:{}", database.display());
    let listing = program::ask(machine, "certutil", &["-L", "-d", &database])?;
    let mut held = Vec::new();
    for (nickname, private_key) in entries(&listing).take(limits::CERTIFICATES_PER_IDENTITY_MAX.saturating_add(1)) {
        let pem = program::ask(machine, "certutil", &["-L", "-d", &database, "-n", nickname, "-a"])?;
        held.push(HeldCertificate { pem: pem.replace('\r', ""), private_key, path: None, store: Some(store) });
    }
    Ok(held)
}

fn database(machine: &Machine, store: TrustStore) -> Option<PathBuf> {
    match store {
        TrustStore::System => Some(machine.locate(MACHINE_DATABASE)),
        TrustStore::User => Some(Path::new(&env::var_os("HOME")?).join(USER_DATABASE)),
    }
}

/// Nicknames, and whether the key is in the database: `u` among the trust flags at the end of the line (`u,u,u`).
fn entries(listing: &str) -> impl Iterator<Item = (&str, bool)> {
    listing.lines().filter_map(|line| {
        let (nickname, flags) = line.trim_end().rsplit_once(' ')?;
        let known = |flag: char| "pPcCTuw,".contains(flag);
        let is_entry = flags.matches(',').count() == 2 && flags.chars().all(known);
        is_entry.then(|| (nickname.trim_end(), flags.contains('u')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_certutil_is_read() {
        let listing = "\nCertificate Nickname                          Trust Attributes\n\
                       \u{20}                                             SSL,S/MIME,JAR/XPI\n\n\
                       Device certificate                            u,u,u\nCorporate CA                                  CT,C,C\n";
        assert_eq!(entries(listing).collect::<Vec<_>>(), [("Device certificate", true), ("Corporate CA", false)]);
    }
}
