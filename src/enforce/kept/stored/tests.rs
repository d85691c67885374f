use super::super::tests::{everything, process_fact};
use super::*;
use crate::limits::STORED_FACTS_MAX;

/// What a start finds.
struct Found {
    devices: Vec<(String, Kept)>,
    skipped: Vec<RecordError>,
}

fn restored(shared: &SharedFacts, store: &Store) -> Found {
    let restoring = Restoring::begin(shared, store).unwrap();
    let loaded = store.load_all::<Record>(Table::Postures).unwrap();
    let mut found = Found { devices: Vec::new(), skipped: loaded.skipped };
    for (identity, record) in loaded.records {
        match restoring.keep(&identity, record) {
            Ok(kept) => found.devices.push((identity, kept)),
            Err(error) => found.skipped.push(error),
        }
    }
    let all_were_read = found.skipped.is_empty();
    found.skipped.extend(restoring.finish(store, all_were_read));
    found
}

/// Writes a posture, and returns how many records that took.
async fn keep(shared: &SharedFacts, store: &Store, identity: &str, posture: Posture) -> usize {
    let mut keeping = shared.keeping(&IdentityId::from(identity), posture).unwrap();
    let writes = std::mem::take(&mut keeping.writes);
    let count = writes.len();
    store.write(writes).await.unwrap();
    keeping.confirmed(shared);
    count
}

async fn facts(store: &Store) -> Vec<String> {
    store.flush().await.unwrap();
    let loaded = store.load_all::<serde_json::Value>(Table::Facts).unwrap();
    loaded.records.into_iter().map(|(key, _)| key).collect()
}

fn with_process(path: &str) -> Posture {
    Posture { processes: vec![process_fact(path)], ..Posture::default() }
}

#[tokio::test]
async fn a_posture_comes_back_and_what_it_shares_is_stored_once() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    // System, domain, two processes and the SDK, and the device itself.
    assert_eq!(keep(&shared, &store, "alice", everything()).await, 6);
    assert_eq!(keep(&shared, &store, "bob", everything()).await, 1);
    assert_eq!(keep(&shared, &store, "carol", Posture::default()).await, 1);

    let started = SharedFacts::default();
    let found = restored(&started, &store);
    assert_eq!(found.skipped, []);
    let postures: Vec<_> = found.devices.iter().map(|(identity, kept)| (identity.as_str(), kept.posture())).collect();
    assert_eq!(postures, [("alice", everything()), ("bob", everything()), ("carol", Posture::default())]);
    assert_eq!(keep(&started, &store, "dave", everything()).await, 1, "what was stored before is known to be");
}

