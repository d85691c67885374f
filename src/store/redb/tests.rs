//! Faults below redb, which only a test that knows redb can bring about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redb::StorageBackend;

use super::*;

/// A disk that can fill up.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn check_space(&self) -> io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_space().and_then(|()| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_space().and_then(|()| self.file.write(offset, data))
    }
}

fn put(key: &str) -> [Write; 1] {
    [Write::put(Table::Postures, key, vec![1; 100]).unwrap()]
}

fn open_on_disk(dir: &Path, full: &Arc<AtomicBool>) -> RedbBackend {
    let full = Arc::clone(full);
    let open_file = move |path: &Path| {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        let disk = Disk { file: FileBackend::new(file)?, full: Arc::clone(&full) };
        Ok(Builder::new().create_with_backend(disk)?)
    };
    RedbBackend::open_with(dir, Timestamp::default(), Box::new(open_file)).unwrap().backend
}

/// Repeats the call until it works, as callers do while the store recovers.
fn eventually<R>(call: impl Fn() -> Result<R, StoreError>) -> R {
    let waited = Stopwatch::start();
    loop {
        match call() {
            Ok(value) => return value,
            Err(error) => assert!(waited.elapsed() < Duration::from_secs(10), "never recovered: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_costs_only_the_writes_it_refused() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let backend = open_on_disk(dir.path(), &full);
    backend.commit(&put("before")).unwrap();

    full.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let error = backend.commit(&put("refused")).unwrap_err();
        assert_eq!(error.to_string(), "the store is unavailable: I/O error: no storage space");
    }

    full.store(false, Ordering::SeqCst);
    eventually(|| backend.commit(&put("after")));
    assert!(backend.get(Table::Postures, "before").unwrap().is_some());
    backend.close().unwrap();

    let opened = RedbBackend::open(dir.path(), Timestamp::default()).unwrap();
    assert_eq!(opened.moved_aside, None);
    for key in ["before", "after"] {
        assert!(opened.backend.get(Table::Postures, key).unwrap().is_some(), "{key}");
    }
}

#[test]
fn the_directory_stays_ours_while_the_file_is_being_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let backend = open_on_disk(dir.path(), &full);
    full.store(true, Ordering::SeqCst);
    backend.commit(&put("refused")).unwrap_err();
    let other = RedbBackend::open(dir.path(), Timestamp::default()).err().unwrap();
    assert!(matches!(other, StoreError::InUse { .. }), "{other}");

    backend.close().unwrap();
    RedbBackend::open(dir.path(), Timestamp::default()).unwrap();
}

#[test]
fn a_file_held_by_another_program_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let holder = Database::create(&path).unwrap();
    let error = RedbBackend::open(dir.path(), Timestamp::default()).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(path.exists());
    drop(holder);
}

#[test]
fn a_database_of_another_program_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    Database::create(dir.path().join(FILE_NAME)).unwrap();
    let opened = RedbBackend::open(dir.path(), Timestamp::default()).unwrap();
    assert!(matches!(opened.moved_aside.unwrap().reason, Unusable::Foreign(_)));
}

#[test]
fn a_panic_over_a_damaged_file_moves_it_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE_NAME), "damaged").unwrap();
    let first = AtomicBool::new(true);
    let open_file = move |path: &Path| match first.swap(false, Ordering::SeqCst) {
        true => panic!("no such page"),
        false => open_verified(path),
    };
    let opened = RedbBackend::open_with(dir.path(), Timestamp::default(), Box::new(open_file)).unwrap();
    let moved = opened.moved_aside.unwrap();
    assert_eq!(moved.reason, Unusable::Corrupt("the storage engine gave up: no such page".to_owned()));
    assert_eq!(fs::read_to_string(moved.to).unwrap(), "damaged");
}

/// Root is not stopped by permissions, so the refusal is made up.
#[test]
fn a_file_that_may_not_be_read_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, "somebody's").unwrap();
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
        let open_file = move |_: &Path| Err(RedbError::Io(io::Error::from(kind)));
        let error = RedbBackend::open_with(dir.path(), Timestamp::default(), Box::new(open_file));
        let error = error.err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    }
}

#[test]
fn a_panic_while_serving_is_an_error_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let backend = RedbBackend::open(dir.path(), Timestamp::default()).unwrap().backend;
    backend.commit(&put("before")).unwrap();
    let failed = backend.with(|_| -> Result<(), RedbError> { panic!("no such page") });
    assert!(matches!(failed, Err(StoreError::Unavailable { .. })));
    assert!(eventually(|| backend.get(Table::Postures, "before")).is_some());
}
