//! The backend on disk: one redb file in the data directory. The only file that knows redb.
//!
//! It must never panic on what a file holds, never touch a file another process uses, and never delete one.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use ::redb::backends::FileBackend;
use ::redb::{Builder, Database, Error as RedbError, ReadableDatabase, TableDefinition, TableError};

use super::aside::{MovedAside, Unusable, move_aside};
use super::backend::{Backend, StoredRecord, Table, Write};
use super::error::StoreError;
use crate::clock::Timestamp;
use crate::limits::{STORE_CACHE_BYTES, STORE_REOPEN_PAUSE_FACTOR};

const FILE_NAME: &str = "postern.redb";
/// A new file gets its final name once it is complete; one with this name is the rest of an interrupted start.
const NEW_FILE_NAME: &str = "postern.redb.new";
const SCHEMA_KEY: &str = "schema";
/// The layout of tables and keys that this build writes, and the newest it reads.
const SCHEMA: u32 = 1;

/// A store in one file, held by this process alone until it is closed.
pub struct RedbBackend {
    path: PathBuf,
    open_file: OpenFile,
    connection: RwLock<Connection>,
}

/// An open store on disk, and what had to make room for it.
pub struct Opened {
    /// The backend.
    pub backend: RedbBackend,
    /// The unusable file that was found in the store's place.
    pub moved_aside: Option<MovedAside>,
}

/// After an error redb refuses all further work on an open file, so the file is let go and opened anew.
enum Connection {
    Open {
        database: Database,
        /// How long opening took: every page is read.
        opened_in: Duration,
        lock: DirectoryLock,
    },
    Lost {
        /// When to try again, so that a full disk does not keep a processor busy with opening.
        retry_at: Instant,
        lock: DirectoryLock,
    },
    Closed,
}

type OpenFile = Box<dyn Fn(&Path) -> Result<Database, RedbError> + Send + Sync>;

impl RedbBackend {
    /// Opens the store in the directory `dir`, which is made if it is missing.
    ///
    /// A file that is corrupt, foreign or of a newer schema is moved aside, stamped with `now`, and a new one is made.
    /// A file that cannot be read, or a directory that another process uses, is an error and stays as it is.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Opened, StoreError> {
        RedbBackend::open_with(dir, now, Box::new(open_verified))
    }

    fn open_with(dir: &Path, now: Timestamp, open_file: OpenFile) -> Result<Opened, StoreError> {
        fs::create_dir_all(dir).map_err(|source| cannot_open(dir, source))?;
        let lock = DirectoryLock::take(dir)?;
        let path = dir.join(FILE_NAME);
        let started = Instant::now();
        let mut moved_aside = None;
        let database = match open_existing(&path, &open_file) {
            Ok(database) => database,
            Err(OpenFailure::Missing) => make_new(dir, &path, &open_file)?,
            Err(OpenFailure::Unusable(reason)) => {
                moved_aside = Some(move_aside(&path, now, reason)?);
                make_new(dir, &path, &open_file)?
            }
            Err(OpenFailure::InUse) => {
                return Err(StoreError::InUse { dir: dir.to_owned() });
            }
            Err(OpenFailure::Refused(error)) => return Err(error),
        };
        let connection = RwLock::new(Connection::Open { database, opened_in: started.elapsed(), lock });
        Ok(Opened { backend: RedbBackend { path, open_file, connection }, moved_aside })
    }

    fn with<R>(&self, act: impl Fn(&Database) -> Result<R, RedbError>) -> Result<R, StoreError> {
        self.reconnect()?;
        let result = match &*self.read() {
            Connection::Open { database, .. } => contained(|| act(database)),
            Connection::Lost { .. } => return Err(StoreError::unavailable(Recovering)),
            Connection::Closed => return Err(StoreError::Closed),
        };
        result.map_err(|fault| {
            self.disconnect();
            StoreError::unavailable(fault)
        })
    }

    /// Opens the file again if an error made it unusable. Nothing is moved aside here: that is for a start to do.
    fn reconnect(&self) -> Result<(), StoreError> {
        if !matches!(&*self.read(), Connection::Lost { .. }) {
            return Ok(());
        }
        let mut connection = self.write();
        let Connection::Lost { retry_at, .. } = &mut *connection else {
            return Ok(());
        };
        let started = Instant::now();
        if started < *retry_at {
            return Err(StoreError::unavailable(Recovering));
        }
        let opened = contained(|| (self.open_file)(&self.path));
        let opened_in = started.elapsed();
        *retry_at = next_try(opened_in);
        let database = opened.map_err(StoreError::unavailable)?;
        if let Connection::Lost { lock, .. } = std::mem::replace(&mut *connection, Connection::Closed) {
            *connection = Connection::Open { database, opened_in, lock };
        }
        Ok(())
    }

    fn disconnect(&self) {
        let mut connection = self.write();
        *connection = match std::mem::replace(&mut *connection, Connection::Closed) {
            Connection::Open { database, opened_in, lock } => {
                // The error that led here is the one to report; closing a failed file only repeats it.
                let _ = contained(|| database.close().map_err(RedbError::from));
                Connection::Lost { retry_at: next_try(opened_in), lock }
            }
            other => other,
        };
    }

    // INVARIANT: calls into redb are contained, so a panic cannot leave the connection half-changed.
    fn read(&self) -> RwLockReadGuard<'_, Connection> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Connection> {
        self.connection.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for RedbBackend {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|database| read_one(database, table, key))
    }

    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.with(|database| read_page(database, table, prefix, after, limit))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.with(|database| write_batch(database, writes))
    }

    fn close(&self) -> Result<(), StoreError> {
        match std::mem::replace(&mut *self.write(), Connection::Closed) {
            Connection::Open { database, lock: _lock, .. } => {
                contained(|| database.close().map_err(RedbError::from)).map_err(StoreError::unavailable)
            }
            Connection::Lost { .. } | Connection::Closed => Ok(()),
        }
    }
}

