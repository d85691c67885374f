//! Checks: one question about posture each, with a three-valued answer.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::CheckId;

use super::certificate::Signer;
use super::evidence::Evidence;
use super::facts::{Fact, Posture};
use super::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use super::platform::Families;
use crate::id::{CertificateId, ConnectionId, ListId};

pub mod antivirus;
pub mod certificate;
pub mod disk;
pub mod domain;
pub mod file;
pub mod firewall;
pub mod listed;
pub mod mac;
pub mod mfa;
pub mod os;
pub mod os_version;
pub mod process;
pub mod provider;
pub mod tunnel;

/// One question about posture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The check's id; reports name it, and PROCESS looks facts up by it.
    pub id: CheckId,
    /// The check's name, unique over all checks.
    pub name: Arc<str>,
    /// What is asked.
    pub predicate: Predicate,
    /// Devices the question is meant for: on others, and on those whose system is not known, it has no result. `None` asks
    /// every device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub applies_to: Option<Families>,
    /// Facts older than this count as stale; `None` accepts any age.
    pub max_age: Option<Duration>,
    /// What is demanded of the facts beside what they say.
    #[serde(skip_serializing_if = "Evidence::is_any", default)]
    pub evidence: Evidence,
    /// What a person can do to pass, in the operator's words.
    pub remediation: Option<Arc<str>>,
}

/// What a check asks. Both dialects compile to these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Predicate {
    /// The operating system and its version.
    Os(os::OsRule),
    /// The joined domain.
    Domain(domain::DomainRule),
    /// A hardware address.
    Mac(mac::MacRule),
    /// One process, answered under this check's id.
    Process(process::ProcessRule),
    /// Several processes, looked up by path.
    Processes(process::ProcessesRule),
    /// Multi-factor authentication.
    Mfa(mfa::MfaRule),
    /// The version of one operating system.
    OsVersion(os_version::OsVersionRule),
    /// One file, or one running program.
    File(file::FileRule),
    /// Encrypted volumes.
    Disk(disk::DiskRule),
    /// The firewall.
    Firewall(firewall::FirewallRule),
    /// Antivirus products.
    Antivirus(antivirus::AntivirusRule),
    /// What the device is called, looked up in a list.
    Listed(listed::ListedRule),
    /// A certificate the device holds.
    Certificate(certificate::CertificateRule),
    /// A client that reports for the device now.
    Tunnel(tunnel::TunnelRule),
    /// What a posture provider says.
    Provider(provider::ProviderRule),
    /// A check that a policy names and nobody defined: never has a result.
    Missing,
}

/// What was seen where a check looked: the "actual value" of a failure record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observed {
    /// The operating system, if reported.
    Os(Option<super::facts::Os>),
    /// The domain, if reported.
    Domain(Option<String>),
    /// The addresses, if reported.
    Macs(Option<Vec<String>>),
    /// The process answered under the check's id, if reported.
    Process(Option<super::facts::Process>),
    /// The latest report for each listed path that was reported.
    Processes(Vec<super::facts::Process>),
    /// The MFA state the check judged.
    Mfa(mfa::MfaState),
    /// The file, if it was looked for.
    File(Option<super::inventory::File>),
    /// The volumes, if reported.
    Volumes(Option<Vec<super::inventory::Volume>>),
    /// The firewalls, if reported.
    Firewall(Option<super::inventory::Firewall>),
    /// The antivirus products, if reported.
    Antivirus(Option<Vec<super::inventory::AntivirusProduct>>),
    /// What the device is called, if reported.
    Name(Option<String>),
    /// The certificates, if reported.
    Certificates(Option<Vec<HeldCertificate>>),
    /// The client's last report, and the tunnel the device says it is connected to.
    Client(ClientState),
    /// What the provider says, if it knows the device.
    Provider(Option<super::provider::ProviderValues>),
    /// Nothing: the check is missing.
    Nothing,
}

/// A certificate as a failure record shows it: everything a check may ask of it, not its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeldCertificate {
    common_name: Option<String>,
    names: Vec<String>,
    issuer: Option<String>,
    key_usages: Vec<super::certificate::KeyUsage>,
    not_before: Timestamp,
    not_after: Timestamp,
    private_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<super::certificate::TrustStore>,
}

/// Whether somebody reports for the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientState {
    last_report: Option<Timestamp>,
    tunnel: Option<super::inventory::Tunnel>,
}

