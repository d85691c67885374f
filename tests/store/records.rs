//! Records as values: what was written by this and earlier releases reads back, and what does not is named.

use std::sync::Arc;

use postern::clock::Timestamp;
use postern::store::{Backend, MemoryBackend, RecordFault, Store, StoreError, Table, Write};
use serde::{Deserialize, Serialize};

/// A record of the kind the store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    reported_at: Timestamp,
    revision: u64,
    macs: Vec<String>,
    note: Option<String>,
}

fn sample(revision: u64) -> Sample {
    Sample {
        reported_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        revision,
        macs: vec!["02:00:5e:10:00:01".to_owned()],
        note: None,
    }
}

/// A store that holds these bytes, as an earlier or a later release might have left them.
fn store_with(records: &[(&str, &[u8])]) -> Store {
    let backend = MemoryBackend::new();
    let writes: Vec<_> =
        records.iter().map(|(key, bytes)| Write::put(Table::Postures, *key, bytes.to_vec()).unwrap()).collect();
    backend.commit(&writes).unwrap();
    Store::over(Arc::new(backend), Arc::new(())).unwrap()
}

#[tokio::test]
async fn a_record_survives_put_load_and_delete() {
    let store = Store::memory().unwrap();
    assert_eq!(store.backend_name(), "memory");
    store.put(Table::Postures, "alice", &sample(1)).await.unwrap();
    store.put(Table::Postures, "alice", &sample(2)).await.unwrap();
    assert_eq!(store.load(Table::Postures, "alice").unwrap(), Some(sample(2)));
    store.delete(Table::Postures, "alice").await.unwrap();
    assert_eq!(store.load::<Sample>(Table::Postures, "alice").unwrap(), None);
}

#[tokio::test]
async fn objects_load_by_kind_and_all_of_them() {
    let store = Store::memory().unwrap();
    for n in 0..1000 {
        store.put_later(Table::Objects, &format!("service/{n:04}"), &n).unwrap();
    }
    store.put_later(Table::Objects, "policy/1", &1).unwrap();
    store.put_later(Table::Objects, "services", &1).unwrap();
    store.delete_later(Table::Objects, "service/0500").unwrap();
    store.flush().await.unwrap();

    let services = store.load_prefixed::<i32>(Table::Objects, "service/").unwrap().records;
    let expected = (0..1000).filter(|n| *n != 500).map(|n| (format!("service/{n:04}"), n));
    assert!(services.into_iter().eq(expected));
    assert_eq!(store.load_all::<i32>(Table::Objects).unwrap().records.len(), 1001);
}

#[tokio::test]
async fn several_records_change_as_one() {
    let store = Store::memory().unwrap();
    let changes = vec![
        Store::put_of(Table::Objects, "service/1", &1).unwrap(),
        Store::put_of(Table::Objects, "policy/1", &2).unwrap(),
    ];
    store.write(changes).await.unwrap();
    assert_eq!(store.load_all::<i32>(Table::Objects).unwrap().records.len(), 2);
}

/// Each file is a record as some release wrote it; a build that cannot read them loses its users' data.
#[test]
fn records_of_earlier_releases_read_back() {
    let store = store_with(&[
        ("plain", include_bytes!("../data/store/format-1.record")),
        ("newer field", include_bytes!("../data/store/format-1-newer-field.record")),
    ]);
    let loaded = store.load_all::<Sample>(Table::Postures).unwrap();
    assert!(loaded.skipped.is_empty());
    let greeted = Sample { macs: Vec::new(), note: Some("grüße".to_owned()), ..sample(42) };
    let expected = [("newer field".to_owned(), greeted), ("plain".to_owned(), sample(42))];
    assert_eq!(loaded.records, expected);
}

#[tokio::test]
async fn this_release_writes_the_recorded_format() {
    let backend = Arc::new(MemoryBackend::new());
    let store = Store::over(Arc::clone(&backend) as Arc<dyn Backend>, Arc::new(())).unwrap();
    store.put(Table::Postures, "k", &sample(42)).await.unwrap();
    let written = backend.get(Table::Postures, "k").unwrap().unwrap();
    assert_eq!(written, include_bytes!("../data/store/format-1.record"));
}

#[test]
fn an_unreadable_record_is_skipped_reported_and_kept() {
    let store = store_with(&[
        ("cut", include_bytes!("../data/store/format-1-cut-short.record")),
        ("good", include_bytes!("../data/store/format-1.record")),
        ("later", include_bytes!("../data/store/format-254.record")),
        ("none", b""),
        ("shape", include_bytes!("../data/store/format-1-wrong-shape.record")),
    ]);
    let loaded = store.load_all::<Sample>(Table::Postures).unwrap();
    assert_eq!(loaded.records, [("good".to_owned(), sample(42))]);

    let reports: Vec<String> = loaded.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        reports,
        [
            "record `postures/cut` is broken at line 1 column 47",
            "record `postures/later` has format 254, which this build does not know",
            "record `postures/none` is empty",
            "record `postures/shape` does not have the expected shape at line 1 column 59",
        ]
    );
    let again = store.load::<Sample>(Table::Postures, "later");
    let Err(StoreError::Record(error)) = again else { panic!("{again:?}") };
    assert_eq!(error.fault, RecordFault::UnknownFormat(254));
}
