//! Values that devices share: each kept once in memory, under a number by which the store knows it.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::What;
use crate::limits;
use crate::posture::facts::{Os, Process, Sdk};

/// A value that devices share.
#[derive(Debug)]
pub(super) struct Shared<T> {
    number: u64,
    /// Whether the store holds it under its number.
    is_stored: AtomicBool,
    value: T,
}

/// What kind of value it is.
pub(super) trait Kind: Eq + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the store: part of the file format.
    const CODE: &'static str;

    /// Where its values are kept.
    fn pool(shared: &SharedFacts) -> &Pool<Self>;
}

/// The values that devices share.
#[derive(Debug, Default)]
pub(in crate::enforce) struct SharedFacts {
    systems: Pool<What<Os>>,
    texts: Pool<What<String>>,
    processes: Pool<What<Process>>,
    sdks: Pool<Sdk>,
    /// The highest number that was given.
    numbered: AtomicU64,
    /// How many the store holds.
    stored: AtomicU64,
}

impl SharedFacts {
    /// The one kept value that equals this one.
    pub(super) fn share<T: Kind>(&self, value: T) -> Arc<Shared<T>> {
        let number = || self.numbered.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        T::pool(self).share(value, |value| Shared { number: number(), is_stored: AtomicBool::new(false), value })
    }

    /// Takes a value back that the store holds.
    pub(super) fn restore<T: Kind>(&self, number: u64, value: T) -> Arc<Shared<T>> {
        self.number_from(number);
        T::pool(self).share(value, |value| Shared { number, is_stored: AtomicBool::new(true), value })
    }

    /// Whether the store may hold one more.
    pub(super) fn have_room(&self) -> bool {
        self.stored.load(Ordering::Relaxed) < limits::STORED_FACTS_MAX
    }

    /// The store holds so many more.
    pub(super) fn were_stored(&self, more: u64) {
        self.stored.fetch_add(more, Ordering::Relaxed);
    }

    /// No value that is new gets this number, or a lower one.
    pub(super) fn number_from(&self, number: u64) {
        self.numbered.fetch_max(number, Ordering::Relaxed);
    }
}

impl Kind for What<Os> {
    const CODE: &'static str = "os";

    fn pool(shared: &SharedFacts) -> &Pool<Self> {
        &shared.systems
    }
}

impl Kind for What<String> {
    const CODE: &'static str = "text";

    fn pool(shared: &SharedFacts) -> &Pool<Self> {
        &shared.texts
    }
}

impl Kind for What<Process> {
    const CODE: &'static str = "process";

    fn pool(shared: &SharedFacts) -> &Pool<Self> {
        &shared.processes
    }
}

impl Kind for Sdk {
    const CODE: &'static str = "sdk";

    fn pool(shared: &SharedFacts) -> &Pool<Self> {
        &shared.sdks
    }
}

impl<T> Shared<T> {
    /// The value.
    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the store holds it under its number.
    pub(super) fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::Acquire)
    }

    /// The store has confirmed that it holds it. Returns whether that was known.
    pub(super) fn was_stored(&self) -> bool {
        self.is_stored.swap(true, Ordering::AcqRel)
    }

    /// The store is about to forget it: whoever needs it has to write it again.
    pub(super) fn is_forgotten(&self) {
        self.is_stored.store(false, Ordering::Release);
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Values that are kept once. One that nobody uses any more goes when the pool has grown to twice what is in use.
#[derive(Debug)]
pub(super) struct Pool<T> {
    /// Parts, so that devices that report at the same time seldom wait for each other.
    parts: [Mutex<Part<T>>; POOL_PARTS],
    hasher: RandomState,
}

const POOL_PARTS: usize = 16;

#[derive(Debug)]
struct Part<T> {
    values: HashSet<ByValue<T>, RandomState>,
    sweep_at: usize,
}

/// Found by its value, whatever its number.
#[derive(Debug)]
struct ByValue<T>(Arc<Shared<T>>);

impl<T> Borrow<T> for ByValue<T> {
    fn borrow(&self) -> &T {
        &self.0.value
    }
}

impl<T: Hash> Hash for ByValue<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.value.hash(state);
    }
}

impl<T: PartialEq> PartialEq for ByValue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.value == other.0.value
    }
}

impl<T: Eq> Eq for ByValue<T> {}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        let part = || Mutex::new(Part { values: HashSet::default(), sweep_at: limits::SHARED_VALUES_UNSWEPT_MAX });
        Pool { parts: std::array::from_fn(|_| part()), hasher: RandomState::default() }
    }
}

impl<T: Hash + Eq> Pool<T> {
    fn share(&self, value: T, new: impl FnOnce(T) -> Shared<T>) -> Arc<Shared<T>> {
        let Some(mut part) = self.part_of(&value) else {
            return Arc::new(new(value));
        };
        if let Some(known) = part.values.get(&value) {
            return Arc::clone(&known.0);
        }
        if part.values.len() >= part.sweep_at {
            part.values.retain(|value| Arc::strong_count(&value.0) > 1);
            part.sweep_at = part.values.len().saturating_mul(2).max(limits::SHARED_VALUES_UNSWEPT_MAX);
        }
        let shared = Arc::new(new(value));
        part.values.insert(ByValue(Arc::clone(&shared)));
        shared
    }

    /// The remainder is smaller than the number of parts, so there always is one.
    fn part_of(&self, value: &T) -> Option<MutexGuard<'_, Part<T>>> {
        let place = usize::try_from(self.hasher.hash_one(value) % POOL_PARTS as u64).unwrap_or_default();
        Some(self.parts.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::facts::Source;

    #[test]
    fn values_that_nobody_uses_do_not_pile_up() {
        let shared = SharedFacts::default();
        let text = |value: String| What { value, source: Source::Device, asked_by: None };
        let used: Vec<_> = (0..10).map(|number| shared.share(text(format!("used {number}")))).collect();
        for number in 0..POOL_PARTS * limits::SHARED_VALUES_UNSWEPT_MAX * 4 {
            drop(shared.share(text(format!("unused {number}"))));
        }
        let kept: usize = shared.texts.parts.iter().map(|part| part.lock().unwrap().values.len()).sum();
        assert!(kept <= POOL_PARTS * limits::SHARED_VALUES_UNSWEPT_MAX + used.len(), "{kept}");
        assert!(
            used.iter()
                .enumerate()
                .all(|(number, value)| { Arc::ptr_eq(value, &shared.share(text(format!("used {number}")))) })
        );
    }

    #[test]
    fn no_number_is_given_twice() {
        let shared = SharedFacts::default();
        let text = |value: &str| What { value: value.to_owned(), source: Source::Device, asked_by: None };
        assert_eq!(shared.restore(7, text("from before")).number(), 7);
        let new = [shared.share(text("new")), shared.share(text("newer"))].map(|value| value.number());
        assert_eq!(new, [8, 9]);
        assert_eq!(shared.share(text("from before")).number(), 7);
    }
}
