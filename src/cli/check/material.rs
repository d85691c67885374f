//! What is to be said about the files that configuration and policy name.
//!
//! `run` ends at the first file it cannot use; here every file is tried on its own, so that all of them are told at once.

use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::config::policy::ObjectPlaces;
use crate::config::{ExpiredCrl, Finding, Findings, Place, ServerCertificate, Settings, Store as StoreKind};
use crate::policy::Objects;
use crate::store::Sealer;
use crate::tls::{
    CrlPolicy, EnrolmentCa, MaterialWarning, ReloadableResolver, ServerCertificateError, ServerCertificateFiles,
    TrustError, TrustSources, TrustStore, load_certificates,
};

/// Certificates, keys, CAs and revocation lists of the configuration, and its data directory.
pub(super) fn findings(settings: &Settings, now: Timestamp) -> Findings {
    let mut told = Told { settings, now, findings: Findings::new() };
    told.server_certificates();
    told.client_trust();
    told.authorities("identity.auto_enroll.ca_files", &settings.identity.auto_enroll.ca_files);
    told.enrolment_ca();
    told.data_directory();
    told.authorities("cloudflare.ca_files", &settings.cloudflare.ca_files);
    told.findings
}

/// CAs that services name for their upstreams.
pub(super) fn upstream_findings(objects: &Objects, places: &ObjectPlaces) -> Findings {
    let mut findings = Findings::new();
    for service in objects.services.values() {
        let tls = service.transport.tls.as_ref();
        let Some(file) = tls.and_then(|tls| tls.ca_file.as_ref()).map(Path::new) else { continue };
        if let Err(error) = load_certificates(file) {
            let place = places.service(&service.id).cloned().unwrap_or_else(|| Place::path(file));
            findings.push(Finding::error(place, "upstream.tls.ca_file", error.to_string()));
        }
    }
    findings
}

struct Told<'a> {
    settings: &'a Settings,
    now: Timestamp,
    findings: Findings,
}

impl Told<'_> {
    fn error(&mut self, key: String, error: &impl ToString) {
        let place = self.settings.places.find(&key).clone();
        self.findings.push(Finding::error(place, key, error.to_string()));
    }

    fn warn(&mut self, key: String, warning: &MaterialWarning) {
        let place = self.settings.places.find(&key).clone();
        self.findings.push(Finding::warning(place, key, warning.to_string()));
    }

    fn enrolment_ca(&mut self) {
        let Some(enrollment) = &self.settings.identity.enrollment else { return };
        let loaded = EnrolmentCa::load(&enrollment.cert_file, &enrollment.key_file, enrollment.certificate_days);
        if let Err(error) = loaded {
            self.error("identity.enrollment".to_owned(), &error);
        }
    }

    fn server_certificates(&mut self) {
        let shared = &self.settings.tls.certificates;
        self.certificates("tls.certificates", shared);
        let listeners = &self.settings.listeners;
        let own = [
            ("listeners.gateway.certificates", &listeners.gateway),
            ("listeners.client_api.certificates", &listeners.client_api),
            ("listeners.admin.certificates", &listeners.admin),
        ];
        for (key, listener) in own {
            if listener.certificates != *shared {
                self.certificates(key, &listener.certificates);
            }
        }
    }

    fn certificates(&mut self, list: &str, certificates: &[ServerCertificate]) {
        for (index, certificate) in certificates.iter().enumerate() {
            let files = ServerCertificateFiles {
                certificate_file: certificate.cert_file.clone(),
                key_file: certificate.key_file.clone(),
                ocsp_file: certificate.ocsp_file.clone(),
            };
            match ReloadableResolver::load(vec![files], self.now) {
                Ok(resolver) => {
                    for warning in resolver.warnings() {
                        let key = certificate_key(&warning.file, certificate);
                        self.warn(format!("{list}[{index}].{key}"), &warning);
                    }
                }
                Err(error) => {
                    let file = match &error {
                        ServerCertificateError::Material(material) => material.file(),
                        ServerCertificateError::NoneConfigured => &certificate.cert_file,
                    };
                    self.error(format!("{list}[{index}].{}", certificate_key(file, certificate)), &error);
                }
            }
        }
    }

    fn client_trust(&mut self) {
        let tls = &self.settings.tls;
        let authorities = self.authorities("tls.client_ca_files", &tls.client_ca_files);
        if authorities.is_empty() {
            return;
        }
        let mut lists = Vec::new();
        for (index, file) in tls.crl_files.iter().enumerate() {
            match self.load(&authorities, std::slice::from_ref(file)) {
                Ok(_) => lists.push(file.clone()),
                Err(error) => self.error(format!("tls.crl_files[{index}]"), &error),
            }
        }
        match self.load(&authorities, &lists) {
            Ok(trust) => {
                for warning in trust.current().warnings() {
                    self.warn(key_of(&warning.file, self.settings), warning);
                }
            }
            Err(error) => self.error("tls.client_ca_files".to_owned(), &error),
        }
    }

    /// The files of a list that hold usable CAs; the others are told.
    fn authorities(&mut self, list: &str, files: &[PathBuf]) -> Vec<PathBuf> {
        let mut usable = Vec::new();
        for (index, file) in files.iter().enumerate() {
            match self.load(std::slice::from_ref(file), &[]) {
                Ok(_) => usable.push(file.clone()),
                Err(error) => self.error(format!("{list}[{index}]"), &error),
            }
        }
        usable
    }

    fn load(&self, ca_files: &[PathBuf], crl_files: &[PathBuf]) -> Result<std::sync::Arc<TrustStore>, TrustError> {
        let accept_expired = self.settings.tls.expired_crl == ExpiredCrl::DangerousTolerate;
        let crl_policy = CrlPolicy { accept_expired, ..CrlPolicy::default() };
        TrustStore::load(
            TrustSources { ca_files: ca_files.to_vec(), crl_files: crl_files.to_vec(), crl_policy },
            self.now,
        )
    }

    fn data_directory(&mut self) {
        let directory = &self.settings.data.directory;
        if directory.exists() && !directory.is_dir() {
            let problem = format!("{} is not a folder", directory.display());
            self.error("data.directory".to_owned(), &problem);
        }
        if self.settings.data.store == StoreKind::Redb
            && let Err(error) = Sealer::check(&self.settings.data.secrets_key_file)
        {
            self.error("data.secrets_key_file".to_owned(), &error);
        }
    }
}

/// The key that names a file of a certificate.
fn certificate_key(file: &Path, certificate: &ServerCertificate) -> &'static str {
    if file == certificate.key_file {
        "key_file"
    } else if Some(file) == certificate.ocsp_file.as_deref() {
        "ocsp_file"
    } else {
        "cert_file"
    }
}

/// The key that names a file of the client trust.
fn key_of(file: &Path, settings: &Settings) -> String {
    let tls = &settings.tls;
    for (list, files) in [("tls.client_ca_files", &tls.client_ca_files), ("tls.crl_files", &tls.crl_files)] {
        if let Some(index) = files.iter().position(|known| known == file) {
            return format!("{list}[{index}]");
        }
    }
    "tls".to_owned()
}
