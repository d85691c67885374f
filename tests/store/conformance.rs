//! What every backend must do, whatever it is made of: one suite, run for each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use postern::clock::Timestamp;
use postern::limits::{STORE_KEY_BYTES_MAX, STORE_VALUE_BYTES_MAX};
use postern::store::{Backend, MemoryBackend, RedbBackend, StoreError, Table, Write};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;

/// A fresh backend, and the directory that must outlive it.
struct Subject {
    backend: Box<dyn Backend>,
    dir: Option<TempDir>,
}

fn memory() -> Subject {
    Subject { backend: Box::new(MemoryBackend::new()), dir: None }
}

fn redb() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject { backend: open_redb(&dir), dir: Some(dir) }
}

fn open_redb(dir: &TempDir) -> Box<dyn Backend> {
    let opened = RedbBackend::open(dir.path(), Timestamp::default()).unwrap();
    assert_eq!(opened.moved_aside, None);
    Box::new(opened.backend)
}

macro_rules! conformance {
    ($($backend:ident)*) => {$(
        mod $backend {
            use super::*;

            conformance! { @cases $backend:
                an_empty_store_holds_nothing
                a_value_reads_back
                a_later_value_replaces_an_earlier_one
                a_deleted_record_is_gone
                an_empty_value_is_a_value
                the_longest_key_and_value_fit
                tables_are_apart
                records_come_in_byte_order_of_keys
                a_batch_is_applied_in_order
                a_walk_by_pages_sees_each_record_once
                a_prefix_selects_exactly_its_keys
                ten_thousand_records
                a_reader_never_sees_half_a_batch
                an_empty_batch_is_fine
                a_closed_store_says_so
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(48))]

                #[test]
                fn it_behaves_like_a_sorted_map(batches in batches()) {
                    like_a_sorted_map(super::$backend(), &batches)?;
                }
            }
        }
    )*};
    (@cases $backend:ident: $($case:ident)*) => {$(
        #[test]
        fn $case() {
            super::$case(&*super::$backend().backend);
        }
    )*};
}

conformance! { memory redb }

fn put(table: Table, key: &str, value: &[u8]) -> Write {
    Write::put(table, key, value.to_vec()).unwrap()
}

fn keys(backend: &dyn Backend, table: Table) -> Vec<String> {
    let all = backend.scan(table, "", None, usize::MAX).unwrap();
    all.into_iter().map(|(key, _)| key).collect()
}

fn an_empty_store_holds_nothing(backend: &dyn Backend) {
    for table in [Table::Postures, Table::Failures, Table::Objects] {
        assert_eq!(backend.get(table, "k").unwrap(), None);
        assert_eq!(backend.scan(table, "", None, 10).unwrap(), []);
    }
}

fn a_value_reads_back(backend: &dyn Backend) {
    backend.commit(&[put(Table::Postures, "alice", b"\x00\xff")]).unwrap();
    assert_eq!(backend.get(Table::Postures, "alice").unwrap().unwrap(), b"\x00\xff");
    assert_eq!(backend.get(Table::Postures, "alic").unwrap(), None);
}

fn a_later_value_replaces_an_earlier_one(backend: &dyn Backend) {
    backend.commit(&[put(Table::Objects, "k", b"a longer first value")]).unwrap();
    backend.commit(&[put(Table::Objects, "k", b"second")]).unwrap();
    assert_eq!(backend.get(Table::Objects, "k").unwrap().unwrap(), b"second");
    assert_eq!(keys(backend, Table::Objects), ["k"]);
}

fn a_deleted_record_is_gone(backend: &dyn Backend) {
    backend.commit(&[put(Table::Objects, "a", b"1"), put(Table::Objects, "b", b"2")]).unwrap();
    let delete = |key: &str| Write::delete(Table::Objects, key).unwrap();
    backend.commit(&[delete("a"), delete("never there")]).unwrap();
    assert_eq!(backend.get(Table::Objects, "a").unwrap(), None);
    assert_eq!(keys(backend, Table::Objects), ["b"]);
}

