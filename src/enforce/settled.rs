//! A permit kept inside the connection it was given on, with everything it rests on.
//!
//! Inside and not behind a pointer: a decision on a connection nobody has thought of for a while waits for memory and for little
//! else, and this is one wait less. Readers take no lock: the numbers are read between two looks at a version that every write
//! changes, and count only when it is the same both times.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};

use super::device::Device;
use crate::clock::Timestamp;
use crate::decision::permit::Permit;

/// What a settled permit rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grounds {
    /// The snapshot's generation.
    pub(super) generation: u64,
    /// The number of what was known about the device.
    pub(super) revision: u64,
    /// The number of the trust that was asked.
    pub(super) trust_epoch: u64,
    /// The service's position in the snapshot.
    pub(super) service: usize,
    /// The moment it was settled for, or the certificate's first one if that is later.
    pub(super) from: Timestamp,
    /// The first moment at which time alone may change trust or verdict.
    pub(super) until: Timestamp,
}

/// The place for one permit.
#[derive(Debug)]
pub(super) struct Settled<T = Permit> {
    /// Odd while the rest is being written.
    version: AtomicU64,
    generation: AtomicU64,
    revision: AtomicU64,
    trust_epoch: AtomicU64,
    from: AtomicI64,
    until: AtomicI64,
    service: AtomicUsize,
    permit: ArcSwapOption<T>,
    /// The first device it was settled for; a connection has another only after its identity was made anew.
    device: OnceLock<Arc<Device>>,
}

/// What is settled.
pub(super) struct Reading<'a, T = Permit> {
    pub(super) grounds: Grounds,
    pub(super) device: &'a Arc<Device>,
    pub(super) permit: Guard<Option<Arc<T>>>,
}

impl<T> Default for Settled<T> {
    fn default() -> Self {
        Settled {
            version: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            revision: AtomicU64::new(0),
            trust_epoch: AtomicU64::new(0),
            from: AtomicI64::new(0),
            until: AtomicI64::new(0),
            service: AtomicUsize::new(0),
            permit: ArcSwapOption::empty(),
            device: OnceLock::new(),
        }
    }
}

impl<T> Settled<T> {
    /// What is settled, if anything; `None` also while somebody else settles something.
    #[inline(always)]
    pub(super) fn read(&self) -> Option<Reading<'_, T>> {
        let version = self.version.load(Ordering::Acquire);
        let grounds = self.grounds();
        let device = self.device.get()?;
        let permit = self.permit.load();
        fence(Ordering::Acquire);
        let undisturbed = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        undisturbed.then_some(Reading { grounds, device, permit })
    }

    /// Settles a permit in place of the one before. Does nothing while somebody else does, or when the connection has become that
    /// of another device: what is not settled is asked again, and nothing else.
    pub(super) fn write(&self, grounds: &Grounds, device: &Arc<Device>, permit: &Arc<T>) {
        if !Arc::ptr_eq(self.device.get_or_init(|| Arc::clone(device)), device) {
            return;
        }
        let version = self.version.load(Ordering::Relaxed);
        let taken = version.is_multiple_of(2)
            && self.version.compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !taken {
            return;
        }
        fence(Ordering::Release);
        self.generation.store(grounds.generation, Ordering::Relaxed);
        self.revision.store(grounds.revision, Ordering::Relaxed);
        self.trust_epoch.store(grounds.trust_epoch, Ordering::Relaxed);
        self.from.store(grounds.from.as_millis(), Ordering::Relaxed);
        self.until.store(grounds.until.as_millis(), Ordering::Relaxed);
        self.service.store(grounds.service, Ordering::Relaxed);
        let before = self.permit.swap(Some(Arc::clone(permit)));
        self.version.store(version + 2, Ordering::Release);
        drop(before);
    }

    #[inline(always)]
    fn grounds(&self) -> Grounds {
        Grounds {
            generation: self.generation.load(Ordering::Relaxed),
            revision: self.revision.load(Ordering::Relaxed),
            trust_epoch: self.trust_epoch.load(Ordering::Relaxed),
            service: self.service.load(Ordering::Relaxed),
            from: Timestamp::from_millis(self.from.load(Ordering::Relaxed)),
            until: Timestamp::from_millis(self.until.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::enforce::kept::Kept;
    use crate::id::IdentityId;

    fn device(identity: &str) -> Arc<Device> {
        Arc::new(Device::new(IdentityId::new(identity), Kept::default()))
    }

    /// Grounds that show from which number they were made.
    fn grounds(number: u64) -> Grounds {
        let moment = Timestamp::from_millis(number as i64);
        let service = number as usize;
        Grounds { generation: number, revision: number, trust_epoch: number, service, from: moment, until: moment }
    }

    fn read(settled: &Settled<u64>) -> Option<(Grounds, u64)> {
        settled.read().map(|read| (read.grounds, **read.permit.as_ref().unwrap()))
    }

    #[test]
    fn the_last_permit_is_read_with_its_grounds() {
        let (settled, device) = (Settled::default(), device("d"));
        assert_eq!(read(&settled), None);
        for number in [1, 2] {
            settled.write(&grounds(number), &device, &Arc::new(number));
            assert_eq!(read(&settled), Some((grounds(number), number)));
        }
    }

    #[test]
    fn nothing_is_settled_for_another_device() {
        let (settled, first) = (Settled::default(), device("d"));
        settled.write(&grounds(1), &first, &Arc::new(1));
        settled.write(&grounds(2), &device("d"), &Arc::new(2));
        assert_eq!(read(&settled), Some((grounds(1), 1)));
    }

    #[test]
    fn nothing_is_read_while_it_is_written() {
        let (settled, device) = (Settled::default(), device("d"));
        settled.write(&grounds(1), &device, &Arc::new(1));
        settled.version.fetch_add(1, Ordering::Relaxed);
        assert_eq!(read(&settled), None);
        settled.write(&grounds(2), &device, &Arc::new(2));
        assert_eq!(read(&settled), None);
    }

    /// The one thing that must never happen: a permit beside the grounds of another.
    #[test]
    fn readers_never_mix_two_permits() {
        const WRITES: u64 = 20_000;
        let (settled, device) = (Settled::default(), device("d"));
        thread::scope(|scope| {
            let writers = [0, 1].map(|parity| {
                let (settled, device) = (&settled, &device);
                scope.spawn(move || {
                    for number in (1..WRITES).filter(|number| number % 2 == parity) {
                        settled.write(&grounds(number), device, &Arc::new(number));
                    }
                })
            });
            while writers.iter().any(|writer| !writer.is_finished()) {
                if let Some((seen, permit)) = read(&settled) {
                    assert_eq!(seen, grounds(permit));
                }
            }
        });
        assert!(read(&settled).is_some());
    }
}
