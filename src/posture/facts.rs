//! The facts known about one device, each with its source and the time it was observed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inventory::Inventory;
use super::platform::Family;
use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;

/// Everything known about one device now.
///
/// `Default` is the posture of a device that never reported: nothing is known, so nothing passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Posture {
    /// The operating system.
    pub os: Option<Fact<Os>>,
    /// The Windows or directory domain the device is joined to.
    pub domain: Option<Fact<String>>,
    /// The hardware addresses of the network interfaces, normalised to bare lower-case hex.
    pub macs: Option<Fact<Vec<String>>>,
    /// Processes, the latest report for each pair of (asking check, path).
    ///
    /// INVARIANT: in the order they arrived, so that of several facts about one path the last is the newest.
    pub processes: Vec<Fact<Process>>,
    /// When the device last woke and was last unlocked.
    pub endpoint: Endpoint,
    /// When multi-factor authentication was last passed, as a check sees it.
    pub mfa: Mfa,
    /// The passes behind it. Over a connection only that of its own certificate counts: see [`Posture::as_proven_by`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mfa_passes: Vec<MfaPass>,
    /// The client software that reports, when it told.
    pub sdk: Option<Sdk>,
    /// When the device last reported anything to this gateway, over a connection with its own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_in_at: Option<Timestamp>,
    /// When the device last reported anything that its key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
    /// How far the device's clock was ahead of the gateway's when it last told its time, in milliseconds; less than
    /// nothing when behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_millis: Option<i64>,
    /// Everything else; set apart because most devices report little of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Box<Inventory>>,
}

/// What is known beside the rest of a device that reports nothing beside the rest.
static NO_INVENTORY: Inventory = Inventory::NOTHING;

impl Posture {
    /// Everything beside the facts that nearly every device reports.
    pub fn inventory(&self) -> &Inventory {
        self.inventory.as_deref().unwrap_or(&NO_INVENTORY)
    }

    /// The kind of device, as far as its system's name tells.
    pub fn family(&self) -> Option<Family> {
        Family::of_reported(&self.os.as_ref()?.value.name)
    }

    /// The MFA state that counts over a connection with this certificate.
    pub fn mfa_proven_by(&self, certificate: &str) -> Mfa {
        MfaPass::of(&self.mfa_passes, certificate)
    }

    /// This posture as it counts over a connection with this certificate: who stole one certificate of an identity has not
    /// stolen the pass of another.
    pub fn as_proven_by(&self, certificate: &str) -> Cow<'_, Posture> {
        let mfa = self.mfa_proven_by(certificate);
        if mfa == self.mfa { Cow::Borrowed(self) } else { Cow::Owned(Posture { mfa, ..self.clone() }) }
    }

    /// This posture with an MFA pass shown with a certificate. Of too many certificates the one of the oldest pass is forgotten.
    #[must_use]
    pub fn with_mfa_pass(&self, certificate: &str, passed_at: Timestamp) -> Posture {
        let mut passes = self.mfa_passes.clone();
        passes.retain(|pass| *pass.certificate != *certificate);
        let surplus = passes.len().saturating_sub(limits::MFA_PASSES_PER_IDENTITY_MAX.saturating_sub(1));
        passes.drain(..surplus);
        passes.push(MfaPass { certificate: certificate.into(), passed_at });
        Posture { mfa: Mfa { passed_at: Some(passed_at) }, mfa_passes: passes, ..self.clone() }
    }

    /// This posture without any MFA pass.
    #[must_use]
    pub fn without_mfa_passes(&self) -> Posture {
        Posture { mfa: Mfa::default(), mfa_passes: Vec::new(), ..self.clone() }
    }

    /// When the newest fact was observed; `None` when nothing was ever reported.
    pub fn newest_fact(&self) -> Option<Timestamp> {
        let single = [
            self.os.as_ref().map(|fact| fact.observed_at),
            self.domain.as_ref().map(|fact| fact.observed_at),
            self.macs.as_ref().map(|fact| fact.observed_at),
            self.inventory.as_ref().and_then(|inventory| inventory.newest_fact()),
        ];
        single.into_iter().flatten().chain(self.processes.iter().map(|fact| fact.observed_at)).max()
    }
}

