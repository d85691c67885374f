//! What is kept of devices as it lies in the store: a record for each device, in which a fact that others may share is a number
//! and a time, and a record for each such fact.
//!
//! The record of a device holds a number only if the store holds the fact, or gets it in the same write. Facts that no device
//! refers to any more go at the next start: only then is it known what all devices refer to.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::shared::{Kind, Shared, SharedFacts};
use super::{Addresses, Kept, Observed, Rare, What, with_value};
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::limits::STORE_WRITE_PAGES_MAX;
use crate::posture::Posture;
use crate::posture::facts::{Endpoint, Fact, Mfa, MfaPass, Os, Process, Sdk};
use crate::posture::inventory::Inventory;
use crate::store::{RecordError, RecordFault, Store, StoreError, Table, Write};

/// A posture on its way into the store.
pub(in crate::enforce) struct Keeping {
    kept: Kept,
    /// What to write, as one.
    pub(in crate::enforce) writes: Vec<Write>,
    new: Vec<Arc<dyn New>>,
}

impl Keeping {
    /// The posture, now that the store has confirmed all of the writes.
    pub(in crate::enforce) fn confirmed(self, shared: &SharedFacts) -> Kept {
        let more = self.new.iter().filter(|fact| !fact.was_stored()).count();
        shared.were_stored(u64::try_from(more).unwrap_or(u64::MAX));
        self.kept
    }
}

/// A fact that is written for the first time.
trait New: Send + Sync {
    /// Notes that the store holds it, and returns whether that was known.
    fn was_stored(&self) -> bool;
}

impl<T: Kind> New for Shared<T> {
    fn was_stored(&self) -> bool {
        Shared::was_stored(self)
    }
}

impl SharedFacts {
    /// A posture in little room, and what makes it durable.
    pub(in crate::enforce) fn keeping(&self, identity: &IdentityId, posture: Posture) -> Result<Keeping, StoreError> {
        let kept = self.keep(posture);
        let mut new = NewFacts { have_room: self.have_room(), writes: Vec::new(), facts: Vec::new() };
        let record = Record::of(&kept, &mut new)?;
        let NewFacts { mut writes, facts, .. } = new;
        writes.push(Store::put_of(Table::Postures, identity.as_str(), &record)?);
        Ok(Keeping { kept, writes, new: facts })
    }
}

/// The facts that the record of a device refers to and the store does not hold yet.
struct NewFacts {
    have_room: bool,
    writes: Vec<Write>,
    facts: Vec<Arc<dyn New>>,
}

impl NewFacts {
    /// The number by which a record may refer to this fact; `None` when the fact has to be in the record itself.
    fn refer_to<T: Kind>(&mut self, fact: &Arc<Shared<T>>) -> Result<Option<u64>, StoreError> {
        let number = fact.number();
        if !fact.is_stored() {
            if !self.have_room {
                return Ok(None);
            }
            self.writes.push(Store::put_of(Table::Facts, &key::<T>(number), fact.value())?);
            self.facts.push(Arc::clone(fact) as Arc<dyn New>);
        }
        Ok(Some(number))
    }
}

fn key<T: Kind>(number: u64) -> String {
    format!("{}/{number}", T::CODE)
}

/// The record of a device. It is that of [`Posture`], which was written before facts were shared, and which reads as well.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::enforce) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<Told<Os>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Told<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<Box<Fact<Addresses>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<Told<Process>>,
    #[serde(skip_serializing_if = "is_default")]
    endpoint: Endpoint,
    #[serde(skip_serializing_if = "is_default")]
    mfa: Mfa,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mfa_passes: Vec<MfaPass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<ToldSdk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_in_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory: Option<Box<Inventory>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A fact as a record tells it.
