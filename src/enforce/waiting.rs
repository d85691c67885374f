//! Waiting for a moment of the clock.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::limits;

/// Waits until the clock shows `moment`.
///
/// The machine's timers know nothing of a clock that is set and stand still while it sleeps, so the clock is looked at again
/// within [`limits::TIMER_TRUSTED_MAX`]: what ends at a moment must not go on because a timer has lost it.
pub async fn wait_until(clock: &dyn Clock, moment: Timestamp) {
    wait_by(tokio::time::sleep, clock, moment).await;
}

/// The latest moment that anything was decided for.
///
/// A clock that is set back to before it may come to a time at which what was allowed is not: a lock holds again, a certificate is
/// not valid yet.
#[derive(Debug)]
pub(super) struct Latest(AtomicI64);

impl Default for Latest {
    fn default() -> Self {
        Latest(AtomicI64::new(i64::MIN))
    }
}

impl Latest {
    /// Something is decided for `moment`.
    pub(super) fn note(&self, moment: Timestamp) {
        // Most decisions come in a millisecond that others came in.
        if self.0.load(Ordering::Relaxed) < moment.as_millis() {
            self.0.fetch_max(moment.as_millis(), Ordering::SeqCst);
        }
    }

    /// The time now, and whether something was decided for a later moment.
    pub(super) fn look(&self, clock: &dyn Clock) -> (Timestamp, bool) {
        // In this order: otherwise somebody could read the clock between the two, and decide for a moment after `now`.
        let latest = self.0.load(Ordering::SeqCst);
        let now = clock.now();
        (now, now.as_millis() < latest)
    }

    /// Nothing that was decided for a later moment counts any more.
    pub(super) fn begin_again(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

/// Waits until the clock shows `moment`, or an earlier time than the latest that anything was decided for.
pub(super) async fn wait_until_or_set_back(clock: &dyn Clock, latest: &Latest, moment: Timestamp) {
    loop {
        let moved = poll_fn(|context| {
            clock.wake_when_moved(context.waker());
            let (now, is_set_back) = latest.look(clock);
            if now < moment && !is_set_back { Poll::Pending } else { Poll::Ready(()) }
        });
        tokio::select! {
            biased;
            () = moved => return,
            () = tokio::time::sleep(moment.since(clock.now()).min(limits::TIMER_TRUSTED_MAX)) => {}
        }
    }
}

async fn wait_by<F: Future<Output = ()>>(sleep: impl Fn(Duration) -> F, clock: &dyn Clock, moment: Timestamp) {
    loop {
        let left = moment.since(clock.now());
        if left.is_zero() {
            return;
        }
        let moved = poll_fn(|context| {
            clock.wake_when_moved(context.waker());
            if clock.now() < moment { Poll::Pending } else { Poll::Ready(()) }
        });
        tokio::select! {
            biased;
            () = moved => return,
            () = sleep(left.min(limits::TIMER_TRUSTED_MAX)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::ManualClock;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// The waits of a timer for a moment in an hour, when the clock moves by `moves` during each.
    async fn waits(moves: impl Fn(Duration) -> Duration) -> Vec<Duration> {
        let clock = ManualClock::at(START);
        let waits = Mutex::new(Vec::new());
        let sleep = |wait: Duration| {
            waits.lock().unwrap().push(wait);
            clock.advance(moves(wait));
            std::future::ready(())
        };
        wait_by(sleep, &*clock, START.after(Duration::from_secs(3600))).await;
        waits.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_clock_that_jumps_ahead_is_noticed_soon() {
        let waits = waits(|_| Duration::from_secs(3600)).await;
        assert_eq!(waits, [limits::TIMER_TRUSTED_MAX]);
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_is_noticed_at_once() {
        let clock = ManualClock::at(START);
        let latest = Latest::default();
        let set_back = async {
            tokio::task::yield_now().await;
            latest.note(START);
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
            assert!(!latest.look(&*clock).1);
            clock.set(START.before(Duration::from_millis(1)));
        };
        tokio::join!(wait_until_or_set_back(&*clock, &latest, Timestamp::MAX), set_back);
        assert!(latest.look(&*clock).1);
        latest.begin_again(clock.now());
        assert!(!latest.look(&*clock).1);
    }

    #[tokio::test]
    async fn timer_and_clock_that_agree_end_at_the_moment() {
        let waits = waits(|wait| wait).await;
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_secs(3600));
        assert!(waits.iter().all(|wait| *wait <= limits::TIMER_TRUSTED_MAX));
    }
}
