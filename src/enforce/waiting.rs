//! Waiting for a moment of the clock.

use std::future::{Future, poll_fn};
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
    async fn timer_and_clock_that_agree_end_at_the_moment() {
        let waits = waits(|wait| wait).await;
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_secs(3600));
        assert!(waits.iter().all(|wait| *wait <= limits::TIMER_TRUSTED_MAX));
    }
}