#[test]
fn a_record_is_small() {
    let shared = SharedFacts::default();
    let keeping = shared.keeping(&"alice".into(), Posture { inventory: None, ..everything() }).unwrap();
    let record = keeping.writes.last().unwrap().value().unwrap();
    let text = std::str::from_utf8(&record[1..]).unwrap();
    assert!(text.starts_with(r#"{"os":[2,1800000000000],"domain":[3,1800000000000],"macs":{"#), "{text}");
    assert!(text.contains(r#""processes":[[4,1800000000000],[5,1800000000000]]"#), "{text}");
}

#[tokio::test]
async fn records_from_before_facts_were_shared_read_as_ever() {
    let store = Store::memory().unwrap();
    for posture in [everything(), Posture::default()] {
        store.put(Table::Postures, "alice", &posture).await.unwrap();
        let found = restored(&SharedFacts::default(), &store);
        assert_eq!(found.skipped, []);
        assert_eq!(found.devices[0].1.posture(), posture);
    }
}

#[tokio::test]
async fn a_fact_that_is_gone_takes_its_devices_along_and_no_others() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    keep(&shared, &store, "alice", with_process("/usr/bin/agent")).await;
    keep(&shared, &store, "bob", with_process("/usr/bin/shield")).await;
    store.delete(Table::Facts, "process/1").await.unwrap();

    let found = restored(&SharedFacts::default(), &store);
    let told: Vec<_> = found.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["record `postures/alice` refers to a record that cannot be read"]);
    assert_eq!(found.devices.iter().map(|(identity, _)| identity.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[tokio::test]
async fn facts_that_nobody_refers_to_go_at_the_next_start() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    keep(&shared, &store, "alice", with_process("/usr/bin/old")).await;
    keep(&shared, &store, "alice", with_process("/usr/bin/new")).await;
    assert_eq!(facts(&store).await, ["process/1", "process/2"]);
    restored(&SharedFacts::default(), &store);
    assert_eq!(facts(&store).await, ["process/2"]);
}

/// What a start had the store forget counted as stored, so that the next device that reported it was lost at the start after.
#[tokio::test]
async fn a_fact_that_was_forgotten_is_written_again() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    keep(&shared, &store, "alice", with_process("/usr/bin/old")).await;
    keep(&shared, &store, "alice", with_process("/usr/bin/new")).await;

    let started = SharedFacts::default();
    restored(&started, &store);
    assert_eq!(keep(&started, &store, "bob", with_process("/usr/bin/old")).await, 2);
    let found = restored(&SharedFacts::default(), &store);
    assert_eq!(found.skipped, []);
    assert_eq!(found.devices[1].1.posture(), with_process("/usr/bin/old"));
}

/// A fact may be there under two numbers. The device that refers to one of them must not keep the other from being written.
#[tokio::test]
async fn of_two_equal_facts_the_one_that_is_left_is_not_taken_for_the_other() {
    let store = Store::memory().unwrap();
    keep(&SharedFacts::default(), &store, "alice", with_process("/usr/bin/agent")).await;
    let again = SharedFacts::default();
    again.number_from(1);
    keep(&again, &store, "alice", with_process("/usr/bin/agent")).await;
    assert_eq!(facts(&store).await, ["process/1", "process/2"]);

    let started = SharedFacts::default();
    restored(&started, &store);
    assert_eq!(facts(&store).await, ["process/2"]);
    keep(&started, &store, "bob", with_process("/usr/bin/agent")).await;
    let found = restored(&SharedFacts::default(), &store);
    assert_eq!(found.skipped, []);
    assert_eq!(found.devices.len(), 2);
}

#[tokio::test]
async fn while_a_device_cannot_be_read_every_fact_stays() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    keep(&shared, &store, "alice", with_process("/usr/bin/old")).await;
    store.put(Table::Postures, "alice", &"of a later build").await.unwrap();
    assert_eq!(restored(&SharedFacts::default(), &store).skipped.len(), 1);
    assert_eq!(facts(&store).await, ["process/1"]);
}

#[tokio::test]
async fn what_the_store_did_not_confirm_is_written_again() {
    let shared = SharedFacts::default();
    drop(shared.keeping(&"alice".into(), with_process("/usr/bin/agent")).unwrap());
    let again = shared.keeping(&"bob".into(), with_process("/usr/bin/agent")).unwrap();
    assert_eq!(again.writes.len(), 2);
}

#[tokio::test]
async fn when_the_store_holds_enough_facts_devices_keep_their_own() {
    let store = Store::memory().unwrap();
    let shared = SharedFacts::default();
    keep(&shared, &store, "alice", with_process("/usr/bin/agent")).await;
    shared.were_stored(STORED_FACTS_MAX);
    assert_eq!(keep(&shared, &store, "bob", everything()).await, 1);
    assert_eq!(keep(&shared, &store, "carol", with_process("/usr/bin/agent")).await, 1);

    let started = SharedFacts::default();
    let found = restored(&started, &store);
    assert_eq!(found.devices[1].1.posture(), everything());
    assert_eq!(facts(&store).await, ["process/1"]);
    assert!(started.have_room(), "only those that are there count");
}