fn next_try(opened_in: Duration) -> Instant {
    Instant::now() + opened_in.saturating_mul(STORE_REOPEN_PAUSE_FACTOR)
}

fn read_one(database: &Database, table: Table, key: &str) -> Result<Option<Vec<u8>>, RedbError> {
    let transaction = database.begin_read()?;
    let records = match transaction.open_table(definition(table)) {
        Ok(records) => records,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(records.get(key)?.map(|value| value.value().to_owned()))
}

fn read_page(
    database: &Database,
    table: Table,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<StoredRecord>, RedbError> {
    let transaction = database.begin_read()?;
    let records = match transaction.open_table(definition(table)) {
        Ok(records) => records,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut page = Vec::new();
    for record in records.range::<&str>((start, Bound::Unbounded))?.take(limit) {
        let (key, value) = record?;
        if !key.value().starts_with(prefix) {
            break;
        }
        page.push((key.value().to_owned(), value.value().to_owned()));
    }
    Ok(page)
}

fn write_batch(database: &Database, writes: &[Write]) -> Result<(), RedbError> {
    if writes.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        let mut writes = writes.iter().filter(|write| write.table() == table).peekable();
        if writes.peek().is_none() {
            continue;
        }
        let mut records = transaction.open_table(definition(table))?;
        for write in writes {
            match write.value() {
                Some(value) => records.insert(write.key(), value)?,
                None => records.remove(write.key())?,
            };
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Why the file at the store's place was not opened.
enum OpenFailure {
    Missing,
    InUse,
    Unusable(Unusable),
    Refused(StoreError),
}

fn open_existing(path: &Path, open_file: &OpenFile) -> Result<Database, OpenFailure> {
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenFailure::Missing),
        Err(error) => return Err(OpenFailure::Refused(cannot_open(path, error))),
    }
    // A link that leads nowhere, such as to a volume that is not mounted, is an error and not a missing file.
    let metadata = fs::metadata(path).map_err(|error| OpenFailure::Refused(cannot_open(path, error)))?;
    if !metadata.is_file() {
        return Err(OpenFailure::Unusable(Unusable::NotAFile));
    }
    if metadata.len() == 0 {
        return Err(OpenFailure::Unusable(Unusable::Corrupt("it is empty".to_owned())));
    }
    let database = contained(|| open_file(path)).map_err(|fault| failure_of(path, fault))?;
    match contained(|| read_schema(&database)) {
        Ok(Schema::Known) => Ok(database),
        Ok(Schema::Newer(found)) => Err(OpenFailure::Unusable(Unusable::NewerSchema { found, known: SCHEMA })),
        Ok(Schema::Absent) => Err(OpenFailure::Unusable(Unusable::Foreign("it records no schema".to_owned()))),
        Err(fault) => Err(failure_of(path, fault)),
    }
}

/// Checks every page's checksum: redb trusts a cleanly closed file otherwise, and may panic where it was altered.
fn open_verified(path: &Path) -> Result<Database, RedbError> {
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    Ok(builder.open(path)?)
}

enum Schema {
    Known,
    Newer(u32),
    Absent,
}

fn read_schema(database: &Database) -> Result<Schema, RedbError> {
    let recorded = read_one(database, Table::Meta, SCHEMA_KEY)?;
    let schema = recorded.as_deref().and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    Ok(match schema {
        Some(1..=SCHEMA) => Schema::Known,
        Some(0) | None => Schema::Absent,
        Some(newer) => Schema::Newer(newer),
    })
}

fn failure_of(path: &Path, fault: EngineFault) -> OpenFailure {
    let error = match fault {
        EngineFault::Failed(error) => error,
        panicked @ EngineFault::Panicked(_) => {
            return OpenFailure::Unusable(Unusable::Corrupt(panicked.to_string()));
        }
    };
    let detail = error.to_string();
    match error {
        RedbError::DatabaseAlreadyOpen | RedbError::LockProtocolMismatch => OpenFailure::InUse,
        RedbError::Corrupted(detail) => OpenFailure::Unusable(Unusable::Corrupt(detail)),
        RedbError::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => OpenFailure::Unusable(Unusable::Foreign(error.to_string())),
            io::ErrorKind::UnexpectedEof => OpenFailure::Unusable(Unusable::Corrupt(error.to_string())),
            _ => OpenFailure::Refused(cannot_open(path, error)),
        },
        RedbError::UpgradeRequired(_)
        | RedbError::TableTypeMismatch { .. }
        | RedbError::TableIsMultimap(_)
        | RedbError::TypeDefinitionChanged { .. } => OpenFailure::Unusable(Unusable::Foreign(detail)),
        other => OpenFailure::Refused(cannot_open(path, other)),
    }
}

/// Makes a store under a passing name and renames it into place, so that a crash here never looks like corruption.
fn make_new(dir: &Path, path: &Path, open_file: &OpenFile) -> Result<Database, StoreError> {
    let new = dir.join(NEW_FILE_NAME);
    write_new(&new).map_err(|error| cannot_open(&new, error))?;
    let placed = fs::rename(&new, path).and_then(|()| File::open(dir)?.sync_all());
    placed.map_err(|error| cannot_open(path, error))?;
    contained(|| open_file(path)).map_err(|error| cannot_open(path, error))
}

fn write_new(path: &Path) -> Result<(), EngineFault> {
    contained(|| {
        let database = Builder::new().create_with_backend(FileBackend::new(create_private(path)?)?)?;
        let transaction = database.begin_write()?;
        for table in Table::ALL {
            transaction.open_table(definition(table))?;
        }
        transaction.open_table(definition(Table::Meta))?.insert(SCHEMA_KEY, SCHEMA.to_string().as_bytes())?;
        transaction.commit()?;
        Ok(database.close()?)
    })
}

/// An empty file for the owner's eyes only.
fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Held from before the file is looked at, so that two starting processes cannot move each other's file aside.
struct DirectoryLock {
    /// `None` where directories cannot be locked: there redb's own lock on the file has to do.
    _held: Option<File>,
}

impl DirectoryLock {
    fn take(dir: &Path) -> Result<Self, StoreError> {
        let directory = File::open(dir).map_err(|source| cannot_open(dir, source))?;
        match directory.try_lock() {
            Ok(()) => Ok(DirectoryLock { _held: Some(directory) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(_)) => Ok(DirectoryLock { _held: None }),
        }
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(table.name())
}

fn cannot_open(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Open { path: path.to_owned(), source: Arc::new(source) }
}

#[derive(Debug, thiserror::Error)]
#[error("recovering from an earlier error")]
struct Recovering;

/// What a call into redb can end in besides success.
#[derive(Debug, thiserror::Error)]
enum EngineFault {
    #[error(transparent)]
    Failed(#[from] RedbError),
    #[error("the storage engine gave up: {0}")]
    Panicked(String),
}

/// Runs a call into redb; should it panic on a damaged page, the panic ends here, as an error.
fn contained<R>(call: impl FnOnce() -> Result<R, RedbError>) -> Result<R, EngineFault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(EngineFault::Failed),
        Err(payload) => Err(EngineFault::Panicked(panic_text(&*payload))),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "without a message".to_owned(),
    }
}
