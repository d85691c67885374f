//! How many of something each of many holds at once, up to a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by key. It holds a key only as long as somebody has a place under it.
#[derive(Debug)]
pub(super) struct Tally<K>(Mutex<HashMap<K, usize>>);

/// One place under a key, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Tally(Mutex::default()))
    }

    /// Takes a place under `key`, unless there are `max` already.
    pub(super) fn enter(self: &Arc<Self>, key: &K, max: usize) -> Option<Place<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(key).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(key.clone(), count.saturating_add(1));
        Some(Place { tally: Arc::clone(self), key: key.clone() })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_so_many_places_and_no_more_and_is_forgotten_when_they_are_free() {
        let tally = Tally::new();
        let first = tally.enter(&"a", 2).unwrap();
        let second = tally.enter(&"a", 2).unwrap();
        assert!(tally.enter(&"a", 2).is_none());
        assert!(tally.enter(&"b", 2).is_some());
        drop(first);
        let third = tally.enter(&"a", 2).unwrap();
        assert!(tally.enter(&"a", 2).is_none());
        drop((second, third));
        assert!(tally.0.lock().unwrap().is_empty());
    }
}