impl Predicate {
    /// The kind of question, as metrics and logs print it.
    pub fn kind(&self) -> &'static str {
        match self {
            Predicate::Os(_) => "os",
            Predicate::Domain(_) => "domain",
            Predicate::Mac(_) => "mac",
            Predicate::Process(_) => "process",
            Predicate::Processes(_) => "processes",
            Predicate::Mfa(_) => "mfa",
            Predicate::OsVersion(_) => "os_version",
            Predicate::File(rule) if rule.state == file::FileState::Running => "application",
            Predicate::File(_) => "file",
            Predicate::Disk(_) => "disk_encryption",
            Predicate::Firewall(_) => "firewall",
            Predicate::Antivirus(_) => "antivirus",
            Predicate::Listed(rule) => rule.name.as_str(),
            Predicate::Certificate(_) => "client_certificate",
            Predicate::Tunnel(rule) if rule.own_only => "gateway",
            Predicate::Tunnel(_) => "warp",
            Predicate::Provider(_) => "provider",
            Predicate::Missing => "missing",
        }
    }

    /// The list it looks into, if it does.
    pub fn list(&self) -> Option<&ListId> {
        match self {
            Predicate::Listed(rule) => Some(&rule.list),
            _ => None,
        }
    }

    /// The connection to a posture provider it asks, if it does. An empty id names none: nobody answers such a question.
    pub fn connection(&self) -> Option<&ConnectionId> {
        match self {
            Predicate::Provider(rule) => Some(&rule.connection).filter(|connection| !connection.as_str().is_empty()),
            _ => None,
        }
    }

    /// The signing certificate it asks about, if it does.
    pub fn signing_certificate(&self) -> Option<&CertificateId> {
        match self {
            Predicate::Certificate(rule) => Some(&rule.signed_by),
            _ => None,
        }
    }
}

impl Check {
    /// Answers the question at `now`. The answer's `valid_until` is the first moment at which time alone changes it.
    pub fn assess(&self, posture: &Posture, now: Timestamp) -> Assessment {
        match self.evidence {
            Evidence::Any => Assessment::exact(now, |at| self.answer(posture, at)),
            Evidence::Signed => {
                let vouched_for = posture.vouched_for();
                Assessment::exact(now, |at| self.signed_answer(&vouched_for, posture, at))
            }
        }
    }

    /// The answer by what is vouched for alone. Where only what is not vouched for gives another answer, that is said.
    fn signed_answer(&self, vouched_for: &Posture, posture: &Posture, at: Timestamp) -> Assessment {
        let answer = self.answer(vouched_for, at);
        let ignorant = match answer.outcome {
            Outcome::Pass => false,
            Outcome::Fail(reason) => reason.of_ignorance() == Some(NoResultReason::NotReported),
            Outcome::NoResult(reason) => reason == NoResultReason::NotReported,
        };
        if !ignorant {
            return answer;
        }
        let by_all = self.answer(posture, at);
        let until = answer.valid_until.min(by_all.valid_until);
        if by_all.outcome == answer.outcome {
            return Assessment::until(answer.outcome, until);
        }
        Assessment::until(Outcome::NoResult(NoResultReason::NotSigned), until)
    }

    fn answer(&self, posture: &Posture, at: Timestamp) -> Assessment {
        let Some(meant_for) = self.applies_to else {
            return self.ask(posture, at);
        };
        let unanswered = |reason| Assessment::lasting(Outcome::NoResult(reason));
        match posture.family() {
            None => unanswered(NoResultReason::NotReported),
            Some(family) if !meant_for.contains(family) => unanswered(NoResultReason::NotApplicable),
            Some(_) => self.held_against(posture, self.ask(posture, at), at),
        }
    }

    /// A device that is known to be of the kind a check is meant for, and whose report counts, had its chance to show
    /// compliance: what it left out is a fail (`cloudflare.md` 1, missing data).
    fn held_against(&self, posture: &Posture, answer: Assessment, now: Timestamp) -> Assessment {
        let reason = match answer.outcome {
            Outcome::NoResult(NoResultReason::NotReported) => FailReason::FactMissing,
            Outcome::NoResult(NoResultReason::Unreadable) => FailReason::FactUnreadable,
            _ => return answer,
        };
        match posture.os.as_ref().and_then(|os| os.counts_until(self.max_age, now)) {
            Some(end) => Assessment::until(Outcome::Fail(reason), end.min(answer.valid_until)),
            None => Assessment::lasting(Outcome::NoResult(NoResultReason::Stale)),
        }
    }

