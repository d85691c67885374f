//! Changes that come in the middle of something.
//!
//! The enforcer asks certificates and the clock while it decides. The model's answer such questions, and so can let something
//! happen between two steps of a decision, at a place that is the same in each run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;

use postern::clock::{Clock, ManualClock, Timestamp};

use super::steps::Change;
use super::town::Town;

/// More questions than any step can have: whoever asks as many goes round in a circle.
const QUESTIONS_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Interruption {
    /// The questions up to the one at which it comes; 0 for none to come.
    left: AtomicUsize,
    due: Mutex<Option<(Weak<Town>, Change)>>,
    asked: AtomicUsize,
    endless: AtomicBool,
}

impl Interruption {
    /// Lets a change happen at the question of a number, from 1.
    pub(crate) fn plan(&self, town: &Arc<Town>, question: usize, change: &Change) {
        *self.due.lock().unwrap() = Some((Arc::downgrade(town), change.clone()));
        self.left.store(question, Ordering::SeqCst);
    }

    /// Nothing is to come any more, if it has not. Returns whether it has.
    pub(crate) fn is_over(&self) -> bool {
        self.asked.store(0, Ordering::SeqCst);
        self.left.store(0, Ordering::SeqCst);
        self.due.lock().unwrap().take().is_none()
    }

    /// Whether somebody asked without end.
    pub(crate) fn was_endless(&self) -> bool {
        self.endless.load(Ordering::SeqCst)
    }

    /// A place at which it can happen.
    pub(crate) fn possible(&self) {
        if self.asked.fetch_add(1, Ordering::SeqCst) > QUESTIONS_MAX {
            self.endless.store(true, Ordering::SeqCst);
            panic!("the same is asked without end");
        }
        if self.left.load(Ordering::SeqCst) == 0 || self.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let due = self.due.lock().unwrap().take();
        if let Some((town, change)) = due {
            town.upgrade().unwrap().change(&change);
        }
    }
}

/// A clock that is moved by hand, each look at which can be interrupted.
#[derive(Debug)]
pub(crate) struct TownClock {
    pub(crate) inner: Arc<ManualClock>,
    pub(crate) interruption: Arc<Interruption>,
}

impl Clock for TownClock {
    fn now(&self) -> Timestamp {
        let now = self.inner.now();
        self.interruption.possible();
        now
    }

    fn wake_when_moved(&self, waker: &Waker) {
        self.inner.wake_when_moved(waker);
    }
}
