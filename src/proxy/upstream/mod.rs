//! Where the services behind the gate live: pools of upstreams beside the snapshot.

mod balance;
mod health;
mod peer;
mod pool;
mod resolve;
mod upgrade;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::health::Probes;
pub(super) use self::peer::Wanted;
pub(super) use self::pool::{Attempt, Member, Pool};
use crate::decision::Permit;
use crate::id::ServiceId;
use crate::policy::Snapshot;

/// The upstream pools of all services.
///
/// They outlive snapshots: a pool stays, with its connections, its health and its counts, until its own service's
/// upstreams change. Requests under way keep the pool they began with.
#[derive(Debug, Default)]
pub struct Pools {
    current: ArcSwap<Current>,
    changing: Mutex<()>,
    opened: AtomicU64,
    probes: LazyLock<Arc<Probes>>,
}

#[derive(Debug, Default)]
struct Current {
    generation: u64,
    pools: HashMap<ServiceId, Arc<Pool>>,
}

impl Pools {
    /// No pools yet. Those of a service open with [`Pools::adopt`], at the latest with the first request for it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Opens, replaces and closes pools so that they are those of a snapshot that came into force. Must be called inside
    /// a runtime; reads the CA files of new pools.
    pub fn adopt(&self, snapshot: &Snapshot) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load();
        if snapshot.generation() < current.generation {
            return;
        }
        let pools = snapshot
            .services()
            .map(|service| {
                let known = current.pools.get(&service.id).filter(|pool| pool.serves(service));
                let pool = known.cloned().unwrap_or_else(|| Pool::open(service, self.number(), &self.probes));
                (service.id.clone(), pool)
            })
            .collect();
        self.current.store(Arc::new(Current { generation: snapshot.generation(), pools }));
    }

    /// The pool for a request that was let through.
    pub(super) fn pool(&self, permit: &Permit) -> Arc<Pool> {
        if let Some(pool) = self.current.load().find(permit) {
            return pool;
        }
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load();
        if let Some(pool) = current.find(permit) {
            return pool;
        }
        let pool = Pool::open(permit.service(), self.number(), &self.probes);
        let mut pools = current.pools.clone();
        pools.insert(permit.service().id.clone(), Arc::clone(&pool));
        self.current.store(Arc::new(Current { generation: current.generation, pools }));
        pool
    }

    fn number(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::Relaxed)
    }
}

impl Current {
    /// A request decided by an older snapshot goes where the service lives now.
    fn find(&self, permit: &Permit) -> Option<Arc<Pool>> {
        let pool = self.pools.get(&permit.service().id)?;
        (permit.generation() <= self.generation || pool.serves(permit.service())).then(|| Arc::clone(pool))
    }
}
