//! The only place that reads time.
//!
//! Everything below floor 5 takes the time as an argument; everything above asks the [`Clock`] it was given, so a test
//! can move time by hand and two runs with the same inputs give the same answers.

mod cooperation;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

pub use cooperation::{checkpoint, cooperative, let_go};

/// A wall-clock instant in whole milliseconds since the Unix epoch.
///
/// Milliseconds are the resolution of every time this program exchanges with others (OpenZiti prints three digits).
/// Serialises as RFC 3339 in UTC with exactly three fractional digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of time: an answer valid until `MAX` never changes by the passing of time alone.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Wraps milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant plus `by`, saturating at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_add(saturating_millis(by)))
    }

    /// This instant minus `by`, saturating at the lowest value.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_sub(saturating_millis(by)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

fn saturating_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(formatter, "{instant:.3}"),
            Err(_) => formatter.write_str("9999-12-30T22:00:00.000Z"),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Ok(Timestamp(instant.as_millisecond())),
            Err(_) => Err(InvalidTimestamp(text.to_owned())),
        }
    }
}

/// A text that is not an RFC 3339 instant.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time such as 2026-01-02T03:04:05Z")]
pub struct InvalidTimestamp(String);

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Measures how long something took, for metrics and logs; never an input to a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start, in seconds.
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// How long this machine has been asleep since it was started; `None` where the system does not tell.
///
/// The clock that stands still during sleep is read between two readings of the one that does not, so that nothing comes in between.
#[cfg(target_os = "linux")]
pub fn time_asleep() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).ok();
    let (awake, all) = (read(ClockId::Monotonic)?, read(ClockId::Boottime)?);
    Some(all.saturating_sub(awake))
}

/// How long this machine has been asleep since it was started; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn time_asleep() -> Option<Duration> {
    None
}

/// Where the upper floors get the time from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current wall-clock time.
    fn now(&self) -> Timestamp;

    /// Wakes a task when the clock is moved by hand. One that runs by itself moves without telling.
    fn wake_when_moved(&self, waker: &Waker) {
        let _ = waker;
    }
}

/// A clock handle that is cheap to clone and hand around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's real-time clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(saturating_millis(since_epoch))
    }
}

/// A clock that stands still until it is moved, for tests and for `explain --at`.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicI64,
    waiting: Mutex<Vec<Waker>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(ManualClock { millis: AtomicI64::new(now.0), ..ManualClock::default() })
    }

    /// Moves the clock forward by `by`.
    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(saturating_millis(by), Ordering::SeqCst);
        self.moved();
    }

    /// Sets the clock to `now`, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.0, Ordering::SeqCst);
        self.moved();
    }

    fn moved(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis.load(Ordering::SeqCst))
    }

    fn wake_when_moved(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}
