//! When to ask a vendor again that did not answer.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::limits::{PROVIDER_RETRY_FIRST, PROVIDER_RETRY_MAX};

/// The retries of one failed poll: each waits twice as long as the one before, up to a bound, and all of them end when
/// the next regular poll is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    wait: Duration,
    due: Timestamp,
}

impl Backoff {
    /// The retries of a poll that failed, when the next regular one is due at `due`.
    pub fn until(due: Timestamp) -> Self {
        Backoff { wait: PROVIDER_RETRY_FIRST, due }
    }

    /// When to try again after an attempt that failed at `now`; `None` leaves it to the regular poll.
    pub fn retry_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let at = now.after(self.wait);
        self.wait = self.wait.saturating_mul(2).min(PROVIDER_RETRY_MAX);
        (at < self.due).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// The moments of all attempts after the first, when each fails after `work`.
    fn retries(interval: Duration, work: Duration) -> Vec<Timestamp> {
        let mut backoff = Backoff::until(START.after(interval));
        let first = backoff.retry_at(START.after(work));
        std::iter::successors(first, |at| backoff.retry_at(at.after(work))).collect()
    }

    #[test]
    fn waits_double_up_to_a_minute_and_end_with_the_interval() {
        let seconds: Vec<u64> =
            retries(Duration::from_secs(300), Duration::ZERO).iter().map(|at| at.since(START).as_secs()).collect();
        assert_eq!(seconds, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert!(retries(Duration::from_secs(1), Duration::ZERO).is_empty());
    }

    proptest! {
        #[test]
        fn every_retry_is_before_the_next_poll_and_no_sooner_than_the_one_before(
            interval in 0..=86_400_000_u64,
            work in 0..=10_000_u64,
        ) {
            let (interval, work) = (Duration::from_millis(interval), Duration::from_millis(work));
            let due = START.after(interval);
            let times = retries(interval, work);
            prop_assert!(times.iter().all(|at| *at < due));
            let mut failed = START.after(work);
            let mut shortest = PROVIDER_RETRY_FIRST;
            for at in &times {
                let wait = at.since(failed);
                prop_assert!(shortest <= wait && wait <= PROVIDER_RETRY_MAX, "{wait:?} after {shortest:?}");
                (failed, shortest) = (at.after(work), wait);
            }
            // No retry is left out either: after the last one there is no room for another.
            let longest = if times.is_empty() { PROVIDER_RETRY_FIRST } else { PROVIDER_RETRY_MAX };
            prop_assert!(failed.after(longest) >= due);
            prop_assert_eq!(times, retries(interval, work));
        }

        #[test]
        fn any_clock_is_borne(now in any::<i64>(), due in any::<i64>()) {
            let (now, due) = (Timestamp::from_millis(now), Timestamp::from_millis(due));
            if let Some(at) = Backoff::until(due).retry_at(now) {
                prop_assert!(now < at && at < due);
            }
        }
    }
}
