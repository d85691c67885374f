//! Group commit: one thread that turns many small writes into few durable ones.
//!
//! Writes reach the backend in the order in which they entered the queue. A lone write is committed at once; while a
//! commit runs, the next ones gather. On the heels of a commit that served several callers the thread waits a moment
//! for them to come back with more, so that a steady crowd shares commits instead of alternating large and tiny ones.
//! What nobody waits for is gathered until somebody does, or until it is enough or old enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use super::backend::{Backend, Write};
use super::contain::contained;
use super::error::StoreError;
use super::observer::{Commit, StoreObserver};
use crate::clock::Stopwatch;
use crate::limits::{
    STORE_CLOSE_WAIT_MAX, STORE_COMMIT_RECORDS_MAX, STORE_COMMIT_WAIT_MAX, STORE_GATHER_WAIT_MAX,
    STORE_QUEUE_PAGES_MAX, STORE_ROOM_WAIT_MAX, STORE_UNAWAITED_WAIT_MAX, STORE_WRITE_PAGES_MAX,
};

/// The queue in front of a backend and the thread that empties it.
///
/// Dropping it lets the thread write out what is queued and end by itself; [`StoreWriter::close`] waits for that.
pub(super) struct StoreWriter {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    observer: Arc<dyn StoreObserver>,
    closed: watch::Receiver<Option<Result<(), StoreError>>>,
}

impl StoreWriter {
    /// Starts the thread.
    pub(super) fn start(backend: Arc<dyn Backend>, observer: Arc<dyn StoreObserver>) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let (report_closed, closed) = watch::channel(None);
        let committer =
            Committer { queue: Arc::clone(&queue), backend, observer: Arc::clone(&observer), previous: None };
        thread::Builder::new()
            .name("postern-store".to_owned())
            .spawn(move || {
                let result = committer.run();
                report_closed.send_replace(Some(result));
            })
            .map_err(StoreError::unavailable)?;
        let room = Arc::new(Semaphore::new(STORE_QUEUE_PAGES_MAX));
        Ok(StoreWriter { queue, room, observer, closed })
    }

    /// Makes all of `writes` durable as one, or none of them.
    ///
    /// Queued when first polled; dropping the future afterwards does not take the writes back. No writes at all make a
    /// barrier: it resolves once everything queued before it has been committed or has failed.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.enter(writes, reply).await.inspect_err(|error| self.observer.refused(error))?;
        match timeout(STORE_COMMIT_WAIT_MAX, outcome).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Unconfirmed),
        }
    }

    /// Queues `writes` to become durable as one, soon; nobody hears whether they did but the observer.
    pub(super) fn write_later(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let queued = pages_of(&writes).and_then(|pages| match Arc::clone(&self.room).try_acquire_many_owned(pages) {
            Ok(room) => self.queue.push(Submission { writes, reply: None, room }),
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(StoreError::Busy),
            Err(tokio::sync::TryAcquireError::Closed) => Err(StoreError::Closed),
        });
        queued.inspect_err(|error| self.observer.refused(error))
    }

    /// Refuses new writes, waits until the queued ones are written, and closes the backend.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.queue.close();
        self.room.close();
        let mut closed = self.closed.clone();
        match timeout(STORE_CLOSE_WAIT_MAX, closed.wait_for(Option::is_some)).await {
            Ok(Ok(result)) => result.clone().unwrap_or(Err(StoreError::Closed)),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Unconfirmed),
        }
    }

    async fn enter(&self, writes: Vec<Write>, reply: Reply) -> Result<(), StoreError> {
        let pages = pages_of(&writes)?;
        match timeout(STORE_ROOM_WAIT_MAX, Arc::clone(&self.room).acquire_many_owned(pages)).await {
            Ok(Ok(room)) => self.queue.push(Submission { writes, reply: Some(reply), room }),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Busy),
        }
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        self.queue.close();
    }
}

type Reply = oneshot::Sender<Result<(), StoreError>>;

/// What one caller wants written as one.
struct Submission {
    writes: Vec<Write>,
    /// `None` when nobody waits.
    reply: Option<Reply>,
    /// Its share of the queue's room, given back once it is committed.
    room: OwnedSemaphorePermit,
}

/// How much of the queue's room `writes` take together.
fn pages_of(writes: &[Write]) -> Result<u32, StoreError> {
    let pages = writes.iter().map(Write::pages).sum::<usize>().max(1);
    match u32::try_from(pages) {
        Ok(pages_needed) if pages <= STORE_WRITE_PAGES_MAX => Ok(pages_needed),
        _ => Err(StoreError::WriteTooLarge { records: writes.len() }),
    }
}

