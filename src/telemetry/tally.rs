//! Counters for what happens with every request.
//!
//! Each thread adds to a cell of its own, which no other thread writes: counting costs a load and a store, where a shared counter
//! costs an atomic operation that the processor cannot overlap with anything. Whoever reads adds the cells up.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;

/// A counter that is cheap to count with and less cheap to read.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Where each thread keeps its cell of this tally.
    place: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cells: Mutex<Cells>,
    /// What scrapers see.
    shown: IntCounter,
}

#[derive(Debug, Default)]
struct Cells {
    of_threads: Vec<Arc<AtomicU64>>,
    /// What threads counted that have ended.
    of_the_past: u64,
}

/// Tallies made in this process.
static PLACES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CELLS: RefCell<Vec<Option<Arc<AtomicU64>>>> = const { RefCell::new(Vec::new()) };
}

impl Tally {
    /// A tally that is shown as `shown`, with which nobody else may count.
    pub(super) fn new(shown: IntCounter) -> Self {
        let shared = Arc::new(Shared { cells: Mutex::default(), shown });
        Tally { place: PLACES.fetch_add(1, Ordering::Relaxed), shared }
    }

    /// Counts one.
    #[inline]
    pub fn inc(&self) {
        // A thread that is coming down has no cells any more, and serves no requests.
        let _ = CELLS.try_with(|cells| {
            if let Some(Some(cell)) = cells.borrow().get(self.place) {
                return add_one_to(cell);
            }
            add_one_to(&self.first_cell(&mut cells.borrow_mut()));
        });
    }

    /// Makes this thread's cell.
    #[cold]
    fn first_cell(&self, cells: &mut Vec<Option<Arc<AtomicU64>>>) -> Arc<AtomicU64> {
        let cell = Arc::<AtomicU64>::default();
        self.cells().of_threads.push(Arc::clone(&cell));
        if cells.len() <= self.place {
            cells.resize(self.place + 1, None);
        }
        if let Some(place) = cells.get_mut(self.place) {
            *place = Some(Arc::clone(&cell));
        }
        cell
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.publish();
        self.shared.shown.get()
    }

    /// Shows what was counted so far.
    pub(super) fn publish(&self) {
        let mut cells = self.cells();
        // A cell that nobody else knows belonged to a thread that has ended.
        let ended: u64 =
            cells.of_threads.extract_if(.., |cell| Arc::strong_count(cell) == 1).map(|cell| read(&cell)).sum();
        cells.of_the_past = cells.of_the_past.wrapping_add(ended);
        let counted = cells.of_threads.iter().map(|cell| read(cell)).fold(cells.of_the_past, u64::wrapping_add);
        self.shared.shown.inc_by(counted.saturating_sub(self.shared.shown.get()));
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.shared.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called by the thread whose cell it is and by no other, so that nothing comes between the load and the store.
fn add_one_to(cell: &AtomicU64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
}

fn read(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up_after_they_have_ended() {
        let tally = Tally::new(IntCounter::new("tally", "A tally.").unwrap());
        tally.inc();
        for _ in 0..3 {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let tally = tally.clone();
                    std::thread::spawn(move || (0..1000).for_each(|_| tally.inc()))
                })
                .collect();
            tally.get();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        assert_eq!(tally.get(), 12_001);
        assert_eq!(tally.get(), 12_001);
        assert!(tally.cells().of_threads.len() <= 1);
    }
}
