//! A posture report: observations to be taken into a device's posture all together or not at all.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;

use super::certificate::DeviceCertificate;
use super::facts::{Fact, Os, Posture, Process, Sdk, Source};
use super::fold::bare_hex;
use super::inventory::{AntivirusProduct, File, Firewall, Inventory, Tunnel, UnknownFact, Volume};
use super::provider::ProviderRecord;

/// Observations that arrived together.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When they arrived.
    pub received_at: Timestamp,
    /// Who sent them.
    pub source: Source,
    /// What was observed, in the order sent; a later observation of the same fact wins.
    pub observations: Vec<Observation>,
}

/// One observation and the check it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The posture check the sender named.
    pub asked_by: Option<CheckId>,
    /// What was observed.
    pub seen: Seen,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The operating system.
    Os(Os),
    /// The domain; empty when the device is joined to none.
    Domain(String),
    /// All hardware addresses, as sent.
    Macs(Vec<String>),
    /// One process, running or not.
    Process(Process),
    /// Every process that was looked for, running or not, for no check in particular: it takes the place of the earlier such
    /// list.
    Processes(Vec<Process>),
    /// The host name.
    Hostname(String),
    /// What the hardware's product is called.
    Product(String),
    /// The hardware's serial number.
    SerialNumber(String),
    /// The id that device management gave to the client.
    UniqueClientId(String),
    /// Environment variables of the reporting daemon.
    Environment(BTreeMap<String, String>),
    /// Every file that was looked for, found or not.
    Files(Vec<File>),
    /// All mounted volumes.
    Volumes(Vec<Volume>),
    /// The firewalls.
    Firewall(Firewall),
    /// All antivirus products.
    Antivirus(Vec<AntivirusProduct>),
    /// All client certificates.
    Certificates(Vec<DeviceCertificate>),
    /// A tunnel client on the device.
    Tunnel(Tunnel),
    /// Whether the screen is locked.
    ScreenLocked(bool),
    /// Everything the device cannot tell. What it said of it before does not count any more.
    Unknown(Vec<UnknownFact>),
    /// What a posture provider says; it takes the place of what it said before.
    Provider(ProviderRecord),
    /// How far the device's clock was ahead of the gateway's when it signed, in milliseconds.
    ClockSkew(i64),
    /// Something that was seen some time before the report was sent.
    Earlier {
        /// When, by the gateway's clock. A time after the report's arrival counts as that arrival.
        at: Timestamp,
        /// What.
        seen: Box<Seen>,
    },
    /// The software that speaks for the device.
    Sdk(Sdk),
    /// The device woke or was unlocked just now; `false` says nothing.
    Endpoint {
        /// It woke from sleep.
        woken: bool,
        /// Its screen was unlocked.
        unlocked: bool,
    },
}

/// Why a report cannot be taken in. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The report as a whole has too much of something.
    #[error("the report has {count} {what}, more than the {max} allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// One observation has too much of something.
    #[error("observation {index} has {count} {what}, more than the {max} allowed")]
    TooManyIn {
        /// Which observation, from 0.
        index: usize,
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// A text is too long.
    #[error("observation {index} has a {what} of {bytes} bytes, more than the {max} allowed")]
    TooLong {
        /// Which observation, from 0.
        index: usize,
        /// What is too long.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// The bound.
        max: usize,
    },
}

impl Posture {
    /// This posture with a report taken in: all of it, or an error and nothing.
    ///
    /// Addresses, digests and fingerprints are normalised to bare lower-case hex. A process replaces the earlier report of the
    /// same path for the same check; when more than [`limits::PROCESSES_PER_IDENTITY_MAX`] are known, the oldest are forgotten,
    /// which closes doors and opens none.
    pub fn apply(&self, report: &Report) -> Result<Posture, ReportError> {
        report.check_bounds()?;
        let mut posture = self.clone();
        for observation in &report.observations {
            posture.take_in(report, observation);
        }
        let surplus = posture.processes.len().saturating_sub(limits::PROCESSES_PER_IDENTITY_MAX);
        posture.processes.drain(..surplus);
        if report.source.is_device() {
            posture.checked_in_at = posture.checked_in_at.max(Some(report.received_at));
        }
        if report.source == Source::DeviceSigned {
            posture.signed_in_at = posture.signed_in_at.max(Some(report.received_at));
        }
        let providers = posture.inventory().providers.len();
        at_most("posture providers", providers, limits::PROVIDERS_PER_IDENTITY_MAX)?;
        Ok(posture)
    }

