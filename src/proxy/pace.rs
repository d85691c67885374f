//! How fast a request's body comes.
//!
//! Pingora waits for the next bytes of a body over HTTP/1 for a time that can be set, and over HTTP/2 for ever; and it never minds
//! how few they are. Who sends a byte now and then would hold a place, a stream and an upstream for as long as it likes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::config::FrontDoor;

/// What Pingora is told when a body comes too slowly.
pub(super) const TOO_SLOW: &str = "RequestBodyTooSlow";

/// Whether so many bytes of a body are too few after so long.
pub(super) fn is_too_slow(bytes: u64, elapsed: Duration, bounds: &FrontDoor) -> bool {
    let enough = u128::from(bounds.body_rate) * elapsed.as_millis() / 1000;
    elapsed > bounds.body_time && u128::from(bytes) < enough
}

/// The silence of a client that has more of a body to send.
#[derive(Debug)]
pub(super) struct Silence {
    longest: Duration,
    /// Since when nothing came; `None` once everything has.
    since: Mutex<Option<Stopwatch>>,
}

impl Silence {
    /// It begins now, and may last so long.
    pub(super) fn new(longest: Duration) -> Self {
        Silence { longest, since: Mutex::new(Some(Stopwatch::start())) }
    }

    /// Something came; `all` when that was the last of it.
    pub(super) fn is_broken(&self, all: bool) {
        let since = (!all).then(Stopwatch::start);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Returns when it has lasted too long; never once everything has come.
    pub(super) async fn lasts(&self) {
        loop {
            let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(since) = since else { return std::future::pending().await };
            let left = self.longest.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_body_that_stops_is_noticed_and_one_that_is_whole_is_not() {
        Silence::new(SOON).lasts().await;
        let broken = Silence::new(SOON);
        broken.is_broken(false);
        broken.lasts().await;
        let whole = Silence::new(SOON);
        whole.is_broken(true);
        for silence in [whole, Silence::new(LONG)] {
            assert!(timeout(SOON * 2, silence.lasts()).await.is_err());
        }
    }

    #[test]
    fn a_body_that_takes_long_must_come_at_a_rate() {
        let bounds = FrontDoor { body_time: Duration::from_secs(10), body_rate: 100, ..FrontDoor::default() };
        for (bytes, seconds, slow) in [(0, 10, false), (1099, 11, true), (1100, 11, false), (99_999, 1000, true)] {
            assert_eq!(is_too_slow(bytes, Duration::from_secs(seconds), &bounds), slow, "{bytes} in {seconds} s");
        }
        let patient = FrontDoor { body_rate: 0, ..bounds };
        assert!(!is_too_slow(0, LONG * 60, &patient));
    }
}
