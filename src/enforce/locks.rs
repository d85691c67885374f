//! Locks that operators put on identities: durable, in force at once, and gone by themselves at their end.
//!
//! A lock lies beside its identity's posture, as one more thing a decision rests on. It outlives the identity: one that left the
//! policy and comes back under the same id comes back locked.

use std::sync::Arc;

use serde_json::Value;

use super::audit::{Author, Trail};
use super::enforcer::Enforcer;
use super::objects::Turn;
use crate::decision::Lock;
use crate::decision::lock::{LockProblem, WantedLock};
use crate::id::IdentityId;
use crate::store::{RecordError, Store, StoreError, Table, Write};

/// What locks are called in the audit trail.
const KIND: &str = "identity lock";

/// A lock that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Who is locked.
    pub identity: IdentityId,
    /// By what.
    pub lock: Arc<Lock>,
}

/// Why an identity was not locked or unlocked. Everything is as before.
#[derive(Debug, thiserror::Error)]
pub enum LockRefused {
    /// It is no lock.
    #[error(transparent)]
    Problem(#[from] LockProblem),
    /// Nobody of that id is in the policy.
    #[error("there is no such identity")]
    UnknownIdentity,
    /// There is nothing to unlock.
    #[error("the identity is not locked")]
    NotLocked,
    /// It could not be made durable.
    #[error("not stored: {0}")]
    Unavailable(#[from] StoreError),
}

impl Enforcer {
    /// Locks an identity out: durable, and in force when this returns. A lock that is there already is replaced.
    ///
    /// Let it run to its end: a caller that drops it half-way may leave a lock on disk that comes into force only after a restart.
    pub async fn lock(
        &self,
        _turn: &Turn<'_>,
        identity: &IdentityId,
        wanted: &WantedLock,
        author: &Author,
    ) -> Result<Arc<Lock>, LockRefused> {
        let device = self.device_of_known(identity).ok_or(LockRefused::UnknownIdentity)?;
        let now = self.clock().now();
        let lock = Arc::new(wanted.put_on(now, &author.name)?);
        let before = device.locked(now).map(|lock| shown(&lock));
        let entry = self.trail.entry_of((KIND, identity.as_str()), before, Some(shown(&lock)), author, now);
        let put = Store::put_of(Table::Locks, identity.as_str(), &*lock)?;
        self.store.write(vec![put, Trail::write(&entry)?]).await?;
        device.lock(Some(Arc::clone(&lock)));
        self.decide_again_for(identity);
        self.trail.keep(entry);
        Ok(lock)
    }

    /// Takes an identity's lock away: durable, and in force when this returns.
    pub async fn unlock(
        &self,
        _turn: &Turn<'_>,
        identity: &IdentityId,
        author: &Author,
    ) -> Result<Arc<Lock>, LockRefused> {
        let now = self.clock().now();
        let device = self.device(identity).ok_or(LockRefused::NotLocked)?;
        let lock = device.locked(now).ok_or(LockRefused::NotLocked)?;
        let entry = self.trail.entry_of((KIND, identity.as_str()), Some(shown(&lock)), None, author, now);
        let delete = Write::delete(Table::Locks, identity.as_str())?;
        self.store.write(vec![delete, Trail::write(&entry)?]).await?;
        device.lock(None);
        self.trail.keep(entry);
        Ok(lock)
    }

    /// Every lock that holds, in the order of the identities' ids.
    pub fn locks(&self) -> Vec<Locked> {
        let now = self.clock().now();
        let mut locks: Vec<Locked> = Vec::new();
        for device in &self.devices {
            if let Some(lock) = device.locked(now) {
                locks.push(Locked { identity: device.identity().clone(), lock });
            }
        }
        locks.sort_by(|one, other| one.identity.as_str().cmp(other.identity.as_str()));
        locks
    }

    /// Puts locks from before a restart back, and returns the records that could not be read. Those that have ended are let go.
    ///
    /// What a record that cannot be read says may be that somebody is locked; so that identity is, until an operator unlocks it.
    pub(super) fn restore_locks(&self) -> Result<Vec<RecordError>, StoreError> {
        let now = self.clock().now();
        let stored = self.store.load_all::<Lock>(Table::Locks)?;
        for (identity, lock) in stored.records {
            if lock.holds(now) {
                self.device_of(&IdentityId::from(identity.as_str())).lock(Some(Arc::new(lock)));
            } else {
                // Should it stay, it is left out again next time.
                let _ = self.store.delete_later(Table::Locks, &identity);
            }
        }
        for error in &stored.skipped {
            let lock = Lock {
                reason: "the record of this lock cannot be read".into(),
                locked_at: now,
                locked_by: "postern".into(),
                until: None,
            };
            self.device_of(&IdentityId::from(error.key.as_str())).lock(Some(Arc::new(lock)));
        }
        Ok(stored.skipped)
    }
}

fn shown(lock: &Lock) -> Value {
    serde_json::to_value(lock).unwrap_or_default()
}
