//! An operator's lock on an identity: nothing is reached until it ends or is taken away.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::limits::{DURATION_SECONDS_MAX, LOCK_REASON_BYTES_MAX};

/// A lock as it was put on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Why, in the operator's words.
    pub reason: Arc<str>,
    /// When it was put on.
    pub locked_at: Timestamp,
    /// By whom, as the audit trail names them.
    pub locked_by: Arc<str>,
    /// When it ends by itself; `None` when only an operator ends it.
    pub until: Option<Timestamp>,
}

/// A lock as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLock {
    /// Why; not blank, and at most [`LOCK_REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// When it ends by itself.
    pub ends: LockEnd,
}

/// When a lock that is asked for ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockEnd {
    /// Never: an operator unlocks.
    Never,
    /// So long after it was put on.
    After(Duration),
    /// At a moment.
    At(Timestamp),
}

/// Why a lock that is asked for is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockProblem {
    /// It has no reason, or one that is too long.
    #[error("must be a text of 1 to {LOCK_REASON_BYTES_MAX} bytes that says why")]
    Reason,
    /// It would have ended before it begins, or lasts too long.
    #[error("must end later than now and within a year; without an end, it holds until it is taken away")]
    End,
}

impl Lock {
    /// Whether it shuts out at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.ends()
    }

    /// The moment it ends by itself; [`Timestamp::MAX`] when it does not.
    pub fn ends(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp::MAX)
    }
}

impl WantedLock {
    /// The lock as it is put on `at` a moment `by` somebody.
    pub fn put_on(&self, at: Timestamp, by: &Arc<str>) -> Result<Lock, LockProblem> {
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > LOCK_REASON_BYTES_MAX {
            return Err(LockProblem::Reason);
        }
        let until = match self.ends {
            LockEnd::Never => None,
            LockEnd::After(time) => Some(at.after(time)),
            LockEnd::At(moment) => Some(moment),
        };
        let latest = at.after(Duration::from_secs(DURATION_SECONDS_MAX));
        if until.is_some_and(|until| until <= at || until > latest) {
            return Err(LockProblem::End);
        }
        Ok(Lock { reason: reason.into(), locked_at: at, locked_by: Arc::clone(by), until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn put_on(reason: &str, ends: LockEnd) -> Result<Lock, LockProblem> {
        WantedLock { reason: reason.to_owned(), ends }.put_on(NOW, &"grace".into())
    }

    #[test]
    fn a_lock_holds_up_to_its_end_and_not_at_it() {
        let end = NOW.after(Duration::from_secs(60));
        for ends in [LockEnd::After(Duration::from_secs(60)), LockEnd::At(end)] {
            let lock = put_on(" lost laptop\n", ends).unwrap();
            assert_eq!((&*lock.reason, lock.until), ("lost laptop", Some(end)));
            assert!(lock.holds(NOW) && lock.holds(end.before(Duration::from_millis(1))));
            assert!(!lock.holds(end));
        }
        assert!(put_on("gone", LockEnd::Never).unwrap().holds(end.after(Duration::from_secs(100 * 366 * 86400))));
    }

    #[test]
    fn a_lock_needs_a_reason_and_an_end_that_is_ahead() {
        let (long, longest) = ("x".repeat(LOCK_REASON_BYTES_MAX + 1), "x".repeat(LOCK_REASON_BYTES_MAX));
        for reason in ["", "  \n", &long] {
            assert_eq!(put_on(reason, LockEnd::Never), Err(LockProblem::Reason));
        }
        assert!(put_on(&longest, LockEnd::Never).is_ok());
        let year = Duration::from_secs(DURATION_SECONDS_MAX);
        for ends in [
            LockEnd::After(Duration::ZERO),
            LockEnd::At(NOW),
            LockEnd::At(NOW.before(year)),
            LockEnd::After(year + Duration::from_millis(1)),
            LockEnd::At(Timestamp::MAX),
        ] {
            assert_eq!(put_on("why", ends), Err(LockProblem::End), "{ends:?}");
        }
    }
}
