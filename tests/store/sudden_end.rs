//! The promise itself: a process killed at any moment has lost nothing that it acknowledged.
//!
//! The test binary runs itself again as the victim: a process that writes and prints each key once it is acknowledged.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use postern::clock::Timestamp;
use postern::store::{Store, StoreError, Table};

const DIRECTORY: &str = "POSTERN_STORE_CHILD";
const ROUND: &str = "POSTERN_STORE_CHILD_ROUND";
const ROUNDS: usize = 8;
const WRITERS: usize = 16;
const MOST_BEFORE_THE_KILL: u64 = 400;

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(run_and_kill(dir.path(), round));

        let (store, moved_aside) = Store::open(dir.path(), Timestamp::default()).unwrap();
        assert_eq!(moved_aside, None);
        let stored = keys(&store, Table::Postures);
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round} lost {lost:?}");
        assert_eq!(stored, keys(&store, Table::Failures), "half a write survived");
        store.close().await.unwrap();
    }
    assert!(!acknowledged.is_empty());
}

fn keys(store: &Store, table: Table) -> BTreeSet<String> {
    let loaded = store.load_all::<String>(table).unwrap();
    assert!(loaded.skipped.is_empty());
    loaded.records.into_iter().map(|(key, _)| key).collect()
}

/// Lets the victim acknowledge a random number of writes, kills it, and tells which keys it printed.
fn run_and_kill(dir: &Path, round: usize) -> Vec<String> {
    let mut victim = start_victim(dir, round);
    let mut lines = BufReader::new(victim.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let patience = 1 + RandomState::new().hash_one(round) % MOST_BEFORE_THE_KILL;
    let mut killed = false;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if line.is_empty() {
            break;
        }
        // The kill may cut the last line short; whole lines between the test harness's own are keys.
        if let Some(key) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('\n')) {
            acknowledged.push(key.to_owned());
        }
        if !killed && acknowledged.len() as u64 >= patience {
            let in_use = Store::open(dir, Timestamp::default()).err();
            assert!(matches!(in_use, Some(StoreError::InUse { .. })), "{in_use:?}");
            victim.kill().unwrap();
            killed = true;
        }
    }
    let status = victim.wait().unwrap();
    assert!(killed, "the victim ended by itself: {status}");
    acknowledged
}

fn start_victim(dir: &Path, round: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sudden_end::victim", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test of its own: without the variable that names a directory it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(dir) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let (store, moved_aside) = Store::open(Path::new(&dir), Timestamp::default()).unwrap();
    assert_eq!(moved_aside, None);
    let writers = (0..WRITERS).map(|writer| {
        let (store, round) = (store.clone(), round.clone());
        tokio::spawn(async move { write_until_killed(&store, &format!("{round}-{writer}")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

async fn write_until_killed(store: &Store, name: &str) {
    for n in 0_u64.. {
        let key = format!("{name}-{n}");
        let report = "x".repeat(1 + 37 * (n as usize % 100));
        let changes = vec![
            Store::put_of(Table::Postures, &key, &report).unwrap(),
            Store::put_of(Table::Failures, &key, &report).unwrap(),
        ];
        store.write(changes).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {key}").unwrap();
        out.flush().unwrap();
    }
}
