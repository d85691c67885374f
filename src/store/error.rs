//! What can go wrong in the store, in the words of the product.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::Table;
use super::codec::RecordError;
use crate::limits::{STORE_KEY_BYTES_MAX, STORE_VALUE_BYTES_MAX};

/// The cause of a [`StoreError`]; shared, because one failed commit answers many callers.
pub type StoreCause = Arc<dyn Error + Send + Sync>;

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data directory.
    #[error("data directory `{}` is in use by another postern", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The data directory or its file cannot be used, for a reason that is not in the file's content.
    #[error("cannot open the store at `{}`: {source}", path.display())]
    Open {
        /// The file or directory that was being opened.
        path: PathBuf,
        /// What the system or the engine said.
        source: StoreCause,
    },
    /// The file is unusable and could not be moved out of the way either.
    #[error("cannot move the unusable store `{}` aside ({reason}): {source}", path.display())]
    MoveAside {
        /// The unusable file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Why it could not be moved.
        source: StoreCause,
    },
    /// The engine cannot serve now: a full disk, an input or output error. The same call may succeed later.
    #[error("the store is unavailable: {source}")]
    Unavailable {
        /// What the engine said.
        source: StoreCause,
    },
    /// The write queue had no room in time.
    #[error("the store is busy: its write queue is full")]
    Busy,
    /// A queued write was not confirmed in time; it may still happen.
    #[error("the store did not confirm the write in time")]
    Unconfirmed,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A key that is empty or too long.
    #[error("a key of {bytes} bytes in `{table}` is not between 1 and {STORE_KEY_BYTES_MAX} bytes long")]
    InvalidKey {
        /// The table it was meant for.
        table: Table,
        /// The key's length.
        bytes: usize,
    },
    /// A value past its bound.
    #[error("the value of `{table}/{key}` has {bytes} bytes, more than {STORE_VALUE_BYTES_MAX}")]
    ValueTooLarge {
        /// The table it was meant for.
        table: Table,
        /// The record's key.
        key: String,
        /// The value's length.
        bytes: usize,
    },
    /// More in one write than the queue may hold for one.
    #[error("a write of {records} records is too large to be made as one")]
    WriteTooLarge {
        /// How many records it has.
        records: usize,
    },
    /// A record that cannot be read or written as what it should be.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl StoreError {
    /// The stable label of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::InUse { .. } => "store-in-use",
            StoreError::Open { .. } => "store-open-failed",
            StoreError::MoveAside { .. } => "store-move-aside-failed",
            StoreError::Unavailable { .. } => "store-unavailable",
            StoreError::Busy => "store-busy",
            StoreError::Unconfirmed => "store-unconfirmed",
            StoreError::Closed => "store-closed",
            StoreError::InvalidKey { .. } => "store-key-invalid",
            StoreError::ValueTooLarge { .. } => "store-value-too-large",
            StoreError::WriteTooLarge { .. } => "store-write-too-large",
            StoreError::Record(_) => "store-record-broken",
        }
    }

    pub(super) fn cannot_open(path: &Path, source: impl Error + Send + Sync + 'static) -> Self {
        StoreError::Open { path: path.to_owned(), source: Arc::new(source) }
    }

    /// An [`StoreError::Unavailable`] with this cause.
    pub fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        StoreError::Unavailable { source: Arc::new(source) }
    }
}
