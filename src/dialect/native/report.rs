//! The native posture report: `PUT /api/v1/posture`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::posture::certificate::{CertificateProblem, DeviceCertificate, TrustStore};
use crate::posture::facts::{self, Source};
use crate::posture::inventory;
use crate::posture::report::{Observation, Report, Seen};

/// What a device reports about itself. Each member that is there takes the place of what was known before; a member that is
/// absent leaves what was known as it is. A list is everything the device found when it looked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PostureReport {
    /// The operating system.
    os: Option<Os>,
    /// The host name.
    hostname: Option<String>,
    /// What the hardware's product is called, for people to recognise the device by.
    product: Option<String>,
    /// The domain the device is joined to; empty when it is joined to none. A workgroup is no domain.
    domain: Option<String>,
    /// The hardware addresses of the network interfaces, in any notation.
    mac_addresses: Option<Vec<String>>,
    /// Processes that were looked for, running or not.
    processes: Option<Vec<Process>>,
    /// Files that were looked for, found or not. A file that is not listed counts as not looked for.
    files: Option<Vec<File>>,
    /// All mounted volumes.
    volumes: Option<Vec<Volume>>,
    /// The firewalls.
    firewall: Option<Firewall>,
    /// All antivirus products the system knows.
    antivirus: Option<Vec<AntivirusProduct>>,
    /// The hardware's serial number, as the firmware tells it.
    serial_number: Option<String>,
    /// The id that device management gave to the client.
    unique_client_id: Option<String>,
    /// Environment variables of the reporting daemon, for checks whose paths use them.
    environment: Option<BTreeMap<String, String>>,
    /// Client certificates the device holds.
    certificates: Option<Vec<Certificate>>,
    /// A tunnel client on the device.
    tunnel: Option<Tunnel>,
    /// Whether the screen is locked.
    screen_locked: Option<bool>,
    /// Everything that the device cannot tell now, of what it was asked for or usually tells. What was known of it is
    /// forgotten: unknown is neither yes nor no.
    unknown: Option<Vec<Unknown>>,
    /// What just happened to the device.
    endpoint: Option<Endpoint>,
    /// When the report was sent, by the device's own clock, in RFC 3339. How far that clock is from the gateway's is kept and shown.
    #[schemars(with = "Option<String>")]
    sent_at: Option<Timestamp>,
    /// When members were observed that are older than the report. Needs `sentAt`: only the time between the two counts, so that it does
    /// not matter what the device's clock shows.
    observed_at: ObservedAt,
}

/// When members of a report were observed, by the device's own clock, in RFC 3339. What is not listed was observed when the report
/// was sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct ObservedAt {
    #[schemars(with = "Option<String>")]
    os: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    hostname: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    product: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    domain: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    mac_addresses: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    processes: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    files: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    volumes: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    firewall: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    antivirus: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    serial_number: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    unique_client_id: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    environment: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    certificates: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    tunnel: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    screen_locked: Option<Timestamp>,
}

impl ObservedAt {
    /// The member's name and time for what was seen; `None` for what is always of the moment.
    fn of(&self, seen: &Seen) -> Option<(&'static str, Option<Timestamp>)> {
        Some(match seen {
            Seen::Os(_) => ("os", self.os),
            Seen::Hostname(_) => ("hostname", self.hostname),
            Seen::Product(_) => ("product", self.product),
            Seen::Domain(_) => ("domain", self.domain),
            Seen::Macs(_) => ("macAddresses", self.mac_addresses),
            Seen::Process(_) | Seen::Processes(_) => ("processes", self.processes),
            Seen::Files(_) => ("files", self.files),
            Seen::Volumes(_) => ("volumes", self.volumes),
            Seen::Firewall(_) => ("firewall", self.firewall),
            Seen::Antivirus(_) => ("antivirus", self.antivirus),
            Seen::SerialNumber(_) => ("serialNumber", self.serial_number),
            Seen::UniqueClientId(_) => ("uniqueClientId", self.unique_client_id),
            Seen::Environment(_) => ("environment", self.environment),
            Seen::Certificates(_) => ("certificates", self.certificates),
            Seen::Tunnel(_) => ("tunnel", self.tunnel),
            Seen::ScreenLocked(_) => ("screenLocked", self.screen_locked),
            Seen::Provider(_) | Seen::ClockSkew(_) | Seen::Sdk(_) => return None,
            Seen::Earlier { .. } | Seen::Endpoint { .. } | Seen::Unknown(_) => return None,
        })
    }
}

/// The times of one report, by two clocks.
struct Times {
    received_at: Timestamp,
    sent_at: Option<Timestamp>,
    observed_at: ObservedAt,
}