    fn take_in(&mut self, report: &Report, observation: &Observation) {
        match &observation.seen {
            Seen::Os(os) => self.os = Some(fact(report, observation, os.clone())),
            Seen::Domain(domain) => self.domain = Some(fact(report, observation, domain.clone())),
            Seen::Macs(addresses) => {
                let addresses = addresses.iter().map(|address| bare_hex(address)).collect();
                self.macs = Some(fact(report, observation, addresses));
            }
            Seen::Process(process) => {
                self.processes
                    .retain(|known| known.asked_by != observation.asked_by || known.value.path != process.path);
                self.processes.push(fact(report, observation, normalized(process)));
            }
            Seen::Processes(processes) => {
                self.processes.retain(|known| known.asked_by.is_some());
                self.processes.extend(processes.iter().map(|process| fact(report, observation, normalized(process))));
            }
            Seen::Hostname(name) => self.more().hostname = Some(fact(report, observation, name.clone())),
            Seen::Product(name) => self.more().product = Some(fact(report, observation, name.clone())),
            Seen::SerialNumber(number) => self.more().serial_number = Some(fact(report, observation, number.clone())),
            Seen::UniqueClientId(id) => self.more().unique_client_id = Some(fact(report, observation, id.clone())),
            Seen::Environment(variables) => {
                self.more().environment = Some(fact(report, observation, variables.clone()));
            }
            Seen::Files(files) => {
                let files = files.iter().map(normalized_file).collect();
                self.more().files = Some(fact(report, observation, files));
            }
            Seen::Volumes(volumes) => self.more().volumes = Some(fact(report, observation, volumes.clone())),
            Seen::Firewall(firewall) => self.more().firewall = Some(fact(report, observation, *firewall)),
            Seen::Antivirus(products) => self.more().antivirus = Some(fact(report, observation, products.clone())),
            Seen::Certificates(held) => self.more().certificates = Some(fact(report, observation, held.clone())),
            Seen::Tunnel(tunnel) => self.more().tunnel = Some(fact(report, observation, tunnel.clone())),
            Seen::ScreenLocked(locked) => self.more().screen_locked = Some(fact(report, observation, *locked)),
            Seen::Unknown(unknown) => {
                unknown.iter().for_each(|unknown| self.forget(unknown));
                self.more().unknown = Some(fact(report, observation, unknown.clone()));
            }
            Seen::Provider(record) => {
                let providers = &mut self.more().providers;
                providers.retain(|known| known.value.connection != record.connection);
                providers.push(fact(report, observation, record.clone()));
            }
            Seen::ClockSkew(millis) => self.clock_skew_millis = Some(*millis),
            Seen::Earlier { at, seen } => {
                // As if it had been reported then.
                let received_at = (*at).min(report.received_at);
                let then = Report { received_at, source: report.source, observations: Vec::new() };
                let observation = Observation { asked_by: observation.asked_by.clone(), seen: Seen::clone(seen) };
                self.take_in(&then, &observation);
            }
            Seen::Sdk(sdk) => self.sdk = Some(sdk.clone()),
            Seen::Endpoint { woken, unlocked } => {
                stamp(&mut self.endpoint.woken_at, *woken, report.received_at);
                stamp(&mut self.endpoint.unlocked_at, *unlocked, report.received_at);
            }
        }
    }

    fn more(&mut self) -> &mut Inventory {
        self.inventory.get_or_insert_default()
    }

    fn forget(&mut self, unknown: &UnknownFact) {
        match (unknown.fact.as_str(), &unknown.path) {
            ("os", _) => self.os = None,
            ("domain", _) => self.domain = None,
            ("macAddresses", _) => self.macs = None,
            ("processes", None) => self.processes.clear(),
            ("processes", Some(path)) => self.processes.retain(|known| known.value.path != *path),
            _ => self.inventory.iter_mut().for_each(|inventory| inventory.forget(unknown)),
        }
    }
}

fn fact<T>(report: &Report, observation: &Observation, value: T) -> Fact<T> {
    Fact { value, observed_at: report.received_at, source: report.source, asked_by: observation.asked_by.clone() }
}

fn normalized(process: &Process) -> Process {
    Process {
        path: process.path.clone(),
        running: process.running,
        hash: bare_hex(&process.hash),
        more_hashes: process.more_hashes.iter().map(|hash| bare_hex(hash)).collect(),
        signer_fingerprints: process.signer_fingerprints.iter().map(|signer| bare_hex(signer)).collect(),
    }
}

