//! Who takes part in the demo, and their certificates.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::{Folder, FolderError};
use crate::clock::Timestamp;
use crate::tls::pki::{self, ClientRequest, PkiError, ServerRequest};
use crate::tls::{Certificate, load_certificates};

/// The compliant identity.
pub(super) const ALICE: &str = "alice-laptop";
/// The identity that is not compliant.
pub(super) const BOB: &str = "bob-laptop";
/// The identity that no policy lets in anywhere.
pub(super) const CAROL: &str = "carol-phone";
/// Everybody.
pub(super) const EVERYBODY: [&str; 3] = [ALICE, BOB, CAROL];

/// The host name of the service that staff may reach. `*.localhost` leads to this machine without any set-up.
pub(super) const APP_HOST: &str = "app.localhost";
/// The host name of the service that nobody may know of.
pub(super) const VAULT_HOST: &str = "vault.localhost";
/// The host name of the APIs.
pub(super) const API_HOST: &str = "localhost";

const SERVER: &str = "server";
const AUTHORITY: &str = "Postern demo CA";
const CERTIFICATE_DAYS: u32 = 90;
/// A certificate with less time left is issued again.
const TIME_LEFT_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The SPIFFE ID of an identity of the demo.
pub(super) fn spiffe_id(name: &str) -> String {
    format!("spiffe://demo.example/{name}")
}

/// The certificate authority and what it issued.
#[derive(Debug)]
pub(super) struct Certificates {
    dir: PathBuf,
    /// What was there from an earlier run, and what was made now.
    pub(super) kept: Vec<&'static str>,
    /// What was made now.
    pub(super) made: Vec<&'static str>,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CertificatesError {
    /// The development CA.
    Pki(#[from] PkiError),
    /// A certificate that ran out cannot be removed.
    Folder(#[from] FolderError),
}

impl Certificates {
    /// Uses the authority in the folder, or makes one; issues what is missing, revoked or about to run out. Blocks.
    pub(super) fn prepare(folder: &Folder, now: Timestamp) -> Result<Self, CertificatesError> {
        let dir = folder.path("pki");
        let mut certificates = Certificates { dir: dir.clone(), kept: Vec::new(), made: Vec::new() };
        if certificates.ca_file().exists() {
            // A list is good for a year and costs nothing to sign.
            pki::refresh_crl(&dir, now)?;
            certificates.kept.push("CA");
        } else {
            pki::init(&dir, AUTHORITY, now)?;
            certificates.made.push("CA");
        }
        certificates.ensure(SERVER, now, |dir| {
            let dns_names = [API_HOST, APP_HOST, VAULT_HOST].map(str::to_owned);
            let ip_addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let request = ServerRequest {
                name: SERVER,
                dns_names: &dns_names,
                ip_addresses: &ip_addresses,
                days: CERTIFICATE_DAYS,
            };
            pki::issue_server(dir, &request, now).map(drop)
        })?;
        for name in EVERYBODY {
            certificates.ensure(name, now, |dir| {
                let uri = spiffe_id(name);
                let request =
                    ClientRequest { name, spiffe_uri: Some(&uri), emails: &[], dns_names: &[], days: CERTIFICATE_DAYS };
                pki::issue_client(dir, &request, now).map(drop)
            })?;
        }
        Ok(certificates)
    }

    /// The authority's certificate.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The certificate of somebody, or of the server.
    pub(super) fn certificate_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    /// The key to it.
    pub(super) fn key_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    fn ensure(
        &mut self,
        name: &'static str,
        now: Timestamp,
        issue: impl FnOnce(&Path) -> Result<(), PkiError>,
    ) -> Result<(), CertificatesError> {
        let (certificate_file, key_file) = (self.certificate_file(name), self.key_file(name));
        let is_good = key_file.exists() && lasts(&certificate_file, now);
        if is_good && !pki::is_revoked(&self.dir, &certificate_file)? {
            self.kept.push(name);
            return Ok(());
        }
        // What is issued is never written over something.
        for file in [certificate_file, key_file] {
            if file.exists() {
                fs::remove_file(&file).map_err(|source| FolderError::new("remove", &file, source))?;
            }
        }
        issue(&self.dir)?;
        self.made.push(name);
        Ok(())
    }
}

fn lasts(file: &Path, now: Timestamp) -> bool {
    let certificate = load_certificates(file).ok().and_then(|chain| Certificate::parse(chain.first()?).ok());
    certificate.is_some_and(|certificate| certificate.not_after() > now.after(TIME_LEFT_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_revoked_gets_another_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::take(folder.path()).unwrap();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let certificates = Certificates::prepare(&folder, now).unwrap();
        let file = certificates.certificate_file(ALICE);
        pki::revoke(&folder.path("pki"), pki::RevokeTarget::CertificateFile(&file), now).unwrap();
        assert_eq!(Certificates::prepare(&folder, now).unwrap().made, [ALICE]);
        assert!(!pki::is_revoked(&folder.path("pki"), &file).unwrap());
    }

    #[test]
    fn certificates_are_kept_until_they_are_about_to_run_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::take(folder.path()).unwrap();
        let start = Timestamp::from_millis(1_700_000_000_000);
        let first = Certificates::prepare(&folder, start).unwrap();
        assert_eq!((first.made.len(), first.kept.len()), (5, 0));
        let before = fs::read(first.certificate_file(ALICE)).unwrap();

        let soon = start.after(Duration::from_secs(60));
        let second = Certificates::prepare(&folder, soon).unwrap();
        assert_eq!((second.made.len(), second.kept.len()), (0, 5));
        assert_eq!(fs::read(second.certificate_file(ALICE)).unwrap(), before);

        let late = start.after(Duration::from_secs(89 * 24 * 60 * 60 + 1));
        let third = Certificates::prepare(&folder, late).unwrap();
        assert_eq!((third.made.len(), third.kept.as_slice()), (4, ["CA"].as_slice()));
        assert_ne!(fs::read(third.certificate_file(ALICE)).unwrap(), before);
    }
}
