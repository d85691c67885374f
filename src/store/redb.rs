//! The backend on disk: one redb file in the data directory. The only file that knows redb.
//!
//! It must never panic on what a file holds, never touch a file another process uses, and never delete one.

use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use ::redb::backends::FileBackend;
use ::redb::{Builder, Database, Error as RedbError, ReadableDatabase, TableDefinition, TableError};

use super::aside::{MovedAside, Unusable, move_aside};
use super::backend::{Backend, StoredRecord, Table, Write};
use super::contain::{Panicked, contained};
use super::directory::{DataDirectory, create_private};
use super::error::{StoreCause, StoreError};
use crate::clock::{Stopwatch, Timestamp};
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
        directory: DataDirectory,
    },
    Lost {
        /// The error, which answers every call until the file is open again.
        cause: StoreCause,
        since: Stopwatch,
        /// How long to wait before opening, so that a full disk does not keep a processor busy with it.
        pause: Duration,
        directory: DataDirectory,
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
        let directory = DataDirectory::take(dir)?;
        let path = dir.join(FILE_NAME);
        let opening = Stopwatch::start();
        let mut moved_aside = None;
        let database = match open_existing(&path, &open_file) {
            Ok(database) => database,
            Err(OpenFailure::Missing) => make_new(&directory, &path, &open_file)?,
            Err(OpenFailure::Unusable(reason)) => {
                moved_aside = Some(move_aside(&path, now, reason)?);
                make_new(&directory, &path, &open_file)?
            }
            Err(OpenFailure::InUse) => {
                return Err(StoreError::InUse { dir: dir.to_owned() });
            }
            Err(OpenFailure::Refused(error)) => return Err(error),
        };
        let opened_in = opening.elapsed();
        let connection = RwLock::new(Connection::Open { database, opened_in, directory });
        Ok(Opened { backend: RedbBackend { path, open_file, connection }, moved_aside })
    }

    fn with<R>(&self, act: impl Fn(&Database) -> Result<R, RedbError>) -> Result<R, StoreError> {
        self.reconnect()?;
        let result = match &*self.read() {
            Connection::Open { database, .. } => engine(|| act(database)),
            Connection::Lost { cause, .. } => return Err(StoreError::Unavailable { source: Arc::clone(cause) }),
            Connection::Closed => return Err(StoreError::Closed),
        };
        result.map_err(|fault| {
            let cause: StoreCause = Arc::new(fault);
            self.disconnect(Arc::clone(&cause));
            StoreError::Unavailable { source: cause }
        })
    }

    /// Opens the file again if an error made it unusable. Nothing is moved aside here: that is for a start to do.
    fn reconnect(&self) -> Result<(), StoreError> {
        if !matches!(&*self.read(), Connection::Lost { .. }) {
            return Ok(());
        }
        let mut connection = self.write();
        let Connection::Lost { cause, since, pause, .. } = &mut *connection else {
            return Ok(());
        };
        if since.elapsed() < *pause {
            return Err(StoreError::Unavailable { source: Arc::clone(cause) });
        }
        let opening = Stopwatch::start();
        let opened = engine(|| (self.open_file)(&self.path));
        let opened_in = opening.elapsed();
        (*since, *pause) = (Stopwatch::start(), pause_after(opened_in));
        let database = opened.map_err(StoreError::unavailable)?;
        if let Connection::Lost { directory, .. } = std::mem::replace(&mut *connection, Connection::Closed) {
            *connection = Connection::Open { database, opened_in, directory };
        }
        Ok(())
    }

    fn disconnect(&self, cause: StoreCause) {
        let mut connection = self.write();
        *connection = match std::mem::replace(&mut *connection, Connection::Closed) {
            Connection::Open { database, opened_in, directory } => {
                // The error that led here is the one to report; closing a failed file only repeats it.
                let _ = engine(|| Ok(database.close()?));
                Connection::Lost { cause, since: Stopwatch::start(), pause: pause_after(opened_in), directory }
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
            Connection::Open { database, directory: _held, .. } => {
                engine(|| Ok(database.close()?)).map_err(StoreError::unavailable)
            }
            Connection::Lost { .. } | Connection::Closed => Ok(()),
        }
    }
}

/// Opening reads the whole file: it may take up a small share of the time, no more.
fn pause_after(opened_in: Duration) -> Duration {
    opened_in.saturating_mul(STORE_REOPEN_PAUSE_FACTOR)
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
        Err(error) => return Err(OpenFailure::Refused(StoreError::cannot_open(path, error))),
    }
    // A link that leads nowhere, such as to a volume that is not mounted, is an error and not a missing file.
    let metadata = fs::metadata(path).map_err(|error| OpenFailure::Refused(StoreError::cannot_open(path, error)))?;
    if !metadata.is_file() {
        return Err(OpenFailure::Unusable(Unusable::NotAFile));
    }
    if metadata.len() == 0 {
        return Err(OpenFailure::Unusable(Unusable::Corrupt("it is empty".to_owned())));
    }
    let opened = engine(|| {
        let database = open_file(path)?;
        let schema = read_schema(&database)?;
        Ok((database, schema))
    });
    let (database, schema) = opened.map_err(|fault| failure_of(path, fault))?;
    let reason = match schema {
        Schema::Known => return Ok(database),
        Schema::Newer(found) => Unusable::NewerSchema { found, known: SCHEMA },
        Schema::Absent => Unusable::Foreign("it records no schema".to_owned()),
    };
    // Nothing was written, so nothing is lost if this fails.
    let _ = engine(|| Ok(database.close()?));
    Err(OpenFailure::Unusable(reason))
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
            _ => OpenFailure::Refused(StoreError::cannot_open(path, error)),
        },
        RedbError::UpgradeRequired(_)
        | RedbError::TableTypeMismatch { .. }
        | RedbError::TableIsMultimap(_)
        | RedbError::TypeDefinitionChanged { .. } => OpenFailure::Unusable(Unusable::Foreign(detail)),
        other => OpenFailure::Refused(StoreError::cannot_open(path, other)),
    }
}

/// Makes a store under a passing name and renames it into place, so that a crash here never looks like corruption.
fn make_new(directory: &DataDirectory, path: &Path, open_file: &OpenFile) -> Result<Database, StoreError> {
    let new = path.with_file_name(NEW_FILE_NAME);
    write_new(&new).map_err(|error| StoreError::cannot_open(&new, error))?;
    let placed = fs::rename(&new, path).and_then(|()| directory.sync());
    placed.map_err(|error| StoreError::cannot_open(path, error))?;
    engine(|| open_file(path)).map_err(|error| StoreError::cannot_open(path, error))
}

fn write_new(path: &Path) -> Result<(), EngineFault> {
    engine(|| {
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

fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(table.name())
}

/// What a call into redb can end in besides success.
#[derive(Debug, thiserror::Error)]
enum EngineFault {
    #[error(transparent)]
    Failed(#[from] RedbError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// Runs a call into redb; should it panic on a damaged page, the panic ends here, as an error.
fn engine<R>(call: impl FnOnce() -> Result<R, RedbError>) -> Result<R, EngineFault> {
    Ok(contained(call)??)
}

#[cfg(test)]
mod tests;
