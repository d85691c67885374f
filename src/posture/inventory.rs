//! What is known of a device beside its system, domain, addresses and processes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::certificate::DeviceCertificate;
use super::facts::Fact;
use super::provider::ProviderRecord;
use crate::clock::Timestamp;

/// Facts that some devices report, and facts that posture providers hold about them.
///
/// A list is what the device found when it looked, whole: an empty one says that there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Inventory {
    /// The host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Fact<String>>,
    /// What the hardware's product is called, for people to recognise the device by. No check asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Fact<String>>,
    /// The hardware's serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<Fact<String>>,
    /// The id that device management gave to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_client_id: Option<Fact<String>>,
    /// Environment variables of the reporting daemon, by name, for paths that use them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Fact<BTreeMap<String, String>>>,
    /// Files that were looked for, found or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Fact<Vec<File>>>,
    /// Mounted volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Fact<Vec<Volume>>>,
    /// The firewall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Fact<Firewall>>,
    /// Antivirus products.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub antivirus: Option<Fact<Vec<AntivirusProduct>>>,
    /// Client certificates the device holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Fact<Vec<DeviceCertificate>>>,
    /// The tunnel the device says it is connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Fact<Tunnel>>,
    /// Whether the screen is locked. No check asks for it; MFA asks for the moment of unlocking, which the gateway notes itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_locked: Option<Fact<bool>>,
    /// What the device could not tell when it last reported, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Fact<Vec<UnknownFact>>>,
    /// What posture providers say, one record for each connection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Fact<ProviderRecord>>,
}

impl Inventory {
    /// Nothing is known.
    pub const NOTHING: Inventory = Inventory {
        hostname: None,
        product: None,
        serial_number: None,
        unique_client_id: None,
        environment: None,
        files: None,
        volumes: None,
        firewall: None,
        antivirus: None,
        certificates: None,
        tunnel: None,
        screen_locked: None,
        unknown: None,
        providers: Vec::new(),
    };

    /// When the newest of these facts was observed.
    pub fn newest_fact(&self) -> Option<Timestamp> {
        fn at<T>(fact: Option<&Fact<T>>) -> Option<Timestamp> {
            fact.map(|fact| fact.observed_at)
        }
        let single = [
            at(self.hostname.as_ref()),
            at(self.product.as_ref()),
            at(self.serial_number.as_ref()),
            at(self.unique_client_id.as_ref()),
            at(self.environment.as_ref()),
            at(self.files.as_ref()),
            at(self.volumes.as_ref()),
            at(self.firewall.as_ref()),
            at(self.antivirus.as_ref()),
            at(self.certificates.as_ref()),
            at(self.tunnel.as_ref()),
            at(self.screen_locked.as_ref()),
        ];
        single.into_iter().flatten().chain(self.providers.iter().map(|fact| fact.observed_at)).max()
    }

    /// Forgets what the device cannot tell any more: what it said before is not what holds now.
    pub(super) fn forget(&mut self, unknown: &UnknownFact) {
        match (unknown.fact.as_str(), &unknown.path) {
            ("hostname", _) => self.hostname = None,
            ("product", _) => self.product = None,
            ("serialNumber", _) => self.serial_number = None,
            ("uniqueClientId", _) => self.unique_client_id = None,
            ("environment", _) => self.environment = None,
            ("files", None) => self.files = None,
            ("files", Some(path)) => {
                self.files.iter_mut().for_each(|files| files.value.retain(|file| file.path != *path));
            }
            ("volumes", _) => self.volumes = None,
            ("firewall", _) => self.firewall = None,
            ("antivirus", _) => self.antivirus = None,
            ("certificates", _) => self.certificates = None,
            ("tunnel", _) => self.tunnel = None,
            ("screenLocked", _) => self.screen_locked = None,
            // What this gateway has no name for, it does not know either.
            _ => {}
        }
    }
}

/// Something that a device was asked for, or usually tells, and cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UnknownFact {
    /// The member of the report that it would have been.
    pub fact: String,
    /// The file or executable it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The stable name of what stood in the way, such as `forbidden`.
    pub reason: String,
    /// The same in words.
    pub detail: String,
}

/// A file that was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct File {
    /// The path, as the check writes it or with its variables expanded.
    pub path: String,
    /// Whether it is there. A directory is not a file.
    pub exists: bool,
    /// SHA-256 of its content, bare lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Fingerprints of the certificate it is signed with (SHA-1 or SHA-256), bare lower-case hex.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thumbprints: Vec<String>,
}

/// A mounted volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name or mount point: `C`, `/`, `/home`.
    pub name: String,
    /// Whether it is encrypted; `None` when the device cannot tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encrypted: Option<bool>,
}

/// The firewalls of a device, each on, off or not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Firewall {
    /// Windows: the public profile of the active store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_profile: Option<bool>,
    /// macOS: the application firewall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<bool>,
    /// macOS: the packet filter `pf`. Linux: nftables, alone or as ufw or firewalld fill it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_filter: Option<bool>,
}

/// An antivirus product as the system's security centre, or an agent, knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AntivirusProduct {
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
    /// Whether the system takes its signatures for current.
    pub up_to_date: bool,
    /// When its signatures were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures_at: Option<Timestamp>,
}

/// A tunnel client on the device, in the device's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tunnel {
    /// Whether it is connected.
    pub connected: bool,
    /// The organisation it is connected to, if it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}
