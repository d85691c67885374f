//! How the client of one connection behaves: whether it ever asks for anything, and how much it asks for only to give it up.
//!
//! A connection costs something as long as it is open, and a request costs the upstream something even when its client resets the
//! stream at once: more of either than the bounds allow, and the connection is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::limits::CLIENT_RESETS_WINDOW;

/// What is known of a client's behaviour on one connection.
#[derive(Debug)]
pub(super) struct Conduct {
    asked: AtomicBool,
    state: watch::Sender<State>,
    resets: Mutex<Resets>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Silent,
    Asking,
    Flooding,
}

/// Requests given up since a moment.
#[derive(Debug)]
struct Resets {
    since: Stopwatch,
    count: usize,
}

/// Why a connection is closed on its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misconduct {
    /// No request came in time.
    NoRequest,
    /// Too many requests were given up in a short time.
    ResetFlood,
}

impl Misconduct {
    /// The stable code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Misconduct::NoRequest => "no-request-in-time",
            Misconduct::ResetFlood => "reset-flood",
        }
    }
}

impl Default for Conduct {
    fn default() -> Self {
        Conduct {
            asked: AtomicBool::new(false),
            state: watch::Sender::new(State::Silent),
            resets: Mutex::new(Resets { since: Stopwatch::start(), count: 0 }),
        }
    }
}

impl Conduct {
    /// A whole request has come.
    pub(super) fn asked(&self) {
        // Only the first one changes anything, and all the others have nothing to lock for.
        if !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::Relaxed) {
            self.state.send_if_modified(|state| {
                let silent = *state == State::Silent;
                if silent {
                    *state = State::Asking;
                }
                silent
            });
        }
    }

    /// A request was given up; `max` of them are allowed in [`CLIENT_RESETS_WINDOW`].
    pub(super) fn gave_up(&self, max: usize) {
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if resets.since.elapsed() > CLIENT_RESETS_WINDOW {
            *resets = Resets { since: Stopwatch::start(), count: 0 };
        }
        resets.count = resets.count.saturating_add(1);
        if resets.count > max {
            self.state.send_replace(State::Flooding);
        }
    }

    /// Returns when the client has broken a bound; never for one that behaves. The first request may take `head_time`.
    pub(super) async fn broken(&self, head_time: Duration) -> Misconduct {
        let mut state = self.state.subscribe();
        if timeout(head_time, state.wait_for(|state| *state != State::Silent)).await.is_err() {
            return Misconduct::NoRequest;
        }
        let _ = state.wait_for(|state| *state == State::Flooding).await;
        Misconduct::ResetFlood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_client_that_never_asks_is_waited_for_so_long() {
        assert_eq!(Conduct::default().broken(SOON).await, Misconduct::NoRequest);
    }

    #[tokio::test]
    async fn a_client_that_asks_and_waits_for_answers_is_left_alone() {
        let conduct = Conduct::default();
        conduct.asked();
        (0..10).for_each(|_| conduct.gave_up(10));
        assert!(timeout(SOON, conduct.broken(SOON)).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_gives_up_more_than_it_may_is_found_out() {
        let conduct = Conduct::default();
        conduct.asked();
        (0..11).for_each(|_| conduct.gave_up(10));
        // Whatever comes afterwards does not make it good.
        conduct.asked();
        assert_eq!(conduct.broken(LONG).await, Misconduct::ResetFlood);
    }
}
