//! Verdicts kept beside an identity, valid for one snapshot, one posture revision and a span of time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;
use crate::limits;
use crate::policy::snapshot::ServiceIndex;
use crate::posture::facts::Mfa;

use super::denial::Denial;
use super::permit::Permit;

/// A decision that can be handed to many requests.
pub type Verdict = Result<Arc<Permit>, Arc<Denial>>;

/// What a verdict was based on. A verdict is only good for a question with the same basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The snapshot's generation.
    pub generation: u64,
    /// The posture's revision.
    pub revision: u64,
    /// The MFA state that counts for who asks: certificates of one identity differ in it.
    pub mfa: Mfa,
}

/// The verdicts of one identity, by service.
///
/// Reading is lock-free: one atomic load and one look-up. Writing copies the small table and swaps it in; two writers at once
/// may each drop the other's entry, which costs a later miss and nothing else.
#[derive(Debug, Default)]
pub struct VerdictCache {
    table: ArcSwapOption<Table>,
}

#[derive(Debug)]
struct Table {
    basis: Basis,
    /// Sorted by service: tables are small, and a search in them costs less than hashing.
    verdicts: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    service: ServiceIndex,
    /// The moment it was decided for: a clock that is set back may come to one at which the answer was another.
    from: Timestamp,
    verdict: Verdict,
}

impl VerdictCache {
    /// The verdict for `service`, if one was stored on the same basis and still holds at `now`.
    pub fn find(&self, basis: Basis, service: ServiceIndex, now: Timestamp) -> Option<Verdict> {
        let table = self.table.load();
        let table = table.as_ref().filter(|table| table.basis == basis)?;
        let place = table.verdicts.binary_search_by_key(&service, |entry| entry.service).ok()?;
        let entry = table.verdicts.get(place)?;
        (entry.from <= now && now < valid_until(&entry.verdict)).then(|| entry.verdict.clone())
    }

    /// Keeps a verdict that was decided for the moment `from`. A table of another basis is forgotten; a full one starts afresh.
    pub fn store(&self, basis: Basis, service: ServiceIndex, from: Timestamp, verdict: Verdict) {
        let known = self.table.load();
        let mut verdicts = match known.as_ref() {
            Some(table) if table.basis == basis && table.verdicts.len() < limits::VERDICTS_PER_IDENTITY_MAX => {
                table.verdicts.clone()
            }
            _ => Vec::new(),
        };
        let new = Entry { service, from, verdict };
        match verdicts.binary_search_by_key(&service, |entry| entry.service) {
            Ok(place) => {
                if let Some(entry) = verdicts.get_mut(place) {
                    *entry = new;
                }
            }
            Err(place) => verdicts.insert(place, new),
        }
        self.table.store(Some(Arc::new(Table { basis, verdicts })));
    }
}

/// Until when a verdict holds if nothing but time changes.
pub fn valid_until(verdict: &Verdict) -> Timestamp {
    match verdict {
        Ok(permit) => permit.valid_until(),
        Err(denial) => denial.valid_until,
    }
}