fn normalized_file(file: &File) -> File {
    File {
        path: file.path.clone(),
        exists: file.exists,
        sha256: file.sha256.as_deref().map(bare_hex),
        thumbprints: file.thumbprints.iter().map(|thumbprint| bare_hex(thumbprint)).collect(),
    }
}

/// Moves a time forward, never back.
fn stamp(time: &mut Option<Timestamp>, happened: bool, at: Timestamp) {
    if happened {
        *time = (*time).max(Some(at));
    }
}

impl Report {
    fn check_bounds(&self) -> Result<(), ReportError> {
        at_most("observations", self.observations.len(), limits::REPORT_OBSERVATIONS_MAX)?;
        let processes = self.observations.iter().map(|observation| processes_in(&observation.seen));
        at_most("processes", processes.sum(), limits::PROCESSES_PER_IDENTITY_MAX)?;
        self.observations.iter().enumerate().try_for_each(|(index, observation)| observation.check_bounds(index))
    }
}

fn processes_in(seen: &Seen) -> usize {
    match seen {
        Seen::Process(_) => 1,
        Seen::Processes(processes) => processes.len(),
        Seen::Earlier { seen, .. } => processes_in(seen),
        _ => 0,
    }
}

impl Observation {
    fn check_bounds(&self, index: usize) -> Result<(), ReportError> {
        let check = self.asked_by.as_ref().map_or("", CheckId::as_str);
        short(index, "posture check id", check)?;
        seen_in_bounds(index, &self.seen)
    }
}

fn seen_in_bounds(index: usize, seen: &Seen) -> Result<(), ReportError> {
    match seen {
        Seen::Earlier { seen, .. } => seen_in_bounds(index, seen),
        Seen::Os(os) => {
            short(index, "system name", &os.name)?;
            short(index, "version", &os.version)?;
            short(index, "build", os.build.as_deref().unwrap_or_default())?;
            short(index, "extra version", os.extra.as_deref().unwrap_or_default())?;
            let distribution = os.distribution.as_ref();
            short(index, "distribution", distribution.map_or("", |known| &known.name))?;
            short(index, "revision", distribution.and_then(|known| known.revision.as_deref()).unwrap_or_default())
        }
        Seen::Domain(domain) => short(index, "domain", domain),
        Seen::Macs(addresses) => {
            few(index, "addresses", addresses.len(), limits::MACS_PER_IDENTITY_MAX)?;
            addresses.iter().try_for_each(|address| short(index, "address", address))
        }
        Seen::Process(process) => process_in_bounds(index, process),
        Seen::Processes(processes) => processes.iter().try_for_each(|process| process_in_bounds(index, process)),
        Seen::Hostname(text) => short(index, "host name", text),
        Seen::Product(text) => short(index, "product", text),
        Seen::SerialNumber(text) => short(index, "serial number", text),
        Seen::UniqueClientId(text) => short(index, "unique client id", text),
        Seen::Environment(variables) => {
            few(index, "variables", variables.len(), limits::INVENTORY_ENTRIES_MAX)?;
            variables.iter().flat_map(|(name, value)| [name, value]).try_for_each(|text| short(index, "variable", text))
        }
        Seen::Files(files) => {
            few(index, "files", files.len(), limits::INVENTORY_ENTRIES_MAX)?;
            files.iter().try_for_each(|file| file_in_bounds(index, file))
        }
        Seen::Volumes(volumes) => {
            few(index, "volumes", volumes.len(), limits::INVENTORY_ENTRIES_MAX)?;
            volumes.iter().try_for_each(|volume| short(index, "volume name", &volume.name))
        }
        Seen::Antivirus(products) => {
            few(index, "antivirus products", products.len(), limits::INVENTORY_ENTRIES_MAX)?;
            products.iter().try_for_each(|product| short(index, "product name", &product.name))
        }
        Seen::Certificates(held) => {
            few(index, "certificates", held.len(), limits::CERTIFICATES_PER_IDENTITY_MAX)?;
            let paths = held.iter().filter_map(|certificate| certificate.path.as_deref());
            paths.into_iter().try_for_each(|path| short(index, "path", path))
        }
        Seen::Tunnel(tunnel) => short(index, "organization", tunnel.organization.as_deref().unwrap_or_default()),
        Seen::Provider(record) => short(index, "connection id", record.connection.as_str()),
        Seen::Sdk(sdk) => {
            let Sdk { app_id, app_version, branch, revision, kind, version } = sdk;
            let mut texts = [app_id, app_version, branch, revision, kind, version].into_iter().flatten();
            texts.try_for_each(|text| short(index, "SDK text", text))
        }
        Seen::Unknown(unknown) => {
            few(index, "unknown facts", unknown.len(), limits::INVENTORY_ENTRIES_MAX)?;
            unknown.iter().try_for_each(|unknown| {
                let UnknownFact { fact, path, reason, detail } = unknown;
                let mut texts = [fact, reason, detail].into_iter().chain(path);
                texts.try_for_each(|text| short(index, "unknown fact", text))
            })
        }
        Seen::Firewall(_) | Seen::ScreenLocked(_) | Seen::ClockSkew(_) | Seen::Endpoint { .. } => Ok(()),
    }
}

