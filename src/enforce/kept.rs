//! What is known of a device, kept in little room.
//!
//! Devices of one fleet run the same systems and the same software, so most of what one reports was reported by others before:
//! each such value is kept once for all of them, in memory and in the store, and a device holds a reference and the time. A posture
//! is put together again where it is asked for, which is where a decision has to be evaluated and costs less than that.

mod shared;
mod stored;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::posture::Posture;
use crate::posture::facts::{Endpoint, Fact, Mfa, MfaPass, Os, Process, Sdk, Source};
use crate::posture::inventory::Inventory;

pub(super) use self::shared::SharedFacts;
use self::shared::{Kind, Shared};
pub(super) use self::stored::{Record, Restoring};

/// A posture in little room.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    os: Option<Observed<Os>>,
    domain: Option<Observed<String>>,
    macs: Option<Box<Fact<Addresses>>>,
    processes: Box<[Observed<Process>]>,
    /// What many devices never tell.
    rare: Option<Box<Rare>>,
    checked_in_at: Option<Timestamp>,
    inventory: Option<Box<Inventory>>,
}

/// Every device has its own, so these are not shared.
type Addresses = Box<[Box<str>]>;

/// A fact whose value is shared.
#[derive(Debug)]
struct Observed<T> {
    observed_at: Timestamp,
    what: Arc<Shared<What<T>>>,
}

/// Everything about a fact but its time.
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct What<T> {
    value: T,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    asked_by: Option<CheckId>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Rare {
    endpoint: Endpoint,
    mfa: Mfa,
    mfa_passes: Vec<MfaPass>,
    sdk: Option<Arc<Shared<Sdk>>>,
    signed_in_at: Option<Timestamp>,
    clock_skew_millis: Option<i64>,
}

impl SharedFacts {
    /// The posture in little room.
    pub(super) fn keep(&self, posture: Posture) -> Kept {
        let Posture {
            os,
            domain,
            macs,
            processes,
            endpoint,
            mfa,
            mfa_passes,
            sdk,
            checked_in_at,
            signed_in_at,
            clock_skew_millis,
            inventory,
        } = posture;
        let sdk = sdk.map(|sdk| self.share(sdk));
        let rare = Rare { endpoint, mfa, mfa_passes, sdk, signed_in_at, clock_skew_millis };
        Kept {
            os: os.map(|fact| self.observed(fact)),
            domain: domain.map(|fact| self.observed(fact)),
            macs: macs.map(|fact| Box::new(with_value(fact, |macs| macs.into_iter().map(String::into).collect()))),
            processes: processes.into_iter().map(|fact| self.observed(fact)).collect(),
            rare: rare.boxed(),
            checked_in_at,
            inventory,
        }
    }

    fn observed<T>(&self, fact: Fact<T>) -> Observed<T>
    where
        What<T>: Kind,
    {
        let Fact { value, observed_at, source, asked_by } = fact;
        Observed { observed_at, what: self.share(What { value, source, asked_by }) }
    }
}

impl Rare {
    /// Room is taken only for those who told any of it.
    fn boxed(self) -> Option<Box<Self>> {
        (self != Rare::default()).then(|| Box::new(self))
    }
}

impl Kept {
    /// [`Posture::mfa_proven_by`] of the posture.
    pub(super) fn mfa_proven_by(&self, certificate: &str) -> Mfa {
        let passes = self.rare.as_deref().map_or(&[][..], |rare| &rare.mfa_passes);
        MfaPass::of(passes, certificate)
    }

    /// The posture.
    pub(super) fn posture(&self) -> Posture {
        let rare = self.rare.as_deref().cloned().unwrap_or_default();
        Posture {
            os: self.os.as_ref().map(Observed::fact),
            domain: self.domain.as_ref().map(Observed::fact),
            macs: self
                .macs
                .as_deref()
                .cloned()
                .map(|fact| with_value(fact, |macs| macs.into_iter().map(String::from).collect())),
            processes: self.processes.iter().map(Observed::fact).collect(),
            endpoint: rare.endpoint,
            mfa: rare.mfa,
            mfa_passes: rare.mfa_passes,
            sdk: rare.sdk.map(|sdk| sdk.value().clone()),
            checked_in_at: self.checked_in_at,
            signed_in_at: rare.signed_in_at,
            clock_skew_millis: rare.clock_skew_millis,
            inventory: self.inventory.clone(),
        }
    }
}

fn with_value<T, U>(fact: Fact<T>, change: impl FnOnce(T) -> U) -> Fact<U> {
    let Fact { value, observed_at, source, asked_by } = fact;
    Fact { value: change(value), observed_at, source, asked_by }
}

impl<T: Clone> Observed<T> {
    fn fact(&self) -> Fact<T> {
        let What { value, source, asked_by } = self.what.value();
        Fact { value: value.clone(), observed_at: self.observed_at, source: *source, asked_by: asked_by.clone() }
    }
}

impl<T> Clone for Observed<T> {
    fn clone(&self) -> Self {
        Observed { observed_at: self.observed_at, what: Arc::clone(&self.what) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn fact<T>(value: T) -> Fact<T> {
        Fact { value, observed_at: NOW, source: Source::Device, asked_by: Some("check".into()) }
    }

    fn process(path: &str) -> Process {
        Process {
            path: path.to_owned(),
            running: true,
            hash: "ab".repeat(32),
            more_hashes: vec![],
            signer_fingerprints: vec!["cd".to_owned()],
        }
    }

    pub(super) fn process_fact(path: &str) -> Fact<Process> {
        fact(process(path))
    }

    pub(super) fn everything() -> Posture {
        Posture {
            os: Some(fact(Os { name: "Linux".into(), version: "6.1.0".into(), ..Os::default() })),
            domain: Some(fact("corp.example".into())),
            macs: Some(fact(vec!["020000000001".into(), "020000000002".into()])),
            processes: vec![fact(process("/usr/bin/agent")), fact(process("/usr/bin/shield"))],
            endpoint: Endpoint { woken_at: Some(NOW), unlocked_at: None },
            mfa: Mfa { passed_at: Some(NOW) },
            mfa_passes: vec![MfaPass { certificate: "ab".into(), passed_at: NOW }],
            sdk: Some(Sdk { app_id: Some("app".into()), ..Sdk::default() }),
            checked_in_at: Some(NOW),
            signed_in_at: Some(NOW),
            clock_skew_millis: Some(-7),
            inventory: Some(Box::new(Inventory { hostname: Some(fact("host".into())), ..Inventory::default() })),
        }
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        for posture in [everything(), Posture::default()] {
            let kept = SharedFacts::default().keep(posture.clone());
            assert_eq!(kept.posture(), posture);
            for certificate in ["ab", "cd"] {
                assert_eq!(kept.mfa_proven_by(certificate), posture.mfa_proven_by(certificate));
            }
        }
    }

    #[test]
    fn devices_that_report_the_same_share_it() {
        let shared = SharedFacts::default();
        let (one, other) = (shared.keep(everything()), shared.keep(everything()));
        assert!(Arc::ptr_eq(&one.processes[0].what, &other.processes[0].what));
        assert!(!Arc::ptr_eq(&one.processes[0].what, &other.processes[1].what));
    }
}