fn an_empty_value_is_a_value(backend: &dyn Backend) {
    backend.commit(&[put(Table::Failures, "k", b"")]).unwrap();
    assert_eq!(backend.get(Table::Failures, "k").unwrap(), Some(Vec::new()));
    assert_eq!(backend.scan(Table::Failures, "", None, 9).unwrap(), [("k".to_owned(), Vec::new())]);
}

fn the_longest_key_and_value_fit(backend: &dyn Backend) {
    let key = "k".repeat(STORE_KEY_BYTES_MAX);
    let value = vec![7; STORE_VALUE_BYTES_MAX];
    backend.commit(&[put(Table::Postures, &key, &value)]).unwrap();
    assert!(backend.get(Table::Postures, &key).unwrap().unwrap() == value);
    assert_eq!(backend.get(Table::Postures, &"k".repeat(STORE_KEY_BYTES_MAX + 1)).unwrap(), None);
}

fn tables_are_apart(backend: &dyn Backend) {
    let writes = Table::ALL.map(|table| put(table, "same key", table.name().as_bytes()));
    backend.commit(&writes).unwrap();
    for table in Table::ALL {
        let value = backend.get(table, "same key").unwrap().unwrap();
        assert_eq!(value, table.name().as_bytes());
    }
    backend.commit(&[Write::delete(Table::Postures, "same key").unwrap()]).unwrap();
    assert_eq!(keys(backend, Table::Postures), Vec::<String>::new());
    assert_eq!(keys(backend, Table::Failures), ["same key"]);
}

fn records_come_in_byte_order_of_keys(backend: &dyn Backend) {
    let unordered = ["b", "a/2", "é", "a", "B", "a/10", "spiffe://corp/dev/1", "~"];
    backend.commit(&unordered.map(|key| put(Table::Objects, key, b"-"))).unwrap();
    let mut expected = unordered.map(str::to_owned);
    expected.sort();
    assert_eq!(keys(backend, Table::Objects), expected);
}

fn a_batch_is_applied_in_order(backend: &dyn Backend) {
    let delete = Write::delete(Table::Objects, "gone").unwrap();
    let batch = [
        put(Table::Objects, "k", b"1"),
        put(Table::Objects, "gone", b"1"),
        put(Table::Postures, "k", b"other table"),
        put(Table::Objects, "k", b"2"),
        delete,
    ];
    backend.commit(&batch).unwrap();
    assert_eq!(backend.get(Table::Objects, "k").unwrap().unwrap(), b"2");
    assert_eq!(backend.get(Table::Objects, "gone").unwrap(), None);
}

fn a_walk_by_pages_sees_each_record_once(backend: &dyn Backend) {
    let writes: Vec<_> = (0..25).map(|n| put(Table::Objects, &format!("k{n:02}"), b"-")).collect();
    backend.commit(&writes).unwrap();
    let mut seen = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let page = backend.scan(Table::Objects, "k", last.as_deref(), 10).unwrap();
        let complete = page.len() < 10;
        seen.extend(page.into_iter().map(|(key, _)| key));
        last = seen.last().cloned();
        if complete {
            break;
        }
    }
    assert_eq!(seen, keys(backend, Table::Objects));
    assert_eq!(backend.scan(Table::Objects, "", None, 0).unwrap(), []);
}