/// One fact: a value, who said so, when it was observed, and which check had asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact<T> {
    /// What was observed.
    pub value: T,
    /// When it was observed. A fact taken from a report without a time of its own is as old as the report's arrival.
    pub observed_at: Timestamp,
    /// Where it came from.
    pub source: Source,
    /// The posture check the report named as its reason, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked_by: Option<CheckId>,
}

impl<T> Fact<T> {
    /// The first moment at which the fact no longer counts for a check that accepts facts up to `max_age` old, or `None` when
    /// that moment has come.
    pub(super) fn counts_until(&self, max_age: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
        counts_until(self.observed_at, max_age, now)
    }
}

/// As [`Fact::counts_until`], for what is known as a bare time.
pub(super) fn counts_until(observed_at: Timestamp, max_age: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
    // A fact exactly as old as allowed still counts; the next millisecond it does not.
    let end = max_age.map_or(Timestamp::MAX, |max_age| observed_at.after(max_age).after(Duration::from_millis(1)));
    (now < end).then_some(end)
}

/// Where a fact came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Reported by the device itself over the client API.
    Device,
    /// The same, in a report that the device's key signed.
    DeviceSigned,
    /// Written by an operator or by a posture provider.
    Provider,
    /// Established by this gateway (an MFA pass, a session event).
    Gateway,
}

impl Source {
    /// Whether the device itself said so.
    pub fn is_device(self) -> bool {
        matches!(self, Source::Device | Source::DeviceSigned)
    }
}

/// The operating system as the device names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Os {
    /// The system's name as reported, any letter case (`Windows`, `macOS`, `linux`).
    pub name: String,
    /// The version as reported; read tolerantly when compared.
    pub version: String,
    /// The build, shown but never compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build: Option<String>,
    /// What comes after the version: the update build revision of Windows (`3803`), the kernel's patch on Linux (`25`), the
    /// letter of a rapid security response on Apple's systems (`(a)`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extra: Option<String>,
    /// The Linux distribution.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distribution: Option<Distribution>,
}

/// A Linux distribution, as `/etc/os-release` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Distribution {
    /// `ID`, such as `ubuntu`.
    pub name: String,
    /// `VERSION_ID`, such as `22.04`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<String>,
}

/// One process as the device saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The executable's path, exactly as reported; empty when the report named none.
    pub path: String,
    /// Whether it was running.
    pub running: bool,
    /// The executable's digest in bare lower-case hex; empty when not reported.
    pub hash: String,
    /// Digests of the same executable by other algorithms, bare lower-case hex; any of them satisfies a check.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more_hashes: Vec<String>,
    /// Fingerprints of the executable's signers in bare lower-case hex.
    pub signer_fingerprints: Vec<String>,
}

impl Process {
    /// Every digest that was reported.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.hash).chain(&self.more_hashes);
        all.map(String::as_str).filter(|digest| !digest.is_empty())
    }
}

/// Session events of the device that can ask for a fresh MFA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// When the device last woke from sleep.
    pub woken_at: Option<Timestamp>,
    /// When its screen was last unlocked.
    pub unlocked_at: Option<Timestamp>,
}

/// The state of multi-factor authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mfa {
    /// When MFA was last passed.
    pub passed_at: Option<Timestamp>,
}

/// One MFA pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MfaPass {
    /// The SHA-256 of the certificate it was shown with, in lower-case hex.
    pub certificate: Arc<str>,
    /// When.
    pub passed_at: Timestamp,
}

impl MfaPass {
    /// The MFA state by the one of `passes` that was shown with this certificate.
    pub fn of(passes: &[MfaPass], certificate: &str) -> Mfa {
        let pass = passes.iter().find(|pass| *pass.certificate == *certificate);
        Mfa { passed_at: pass.map(|pass| pass.passed_at) }
    }
}

/// The software that speaks for the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sdk {
    /// The application's id.
    pub app_id: Option<String>,
    /// The application's version.
    pub app_version: Option<String>,
    /// The SDK's branch.
    pub branch: Option<String>,
    /// The SDK's revision.
    pub revision: Option<String>,
    /// The SDK's type, for example `ziti-sdk-c`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The SDK's version.
    pub version: Option<String>,
}
