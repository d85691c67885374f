//! What a storage engine must be able to do, in bytes: the trait, the tables, and one change.
//!
//! A backend knows nothing of records, queues or threads. It must never acknowledge a change that is not durable.

use std::fmt;

use super::error::StoreError;
use crate::limits::{STORE_KEY_BYTES_MAX, STORE_QUEUE_PAGE_BYTES, STORE_VALUE_BYTES_MAX};

/// A storage engine: ordered tables of bytes, changed by atomic batches.
///
/// All calls block. Every implementation passes the same conformance suite.
pub trait Backend: Send + Sync + 'static {
    /// The engine's name, as logs and metrics print it.
    fn name(&self) -> &'static str;

    /// The value stored under `key`, if any.
    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` records in byte order of their keys: those that start with `prefix` and come after `after`.
    ///
    /// Fewer than `limit` records mean that there are no more. Each call sees one consistent state; a walk of several
    /// calls may see changes made in between.
    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError>;

    /// Applies all `writes` in order, or none of them; when it returns `Ok` they are durable.
    ///
    /// After an error the batch is not acknowledged, yet it may turn out to have been applied, whole.
    fn commit(&self, writes: &[Write]) -> Result<(), StoreError>;

    /// Lets go of the engine's resources; every later call answers [`StoreError::Closed`].
    fn close(&self) -> Result<(), StoreError>;
}

/// A key and the bytes stored under it.
pub type StoredRecord = (String, Vec<u8>);

/// The tables of a store.
///
/// A new one is added here, in [`Table::ALL`] and in [`Table::name`]: files written before it existed read it as empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What is known of each identity's device, by identity id.
    Postures,
    /// Facts that postures share, by kind and number.
    Facts,
    /// The latest refusals of each identity, by identity id.
    Failures,
    /// Objects made through the API, by kind and id.
    Objects,
    /// The latest changes of objects, by slot.
    Audit,
    /// Locks that operators put on identities, by identity id.
    Locks,
    /// Second factors of identities, by identity id.
    SecondFactors,
    /// Facts about the store itself. The key `schema` belongs to the backend.
    Meta,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 8] = [
        Table::Postures,
        Table::Facts,
        Table::Failures,
        Table::Objects,
        Table::Audit,
        Table::Locks,
        Table::SecondFactors,
        Table::Meta,
    ];

    /// The table's stable name: part of the file format.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Postures => "postures",
            Table::Facts => "facts",
            Table::Failures => "failures",
            Table::Objects => "objects",
            Table::Audit => "audit",
            Table::Locks => "locks",
            Table::SecondFactors => "second-factors",
            Table::Meta => "meta",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One change of one record, its key and value within their bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    table: Table,
    key: String,
    value: Option<Vec<u8>>,
}

impl Write {
    /// Stores `value` under `key`, replacing what was there.
    pub fn put(table: Table, key: impl Into<String>, value: Vec<u8>) -> Result<Self, StoreError> {
        let key = checked_key(table, key.into())?;
        if value.len() > STORE_VALUE_BYTES_MAX {
            return Err(StoreError::ValueTooLarge { table, key, bytes: value.len() });
        }
        Ok(Write { table, key, value: Some(value) })
    }

    /// Removes what is stored under `key`, if anything is.
    pub fn delete(table: Table, key: impl Into<String>) -> Result<Self, StoreError> {
        let key = checked_key(table, key.into())?;
        Ok(Write { table, key, value: None })
    }

    /// The table it changes.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The key it changes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The new value; `None` when the record is to be removed.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The room this change takes in a queue.
    pub(super) fn pages(&self) -> usize {
        let bytes = self.key.len().saturating_add(self.value.as_ref().map_or(0, Vec::len));
        bytes.div_ceil(STORE_QUEUE_PAGE_BYTES).max(1)
    }
}

/// Shows the size of the value, never its bytes: a record may hold a secret.
impl fmt::Debug for Write {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Write { table, key, value } = self;
        match value {
            Some(value) => write!(formatter, "put {table}/{key:?} ({} bytes)", value.len()),
            None => write!(formatter, "delete {table}/{key:?}"),
        }
    }
}

fn checked_key(table: Table, key: String) -> Result<String, StoreError> {
    match key.len() {
        1..=STORE_KEY_BYTES_MAX => Ok(key),
        bytes => Err(StoreError::InvalidKey { table, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_part_of_the_file_format() {
        let names = Table::ALL.map(Table::name);
        assert_eq!(names, ["postures", "facts", "failures", "objects", "audit", "locks", "second-factors", "meta"]);
    }

    #[test]
    fn a_key_has_a_lower_and_an_upper_bound() {
        let longest = "k".repeat(STORE_KEY_BYTES_MAX);
        assert!(Write::put(Table::Objects, &*longest, Vec::new()).is_ok());
        assert!(Write::delete(Table::Objects, &*longest).is_ok());
        for bytes in [0, STORE_KEY_BYTES_MAX + 1] {
            let refused = Write::put(Table::Objects, "k".repeat(bytes), Vec::new());
            assert!(matches!(refused, Err(StoreError::InvalidKey { bytes: found, .. }) if found == bytes));
        }
    }

    #[test]
    fn a_value_has_an_upper_bound() {
        assert!(Write::put(Table::Postures, "k", vec![0; STORE_VALUE_BYTES_MAX]).is_ok());
        let refused = Write::put(Table::Postures, "k", vec![0; STORE_VALUE_BYTES_MAX + 1]);
        assert!(matches!(refused, Err(StoreError::ValueTooLarge { .. })));
    }

    #[test]
    fn debug_output_shows_no_value() {
        let write = Write::put(Table::Objects, "seed", b"hush".to_vec()).unwrap();
        assert_eq!(format!("{write:?}"), r#"put objects/"seed" (4 bytes)"#);
    }
}
