//! A throw-away CA in a temporary directory, made with the product's own `pki`.

use std::fs;
use std::path::{Path, PathBuf};

use postern::clock::{Clock, SystemClock, Timestamp};
use postern::tls::pki::{self, ClientRequest, RevokeTarget, ServerRequest};
use postern::tls::{ServerCertificateFiles, TrustSources};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use tempfile::TempDir;

/// The real time: TLS clients look at the real clock, so server certificates must be valid now.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) serial: String,
}

impl Issued {
    pub(crate) fn as_server(&self) -> ServerCertificateFiles {
        ServerCertificateFiles {
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
            ocsp_file: None,
        }
    }
}

impl From<pki::IssuedCertificate> for Issued {
    fn from(issued: pki::IssuedCertificate) -> Self {
        Issued { certificate_file: issued.certificate_file, key_file: issued.key_file, serial: issued.serial }
    }
}

/// A CA that lives as long as the value.
pub(crate) struct Authority {
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        pki::init(dir.path(), name, now()).unwrap();
        Authority { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    pub(crate) fn crl_file(&self) -> PathBuf {
        self.path().join("crl.pem")
    }

    /// The CA alone, without revocation.
    pub(crate) fn trusted(&self) -> TrustSources {
        TrustSources { ca_files: vec![self.ca_file()], ..TrustSources::default() }
    }

    /// The CA with its revocation list.
    pub(crate) fn trusted_with_crl(&self) -> TrustSources {
        TrustSources { crl_files: vec![self.crl_file()], ..self.trusted() }
    }

    pub(crate) fn server(&self, name: &str, dns_names: &[&str]) -> Issued {
        let dns_names: Vec<_> = dns_names.iter().map(ToString::to_string).collect();
        let request = ServerRequest { name, dns_names: &dns_names, ip_addresses: &[], days: 30 };
        pki::issue_server(self.path(), &request, now()).unwrap().into()
    }

    pub(crate) fn client(&self, name: &str) -> Issued {
        let uri = format!("spiffe://postern.test/{name}");
        let request = ClientRequest {
            name,
            spiffe_uri: Some(&uri),
            emails: &[format!("{name}@postern.test")],
            dns_names: &[format!("{name}.devices.postern.test")],
            days: 30,
        };
        pki::issue_client(self.path(), &request, now()).unwrap().into()
    }

    pub(crate) fn revoke(&self, issued: &Issued) {
        pki::revoke(self.path(), RevokeTarget::Serial(&issued.serial), now()).unwrap();
    }

    /// A client certificate whose contents the test decides, signed by this CA.
    pub(crate) fn client_with(&self, name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Issued {
        let ca_key = KeyPair::from_pem(&fs::read_to_string(self.path().join("ca.key")).unwrap()).unwrap();
        let ca = fs::read_to_string(self.ca_file()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&ca, ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        shape(&mut params);
        let signed = params.signed_by(&key, &issuer).unwrap();
        let issued = Issued {
            certificate_file: self.path().join(format!("{name}.pem")),
            key_file: self.path().join(format!("{name}.key")),
            serial: String::new(),
        };
        fs::write(&issued.certificate_file, signed.pem()).unwrap();
        fs::write(&issued.key_file, key.serialize_pem()).unwrap();
        issued
    }
}
