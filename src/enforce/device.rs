//! One identity's device: its posture, its cached verdicts and its recent failures.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::nonces::{Nonce, Nonces};
use crate::clock::Timestamp;
use crate::decision::cache::VerdictCache;
use crate::decision::{Asker, Failure, Lock};
use crate::id::IdentityId;
use crate::limits;
use crate::posture::Posture;
use crate::posture::facts::Mfa;

use super::kept::Kept;

use super::sessions::UnderWay;

/// The live state beside one identity.
#[derive(Debug)]
pub struct Device {
    identity: IdentityId,
    known: ArcSwap<Known>,
    /// The number of what is known, once it is in force; read on its own where nothing else of it is needed.
    revision: AtomicU64,
    pub(super) verdicts: VerdictCache,
    /// Most devices have none of it.
    seldom: Mutex<Option<Box<Seldom>>>,
    /// What it has under way.
    pub(super) under_way: UnderWay,
    /// Held while a report is taken in, so that reports of one device follow each other.
    pub(super) intake: tokio::sync::Mutex<()>,
}

/// What decisions about an identity rest on, and its number; each accepted report and each lock makes a higher one.
#[derive(Debug, Default)]
pub struct Known {
    /// The number.
    pub revision: u64,
    kept: Kept,
    /// The lock that was put on last, whether or not it still holds.
    pub lock: Option<Arc<Lock>>,
}

/// What few devices have: refusals, and a client that asks what it may reach or signs its reports.
#[derive(Debug, Default)]
struct Seldom {
    failures: Ring,
    nonces: Nonces,
    seen: Seen,
}

/// What the device's client was last told of what it may reach, as a digest, and since when that is so.
#[derive(Debug, Default)]
struct Seen {
    digest: u64,
    at: Timestamp,
}

#[derive(Debug, Default)]
struct Ring {
    newest_last: VecDeque<Arc<Failure>>,
    recorded: u64,
}

impl Known {
    /// What is known, put together from what is kept.
    pub fn posture(&self) -> Posture {
        self.kept.posture()
    }

    /// [`Posture::mfa_proven_by`], without putting a posture together.
    pub fn mfa_proven_by(&self, certificate: &str) -> Mfa {
        self.kept.mfa_proven_by(certificate)
    }

    /// The asking side of a decision about `identity`, of whom `posture` was known.
    pub fn asker<'a>(&'a self, identity: &'a IdentityId, posture: &'a Posture) -> Asker<'a> {
        Asker { identity, posture, lock: self.lock.as_ref() }
    }
}

impl Device {
    /// A device of which this is known.
    pub(super) fn new(identity: IdentityId, kept: Kept) -> Self {
        Device {
            identity,
            known: ArcSwap::from_pointee(Known { revision: 0, kept, lock: None }),
            revision: AtomicU64::new(0),
            verdicts: VerdictCache::default(),
            seldom: Mutex::default(),
            under_way: UnderWay::new(),
            intake: tokio::sync::Mutex::default(),
        }
    }

    /// Whose device it is.
    pub fn identity(&self) -> &IdentityId {
        &self.identity
    }

    /// What is known about it now.
    pub fn known(&self) -> Guard<Arc<Known>> {
        self.known.load()
    }

    /// Gives out a number for a signed report; `None` when the system has no random bytes. When many are out the oldest stops
    /// counting.
    pub fn give_nonce(&self, now: Timestamp) -> Option<Nonce> {
        self.seldom().get_or_insert_default().nonces.give(now)
    }

    /// Uses a number up. Whether it counted: it was given to this device, was not used before, and is not too old.
    pub fn take_nonce(&self, text: &str, now: Timestamp) -> bool {
        self.seldom().as_mut().is_some_and(|seldom| seldom.nonces.take(text, now))
    }

    /// Replaces what is known; cached verdicts on the old posture no longer count.
    pub(super) fn learn(&self, kept: &Kept) {
        self.know(|known| Known { revision: 0, kept: kept.clone(), lock: known.lock.clone() });
    }

    /// The lock that shuts the identity out at `now`.
    pub fn locked(&self, now: Timestamp) -> Option<Arc<Lock>> {
        self.known().lock.as_ref().filter(|lock| lock.holds(now)).cloned()
    }

    /// Puts a lock on, or takes it away; cached verdicts no longer count.
    pub(super) fn lock(&self, lock: Option<Arc<Lock>>) {
        self.know(|known| Known { revision: 0, kept: known.kept.clone(), lock: lock.clone() });
    }

    /// Replaces what is known under the next number.
    fn know(&self, next: impl Fn(&Known) -> Known) {
        self.known.rcu(|known| Known { revision: known.revision.saturating_add(1), ..next(known) });
        self.revision.fetch_max(self.known.load().revision, Ordering::Release);
    }

    /// The number of what is known now.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// When what the device may reach last changed, as far as anybody looked; `digest` stands for what it may reach `now`. A change
    /// always has a later time than the one before.
    pub fn last_change(&self, digest: u64, now: Timestamp) -> Timestamp {
        let mut seldom = self.seldom();
        let seen = &mut seldom.get_or_insert_default().seen;
        if seen.digest != digest || seen.at == Timestamp::default() {
            let at = now.max(seen.at.after(Duration::from_millis(1)));
            *seen = Seen { digest, at };
        }
        seen.at
    }

    /// Adds a failure to the ring and returns the slot it takes on disk.
    pub(super) fn record(&self, failure: Arc<Failure>) -> u64 {
        let mut seldom = self.seldom();
        let ring = &mut seldom.get_or_insert_default().failures;
        if ring.newest_last.len() >= limits::FAILURES_PER_IDENTITY_MAX {
            ring.newest_last.pop_front();
        }
        ring.newest_last.push_back(failure);
        let slot = ring.recorded % limits::FAILURES_PER_IDENTITY_MAX as u64;
        ring.recorded = ring.recorded.wrapping_add(1);
        slot
    }

    /// Puts failures from before a restart back; `stored` is in any order, with the slots they were found in.
    pub(super) fn restore_failures(&self, mut stored: Vec<(u64, Failure)>) {
        // Slots are taken in turn, so the oldest lies where time falls back from one slot to the next; that also tells
        // failures of the same millisecond apart.
        stored.sort_by_key(|(slot, _)| *slot);
        let times = stored.iter().map(|(_, failure)| failure.when);
        let falls = times.clone().zip(times.skip(1)).position(|(earlier, later)| later < earlier);
        stored.rotate_left(falls.map_or(0, |place| place + 1));
        stored.sort_by_key(|(_, failure)| failure.when);
        let next = stored.last().map_or(0, |(slot, _)| slot.wrapping_add(1));
        let surplus = stored.len().saturating_sub(limits::FAILURES_PER_IDENTITY_MAX);
        let mut seldom = self.seldom();
        let ring = &mut seldom.get_or_insert_default().failures;
        ring.newest_last = stored.into_iter().skip(surplus).map(|(_, failure)| Arc::new(failure)).collect();
        ring.recorded = next;
    }

    /// The last failures, oldest first.
    pub fn failures(&self) -> Vec<Arc<Failure>> {
        self.seldom().iter().flat_map(|seldom| &seldom.failures.newest_last).cloned().collect()
    }

    fn seldom(&self) -> MutexGuard<'_, Option<Box<Seldom>>> {
        self.seldom.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The allocator's next size is 224 bytes, and there are a million of these.
    #[test]
    fn a_device_is_small() {
        let counts = 2 * size_of::<usize>();
        assert!(size_of::<Device>() + counts <= 192, "{}", size_of::<Device>());
    }
}
