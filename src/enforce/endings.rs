//! Sessions that were told to end and are not cut yet: so many at once, and no more.
//!
//! What ends is ready to run, and whatever else is ready runs in turn with it: behind ten thousand sessions that end together a
//! request that nobody forbids would wait for all of them. So the one who tells them lets those who cut keep up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limits::{ENDINGS_AT_ONCE, ENDINGS_WAIT_MAX, REDECISIONS_AT_A_STRETCH};

/// Those that are told and not cut.
#[derive(Debug)]
pub(super) struct Endings {
    count: AtomicUsize,
    /// The count that is waited for.
    awaited: AtomicUsize,
    bell: Notify,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Ending(Arc<Endings>);

impl Endings {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Endings { count: AtomicUsize::new(0), awaited: AtomicUsize::new(usize::MAX), bell: Notify::new() })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Ending {
        self.count.fetch_add(1, Ordering::SeqCst);
        Ending(Arc::clone(self))
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until there are no more than `few`. For one waiter.
    async fn fall_to(&self, few: usize) {
        self.awaited.store(few, Ordering::SeqCst);
        while self.count() > few {
            self.bell.notified().await;
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let left = self.0.count.fetch_sub(1, Ordering::SeqCst).saturating_sub(1);
        if left == self.0.awaited.load(Ordering::SeqCst) {
            self.0.bell.notify_one();
        }
    }
}

/// The pace of one who tells many sessions.
#[derive(Debug)]
pub(super) struct Pace {
    endings: Arc<Endings>,
    /// Sessions decided since other work had its turn.
    decided: usize,
    /// Those that were waited for in vain, and are not waited for again: nobody may be listening.
    unheard: usize,
}

impl Pace {
    pub(super) fn of(endings: &Arc<Endings>) -> Self {
        Pace { endings: Arc::clone(endings), decided: 0, unheard: 0 }
    }

    /// Lets other work have its turn, now that so many more sessions were decided again.
    pub(super) async fn after(&mut self, decided: usize) {
        self.decided += decided;
        if self.decided >= REDECISIONS_AT_A_STRETCH {
            self.decided = 0;
            tokio::task::yield_now().await;
        }
        let told = self.endings.count();
        self.unheard = self.unheard.min(told);
        if told >= self.unheard + ENDINGS_AT_ONCE {
            let few = self.unheard + ENDINGS_AT_ONCE / 2;
            if timeout(ENDINGS_WAIT_MAX, self.endings.fall_to(few)).await.is_err() {
                self.unheard = self.endings.count();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Whether the future is over when it is looked at.
    fn is_over(future: std::pin::Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn the_next_ones_wait_until_half_of_them_are_cut() {
        let endings = Endings::new();
        let mut pace = Pace::of(&endings);
        let mut told: Vec<_> = (0..ENDINGS_AT_ONCE).map(|_| endings.begin()).collect();
        let mut after = pin!(pace.after(1));
        assert!(!is_over(after.as_mut()));
        told.truncate(ENDINGS_AT_ONCE / 2 + 1);
        assert!(!is_over(after.as_mut()));
        told.pop();
        assert!(is_over(after.as_mut()));
    }

    #[tokio::test]
    async fn nobody_is_waited_for_twice() {
        let endings = Endings::new();
        let mut pace = Pace::of(&endings);
        let mut told: Vec<_> = (0..10 * ENDINGS_AT_ONCE).map(|_| endings.begin()).collect();
        pace.after(1).await;
        assert!(is_over(pin!(pace.after(1))), "these were waited for");
        told.extend((0..ENDINGS_AT_ONCE).map(|_| endings.begin()));
        assert!(!is_over(pin!(pace.after(1))), "and those were not");
        drop(told);
        assert_eq!(endings.count(), 0);
    }
}
