//! What a caller of the store may rely on: acknowledgement, order, bounds, and life after a fault.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use postern::clock::{Stopwatch, Timestamp};
use postern::limits::{
    STORE_COMMIT_RECORDS_MAX, STORE_QUEUE_PAGES_MAX, STORE_UNAWAITED_WAIT_MAX, STORE_WRITE_PAGES_MAX,
};
use postern::store::{Backend, Store, StoreError, Table, Write};
use tokio::task::JoinSet;

use crate::faulty::{Counts, Fault, FaultyBackend};

fn put(key: &str, value: &[u8]) -> Write {
    Write::put(Table::Postures, key, value.to_vec()).unwrap()
}

fn store_over(backend: &Arc<FaultyBackend>) -> (Store, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let store = Store::over(Arc::clone(backend) as Arc<dyn Backend>, Arc::clone(&counts) as _).unwrap();
    (store, counts)
}

/// Has a first write begin its commit, so that whatever follows gathers behind it.
fn occupy(store: &Store, held: &crate::faulty::Held) {
    store.write_later(vec![put("first", b"")]).unwrap();
    held.wait_for_commit();
}

#[tokio::test]
async fn a_lone_write_is_one_commit() {
    let backend = FaultyBackend::new();
    let (store, counts) = store_over(&backend);
    for n in 0..3 {
        store.write(vec![put("k", &[n])]).await.unwrap();
        assert_eq!(backend.get(Table::Postures, "k").unwrap(), Some(vec![n]));
    }
    assert_eq!(*counts.committed.lock().unwrap(), [(1, 1), (1, 1), (1, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_acknowledged_only_once_committed() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, _) = store_over(&backend);
    let write = tokio::spawn(async move { store.write(vec![put("k", b"v")]).await });
    held.wait_for_commit();
    assert!(!write.is_finished());
    assert!(backend.batches().is_empty());
    held.release_one();
    write.await.unwrap().unwrap();
    assert_eq!(backend.batches().len(), 1);
}

#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next_one() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, counts) = store_over(&backend);
    occupy(&store, &held);
    let more = STORE_COMMIT_RECORDS_MAX + 44;
    for n in 0..more {
        store.write_later(vec![put(&format!("k{n:04}"), b"")]).unwrap();
    }
    drop(held);
    store.close().await.unwrap();
    let sizes = [(1, 1), (STORE_COMMIT_RECORDS_MAX, STORE_COMMIT_RECORDS_MAX), (44, 44)];
    assert_eq!(*counts.committed.lock().unwrap(), sizes);
    let committed: Vec<String> =
        backend.batches().concat().iter().skip(1).map(|write| write.key().to_owned()).collect();
    assert!(committed.into_iter().eq((0..more).map(|n| format!("k{n:04}"))));
}

#[tokio::test]
async fn a_commit_gathers_no_more_bytes_than_its_bound() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, counts) = store_over(&backend);
    occupy(&store, &held);
    for n in 0..7 {
        store.write_later(vec![put(&format!("k{n}"), &vec![0; 4 << 20])]).unwrap();
    }
    drop(held);
    store.close().await.unwrap();
    assert_eq!(*counts.committed.lock().unwrap(), [(1, 1), (3, 3), (3, 3), (1, 1)]);
}

#[tokio::test]
async fn one_large_write_is_still_one_commit() {
    let backend = FaultyBackend::new();
    let (store, counts) = store_over(&backend);
    let records = STORE_COMMIT_RECORDS_MAX * 4;
    store.write((0..records).map(|n| put(&format!("k{n}"), b"")).collect()).await.unwrap();
    assert_eq!(*counts.committed.lock().unwrap(), [(1, records)]);
}