#[derive(Debug)]
enum Told<T> {
    Whole(Fact<T>),
    /// By its number, written as `[number, milliseconds]`.
    Shared(u64, Timestamp),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ToldSdk {
    Shared(u64),
    Whole(Sdk),
}

impl Record {
    fn of(kept: &Kept, new: &mut NewFacts) -> Result<Self, StoreError> {
        let Kept { os, domain, macs, processes, rare, checked_in_at, inventory } = kept;
        let rare = rare.as_deref().cloned().unwrap_or_default();
        let Rare { endpoint, mfa, mfa_passes, sdk, signed_in_at, clock_skew_millis } = rare;
        let sdk = sdk.map(|sdk| match new.refer_to(&sdk)? {
            Some(number) => Ok::<_, StoreError>(ToldSdk::Shared(number)),
            None => Ok(ToldSdk::Whole(sdk.value().clone())),
        });
        Ok(Record {
            os: os.as_ref().map(|fact| Told::of(fact, new)).transpose()?,
            domain: domain.as_ref().map(|fact| Told::of(fact, new)).transpose()?,
            macs: macs.clone(),
            processes: processes.iter().map(|fact| Told::of(fact, new)).collect::<Result<_, _>>()?,
            endpoint,
            mfa,
            mfa_passes,
            sdk: sdk.transpose()?,
            checked_in_at: *checked_in_at,
            signed_in_at,
            clock_skew_millis,
            inventory: inventory.clone(),
        })
    }
}

impl<T: Clone> Told<T>
where
    What<T>: Kind,
{
    fn of(fact: &Observed<T>, new: &mut NewFacts) -> Result<Self, StoreError> {
        Ok(match new.refer_to(&fact.what)? {
            Some(number) => Told::Shared(number, fact.observed_at),
            None => Told::Whole(fact.fact()),
        })
    }
}

impl<T: Serialize> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Told::Whole(fact) => fact.serialize(serializer),
            Told::Shared(number, observed_at) => (number, observed_at.as_millis()).serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToldVisitor(PhantomData))
    }
}

struct ToldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ToldVisitor<T> {
    type Value = Told<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a fact, or its number and a time")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Told<T>, A::Error> {
        Fact::deserialize(MapAccessDeserializer::new(map)).map(Told::Whole)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Told<T>, A::Error> {
        let number = parts.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let observed_at = parts.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        Ok(Told::Shared(number, Timestamp::from_millis(observed_at)))
    }
}

/// The facts that the store holds, while records of devices that refer to them are read.
pub(in crate::enforce) struct Restoring<'a> {
    shared: &'a SharedFacts,
    systems: Stored<What<Os>>,
    texts: Stored<What<String>>,
    processes: Stored<What<Process>>,
    sdks: Stored<Sdk>,
    skipped: Vec<RecordError>,
}

/// Facts of one kind, by number, each with whether a record referred to it.
type Stored<T> = HashMap<u64, (Arc<Shared<T>>, AtomicBool), foldhash::fast::RandomState>;

impl<'a> Restoring<'a> {
    /// Reads the facts. Blocks.
    pub(in crate::enforce) fn begin(shared: &'a SharedFacts, store: &Store) -> Result<Self, StoreError> {
        let mut skipped = Vec::new();
        Ok(Restoring {
            systems: read(shared, store, &mut skipped)?,
            texts: read(shared, store, &mut skipped)?,
            processes: read(shared, store, &mut skipped)?,
            sdks: read(shared, store, &mut skipped)?,
            skipped,
            shared,
        })
    }

    /// What a record says. One that refers to a fact that cannot be read says nothing: what the rest of it would prove without
    /// that fact, nobody reported.
    pub(in crate::enforce) fn keep(&self, identity: &str, record: Record) -> Result<Kept, RecordError> {
        self.find_all(record).ok_or_else(|| RecordError {
            table: Table::Postures,
            key: identity.to_owned(),
            fault: RecordFault::Dangling,
        })
    }

    fn find_all(&self, record: Record) -> Option<Kept> {
        let Record { endpoint, mfa, mfa_passes, signed_in_at, clock_skew_millis, .. } = record;
        let sdk = match record.sdk {
            Some(ToldSdk::Shared(number)) => Some(find(&self.sdks, number)?),
            Some(ToldSdk::Whole(sdk)) => Some(self.shared.share(sdk)),
            None => None,
        };
        let rare = Rare { endpoint, mfa, mfa_passes, sdk, signed_in_at, clock_skew_millis };
        let os = record.os.map(|told| self.observed(told, &self.systems));
        let domain = record.domain.map(|told| self.observed(told, &self.texts));
        Some(Kept {
            os: transposed(os)?,
            domain: transposed(domain)?,
            macs: record.macs.map(|fact| Box::new(with_value(*fact, fitted))),
            processes: self.all_observed(record.processes)?,
            rare: rare.boxed(),
            checked_in_at: record.checked_in_at,
            inventory: record.inventory,
        })
    }

