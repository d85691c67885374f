//! The policy folder: identities, services, service policies and posture checks, as files an operator edits.
//!
//! A folder is read whole. Each file may hold any of the seven lists; names, ids and certificate names are unique over all
//! files. References from one object to another are not followed here: the compiler does that, and finds the place of a
//! reference in [`ObjectPlaces`].

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::file::Bytes;
use super::document::session::Spelling;
use super::document::{Field, Session, parse};
use super::findings::{Finding, Findings};
use super::settings::ServiceDefaults;
use crate::policy::Objects;

mod check;
mod device_list;
mod folder;
mod identity;
mod object;
mod places;
mod rule;
mod service;
mod service_policy;
mod signing_certificate;

pub use folder::Fingerprint;
pub(super) use folder::Folder;
pub use places::ObjectPlaces;

use identity::Identities;
use object::{Register, Source};

/// The objects of a policy folder.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The objects.
    pub objects: Objects,
    /// Where they were written.
    pub places: ObjectPlaces,
    /// What the folder held when it was read.
    pub fingerprint: Fingerprint,
    /// What is odd about it.
    pub warnings: Findings,
}

/// Reads every policy file of a folder: `*.yaml` and `*.yml`, without descending, names with a leading dot left out.
///
/// Returns all objects and any warnings, or every reason why there are none. `defaults` fill in what services leave open.
pub fn load(directory: &Path, defaults: &ServiceDefaults) -> Result<Loaded, Findings> {
    let folder = Folder::read(directory)?;
    let fingerprint = folder.fingerprint();
    let mut reader = Reader::new(defaults);
    for (path, read) in folder.files {
        match read {
            Ok(bytes) => reader.read(&path, &bytes),
            Err(finding) => reader.findings.push(finding),
        }
    }
    let mut findings = std::mem::take(&mut reader.findings);
    let (objects, places) = reader.finish();
    if places == ObjectPlaces::default() && findings.is_empty() {
        let place = super::findings::Place::path(directory);
        findings.push(Finding::warning(place, "", "holds no policy objects: everything is refused"));
    }
    let ((objects, places), warnings) = findings.settle(Some((objects, places)))?;
    Ok(Loaded { objects, places, fingerprint, warnings })
}

/// A policy file: any of seven lists of objects. Names and ids are unique over all files of the folder.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Postern policy file")]
pub(super) struct RawPolicyFile {
    /// Who may ask.
    identities: Field<Vec<Field<identity::RawIdentity>>>,
    /// What is behind the gate.
    services: Field<Vec<Field<service::RawService>>>,
    /// Who may reach what, under which checks.
    service_policies: Field<Vec<Field<service_policy::RawServicePolicy>>>,
    /// Questions about the posture of a device.
    posture_checks: Field<Vec<Field<check::RawCheck>>>,
    /// Questions about the posture of a device, as Cloudflare's API takes them. Policies name them like posture checks.
    posture_rules: Field<Vec<Field<rule::RawRule>>>,
    /// What some devices are called, for rules that look in them.
    device_lists: Field<Vec<Field<device_list::RawDeviceList>>>,
    /// Certificates that sign those of devices, for rules about client certificates.
    signing_certificates: Field<Vec<Field<signing_certificate::RawSigningCertificate>>>,
}

/// Objects read so far.
struct Reader<'d> {
    defaults: &'d ServiceDefaults,
    findings: Findings,
    objects: Objects,
    places: ObjectPlaces,
    identities: Identities,
    services: Register,
    policies: Register,
    checks: Register,
    lists: Register,
    signing_certificates: Register,
}

impl<'d> Reader<'d> {
    fn new(defaults: &'d ServiceDefaults) -> Self {
        Reader {
            defaults,
            findings: Findings::new(),
            objects: Objects::default(),
            places: ObjectPlaces::default(),
            identities: Identities::new(),
            services: Register::new("service"),
            policies: Register::new("service policy"),
            checks: Register::new("posture check"),
            lists: Register::new("device list"),
            signing_certificates: Register::new("signing certificate"),
        }
    }

    fn read(&mut self, path: &Path, bytes: &Bytes) {
        let (document, findings) = parse::parse(path, &bytes.content);
        if document.is_blank() {
            if findings.is_empty() {
                let place = super::findings::Place::path(path);
                self.findings.push(Finding::warning(place, "", "holds no policy objects"));
            }
            self.findings.append(findings);
            return;
        }
        let session = Session::new(document, findings, Spelling::SnakeOrCamel);
        let raw: RawPolicyFile = session.decode().unwrap_or_default();
        let source = Source { session: &session, modified: bytes.modified };
        self.take(&source, path.parent().unwrap_or(Path::new("")), raw);
        self.findings.append(session.into_findings());
    }

    fn take(&mut self, source: &Source<'_>, folder: &Path, raw: RawPolicyFile) {
        for identity in raw.identities.items() {
            if let Some(identity) = self.identities.read(source, identity) {
                let id = identity.id.clone();
                self.objects.identities.insert(id, Arc::new(identity));
            }
        }
        for service in raw.services.items() {
            let services = &mut self.services;
            if let Some(service) = service::read(source, services, self.defaults, folder, service) {
                let id = service.id.clone();
                self.objects.services.insert(id, Arc::new(service));
            }
        }
        for policy in raw.service_policies.items() {
            let (policies, places) = (&mut self.policies, &mut self.places);
            if let Some(policy) = service_policy::read(source, policies, places, policy) {
                let id = policy.id.clone();
                self.objects.policies.insert(id, Arc::new(policy));
            }
        }
        for check in raw.posture_checks.items() {
            if let Some(check) = check::read(source, &mut self.checks, check) {
                let id = check.check.id.clone();
                self.objects.checks.insert(id, Arc::new(check));
            }
        }
        for rule in raw.posture_rules.items() {
            if let Some(rule) = rule::read(source, &mut self.checks, rule) {
                let id = rule.check.id.clone();
                self.objects.checks.insert(id, Arc::new(rule));
            }
        }
        for list in raw.device_lists.items() {
            if let Some(list) = device_list::read(source, &mut self.lists, list) {
                self.objects.lists.insert(list.id.clone(), Arc::new(list));
            }
        }
        for certificate in raw.signing_certificates.items() {
            let register = &mut self.signing_certificates;
            if let Some(certificate) = signing_certificate::read(source, register, folder, certificate) {
                self.objects.signing_certificates.insert(certificate.id.clone(), Arc::new(certificate));
            }
        }
    }

    fn finish(mut self) -> (Objects, ObjectPlaces) {
        self.places.identities = self.identities.register.into_places();
        self.places.services = self.services.into_places();
        self.places.policies = self.policies.into_places();
        self.places.checks = self.checks.into_places();
        (self.objects, self.places)
    }
}
