//! Long work that lets others have its processor now and then.
//!
//! What serves requests shares its processors with whatever else the gateway does. The system gives a thread that wakes up its
//! turn only after some milliseconds; work that is marked as cooperative offers it at every checkpoint.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use super::Stopwatch;

thread_local! {
    /// The turn this thread has, while its work is cooperative.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Turn {
    clock: Stopwatch,
    length: Duration,
}

impl Turn {
    fn begin(length: Duration) -> Self {
        Turn { clock: Stopwatch::start(), length }
    }

    fn is_over(&self) -> bool {
        self.clock.elapsed() >= self.length
    }
}

/// Does work that has its processor for turns of this length, and offers it to others at the checkpoint after.
pub fn cooperative<T>(turn: Duration, work: impl FnOnce() -> T) -> T {
    let _until_then = Before(TURN.replace(Some(Turn::begin(turn))));
    work()
}

/// What the thread had before, and has again however the work ends.
struct Before(Option<Turn>);

impl Drop for Before {
    fn drop(&mut self) {
        TURN.set(self.0.take());
    }
}

/// A place in long work where others may go first. Costs a few nanoseconds where nobody asked for that.
#[inline]
pub fn checkpoint() {
    if let Some(turn) = TURN.get().filter(Turn::is_over) {
        thread::yield_now();
        TURN.set(Some(Turn::begin(turn.length)));
    }
}

/// Lets go of many things one by one, where to let go of them all at once would take longer than a turn.
pub fn let_go<T>(things: impl IntoIterator<Item = T>) {
    for thing in things {
        drop(thing);
        checkpoint();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_at_the_first_checkpoint_after_its_time() {
        let elapsed = || TURN.get().map(|turn| turn.clock.elapsed());
        checkpoint();
        assert!(elapsed().is_none(), "nobody asked for it");
        let length = Duration::from_micros(50);
        cooperative(length, || {
            while elapsed() < Some(length) {
                std::hint::spin_loop();
            }
            let before = elapsed();
            checkpoint();
            assert!(elapsed() < before, "another turn");
        });
        assert!(elapsed().is_none());
    }

    #[test]
    fn a_defect_leaves_no_turn_behind() {
        assert!(std::panic::catch_unwind(|| cooperative(Duration::ZERO, || panic!("a defect"))).is_err());
        assert!(TURN.get().is_none());
    }
}
