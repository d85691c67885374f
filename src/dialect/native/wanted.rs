//! What a gateway wants to know of one device: the facts that its own policies ask for, in one list for every dialect.
//!
//! It says where to look and never what would pass: no digest, signer, version, domain, address or list is told.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::posture::certificate::TrustStore;
use crate::posture::check::certificate::CertificateRule;
use crate::posture::check::file::{FileRule, FileState, variables};
use crate::posture::check::listed::DeviceName;
use crate::posture::check::{Check, Predicate};
use crate::posture::platform::Family;
use crate::posture::{Evidence, Families};

/// What is wanted of a device. The members of a report that `facts` does not name need not be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Wanted {
    /// The members of a report that some check looks at.
    pub facts: Vec<WantedFact>,
    /// The executables whose processes are asked for.
    pub processes: Vec<WantedProcess>,
    /// The files that are asked for, by path as it is written: `${NAME}` stands for a variable.
    pub files: Vec<String>,
    /// The environment variables that paths use.
    pub environment: Vec<String>,
    /// The PEM files in which certificates are looked for.
    pub certificate_paths: Vec<String>,
    /// The trust stores in which certificates are looked for.
    pub certificate_stores: Vec<TrustStore>,
    /// Whether some check counts signed reports only.
    pub signed: bool,
    /// The shortest time after which some fact no longer counts, in milliseconds; absent when facts count at any age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_millis: Option<u64>,
}

/// A member of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WantedFact {
    /// The operating system.
    Os,
    /// The host name.
    Hostname,
    /// The domain.
    Domain,
    /// The hardware addresses.
    MacAddresses,
    /// Processes.
    Processes,
    /// Files.
    Files,
    /// Volumes.
    Volumes,
    /// The firewalls.
    Firewall,
    /// Antivirus products.
    Antivirus,
    /// The hardware's serial number.
    SerialNumber,
    /// The id from device management.
    UniqueClientId,
    /// Environment variables.
    Environment,
    /// Client certificates.
    Certificates,
    /// The tunnel client.
    Tunnel,
    /// Waking and unlocking.
    Endpoint,
    /// Something that a newer gateway knows and this program does not.
    #[serde(other)]
    Other,
}

/// An executable that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedProcess {
    /// Its path as it is written.
    pub path: String,
    /// The check to answer under; absent when any report of the path will do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check_id: Option<String>,
}

impl Wanted {
    /// What `checks` ask of a device of the kind `family`; of a device whose kind is not known, what they may ask.
    pub fn of<'a>(checks: impl IntoIterator<Item = &'a Check>, family: Option<Family>) -> Self {
        let mut wanted = Wanted::default();
        for check in checks {
            let concerns = |meant_for: Families| family.is_none_or(|family| meant_for.contains(family));
            if check.applies_to.is_none_or(concerns) {
                wanted.add(check);
            }
        }
        wanted.tidy();
        wanted
    }

    fn add(&mut self, check: &Check) {
        self.signed |= check.evidence == Evidence::Signed;
        self.keep_fresh(check.max_age);
        match &check.predicate {
            Predicate::Os(_) | Predicate::OsVersion(_) => self.facts.push(WantedFact::Os),
            Predicate::Domain(_) => self.facts.push(WantedFact::Domain),
            Predicate::Mac(_) => self.facts.push(WantedFact::MacAddresses),
            Predicate::Process(rule) => self.add_process(&rule.process.path, Some(check.id.to_string())),
            Predicate::Processes(rule) => {
                rule.processes.iter().for_each(|process| self.add_process(&process.path, None))
            }
            Predicate::Mfa(rule) => {
                if rule.prompt_on_wake || rule.prompt_on_unlock {
                    self.facts.push(WantedFact::Endpoint);
                }
            }
            Predicate::File(rule) => self.add_file(rule),
            Predicate::Disk(_) => self.facts.push(WantedFact::Volumes),
            Predicate::Firewall(_) => self.facts.push(WantedFact::Firewall),
            Predicate::Antivirus(_) => self.facts.push(WantedFact::Antivirus),
            Predicate::Listed(rule) => self.facts.push(match rule.name {
                DeviceName::SerialNumber => WantedFact::SerialNumber,
                DeviceName::UniqueClientId => WantedFact::UniqueClientId,
            }),
            Predicate::Certificate(rule) => self.add_certificates(rule),
            Predicate::Tunnel(rule) => {
                self.keep_fresh(Some(rule.presence));
                self.facts.extend((!rule.own_only).then_some(WantedFact::Tunnel));
            }
            // Providers are asked by the gateway itself, and what is missing has nobody to ask.
            Predicate::Provider(_) | Predicate::Missing => {}
        }
    }

    fn add_process(&mut self, path: &str, check_id: Option<String>) {
        if !path.is_empty() {
            self.facts.push(WantedFact::Processes);
            self.processes.push(WantedProcess { path: path.to_owned(), check_id });
        }
    }

    fn add_file(&mut self, rule: &FileRule) {
        let names = variables(rule.system, &rule.path).map(|(_, name)| name.to_owned());
        self.environment.extend(names);
        match rule.state {
            FileState::Running => self.add_process(&rule.path, None),
            FileState::Present | FileState::Absent => {
                self.facts.push(WantedFact::Files);
                self.files.push(rule.path.clone());
            }
        }
    }

    fn add_certificates(&mut self, rule: &CertificateRule) {
        // Names may be made of these.
        self.facts.extend([WantedFact::Certificates, WantedFact::SerialNumber, WantedFact::Hostname]);
        match &rule.locations {
            Some(locations) => {
                self.certificate_paths.extend(locations.paths.iter().cloned());
                self.certificate_stores.extend(&locations.stores);
            }
            None => self.certificate_stores.extend(TrustStore::ALL),
        }
    }

    fn keep_fresh(&mut self, age: Option<Duration>) {
        let age = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.max_age_millis = self.max_age_millis.into_iter().chain(age).min();
    }

    /// Each thing once, in order, within the bounds of a report.
    fn tidy(&mut self) {
        if !self.environment.is_empty() {
            self.facts.push(WantedFact::Environment);
        }
        self.facts.sort_unstable();
        self.facts.dedup();
        self.processes.sort_unstable();
        self.processes.dedup();
        self.processes.truncate(limits::PROCESSES_PER_IDENTITY_MAX);
        let stores = &mut self.certificate_stores;
        stores.sort_unstable_by_key(|store| store.as_str());
        stores.dedup();
        for texts in [&mut self.files, &mut self.environment, &mut self.certificate_paths] {
            texts.sort_unstable();
            texts.dedup();
            texts.truncate(limits::INVENTORY_ENTRIES_MAX);
        }
    }

    /// Whether some check looks at a member of a report.
    pub fn wants(&self, fact: WantedFact) -> bool {
        self.facts.contains(&fact)
    }
}