    fn all_observed(&self, told: Vec<Told<Process>>) -> Option<Box<[Observed<Process>]>> {
        // Room for as many as there are: a vector that grew keeps more than it needs, also when it is told to shrink.
        let mut observed = Vec::with_capacity(told.len());
        for told in told {
            observed.push(self.observed(told, &self.processes)?);
        }
        Some(observed.into_boxed_slice())
    }

    fn observed<T>(&self, told: Told<T>, stored: &Stored<What<T>>) -> Option<Observed<T>>
    where
        What<T>: Kind,
    {
        match told {
            Told::Whole(fact) => Some(self.shared.observed(fact)),
            Told::Shared(number, observed_at) => Some(Observed { observed_at, what: find(stored, number)? }),
        }
    }

    /// Has the store forget the facts to which nobody referred, if every record of a device was read. Returns the facts that could
    /// not be read.
    pub(in crate::enforce) fn finish(self, store: &Store, all_were_read: bool) -> Vec<RecordError> {
        let found = [used(&self.systems), used(&self.texts), used(&self.processes), used(&self.sdks)];
        self.shared.were_stored(found.iter().sum());
        if all_were_read {
            let unused =
                [unused(&self.systems), unused(&self.texts), unused(&self.processes), unused(&self.sdks)].concat();
            forget(store, &unused);
        }
        self.skipped
    }
}

/// The same in no more room than it needs.
fn fitted(addresses: Addresses) -> Addresses {
    let mut fitted = Vec::with_capacity(addresses.len());
    fitted.extend(addresses);
    fitted.into_boxed_slice()
}

fn transposed<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    found.map_or(Some(None), |found| found.map(Some))
}

fn read<T: Kind>(shared: &SharedFacts, store: &Store, skipped: &mut Vec<RecordError>) -> Result<Stored<T>, StoreError> {
    let loaded = store.load_prefixed::<T>(Table::Facts, &format!("{}/", T::CODE))?;
    let number = |key: &str| key.rsplit('/').next().and_then(|number| number.parse::<u64>().ok());
    // A number whose fact cannot be read may be referred to all the same.
    loaded.skipped.iter().filter_map(|error| number(&error.key)).for_each(|number| shared.number_from(number));
    skipped.extend(loaded.skipped);
    let restored = loaded.records.into_iter().filter_map(|(key, fact)| {
        let number = number(&key)?;
        Some((number, (shared.restore(number, fact), AtomicBool::new(false))))
    });
    Ok(restored.collect())
}

fn find<T>(stored: &Stored<T>, number: u64) -> Option<Arc<Shared<T>>> {
    let (fact, is_used) = stored.get(&number)?;
    // Written once: a line of memory that all readers write would be passed between them a million times.
    if !is_used.load(Ordering::Relaxed) {
        is_used.store(true, Ordering::Relaxed);
    }
    Some(Arc::clone(fact))
}

fn used<T>(stored: &Stored<T>) -> u64 {
    stored.values().map(|(_, is_used)| u64::from(is_used.load(Ordering::Relaxed))).sum()
}

/// The keys of facts to which nobody referred. Those who report such a fact later write it again.
fn unused<T: Kind>(stored: &Stored<T>) -> Vec<String> {
    let unused = stored.iter().filter(|(_, (_, is_used))| !is_used.load(Ordering::Relaxed));
    let forgotten = unused.map(|(&number, (fact, _))| {
        // Of two that are equal one stands for both.
        if fact.number() == number {
            fact.is_forgotten();
        }
        key::<T>(number)
    });
    forgotten.collect()
}

/// What the store has no room to forget now is forgotten at another start.
fn forget(store: &Store, keys: &[String]) {
    for keys in keys.chunks(STORE_WRITE_PAGES_MAX) {
        let deletions: Result<Vec<_>, _> = keys.iter().map(|key| Write::delete(Table::Facts, key.as_str())).collect();
        if let Err(error) = deletions.and_then(|deletions| store.write_later(deletions)) {
            tracing::warn!(%error, "facts that no device refers to stay in the store");
            return;
        }
    }
}

#[cfg(test)]
mod tests;