#[tokio::test]
async fn a_write_past_its_bound_is_refused() {
    let backend = FaultyBackend::new();
    let (store, counts) = store_over(&backend);
    let too_many: Vec<_> = (0..=STORE_WRITE_PAGES_MAX).map(|n| put(&format!("k{n}"), b"")).collect();
    let refused = store.write_later(too_many.clone());
    assert!(matches!(refused, Err(StoreError::WriteTooLarge { records }) if records == too_many.len()));
    assert!(matches!(store.write(too_many).await, Err(StoreError::WriteTooLarge { .. })));
    assert_eq!(counts.refused.load(Ordering::SeqCst), 2);
    assert!(backend.batches().is_empty());
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing_it_took() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, counts) = store_over(&backend);
    occupy(&store, &held);
    // The commit that is under way still counts.
    for n in 1..STORE_QUEUE_PAGES_MAX {
        store.write_later(vec![put(&format!("k{n}"), b"")]).unwrap();
    }
    assert!(matches!(store.write_later(vec![put("late", b"")]), Err(StoreError::Busy)));
    assert!(matches!(store.write(vec![put("late", b"")]).await, Err(StoreError::Busy)));
    assert_eq!(counts.refused.load(Ordering::SeqCst), 2);
    drop(held);
    store.write(vec![put("later", b"")]).await.unwrap();
    assert_eq!(backend.batches().concat().len(), STORE_QUEUE_PAGES_MAX + 1);
    assert_eq!(backend.get(Table::Postures, "late").unwrap(), None);
}

#[tokio::test]
async fn a_write_waits_for_room() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, _) = store_over(&backend);
    occupy(&store, &held);
    for n in 1..STORE_QUEUE_PAGES_MAX {
        store.write_later(vec![put(&format!("k{n}"), b"")]).unwrap();
    }
    let (waited, ()) = tokio::join!(biased; store.write(vec![put("patient", b"")]), async { drop(held) });
    waited.unwrap();
    assert_eq!(backend.batches().concat().last().unwrap().key(), "patient");
}

#[tokio::test]
async fn every_write_of_a_failed_commit_hears_of_it() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, counts) = store_over(&backend);
    occupy(&store, &held);
    let doomed =
        async { tokio::join!(store.write(vec![put("a", b"")]), store.write(vec![put("b", b""), put("c", b"")]),) };
    let release = async {
        held.release_one();
        held.wait_for_commit();
        backend.fault_next(Fault::Fail);
        drop(held);
    };
    let ((first, second), ()) = tokio::join!(biased; doomed, release);
    for result in [first, second] {
        let error = result.unwrap_err();
        assert_eq!(error.code(), "store-unavailable");
        assert_eq!(error.to_string(), "the store is unavailable: the disk is on fire");
    }
    assert_eq!(*counts.failed.lock().unwrap(), [(2, 3, "store-unavailable")]);
    store.write(vec![put("d", b"")]).await.unwrap();
    assert_eq!(backend.batches().len(), 2);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space_again() {
    let backend = FaultyBackend::full_after(2);
    let (store, counts) = store_over(&backend);
    let mut acknowledged = Vec::new();
    for n in 0..10 {
        if n == 6 {
            backend.make_space();
        }
        let key = format!("k{n}");
        match store.write(vec![put(&key, b"")]).await {
            Ok(()) => acknowledged.push(key),
            Err(error) => {
                let StoreError::Unavailable { source } = error else { panic!("{error}") };
                let cause = source.downcast_ref::<std::io::Error>().unwrap();
                assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull);
            }
        }
    }
    assert_eq!(acknowledged, ["k0", "k1", "k6", "k7", "k8", "k9"]);
    let stored: Vec<_> = backend.batches().concat().iter().map(|write| write.key().to_owned()).collect();
    assert_eq!(stored, acknowledged);
    assert_eq!(counts.failed.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_panic_of_the_backend_fails_one_commit_and_no_more() {
    let backend = FaultyBackend::new();
    let (store, _) = store_over(&backend);
    backend.fault_next(Fault::Panic);
    let error = store.write(vec![put("a", b"")]).await.unwrap_err();
    assert_eq!(error.code(), "store-unavailable");
    store.write(vec![put("b", b"")]).await.unwrap();
    assert_eq!(backend.batches().len(), 1);
}

#[tokio::test]
async fn the_last_submitted_value_wins() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, _) = store_over(&backend);
    occupy(&store, &held);
    for n in 0..600_u32 {
        store.write_later(vec![put("k", &n.to_be_bytes())]).unwrap();
    }
    drop(held);
    store.delete_later(Table::Postures, "gone").unwrap();
    store.write(vec![put("k", b"last")]).await.unwrap();
    assert_eq!(backend.get(Table::Postures, "k").unwrap().unwrap(), b"last");
    let values: Vec<_> = backend.batches().concat().into_iter().filter(|write| write.key() == "k").collect();
    let submitted = (0..600_u32).map(|n| put("k", &n.to_be_bytes())).chain([put("k", b"last")]);
    assert!(values.into_iter().eq(submitted));
}