fn process_in_bounds(index: usize, process: &Process) -> Result<(), ReportError> {
    short(index, "path", &process.path)?;
    short(index, "digest", &process.hash)?;
    few(index, "digests", process.more_hashes.len(), limits::DIGESTS_PER_PROCESS_MAX)?;
    process.more_hashes.iter().try_for_each(|hash| short(index, "digest", hash))?;
    let signers = &process.signer_fingerprints;
    few(index, "signer fingerprints", signers.len(), limits::SIGNERS_PER_PROCESS_MAX)?;
    signers.iter().try_for_each(|signer| short(index, "signer fingerprint", signer))
}

fn file_in_bounds(index: usize, file: &File) -> Result<(), ReportError> {
    short(index, "path", &file.path)?;
    short(index, "digest", file.sha256.as_deref().unwrap_or_default())?;
    few(index, "fingerprints", file.thumbprints.len(), limits::THUMBPRINTS_PER_FILE_MAX)?;
    file.thumbprints.iter().try_for_each(|thumbprint| short(index, "fingerprint", thumbprint))
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), ReportError> {
    if count > max { Err(ReportError::TooMany { what, count, max }) } else { Ok(()) }
}

fn few(index: usize, what: &'static str, count: usize, max: usize) -> Result<(), ReportError> {
    if count > max { Err(ReportError::TooManyIn { index, what, count, max }) } else { Ok(()) }
}

