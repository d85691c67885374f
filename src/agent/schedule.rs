//! When an agent reports: regularly, soon after a change, and ever more rarely while the gateway is away.
//!
//! Pure: the time since the start comes in as an argument, and so does chance.

use std::time::Duration;

use crate::limits;

/// When the next attempt is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Duration,
    failures: u32,
    /// Reports that changes may still ask for, and when that was last counted.
    allowance: u32,
    counted: Duration,
}

/// A number between nothing and everything, by chance: so many devices do not all report at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u8);

impl Chance {
    /// Takes a random byte.
    pub const fn new(byte: u8) -> Self {
        Chance(byte)
    }

    fn share_of(self, length: Duration) -> Duration {
        length.saturating_mul(u32::from(self.0)) / u32::from(u8::MAX)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::new()
    }
}

impl Schedule {
    /// The first attempt is due at once.
    pub const fn new() -> Self {
        Schedule {
            due: Duration::ZERO,
            failures: 0,
            allowance: limits::AGENT_CHANGES_AT_ONCE_MAX,
            counted: Duration::ZERO,
        }
    }

    /// Whether an attempt is due.
    pub fn is_due(&self, now: Duration) -> bool {
        self.due <= now
    }

    /// When the next attempt is due.
    pub const fn due(&self) -> Duration {
        self.due
    }

    /// An attempt succeeded. The next one is due after `interval` at the latest, and after four fifths of it at the soonest.
    pub fn succeeded(&mut self, now: Duration, interval: Duration, chance: Chance) {
        self.failures = 0;
        self.due = now.saturating_add(interval.saturating_sub(chance.share_of(interval / 5)));
    }

    /// An attempt failed. Each further one doubles the wait, up to a bound; half of each wait is chance. `at_least` is what the
    /// gateway asked for.
    pub fn failed(&mut self, now: Duration, chance: Chance, at_least: Duration) {
        let doubled = limits::AGENT_RETRY_FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let longest = doubled.min(limits::AGENT_RETRY_MAX);
        self.failures = self.failures.saturating_add(1).min(u32::BITS - 1);
        let wait = (longest / 2).saturating_add(chance.share_of(longest / 2));
        self.due = now.saturating_add(wait.max(at_least.min(limits::AGENT_RETRY_MAX)));
    }

    /// Something that is watched changed. While the gateway is away nothing is hurried: the next attempt tells of it.
    pub fn changed(&mut self, now: Duration) {
        if self.failures > 0 {
            return;
        }
        let earned = now.saturating_sub(self.counted).as_secs() / limits::AGENT_CHANGE_ALLOWANCE_EVERY.as_secs().max(1);
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.allowance = self.allowance.saturating_add(earned).min(limits::AGENT_CHANGES_AT_ONCE_MAX);
            self.counted = now;
        }
        if self.allowance > 0 {
            self.allowance -= 1;
            self.due = self.due.min(now);
        } else {
            self.due = self.due.min(self.counted.saturating_add(limits::AGENT_CHANGE_ALLOWANCE_EVERY));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    /// The moments of all attempts within `span`, looking twice a second, when something changes at each look or never.
    fn attempts(span: Duration, chances: &[u8], works: bool, restless: bool) -> Vec<Duration> {
        let mut schedule = Schedule::new();
        let mut made = Vec::new();
        let mut now = Duration::ZERO;
        while now < span {
            if restless {
                schedule.changed(now);
            }
            if schedule.is_due(now) {
                let chance = Chance::new(chances[made.len() % chances.len()]);
                match works {
                    true => schedule.succeeded(now, MINUTE, chance),
                    false => schedule.failed(now, chance, Duration::ZERO),
                }
                made.push(now);
            }
            now += SECOND / 2;
        }
        made
    }

    proptest! {
        #[test]
        fn a_gateway_that_is_away_is_not_hammered(chances in prop::collection::vec(any::<u8>(), 1..20), restless in any::<bool>()) {
            let made = attempts(60 * MINUTE, &chances, false, restless);
            // 1, 2, 4 … 256 seconds, half of it certain, and from then on at least 150 seconds apart.
            prop_assert!(made.len() <= 9 + 24, "{} attempts in an hour", made.len());
            prop_assert!(made.len() >= 12, "{} attempts in an hour", made.len());
            let waits: Vec<Duration> = made.windows(2).map(|pair| pair[1] - pair[0]).collect();
            prop_assert!(waits.iter().all(|wait| *wait <= limits::AGENT_RETRY_MAX + SECOND));
        }

        #[test]
        fn regular_reports_are_an_interval_apart_at_most(chances in prop::collection::vec(any::<u8>(), 1..20)) {
            let made = attempts(60 * MINUTE, &chances, true, false);
            for pair in made.windows(2) {
                let wait = pair[1] - pair[0];
                prop_assert!(wait <= MINUTE + SECOND / 2 && wait >= MINUTE * 4 / 5, "{wait:?}");
            }
        }

        #[test]
        fn what_never_rests_is_told_of_within_an_allowance(chances in prop::collection::vec(any::<u8>(), 1..20)) {
            let made = attempts(10 * MINUTE, &chances, true, true);
            let every = limits::AGENT_CHANGE_ALLOWANCE_EVERY.as_secs();
            let most = u64::from(limits::AGENT_CHANGES_AT_ONCE_MAX) + 600 / every + 1;
            prop_assert!(made.len() as u64 <= most, "{} reports", made.len());
            prop_assert!(made.len() as u64 >= 600 / every, "{} reports", made.len());
        }
    }

    #[test]
    fn a_change_is_told_of_at_once() {
        let mut schedule = Schedule::new();
        schedule.succeeded(SECOND, MINUTE, Chance::new(0));
        assert!(!schedule.is_due(2 * SECOND));
        schedule.changed(2 * SECOND);
        assert!(schedule.is_due(2 * SECOND));
    }

    #[test]
    fn what_the_gateway_asks_for_is_waited_for_within_reason() {
        let mut schedule = Schedule::new();
        schedule.failed(Duration::ZERO, Chance::new(0), 30 * SECOND);
        assert_eq!(schedule.due(), 30 * SECOND);
        schedule.failed(Duration::ZERO, Chance::new(0), Duration::MAX);
        assert_eq!(schedule.due(), limits::AGENT_RETRY_MAX);
    }
}