#[tokio::test]
async fn flush_waits_for_what_was_submitted_before() {
    let backend = FaultyBackend::new();
    let (store, _) = store_over(&backend);
    for n in 0..100 {
        store.write_later(vec![put(&format!("k{n}"), b"")]).unwrap();
    }
    store.flush().await.unwrap();
    assert_eq!(backend.batches().concat().len(), 100);
}

#[tokio::test]
async fn closing_writes_out_the_queue_and_refuses_more() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, _) = store_over(&backend);
    occupy(&store, &held);
    for n in 0..100 {
        store.write_later(vec![put(&format!("k{n}"), b"")]).unwrap();
    }
    let (closed, ()) = tokio::join!(biased; store.close(), async { drop(held) });
    closed.unwrap();
    assert_eq!(backend.batches().concat().len(), 101);
    assert!(backend.is_closed());
    assert!(matches!(store.write_later(vec![put("late", b"")]), Err(StoreError::Closed)));
    assert!(matches!(store.write(vec![put("late", b"")]).await, Err(StoreError::Closed)));
    store.close().await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_still_writes_out_the_queue() {
    let backend = FaultyBackend::new();
    let held = backend.hold();
    let (store, _) = store_over(&backend);
    occupy(&store, &held);
    let acknowledged = tokio::spawn({
        let store = store.clone();
        async move { store.write(vec![put("k", b"")]).await }
    });
    tokio::task::yield_now().await;
    let closed = backend.on_close();
    drop(store);
    acknowledged.abort();
    assert!(acknowledged.await.unwrap_err().is_cancelled());
    held.release_one();
    held.wait_for_commit();
    drop(held);
    closed.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(backend.batches().concat().len(), 2);
}

// Thousands of failure records come within a second when a policy shuts many out. On their own they were committed some fifty at a
// time, and took the processor from what they tell of.
#[tokio::test]
async fn what_nobody_waits_for_is_gathered_until_somebody_does() {
    let backend = FaultyBackend::new();
    let (store, counts) = store_over(&backend);
    let took = Stopwatch::start();
    for n in 0..100 {
        store.write_later(vec![put(&format!("k{n}"), b"")]).unwrap();
        std::thread::yield_now();
    }
    store.write(vec![put("awaited", b"")]).await.unwrap();
    // On a machine that is busy with other things the time may be over earlier than the writing.
    let in_time = took.elapsed().as_millis() / STORE_UNAWAITED_WAIT_MAX.as_millis();
    let commits = counts.committed.lock().unwrap().clone();
    assert_eq!(commits.iter().map(|(writes, _)| writes).sum::<usize>(), 101);
    assert!(commits.len() as u128 <= 1 + in_time, "{commits:?}");
    // And by itself when nobody does.
    store.write_later(vec![put("last", b"")]).unwrap();
    while backend.get(Table::Postures, "last").unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_writers_shares_commits_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let counts = Arc::new(Counts::default());
    let now = Timestamp::default();
    let (store, _) = Store::open_observed(dir.path(), now, Arc::clone(&counts) as _).unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0..20_u32 {
                store.put(Table::Postures, &format!("{writer:02}-{n:02}"), &n).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    store.close().await.unwrap();

    let commits = counts.committed.lock().unwrap().clone();
    assert_eq!(commits.iter().map(|(writes, _)| writes).sum::<usize>(), 640);
    assert!(commits.len() < 640, "no write ever shared a commit");

    let (store, moved_aside) = Store::open(dir.path(), now).unwrap();
    assert_eq!(moved_aside, None);
    let loaded = store.load_all::<u32>(Table::Postures).unwrap();
    assert!(loaded.skipped.is_empty());
    let expected = (0..32).flat_map(|writer| (0..20).map(move |n| (format!("{writer:02}-{n:02}"), n)));
    assert!(loaded.records.into_iter().eq(expected));
}