fn short(index: usize, what: &'static str, text: &str) -> Result<(), ReportError> {
    let (bytes, max) = (text.len(), limits::FACT_TEXT_BYTES_MAX);
    if bytes > max { Err(ReportError::TooLong { index, what, bytes, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(millis: i64, observations: Vec<Observation>) -> Report {
        Report { received_at: Timestamp::from_millis(millis), source: Source::Device, observations }
    }

    fn process(check: &str, path: &str, running: bool) -> Observation {
        let process = Process {
            path: path.into(),
            running,
            hash: "AB:CD".into(),
            more_hashes: vec![],
            signer_fingerprints: vec!["0F-1".into()],
        };
        Observation { asked_by: Some(check.into()), seen: Seen::Process(process) }
    }

    #[test]
    fn values_are_normalised_and_the_newest_wins() {
        let macs = Seen::Macs(vec!["14-B2-2C-E5-F0-61".into()]);
        let first = report(1, vec![process("a", "/p", true), process("b", "/p", true), process("a", "/q", true)]);
        let second = report(2, vec![process("a", "/p", false), Observation { asked_by: None, seen: macs }]);
        let posture = Posture::default().apply(&first).unwrap().apply(&second).unwrap();

        let seen: Vec<_> = posture
            .processes
            .iter()
            .map(|fact| (fact.asked_by.clone().unwrap().to_string(), fact.value.path.as_str(), fact.value.running))
            .collect();
        assert_eq!(seen, [("b".into(), "/p", true), ("a".into(), "/q", true), ("a".into(), "/p", false)]);
        assert_eq!(posture.processes[0].value.hash, "abcd");
        assert_eq!(posture.processes[0].value.signer_fingerprints, ["0f1"]);
        assert_eq!(posture.macs.unwrap().value, ["14b22ce5f061"]);
    }

    #[test]
    fn events_are_stamped_on_arrival_and_only_move_forward() {
        let event = |woken, unlocked| vec![Observation { asked_by: None, seen: Seen::Endpoint { woken, unlocked } }];
        let posture = Posture::default().apply(&report(5, event(true, false))).unwrap();
        assert_eq!(posture.endpoint.woken_at, Some(Timestamp::from_millis(5)));
        assert_eq!(posture.endpoint.unlocked_at, None);
        let posture = posture.apply(&report(3, event(true, true))).unwrap();
        assert_eq!(posture.endpoint.woken_at, Some(Timestamp::from_millis(5)));
        assert_eq!(posture.endpoint.unlocked_at, Some(Timestamp::from_millis(3)));
        let posture = posture.apply(&report(9, event(false, false))).unwrap();
        assert_eq!(posture.endpoint.woken_at, Some(Timestamp::from_millis(5)));
    }

    #[test]
    fn what_cannot_be_told_any_more_is_forgotten_and_kept_with_its_reason() {
        let unknown = |fact: &str, path: Option<&str>| UnknownFact {
            fact: fact.into(),
            path: path.map(str::to_owned),
            reason: "forbidden".into(),
            detail: "it may not be read".into(),
        };
        let seen = |seen| Observation { asked_by: None, seen };
        let known = vec![
            seen(Seen::Domain("corp.example".into())),
            seen(Seen::Macs(vec!["14b22ce5f061".into()])),
            process("a", "/p", true),
            process("a", "/q", true),
            seen(Seen::SerialNumber("C02".into())),
            seen(Seen::Firewall(Firewall { packet_filter: Some(true), ..Firewall::default() })),
            seen(Seen::Files(vec![File { path: "/f".into(), ..File::default() }, File::default()])),
        ];
        let posture = Posture::default().apply(&report(1, known)).unwrap();
        let list = vec![
            unknown("domain", None),
            unknown("processes", Some("/p")),
            unknown("firewall", None),
            unknown("files", Some("/f")),
            unknown("digest", Some("/q")),
            unknown("something newer", None),
        ];
        let posture = posture.apply(&report(2, vec![seen(Seen::Unknown(list.clone()))])).unwrap();
        assert!(posture.domain.is_none() && posture.macs.is_some());
        assert_eq!(posture.processes.iter().map(|fact| fact.value.path.as_str()).collect::<Vec<_>>(), ["/q"]);
        let inventory = posture.inventory();
        assert!(inventory.firewall.is_none() && inventory.serial_number.is_some());
        assert_eq!(inventory.files.as_ref().unwrap().value, [File::default()]);
        assert_eq!(inventory.unknown.as_ref().unwrap().value, list);

        let posture = posture.apply(&report(3, vec![seen(Seen::Unknown(vec![unknown("processes", None)]))])).unwrap();
        assert!(posture.processes.is_empty());
        assert_eq!(posture.inventory().unknown.as_ref().unwrap().value.len(), 1);
        let all = ["hostname", "product", "serialNumber", "uniqueClientId", "environment", "files", "volumes"];
        let all = all.into_iter().chain(["antivirus", "certificates", "tunnel", "screenLocked", "os", "macAddresses"]);
        let all: Vec<_> = all.map(|fact| unknown(fact, None)).collect();
        let posture = posture.apply(&report(4, vec![seen(Seen::Unknown(all.clone()))])).unwrap();
        let left = Fact { value: all, observed_at: Timestamp::from_millis(4), source: Source::Device, asked_by: None };
        assert_eq!(posture.inventory(), &Inventory { unknown: Some(left), ..Inventory::NOTHING });
        assert!(posture.macs.is_none());
        let many = vec![unknown("x", None); limits::INVENTORY_ENTRIES_MAX + 1];
        assert!(posture.apply(&report(5, vec![seen(Seen::Unknown(many))])).is_err());
    }

    #[test]
    fn a_report_past_a_bound_is_refused_whole() {
        let domain = |bytes| Observation { asked_by: None, seen: Seen::Domain("d".repeat(bytes)) };
        let error = Posture::default().apply(&report(1, vec![domain(1), domain(5000)])).unwrap_err();
        assert_eq!(error.to_string(), "observation 1 has a domain of 5000 bytes, more than the 4096 allowed");
        let macs = Observation { asked_by: None, seen: Seen::Macs(vec!["a".into(); 257]) };
        assert!(matches!(
            Posture::default().apply(&report(1, vec![macs])),
            Err(ReportError::TooManyIn { index: 0, .. })
        ));
        let many = vec![process("a", "/p", true); 1025];
        assert!(matches!(
            Posture::default().apply(&report(1, many)),
            Err(ReportError::TooMany { what: "processes", .. })
        ));
    }

    #[test]
    fn past_the_bound_the_oldest_processes_are_forgotten() {
        let full = (0..1024).map(|number| process("a", &format!("/{number}"), true)).collect();
        let posture = Posture::default().apply(&report(1, full)).unwrap();
        let posture = posture.apply(&report(2, vec![process("a", "/new", true)])).unwrap();
        assert_eq!(posture.processes.len(), 1024);
        assert_eq!(posture.processes[0].value.path, "/1");
        assert_eq!(posture.processes[1023].value.path, "/new");
    }
}