/// Submissions in order of arrival; bounded by the permits each of them holds.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Default)]
struct QueueState {
    submissions: VecDeque<Submission>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// How many submissions the thread waits for.
    wanted: usize,
    closed: bool,
}

impl Queue {
    fn push(&self, submission: Submission) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let is_awaited = submission.reply.is_some();
        state.awaited += usize::from(is_awaited);
        state.submissions.push_back(submission);
        let is_first_awaited = is_awaited && state.awaited == 1;
        if is_first_awaited || state.submissions.len() >= state.wanted {
            self.arrived.notify_one();
        }
        Ok(())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Waits for a submission, then for the company it is likely to get; `None` when closed and empty.
    fn take_batch(&self, previous: Option<Previous>) -> Option<Batch> {
        let mut state = self.lock();
        state.wanted = 1;
        while state.submissions.is_empty() && !state.closed {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let first = Stopwatch::start();
        state.wanted = STORE_COMMIT_RECORDS_MAX;
        while state.awaited == 0 && state.submissions.len() < state.wanted && !state.closed {
            let Some(left) = left_of(STORE_UNAWAITED_WAIT_MAX, first.elapsed()) else { break };
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = previous.map_or(1, |previous| previous.served.min(STORE_COMMIT_RECORDS_MAX));
        while state.awaited > 0 && state.submissions.len() < state.wanted && !state.closed {
            let passed = previous.map_or(Duration::MAX, |previous| previous.ended.elapsed());
            let Some(left) = left_of(STORE_GATHER_WAIT_MAX, passed) else { break };
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut batch = Batch::default();
        while let Some(submission) = state.submissions.pop_front_if(|next| batch.has_room_for(next)) {
            state.awaited -= usize::from(submission.reply.is_some());
            batch.add(submission);
        }
        (!batch.waiting.is_empty()).then_some(batch)
    }

    // INVARIANT: no code that can panic runs under this lock, so a poisoned lock guards whole data.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of a wait; `None` when it is over.
fn left_of(wait: Duration, passed: Duration) -> Option<Duration> {
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}

/// Submissions that share one commit.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    pages: usize,
    waiting: Vec<(Option<Reply>, OwnedSemaphorePermit)>,
}

impl Batch {
    fn has_room_for(&self, next: &Submission) -> bool {
        self.waiting.is_empty()
            || (self.writes.len() + next.writes.len() <= STORE_COMMIT_RECORDS_MAX
                && self.pages + next.room.num_permits() <= STORE_WRITE_PAGES_MAX)
    }

    fn add(&mut self, submission: Submission) {
        self.pages += submission.room.num_permits();
        self.writes.extend(submission.writes);
        self.waiting.push((submission.reply, submission.room));
    }

    /// How many callers wait for it.
    fn awaited(&self) -> usize {
        self.waiting.iter().filter(|(reply, _)| reply.is_some()).count()
    }

    fn answer(self, result: &Result<(), StoreError>) {
        for (reply, _room) in self.waiting {
            if let Some(reply) = reply {
                // A caller that went away has nobody to tell.
                let _ = reply.send(result.clone());
            }
        }
    }
}

/// The thread's side of the queue.
struct Committer {
    queue: Arc<Queue>,
    backend: Arc<dyn Backend>,
    observer: Arc<dyn StoreObserver>,
    previous: Option<Previous>,
}

/// The commit before the next one.
#[derive(Clone, Copy)]
struct Previous {
    ended: Stopwatch,
    /// How many callers it answered: so many may be about to come back.
    served: usize,
}

impl Committer {
    fn run(mut self) -> Result<(), StoreError> {
        while let Some(batch) = self.queue.take_batch(self.previous) {
            let result = self.commit(&batch);
            self.previous = Some(Previous { ended: Stopwatch::start(), served: batch.awaited() });
            batch.answer(&result);
        }
        attempt(|| self.backend.close())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let commit_time = Stopwatch::start();
        let result = attempt(|| self.backend.commit(&batch.writes));
        let commit = Commit { writes: batch.waiting.len(), records: batch.writes.len(), took: commit_time.elapsed() };
        match &result {
            Ok(()) => self.observer.committed(commit),
            Err(error) => self.observer.commit_failed(commit, error),
        }
        result
    }
}

/// However the thread ends, writes are refused from then on rather than left to wait.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.lock().submissions.clear();
    }
}

/// A backend that panics fails its batch, not the thread.
fn attempt(call: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    contained(call).map_err(StoreError::unavailable)?
}
