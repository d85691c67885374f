//! What outlives the process: postures, failures and API-made objects, on a backend that can be exchanged.
//!
//! [`Store`] is all that the floors above need. A write that it confirmed is durable: a crash of the process, at any
//! moment, does not lose it. A store that cannot be used is an error value or is moved aside and reported; a record
//! that cannot be read is skipped and reported; neither is ever a panic, and nothing is ever deleted on its own account.
//!
//! Secrets in a record are sealed by [`Sealer`] first: the store itself knows no plain ones.
//!
//! Reading blocks (callers read at start, before they serve); writing goes through one thread of its own.

mod aside;
mod backend;
mod codec;
mod contain;
mod directory;
mod error;
mod memory;
mod observer;
mod redb;
mod seal;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::limits::STORE_SCAN_RECORDS_MAX;
use writer::StoreWriter;

pub use self::redb::{Opened, RedbBackend};
pub use aside::{MovedAside, Unusable};
pub use backend::{Backend, StoredRecord, Table, Write};
pub use codec::{RecordError, RecordFault};
pub use error::{StoreCause, StoreError};
pub use memory::MemoryBackend;
pub use observer::{Commit, StoreObserver};
pub use seal::{SealError, Sealer};

/// A handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    writer: Arc<StoreWriter>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store that is gone with the process.
    pub fn memory() -> Result<Store, StoreError> {
        Store::over(Arc::new(MemoryBackend::new()), Arc::new(()))
    }

    /// The store on disk in the directory `dir`; a file that is unusable is moved aside, stamped with `now`.
    pub fn open(dir: &Path, now: Timestamp) -> Result<(Store, Option<MovedAside>), StoreError> {
        Store::open_observed(dir, now, Arc::new(()))
    }

    /// As [`Store::open`], with an ear for `observer`.
    pub fn open_observed(
        dir: &Path,
        now: Timestamp,
        observer: Arc<dyn StoreObserver>,
    ) -> Result<(Store, Option<MovedAside>), StoreError> {
        let Opened { backend, moved_aside } = RedbBackend::open(dir, now)?;
        Ok((Store::over(Arc::new(backend), observer)?, moved_aside))
    }

    /// A store on any backend.
    pub fn over(backend: Arc<dyn Backend>, observer: Arc<dyn StoreObserver>) -> Result<Store, StoreError> {
        let writer = Arc::new(StoreWriter::start(Arc::clone(&backend), observer)?);
        Ok(Store { backend, writer })
    }

    /// The backend's name, as logs and metrics print it.
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// Stores `record` under `key` and returns once it is durable.
    pub async fn put<T: Serialize>(&self, table: Table, key: &str, record: &T) -> Result<(), StoreError> {
        self.write(vec![Store::put_of(table, key, record)?]).await
    }

    /// Removes what is stored under `key` and returns once that is durable.
    pub async fn delete(&self, table: Table, key: &str) -> Result<(), StoreError> {
        self.write(vec![Write::delete(table, key)?]).await
    }

    /// Stores `record` under `key` soon, without waiting; for records that are acknowledged to nobody.
    pub fn put_later<T: Serialize>(&self, table: Table, key: &str, record: &T) -> Result<(), StoreError> {
        self.write_later(vec![Store::put_of(table, key, record)?])
    }

    /// Removes what is stored under `key` soon, without waiting.
    pub fn delete_later(&self, table: Table, key: &str) -> Result<(), StoreError> {
        self.write_later(vec![Write::delete(table, key)?])
    }

    /// Makes several changes as one and returns once they are durable.
    ///
    /// Changes happen in the order in which they are submitted, which is when the future is first polled. An error
    /// means "not acknowledged": after [`StoreError::Unavailable`] or [`StoreError::Unconfirmed`] the changes may turn
    /// out to be there after all, all of them.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.write(writes).await
    }

    /// Makes several changes as one, soon, without waiting.
    pub fn write_later(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.writer.write_later(writes)
    }

    /// Waits until everything submitted before is durable or has failed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.writer.write(Vec::new()).await
    }

    /// The change that stores `record` under `key`, for [`Store::write`].
    pub fn put_of<T: Serialize>(table: Table, key: &str, record: &T) -> Result<Write, StoreError> {
        Write::put(table, key, codec::encode(table, key, record)?)
    }

    /// The record stored under `key`, if any. Blocks.
    pub fn load<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, StoreError> {
        match self.backend.get(table, key)? {
            Some(bytes) => Ok(Some(codec::decode(table, key, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Every record of `table`, in order of keys. Blocks.
    pub fn load_all<T: DeserializeOwned>(&self, table: Table) -> Result<Loaded<T>, StoreError> {
        self.load_prefixed(table, "")
    }

    /// Hands every record of `table` to `take`, in no order and from several threads; the records that do not read come back.
    /// Blocks.
    ///
    /// For tables of a million records: nothing is collected, and reading the text of records is what takes long.
    pub fn load_each<T: DeserializeOwned>(
        &self,
        table: Table,
        take: impl Fn(String, T) + Sync,
    ) -> Result<Vec<RecordError>, StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (pages, waiting) = mpsc::sync_channel(threads);
        let waiting = Mutex::new(waiting);
        let read = || {
            let mut skipped = Vec::new();
            while let Some(page) = next_page(&waiting) {
                for (key, bytes) in page {
                    match codec::decode(table, &key, &bytes) {
                        Ok(record) => take(key, record),
                        Err(error) => skipped.push(error),
                    }
                }
            }
            skipped
        };
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
            let scanned = self.scan_all(table, "", |page| {
                // Only readers that are gone would not take it, and they go when there is nothing more to read.
                let _ = pages.send(page);
            });
            drop(pages);
            let skipped = readers.into_iter().flat_map(|reader| match reader.join() {
                Ok(skipped) => skipped,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let skipped = skipped.collect();
            scanned.map(|()| skipped)
        })
    }

    /// Every record of `table` whose key starts with `prefix`, in order of keys. Blocks.
    pub fn load_prefixed<T: DeserializeOwned>(&self, table: Table, prefix: &str) -> Result<Loaded<T>, StoreError> {
        let mut loaded = Loaded { records: Vec::new(), skipped: Vec::new() };
        self.scan_all(table, prefix, |page| {
            for (key, bytes) in page {
                match codec::decode(table, &key, &bytes) {
                    Ok(record) => loaded.records.push((key, record)),
                    Err(error) => loaded.skipped.push(error),
                }
            }
        })?;
        Ok(loaded)
    }

    /// Page by page.
    fn scan_all(&self, table: Table, prefix: &str, mut take: impl FnMut(Vec<StoredRecord>)) -> Result<(), StoreError> {
        let mut last: Option<String> = None;
        loop {
            let page = self.backend.scan(table, prefix, last.as_deref(), STORE_SCAN_RECORDS_MAX)?;
            let complete = page.len() < STORE_SCAN_RECORDS_MAX;
            last = page.last().map(|(key, _)| key.clone());
            take(page);
            if complete {
                return Ok(());
            }
        }
    }

    /// Refuses further writes, waits until those submitted are written, and lets go of the data directory.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}

fn next_page(waiting: &Mutex<mpsc::Receiver<Vec<StoredRecord>>>) -> Option<Vec<StoredRecord>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// What a table held.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The records that read well, in order of keys.
    pub records: Vec<(String, T)>,
    /// The records that did not; they stay in the store as they are.
    pub skipped: Vec<RecordError>,
}
