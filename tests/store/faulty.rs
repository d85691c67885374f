//! A backend in memory that fails, panics or holds its commits when it is told to.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use postern::store::{Backend, Commit, MemoryBackend, StoreError, StoreObserver, StoredRecord, Table, Write};

/// What a commit does before, or instead of, its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Fail,
    Panic,
}

/// A memory backend with faults to order.
#[derive(Default)]
pub(crate) struct FaultyBackend {
    inner: MemoryBackend,
    fault: Mutex<Option<Fault>>,
    /// Commits left before the disk is full; `None` for a disk without end.
    space: Mutex<Option<usize>>,
    gate: Mutex<Option<Gate>>,
    batches: Mutex<Vec<Vec<Write>>>,
    on_close: Mutex<Option<Sender<()>>>,
    closed: AtomicBool,
}

struct Gate {
    entered: Sender<()>,
    release: Receiver<()>,
}

/// The test's side of a held backend; dropping it lets every commit pass.
pub(crate) struct Held {
    entered: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    /// Waits until a commit has begun.
    pub(crate) fn wait_for_commit(&self) {
        self.entered.recv().unwrap();
    }

    /// Lets one commit pass.
    pub(crate) fn release_one(&self) {
        self.release.send(()).unwrap();
    }
}

impl FaultyBackend {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A backend whose disk is full after `commits` commits.
    pub(crate) fn full_after(commits: usize) -> Arc<Self> {
        let backend = FaultyBackend::new();
        *backend.space.lock().unwrap() = Some(commits);
        backend
    }

    /// Makes room on the disk.
    pub(crate) fn make_space(&self) {
        *self.space.lock().unwrap() = None;
    }

    /// Makes the next commit, and only that one, fail in this way.
    pub(crate) fn fault_next(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// Holds every commit at its start until it is released.
    pub(crate) fn hold(&self) -> Held {
        let (entered_tx, entered) = channel();
        let (release, release_rx) = channel();
        *self.gate.lock().unwrap() = Some(Gate { entered: entered_tx, release: release_rx });
        Held { entered, release }
    }

    /// Hears of the backend's closing.
    pub(crate) fn on_close(&self) -> Receiver<()> {
        let (closed, heard) = channel();
        *self.on_close.lock().unwrap() = Some(closed);
        heard
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The batches committed so far.
    pub(crate) fn batches(&self) -> Vec<Vec<Write>> {
        self.batches.lock().unwrap().clone()
    }

    fn pass_gate(&self) {
        if let Some(gate) = &*self.gate.lock().unwrap() {
            let _ = gate.entered.send(());
            let _ = gate.release.recv();
        }
    }
}

impl Backend for FaultyBackend {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.inner.scan(table, prefix, after, limit)
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.pass_gate();
        let fault = self.fault.lock().unwrap().take();
        match fault {
            Some(Fault::Fail) => {
                return Err(StoreError::unavailable(io::Error::other("the disk is on fire")));
            }
            Some(Fault::Panic) => panic!("the backend was told to panic"),
            None => {}
        }
        match &mut *self.space.lock().unwrap() {
            Some(0) => {
                return Err(StoreError::unavailable(io::Error::from(io::ErrorKind::StorageFull)));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.inner.commit(writes)?;
        self.batches.lock().unwrap().push(writes.to_vec());
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        // The content stays readable for the test.
        self.closed.store(true, Ordering::SeqCst);
        if let Some(closed) = self.on_close.lock().unwrap().take() {
            let _ = closed.send(());
        }
        Ok(())
    }
}

/// An observer that counts.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) committed: Mutex<Vec<(usize, usize)>>,
    pub(crate) failed: Mutex<Vec<(usize, usize, &'static str)>>,
    pub(crate) refused: AtomicUsize,
}

impl StoreObserver for Counts {
    fn committed(&self, commit: Commit) {
        self.committed.lock().unwrap().push((commit.writes, commit.records));
    }

    fn commit_failed(&self, commit: Commit, error: &StoreError) {
        self.failed.lock().unwrap().push((commit.writes, commit.records, error.code()));
    }

    fn refused(&self, _error: &StoreError) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}
