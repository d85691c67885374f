//! The backend that forgets: ordered maps behind one lock, for tests and for running without a disk.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::backend::{Backend, StoredRecord, Table, Write};
use super::error::StoreError;

/// A store in memory; gone with the process.
#[derive(Debug)]
pub struct MemoryBackend {
    /// `None` once closed.
    tables: RwLock<Option<Tables>>,
}

type Tables = HashMap<Table, BTreeMap<String, Vec<u8>>>;

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        MemoryBackend { tables: RwLock::new(Some(Tables::new())) }
    }

    // INVARIANT: nothing that holds the lock can panic half-way through a change, so a poisoned lock guards whole data.
    fn read(&self) -> RwLockReadGuard<'_, Option<Tables>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Tables>> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        MemoryBackend::new()
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let guard = self.read();
        let tables = guard.as_ref().ok_or(StoreError::Closed)?;
        Ok(tables.get(&table).and_then(|records| records.get(key)).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let guard = self.read();
        let tables = guard.as_ref().ok_or(StoreError::Closed)?;
        let Some(records) = tables.get(&table) else {
            return Ok(Vec::new());
        };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(records
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut guard = self.write();
        let tables = guard.as_mut().ok_or(StoreError::Closed)?;
        for write in writes {
            let records = tables.entry(write.table()).or_default();
            match write.value() {
                Some(value) => records.insert(write.key().to_owned(), value.to_owned()),
                None => records.remove(write.key()),
            };
        }
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        *self.write() = None;
        Ok(())
    }
}