fn a_prefix_selects_exactly_its_keys(backend: &dyn Backend) {
    let all = ["service/1", "service/2", "service", "services/1", "policy/1"];
    backend.commit(&all.map(|key| put(Table::Objects, key, b"-"))).unwrap();
    let found = |prefix: &str, after: Option<&str>| -> Vec<String> {
        let page = backend.scan(Table::Objects, prefix, after, 10).unwrap();
        page.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(found("service/", None), ["service/1", "service/2"]);
    assert_eq!(found("service/", Some("service/1")), ["service/2"]);
    assert_eq!(found("service/", Some("a")), ["service/1", "service/2"]);
    assert_eq!(found("service/", Some("z")), Vec::<String>::new());
    assert_eq!(found("zone/", None), Vec::<String>::new());
}

fn ten_thousand_records(backend: &dyn Backend) {
    let key = |n: u32| format!("id-{n:05}");
    for start in (0..10_000).step_by(1000) {
        let batch: Vec<_> = (start..start + 1000).map(|n| put(Table::Postures, &key(n), &n.to_be_bytes())).collect();
        backend.commit(&batch).unwrap();
    }
    let all = backend.scan(Table::Postures, "", None, usize::MAX).unwrap();
    let expected = (0..10_000).map(|n| (key(n), n.to_be_bytes().to_vec()));
    assert!(all.into_iter().eq(expected));
}

fn a_reader_never_sees_half_a_batch(backend: &dyn Backend) {
    let batch = |n: u8| [put(Table::Objects, "left", &[n]), put(Table::Objects, "right", &[n])];
    backend.commit(&batch(0)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=50 {
                backend.commit(&batch(n)).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let both = backend.scan(Table::Objects, "", None, 2).unwrap();
            assert_eq!(both[0].1, both[1].1);
        }
    });
    assert_eq!(backend.get(Table::Objects, "right").unwrap().unwrap(), [50]);
}

fn an_empty_batch_is_fine(backend: &dyn Backend) {
    backend.commit(&[]).unwrap();
}

fn a_closed_store_says_so(backend: &dyn Backend) {
    backend.close().unwrap();
    backend.close().unwrap();
    assert!(matches!(backend.get(Table::Objects, "k"), Err(StoreError::Closed)));
    assert!(matches!(backend.scan(Table::Objects, "", None, 1), Err(StoreError::Closed)));
    assert!(matches!(backend.commit(&[put(Table::Objects, "k", b"")]), Err(StoreError::Closed)));
}

type Change = (Table, String, Option<Vec<u8>>);

/// Few and similar keys, so that batches meet each other's records.
fn batches() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let table = prop::sample::select(vec![Table::Postures, Table::Failures, Table::Objects]);
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..5000));
    let change = (table, "[ab/é]{1,4}", value);
    prop::collection::vec(prop::collection::vec(change, 0..12), 0..6)
}

fn like_a_sorted_map(mut subject: Subject, batches: &[Vec<Change>]) -> TestCaseResult {
    let mut model = BTreeMap::new();
    for batch in batches {
        let mut writes = Vec::new();
        for (table, key, value) in batch {
            writes.push(match value {
                Some(value) => put(*table, key, value),
                None => Write::delete(*table, key.as_str()).unwrap(),
            });
            match value {
                Some(value) => model.insert((*table, key.clone()), value.clone()),
                None => model.remove(&(*table, key.clone())),
            };
        }
        subject.backend.commit(&writes).unwrap();
        agree(&*subject.backend, &model)?;
    }
    if let Some(dir) = &subject.dir {
        subject.backend.close().unwrap();
        subject.backend = open_redb(dir);
        agree(&*subject.backend, &model)?;
    }
    Ok(())
}

fn agree(backend: &dyn Backend, model: &BTreeMap<(Table, String), Vec<u8>>) -> TestCaseResult {
    for table in [Table::Postures, Table::Failures, Table::Objects] {
        for (prefix, after, limit) in [("", None, 99), ("a", None, 3), ("", Some("b"), 99), ("é", Some("a"), 2)] {
            let found = backend.scan(table, prefix, after, limit).unwrap();
            let expected: Vec<_> = model
                .iter()
                .filter(|((of, key), _)| {
                    *of == table && key.starts_with(prefix) && after.is_none_or(|after| &**key > after)
                })
                .take(limit)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
    for ((table, key), value) in model {
        let found = backend.get(*table, key).unwrap();
        prop_assert_eq!(found.as_ref(), Some(value));
    }
    Ok(())
}
