//! What is known of a device, kept in little room.
//!
//! Devices of one fleet run the same systems and the same software, so most of what one reports was reported by others before:
//! each such value is kept once for all of them, and a device holds a reference and the time. A posture is put together again where
//! it is asked for, which is where a decision has to be evaluated and costs less than that.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use foldhash::quality::RandomState;

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;
use crate::posture::Posture;
use crate::posture::facts::{Endpoint, Fact, Mfa, MfaPass, Os, Process, Sdk, Source};
use crate::posture::inventory::Inventory;

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
    what: Arc<What<T>>,
}

/// Everything about a fact but its time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct What<T> {
    value: T,
    source: Source,
    asked_by: Option<CheckId>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Rare {
    endpoint: Endpoint,
    mfa: Mfa,
    mfa_passes: Vec<MfaPass>,
    sdk: Option<Arc<Sdk>>,
    signed_in_at: Option<Timestamp>,
    clock_skew_millis: Option<i64>,
}

static SYSTEMS: LazyLock<Pool<What<Os>>> = LazyLock::new(Pool::default);
static TEXTS: LazyLock<Pool<What<String>>> = LazyLock::new(Pool::default);
static PROCESSES: LazyLock<Pool<What<Process>>> = LazyLock::new(Pool::default);
static SDKS: LazyLock<Pool<Sdk>> = LazyLock::new(Pool::default);

impl From<Posture> for Kept {
    fn from(posture: Posture) -> Self {
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
        let sdk = sdk.map(|sdk| SDKS.share(sdk));
        let rare = Rare { endpoint, mfa, mfa_passes, sdk, signed_in_at, clock_skew_millis };
        Kept {
            os: os.map(|fact| Observed::of(fact, &SYSTEMS)),
            domain: domain.map(|fact| Observed::of(fact, &TEXTS)),
            macs: macs.map(|fact| Box::new(with_value(fact, |macs| macs.into_iter().map(String::into).collect()))),
            processes: processes.into_iter().map(|fact| Observed::of(fact, &PROCESSES)).collect(),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            checked_in_at,
            inventory,
        }
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
            sdk: rare.sdk.map(|sdk| Sdk::clone(&sdk)),
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

impl<T: Hash + Eq + Clone> Observed<T> {
    fn of(fact: Fact<T>, pool: &Pool<What<T>>) -> Self {
        let Fact { value, observed_at, source, asked_by } = fact;
        Observed { observed_at, what: pool.share(What { value, source, asked_by }) }
    }

    fn fact(&self) -> Fact<T> {
        let What { value, source, asked_by } = &*self.what;
        Fact { value: value.clone(), observed_at: self.observed_at, source: *source, asked_by: asked_by.clone() }
    }
}

impl<T> Clone for Observed<T> {
    fn clone(&self) -> Self {
        Observed { observed_at: self.observed_at, what: Arc::clone(&self.what) }
    }
}

/// Values that are kept once. One that nobody uses any more goes when the pool has grown to twice what is in use.
#[derive(Debug)]
struct Pool<T> {
    /// Parts, so that devices that report at the same time seldom wait for each other.
    parts: [Mutex<Part<T>>; POOL_PARTS],
    hasher: RandomState,
}

const POOL_PARTS: usize = 16;

#[derive(Debug)]
struct Part<T> {
    values: HashSet<Arc<T>, RandomState>,
    sweep_at: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        let part = || Mutex::new(Part { values: HashSet::default(), sweep_at: limits::SHARED_VALUES_UNSWEPT_MAX });
        Pool { parts: std::array::from_fn(|_| part()), hasher: RandomState::default() }
    }
}

impl<T: Hash + Eq> Pool<T> {
    fn share(&self, value: T) -> Arc<T> {
        // The remainder is smaller than the number of parts, so there is always one.
        let place = usize::try_from(self.hasher.hash_one(&value) % POOL_PARTS as u64).unwrap_or_default();
        let Some(part) = self.parts.get(place) else {
            return Arc::new(value);
        };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = part.values.get(&value) {
            return Arc::clone(known);
        }
        if part.values.len() >= part.sweep_at {
            part.values.retain(|value| Arc::strong_count(value) > 1);
            part.sweep_at = part.values.len().saturating_mul(2).max(limits::SHARED_VALUES_UNSWEPT_MAX);
        }
        let value = Arc::new(value);
        part.values.insert(Arc::clone(&value));
        value
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

    fn everything() -> Posture {
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
            let kept = Kept::from(posture.clone());
            assert_eq!(kept.posture(), posture);
            for certificate in ["ab", "cd"] {
                assert_eq!(kept.mfa_proven_by(certificate), posture.mfa_proven_by(certificate));
            }
        }
    }

    #[test]
    fn devices_that_report_the_same_share_it() {
        let (one, other) = (Kept::from(everything()), Kept::from(everything()));
        assert!(Arc::ptr_eq(&one.processes[0].what, &other.processes[0].what));
        assert!(!Arc::ptr_eq(&one.processes[0].what, &other.processes[1].what));
    }

    #[test]
    fn values_that_nobody_uses_do_not_pile_up() {
        let pool = Pool::default();
        let used: Vec<_> = (0..10).map(|number| pool.share(format!("used {number}"))).collect();
        for number in 0..POOL_PARTS * limits::SHARED_VALUES_UNSWEPT_MAX * 4 {
            drop(pool.share(format!("unused {number}")));
        }
        let kept: usize = pool.parts.iter().map(|part| part.lock().unwrap().values.len()).sum();
        assert!(kept <= POOL_PARTS * limits::SHARED_VALUES_UNSWEPT_MAX + used.len(), "{kept}");
        assert!(
            used.iter().enumerate().all(|(number, value)| Arc::ptr_eq(value, &pool.share(format!("used {number}"))))
        );
    }
}
