//! Locks: in force at once, over at their end, and back after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::decision::lock::{LockEnd, LockProblem, WantedLock};
use postern::decision::{DenialReason, Lock};
use postern::enforce::{Author, LockRefused};
use postern::id::IdentityId;
use postern::store::{Backend, Store, Table, Write};

use crate::world::{FillingDisk, House, THEN, objects};

const HOUR: Duration = Duration::from_secs(3600);

fn author() -> Author {
    Author { name: "grace".into(), source_address: None, request_id: None }
}

fn wanted(ends: LockEnd) -> WantedLock {
    WantedLock { reason: "reported stolen".to_owned(), ends }
}

async fn lock(house: &House, identity: &str, ends: LockEnd) -> Result<Arc<Lock>, LockRefused> {
    let turn = house.enforcer.turn().await;
    house.enforcer.lock(&turn, &IdentityId::from(identity), &wanted(ends), &author()).await
}

async fn unlock(house: &House, identity: &str) -> Result<Arc<Lock>, LockRefused> {
    let turn = house.enforcer.turn().await;
    house.enforcer.unlock(&turn, &IdentityId::from(identity), &author()).await
}

/// A house whose identity may come in.
async fn open_house(store: Store) -> House {
    let house = House::over(store, objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    assert!(house.ask().is_ok());
    house
}

#[tokio::test]
async fn a_lock_denies_the_next_request_and_connection_whatever_was_cached() {
    let house = open_house(Store::memory().unwrap()).await;
    let put_on = lock(&house, "u", LockEnd::After(12 * HOUR)).await.unwrap();
    let denial = house.ask().unwrap_err();
    assert_eq!((denial.reason, denial.lock.as_ref()), (DenialReason::IdentityLocked, Some(&put_on)));
    assert_eq!(denial.valid_until, THEN.after(12 * HOUR));
    assert_eq!(denial.identity, Some(IdentityId::from("u")));
    assert!(denial.service.is_some());
    assert_eq!(house.enforcer.admit(&house.connection).await.unwrap_err(), DenialReason::IdentityLocked);

    unlock(&house, "u").await.unwrap();
    assert!(house.ask().is_ok() && house.enforcer.admit(&house.connection).await.is_ok());
    assert!(matches!(unlock(&house, "u").await, Err(LockRefused::NotLocked)));
}

#[tokio::test]
async fn a_lock_ends_by_itself_at_its_end() {
    let house = open_house(Store::memory().unwrap()).await;
    lock(&house, "u", LockEnd::At(THEN.after(HOUR))).await.unwrap();
    house.clock.set(THEN.after(HOUR).before(Duration::from_millis(1)));
    assert!(house.ask().is_err());
    assert_eq!(house.enforcer.locks().len(), 1);
    house.clock.set(THEN.after(HOUR));
    assert!(house.ask().is_ok() && house.enforcer.admit(&house.connection).await.is_ok());
    assert!(house.enforcer.locks().is_empty());
}

#[tokio::test]
async fn a_report_does_not_unlock() {
    let house = open_house(Store::memory().unwrap()).await;
    lock(&house, "u", LockEnd::Never).await.unwrap();
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    assert_eq!(house.ask().unwrap_err().reason, DenialReason::IdentityLocked);
    assert_eq!(house.ask().unwrap_err().valid_until, Timestamp::MAX);
}

#[tokio::test]
async fn locking_again_replaces_the_lock_and_both_are_in_the_trail() {
    let house = open_house(Store::memory().unwrap()).await;
    lock(&house, "u", LockEnd::Never).await.unwrap();
    lock(&house, "u", LockEnd::After(HOUR)).await.unwrap();
    unlock(&house, "u").await.unwrap();
    let trail = house.enforcer.audit_trail();
    let told: Vec<_> = trail.iter().map(|entry| (&*entry.kind, &*entry.id, &*entry.author.name)).collect();
    assert_eq!(told, [("identity lock", "u", "grace"); 3]);
    let until = |entry: usize| trail[entry].after.as_ref().map(|after| after["until"].clone());
    assert_eq!(until(0), Some(serde_json::Value::Null));
    assert_eq!(until(1), Some(THEN.after(HOUR).to_string().into()));
    assert_eq!(trail[1].before, trail[0].after);
    assert_eq!((trail[2].before.clone(), &trail[2].after), (trail[1].after.clone(), &None));
}

#[tokio::test]
async fn nobody_is_locked_who_is_not_there_or_for_no_reason() {
    let house = open_house(Store::memory().unwrap()).await;
    assert!(matches!(lock(&house, "stranger", LockEnd::Never).await, Err(LockRefused::UnknownIdentity)));
    let ended = lock(&house, "u", LockEnd::At(THEN)).await;
    assert!(matches!(ended, Err(LockRefused::Problem(LockProblem::End))));
    let turn = house.enforcer.turn().await;
    let blank = WantedLock { reason: " ".to_owned(), ends: LockEnd::Never };
    let refused = house.enforcer.lock(&turn, &IdentityId::from("u"), &blank, &author()).await;
    assert!(matches!(refused, Err(LockRefused::Problem(LockProblem::Reason))));
    assert!(house.ask().is_ok() && house.enforcer.audit_trail().is_empty());
}

#[tokio::test]
async fn a_lock_that_cannot_be_stored_is_refused_and_not_in_force() {
    let disk = Arc::new(FillingDisk::default());
    let house = open_house(Store::over(Arc::clone(&disk) as Arc<dyn Backend>, Arc::new(())).unwrap()).await;
    disk.fill();
    assert!(matches!(lock(&house, "u", LockEnd::Never).await, Err(LockRefused::Unavailable(_))));
    assert!(house.ask().is_ok() && house.enforcer.audit_trail().is_empty());
}

/// A house over what lies in `directory`, and its store, to be closed at the end.
fn reopened(directory: &Path) -> (House, Store) {
    let (store, _) = Store::open(directory, THEN).unwrap();
    (House::over(store.clone(), objects(None)), store)
}

#[tokio::test]
async fn a_restart_brings_locks_back_but_not_those_that_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let house = open_house(store.clone()).await;
    lock(&house, "u", LockEnd::After(HOUR)).await.unwrap();
    store.close().await.unwrap();
    drop((house, store));

    for (later, locked) in [(HOUR / 2, true), (HOUR, false)] {
        let (again, store) = reopened(directory.path());
        again.clock.set(THEN.after(later));
        again.enforcer.restore().unwrap();
        assert_eq!(again.ask().is_err(), locked, "after {later:?}");
        assert_eq!(again.enforcer.locks().len(), usize::from(locked));
        store.close().await.unwrap();
    }
}

/// A record that cannot be read may say that somebody is locked. Left out, it would let in whom an operator shut out.
#[tokio::test]
async fn an_unreadable_lock_still_locks_until_an_operator_unlocks() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let house = open_house(store.clone()).await;
    store.write(vec![Write::put(Table::Locks, "u", b"\x01{".to_vec()).unwrap()]).await.unwrap();
    store.close().await.unwrap();
    drop((house, store));

    let (again, store) = reopened(directory.path());
    assert_eq!(again.enforcer.restore().unwrap().unreadable, 1);
    assert_eq!(again.ask().unwrap_err().reason, DenialReason::IdentityLocked);
    unlock(&again, "u").await.unwrap();
    assert!(again.ask().is_ok());
    store.close().await.unwrap();
    drop((again, store));

    let (once_more, _store) = reopened(directory.path());
    assert_eq!(once_more.enforcer.restore().unwrap().unreadable, 0);
    assert!(once_more.ask().is_ok());
}