    fn ask(&self, posture: &Posture, at: Timestamp) -> Assessment {
        match &self.predicate {
            Predicate::Os(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Domain(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Mac(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Process(rule) => rule.assess(&self.id, posture, self.max_age, at),
            Predicate::Processes(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Mfa(rule) => rule.assess(posture, self.max_age, at),
            Predicate::OsVersion(rule) => rule.assess(posture, self.max_age, at),
            Predicate::File(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Disk(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Firewall(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Antivirus(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Listed(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Certificate(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Tunnel(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Provider(rule) => rule.assess(posture, self.max_age, at),
            Predicate::Missing => Assessment::lasting(Outcome::NoResult(NoResultReason::Dangling)),
        }
    }

    /// The check with what it refers to put in its place; `None` when it refers to nothing.
    pub fn resolved(
        &self,
        entries: impl FnOnce(&ListId) -> Option<listed::Entries>,
        signer: impl FnOnce(&CertificateId) -> Option<Signer>,
        connected: impl FnOnce(&ConnectionId) -> bool,
    ) -> Option<Check> {
        let predicate = match &self.predicate {
            Predicate::Listed(rule) => {
                Predicate::Listed(listed::ListedRule { entries: entries(&rule.list), ..rule.clone() })
            }
            Predicate::Certificate(rule) => {
                Predicate::Certificate(certificate::CertificateRule { signer: signer(&rule.signed_by), ..rule.clone() })
            }
            // The empty id stands for providers that nobody can be connected to: they simply know no device.
            Predicate::Provider(rule) if !rule.connection.as_str().is_empty() => {
                Predicate::Provider(provider::ProviderRule {
                    unconnected: !connected(&rule.connection),
                    ..rule.clone()
                })
            }
            _ => return None,
        };
        Some(Check { predicate, ..self.clone() })
    }

    /// What a failure record shows as the actual value.
    pub fn observe(&self, posture: &Posture, now: Timestamp) -> Observed {
        match &self.predicate {
            Predicate::Os(_) => Observed::Os(value_of(posture.os.as_ref())),
            Predicate::Domain(_) => Observed::Domain(value_of(posture.domain.as_ref())),
            Predicate::Mac(_) => Observed::Macs(value_of(posture.macs.as_ref())),
            Predicate::Process(rule) => Observed::Process(value_of(rule.find(&self.id, posture))),
            Predicate::Processes(rule) => {
                Observed::Processes(rule.find(posture).map(|fact| fact.value.clone()).collect())
            }
            Predicate::Mfa(rule) => Observed::Mfa(rule.state(posture, now)),
            Predicate::OsVersion(_) => Observed::Os(value_of(posture.os.as_ref())),
            Predicate::File(rule) if rule.state == file::FileState::Running => {
                Observed::Process(value_of(rule.find_process(posture)))
            }
            Predicate::File(rule) => Observed::File(rule.find_file(posture).cloned()),
            Predicate::Disk(_) => Observed::Volumes(value_of(posture.inventory().volumes.as_ref())),
            Predicate::Firewall(_) => Observed::Firewall(value_of(posture.inventory().firewall.as_ref())),
            Predicate::Antivirus(_) => Observed::Antivirus(value_of(posture.inventory().antivirus.as_ref())),
            Predicate::Listed(rule) => Observed::Name(value_of(rule.find(posture))),
            Predicate::Certificate(_) => Observed::Certificates(held_certificates(posture)),
            Predicate::Tunnel(_) => Observed::Client(ClientState {
                last_report: posture.checked_in_at,
                tunnel: value_of(posture.inventory().tunnel.as_ref()),
            }),
            Predicate::Provider(rule) => Observed::Provider(rule.find(posture).map(|fact| fact.value.values.clone())),
            Predicate::Missing => Observed::Nothing,
        }
    }

    /// When the oldest fact this check looks at was observed; `None` when there is none.
    pub fn observed_at(&self, posture: &Posture) -> Option<Timestamp> {
        match &self.predicate {
            Predicate::Os(_) => posture.os.as_ref().map(|fact| fact.observed_at),
            Predicate::Domain(_) => posture.domain.as_ref().map(|fact| fact.observed_at),
            Predicate::Mac(_) => posture.macs.as_ref().map(|fact| fact.observed_at),
            Predicate::Process(rule) => rule.find(&self.id, posture).map(|fact| fact.observed_at),
            Predicate::Processes(rule) => rule.find(posture).map(|fact| fact.observed_at).min(),
            Predicate::Mfa(_) => posture.mfa.passed_at,
            Predicate::OsVersion(_) => posture.os.as_ref().map(|fact| fact.observed_at),
            Predicate::File(rule) if rule.state == file::FileState::Running => {
                rule.find_process(posture).map(|fact| fact.observed_at)
            }
            Predicate::File(_) => posture.inventory().files.as_ref().map(|fact| fact.observed_at),
            Predicate::Disk(_) => posture.inventory().volumes.as_ref().map(|fact| fact.observed_at),
            Predicate::Firewall(_) => posture.inventory().firewall.as_ref().map(|fact| fact.observed_at),
            Predicate::Antivirus(_) => posture.inventory().antivirus.as_ref().map(|fact| fact.observed_at),
            Predicate::Listed(rule) => rule.find(posture).map(|fact| fact.observed_at),
            Predicate::Certificate(_) => posture.inventory().certificates.as_ref().map(|fact| fact.observed_at),
            Predicate::Tunnel(_) => posture.checked_in_at,
            Predicate::Provider(rule) => rule.find(posture).map(|fact| fact.observed_at),
            Predicate::Missing => None,
        }
    }
}

fn held_certificates(posture: &Posture) -> Option<Vec<HeldCertificate>> {
    let held = posture.inventory().certificates.as_ref()?.value.iter();
    let shown = held.map(|certificate| HeldCertificate {
        common_name: certificate.common_name.clone(),
        names: certificate.names.clone(),
        issuer: certificate.issuer(),
        key_usages: certificate.key_usages.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        private_key: certificate.private_key,
        path: certificate.path.clone(),
        store: certificate.store,
    });
    Some(shown.collect())
}

fn value_of<T: Clone>(fact: Option<&Fact<T>>) -> Option<T> {
    fact.map(|fact| fact.value.clone())
}