impl Times {
    /// How far the device's clock is ahead; the report's way here makes it seem behind.
    fn skew(&self) -> Option<Seen> {
        let sent_at = self.sent_at?;
        Some(Seen::ClockSkew(sent_at.as_millis().saturating_sub(self.received_at.as_millis())))
    }

    /// What was seen, at the time at which it was by the gateway's clock.
    fn placed(&self, seen: Seen) -> Result<Seen, ReportProblem> {
        let Some((member, Some(observed_at))) = self.observed_at.of(&seen) else {
            return Ok(seen);
        };
        let problem = |reason: &str| ReportProblem { path: format!("observedAt.{member}"), reason: reason.to_owned() };
        let sent_at = self.sent_at.ok_or_else(|| problem("needs `sentAt`, by the same clock"))?;
        if observed_at > sent_at {
            return Err(problem("lies after `sentAt`: nothing is observed before it happens"));
        }
        let at = self.received_at.before(sent_at.since(observed_at));
        Ok(Seen::Earlier { at, seen: Box::new(seen) })
    }
}

/// The operating system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Os {
    /// `Windows`, `WindowsServer`, `macOS`, `Linux`, `Android`, `iOS` or `ChromeOS`, in any letter case.
    name: String,
    /// Its version: `10.0.19045`, `14.8.5`; on Linux the kernel's, `6.1.0` or `6.1.0-25-amd64`.
    version: String,
    /// The build, shown but never compared.
    #[serde(default)]
    build: Option<String>,
    /// What comes after the version: `3803` (Windows' update build revision), `25` (the kernel's patch), `(a)` (a rapid
    /// security response).
    #[serde(default)]
    extra: Option<String>,
    /// The Linux distribution.
    #[serde(default)]
    distribution: Option<Distribution>,
}

/// A Linux distribution.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Distribution {
    /// `ID` of `/etc/os-release`.
    name: String,
    /// `VERSION_ID` of `/etc/os-release`.
    #[serde(default)]
    revision: Option<String>,
}

/// A process that was looked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Process {
    /// The path of its executable.
    path: String,
    /// Whether it runs.
    running: bool,
    /// The posture check that asked for it. OpenZiti's PROCESS looks at what was reported for itself only.
    #[serde(default)]
    check_id: Option<String>,
    /// The executable's SHA-256 in hex.
    #[serde(default)]
    sha256: Option<String>,
    /// The executable's SHA-512 in hex.
    #[serde(default)]
    sha512: Option<String>,
    /// Fingerprints in hex of the certificate that signed the executable, SHA-1 or SHA-256.
    #[serde(default)]
    thumbprints: Vec<String>,
}

/// A file that was looked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// Its path, as the check writes it or with its variables expanded.
    path: String,
    /// Whether it is there. A directory is not a file.
    exists: bool,
    /// Its digest in hex.
    #[serde(default)]
    sha256: Option<String>,
    /// Fingerprints in hex of the certificate that signed it, SHA-1 or SHA-256.
    #[serde(default)]
    thumbprints: Vec<String>,
}

/// A mounted volume.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Volume {
    /// Its name or mount point: `C`, `/`, `/home`.
    name: String,
    /// Whether it is encrypted; absent when the device cannot tell.
    #[serde(default)]
    encrypted: Option<bool>,
}

/// The firewalls, each on, off or absent when the device cannot tell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Firewall {
    /// Windows: the public profile of the active store.
    #[serde(default)]
    public_profile: Option<bool>,
    /// macOS: the application firewall.
    #[serde(default)]
    application: Option<bool>,
    /// macOS: the packet filter `pf`. Linux: nftables, alone or as ufw or firewalld fill it.
    #[serde(default)]
    packet_filter: Option<bool>,
}

/// An antivirus product.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AntivirusProduct {
    /// Its name.
    name: String,
    /// Whether it is on.
    on: bool,
    /// Whether the system takes its signatures for current.
    up_to_date: bool,
    /// When its signatures were made, in RFC 3339.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    signatures_at: Option<Timestamp>,
}

/// A client certificate the device holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Certificate {
    /// The certificate in PEM. Never send the key.
    pem: String,
    /// Whether the device holds the private key as well.
    private_key: bool,
    /// The file it was found in.
    #[serde(default)]
    path: Option<String>,
    /// The trust store it was found in: `system` or `user`.
    #[serde(default)]
    store: Option<TrustStore>,
}

/// A tunnel client on the device.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tunnel {
    /// Whether it is connected.
    connected: bool,
    /// The organisation it is connected to.
    #[serde(default)]
    organization: Option<String>,
}

/// Something that the device cannot tell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unknown {
    /// The member of the report that it would have been.
    fact: String,
    /// The file or executable it is about, where it is about one.
    #[serde(default)]
    path: Option<String>,
    /// The stable name of what stood in the way, such as `forbidden` or `unsupported`.
    reason: String,
    /// The same in words.
    #[serde(default)]
    detail: String,
}

/// What just happened to the device. `false` says nothing.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Endpoint {
    /// It woke from sleep.
    woken: bool,
    /// Its screen was unlocked.
    unlocked: bool,
}

/// Why a body is no posture report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {reason}")]
pub struct ReportProblem {
    /// The member that is wrong, as a path such as `files[2].exists`; `.` is the body.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a native posture report.
pub fn read_posture_report(body: &[u8], received_at: Timestamp, source: Source) -> Result<Report, ReportProblem> {
    // A list would be read as the members in the order in which they are declared.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ReportProblem { path: ".".to_owned(), reason: "must be a JSON object".to_owned() });
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read: PostureReport = serde_path_to_error::deserialize(&mut reader).map_err(|error| ReportProblem {
        path: error.path().to_string(),
        reason: format!("cannot be read: {}", error.inner()),
    })?;
    reader.end().map_err(|error| ReportProblem { path: ".".to_owned(), reason: format!("cannot be read: {error}") })?;
    Ok(Report { received_at, source, observations: read.observations(received_at)? })
}

impl PostureReport {
    fn observations(self, received_at: Timestamp) -> Result<Vec<Observation>, ReportProblem> {
        let PostureReport {
            os,
            hostname,
            product,
            domain,
            mac_addresses,
            processes,
            files,
            volumes,
            firewall,
            antivirus,
            serial_number,
            unique_client_id,
            environment,
            certificates,
            tunnel,
            screen_locked,
            unknown,
            endpoint,
            sent_at,
            observed_at,
        } = self;
        let times = Times { received_at, sent_at, observed_at };
        let (asked, found): (Vec<Process>, Vec<Process>) =
            processes.iter().flatten().cloned().partition(|process| process.check_id.is_some());
        let seen = [
            unknown.map(|list| Seen::Unknown(list.into_iter().map(Into::into).collect())),
            os.map(|os| Seen::Os(os.into())),
            hostname.map(Seen::Hostname),
            product.map(Seen::Product),
            domain.map(Seen::Domain),
            mac_addresses.map(Seen::Macs),
            processes.map(|_| Seen::Processes(found.into_iter().map(Into::into).collect())),
            files.map(|list| Seen::Files(list.into_iter().map(Into::into).collect())),
            volumes.map(|list| Seen::Volumes(list.into_iter().map(Into::into).collect())),
            firewall.map(|firewall| Seen::Firewall(firewall.into())),
            antivirus.map(|list| Seen::Antivirus(list.into_iter().map(Into::into).collect())),
            serial_number.map(Seen::SerialNumber),
            unique_client_id.map(Seen::UniqueClientId),
            environment.map(Seen::Environment),
            certificates.map(read_certificates).transpose()?.map(Seen::Certificates),
            tunnel.map(|tunnel| Seen::Tunnel(tunnel.into())),
            screen_locked.map(Seen::ScreenLocked),
            endpoint.map(|Endpoint { woken, unlocked }| Seen::Endpoint { woken, unlocked }),
            times.skew(),
        ];
        let seen = seen.into_iter().flatten().map(|seen| Observation { asked_by: None, seen });
        let answers = asked.into_iter().map(|process| Observation {
            asked_by: process.check_id.as_deref().map(CheckId::from),
            seen: Seen::Process(process.into()),
        });
        let placed = seen.chain(answers).map(|observation| {
            Ok(Observation { asked_by: observation.asked_by, seen: times.placed(observation.seen)? })
        });
        placed.collect()
    }
}

fn read_certificates(certificates: Vec<Certificate>) -> Result<Vec<DeviceCertificate>, ReportProblem> {
    let read = certificates.into_iter().zip(0..).map(|(certificate, index)| {
        let Certificate { pem, private_key, path, store } = certificate;
        DeviceCertificate::from_pem(&pem, path, store, private_key).map_err(|problem: CertificateProblem| {
            ReportProblem { path: format!("certificates[{index}].pem"), reason: problem.to_string() }
        })
    });
    read.collect()
}

impl From<Os> for facts::Os {
    fn from(os: Os) -> Self {
        let Os { name, version, build, extra, distribution } = os;
        let distribution = distribution.map(|Distribution { name, revision }| facts::Distribution { name, revision });
        facts::Os { name, version, build, extra, distribution }
    }
}

impl From<Process> for facts::Process {
    fn from(process: Process) -> Self {
        let Process { path, running, check_id: _, sha256, sha512, thumbprints } = process;
        let mut digests = sha256.into_iter().chain(sha512);
        let hash = digests.next().unwrap_or_default();
        facts::Process { path, running, hash, more_hashes: digests.collect(), signer_fingerprints: thumbprints }
    }
}

impl From<File> for inventory::File {
    fn from(file: File) -> Self {
        let File { path, exists, sha256, thumbprints } = file;
        inventory::File { path, exists, sha256, thumbprints }
    }
}

impl From<Volume> for inventory::Volume {
    fn from(volume: Volume) -> Self {
        let Volume { name, encrypted } = volume;
        inventory::Volume { name, encrypted }
    }
}

impl From<Firewall> for inventory::Firewall {
    fn from(firewall: Firewall) -> Self {
        let Firewall { public_profile, application, packet_filter } = firewall;
        inventory::Firewall { public_profile, application, packet_filter }
    }
}

impl From<AntivirusProduct> for inventory::AntivirusProduct {
    fn from(product: AntivirusProduct) -> Self {
        let AntivirusProduct { name, on, up_to_date, signatures_at } = product;
        inventory::AntivirusProduct { name, on, up_to_date, signatures_at }
    }
}

impl From<Tunnel> for inventory::Tunnel {
    fn from(tunnel: Tunnel) -> Self {
        let Tunnel { connected, organization } = tunnel;
        inventory::Tunnel { connected, organization }
    }
}

impl From<Unknown> for inventory::UnknownFact {
    fn from(unknown: Unknown) -> Self {
        let Unknown { fact, path, reason, detail } = unknown;
        inventory::UnknownFact { fact, path, reason, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Report, ReportProblem> {
        read_posture_report(body.as_bytes(), Timestamp::from_millis(1), Source::Device)
    }

    #[test]
    fn only_what_is_there_is_observed() {
        assert!(read("{}").unwrap().observations.is_empty());
        let report =
            read(r#"{"serialNumber": "C02", "files": [], "volumes": [{"name": "C", "encrypted": true}]}"#).unwrap();
        let seen: Vec<_> = report.observations.into_iter().map(|observation| observation.seen).collect();
        let volume = inventory::Volume { name: "C".into(), encrypted: Some(true) };
        assert_eq!(seen, [Seen::Files(vec![]), Seen::Volumes(vec![volume]), Seen::SerialNumber("C02".into())]);
    }

    #[test]
    fn a_fact_is_as_old_as_the_device_says_whatever_its_clock_shows() {
        // The device is an hour ahead, and looked at its disks ten minutes before it sent the report.
        let body = r#"{"sentAt": "1970-01-02T01:00:00Z", "observedAt": {"volumes": "1970-01-02T00:50:00Z"}, "volumes": [], "domain": "x"}"#;
        let received_at: Timestamp = "1970-01-02T00:00:00Z".parse().unwrap();
        let report = read_posture_report(body.as_bytes(), received_at, Source::Device).unwrap();
        let posture = crate::posture::Posture::default().apply(&report).unwrap();
        assert_eq!(posture.inventory().volumes.as_ref().unwrap().observed_at.to_string(), "1970-01-01T23:50:00.000Z");
        assert_eq!(posture.domain.unwrap().observed_at, received_at);
        assert_eq!(posture.clock_skew_millis, Some(3_600_000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, path) in [
            (r#"{"files": [{"path": "/a", "exists": true}, {"path": "/b", "exists": "yes"}]}"#, "files[1].exists"),
            (r#"{"os": {"name": "Linux"}}"#, "os"),
            (r#"{"serial_number": "C02"}"#, "serial_number"),
            (r#"{"certificates": [{"pem": "x", "privateKey": true}]}"#, "certificates[0].pem"),
            (
                r#"{"antivirus": [{"name": "a", "on": true, "upToDate": true, "signaturesAt": "yesterday"}]}"#,
                "antivirus[0].signaturesAt",
            ),
            (r#"{"files": [], "observedAt": {"files": "1970-01-01T00:00:00Z"}}"#, "observedAt.files"),
            (
                r#"{"os": {"name": "a", "version": "1"}, "sentAt": "1970-01-01T00:00:00Z", "observedAt": {"os": "1970-01-01T00:00:01Z"}}"#,
                "observedAt.os",
            ),
            (r#"{"observedAt": {"endpoint": "1970-01-01T00:00:00Z"}}"#, "observedAt.endpoint"),
            (r#"{"sentAt": "soon"}"#, "sentAt"),
            ("[]", "."),
            ("{} {}", "."),
            ("", "."),
        ] {
            assert_eq!(read(body).unwrap_err().path, path, "{body}");
        }
    }
}
