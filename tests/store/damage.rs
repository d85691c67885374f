//! What a damaged, foreign or occupied data directory gets: an answer, and never a lost file.

use std::fs;
use std::path::{Path, PathBuf};

use postern::clock::Timestamp;
use postern::store::{Backend, MovedAside, Opened, RedbBackend, Store, StoreError, Table, Unusable, Write};
use proptest::prelude::*;
use tempfile::TempDir;

const RECORDS: usize = 200;

fn now() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn file_in(dir: &Path) -> PathBuf {
    dir.join("postern.redb")
}

fn value(n: usize) -> Vec<u8> {
    vec![u8::try_from(n % 251).unwrap(); 700]
}

/// A directory with a store of [`RECORDS`] records, written by two commits.
fn seeded() -> (TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    let opened = RedbBackend::open(dir.path(), now()).unwrap();
    let writes: Vec<_> =
        (0..RECORDS).map(|n| Write::put(Table::Postures, format!("id-{n:03}"), value(n)).unwrap()).collect();
    for half in writes.chunks(RECORDS / 2) {
        opened.backend.commit(half).unwrap();
    }
    (dir, opened)
}

/// The file of such a store, after a clean end.
fn clean_file() -> Vec<u8> {
    let (dir, opened) = seeded();
    opened.backend.close().unwrap();
    fs::read(file_in(dir.path())).unwrap()
}

/// The file of such a store, as a crash leaves it.
fn crashed_file() -> Vec<u8> {
    let (dir, _opened) = seeded();
    fs::read(file_in(dir.path())).unwrap()
}

fn open_bytes(bytes: &[u8]) -> (TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(file_in(dir.path()), bytes).unwrap();
    let opened = RedbBackend::open(dir.path(), now()).unwrap();
    (dir, opened)
}

fn assert_usable_and_empty(opened: &Opened) {
    let write = Write::put(Table::Postures, "new", b"1".to_vec()).unwrap();
    opened.backend.commit(&[write]).unwrap();
    let all = opened.backend.scan(Table::Postures, "", None, 9).unwrap();
    assert_eq!(all, [("new".to_owned(), b"1".to_vec())]);
}

fn reason_for(bytes: &[u8]) -> Unusable {
    let (dir, opened) = open_bytes(bytes);
    assert_usable_and_empty(&opened);
    let moved = opened.moved_aside.unwrap();
    assert_eq!(moved.from, file_in(dir.path()));
    assert_eq!(moved.to, dir.path().join("postern.redb.corrupt-20260102T030405.678Z"));
    assert_eq!(fs::metadata(&moved.to).unwrap().len(), bytes.len() as u64);
    moved.reason
}

#[test]
fn a_missing_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var/lib/postern");
    let opened = RedbBackend::open(&data, now()).unwrap();
    assert_eq!(opened.moved_aside, None);
    assert_usable_and_empty(&opened);
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["postern.redb"]);
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (dir, _opened) = seeded();
    let mode = fs::metadata(file_in(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_left_by_a_crash_opens_whole() {
    let (_dir, opened) = open_bytes(&crashed_file());
    assert_eq!(opened.moved_aside, None);
    let all = opened.backend.scan(Table::Postures, "", None, RECORDS + 1).unwrap();
    assert_eq!(all.len(), RECORDS);
}

#[test]
fn what_is_not_a_store_is_moved_aside() {
    assert!(matches!(reason_for(b"not a database, but somebody's notes"), Unusable::Foreign(_)));
    assert!(matches!(reason_for(&[0; 8192]), Unusable::Foreign(_)));
    assert_eq!(reason_for(b""), Unusable::Corrupt("it is empty".to_owned()));
}

#[test]
fn a_file_cut_short_anywhere_is_moved_aside() {
    let file = clean_file();
    let page = 4096;
    for length in [1, 9, 64, 320, page - 1, page, page + 1, file.len() / 2, file.len() - page, file.len() - 1] {
        let reason = reason_for(&file[..length]);
        assert!(matches!(reason, Unusable::Corrupt(_) | Unusable::Foreign(_)), "{length}: {reason}");
    }
}

#[test]
fn a_damaged_header_never_gives_wrong_records() {
    for file in [clean_file(), crashed_file()] {
        for offset in (0..320).step_by(3) {
            let mut damaged = file.clone();
            damaged[offset] ^= 0xff;
            opens_sound(&damaged);
        }
    }
}

/// Whatever became of the file, the store opens, and what it then holds was once written.
fn opens_sound(damaged: &[u8]) {
    let (_dir, opened) = open_bytes(damaged);
    if opened.moved_aside.is_some() {
        assert_usable_and_empty(&opened);
        return;
    }
    let all = opened.backend.scan(Table::Postures, "", None, RECORDS + 1).unwrap();
    let expected = (0..RECORDS).map(|n| (format!("id-{n:03}"), value(n))).take(all.len());
    assert!(all.iter().cloned().eq(expected));
    assert!([0, RECORDS / 2, RECORDS].contains(&all.len()), "half a commit: {} records", all.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_pages_never_give_wrong_records(
        crashed: bool,
        hits in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..20),
    ) {
        let mut file = if crashed { crashed_file() } else { clean_file() };
        // Most of the file is free space: aim at the pages in use.
        let used = file.iter().rposition(|byte| *byte != 0).unwrap_or(0).min(512 * 1024);
        for (place, flip) in hits {
            file[place.index(used)] ^= flip;
        }
        opens_sound(&file);
    }

    #[test]
    fn random_bytes_are_moved_aside(tail in prop::collection::vec(any::<u8>(), 0..20_000), keep in 0..400_usize) {
        let mut file = clean_file();
        file.truncate(keep);
        file.extend(tail);
        opens_sound(&file);
    }
}

#[test]
fn a_store_of_a_newer_schema_is_moved_aside() {
    let (dir, opened) = seeded();
    opened.backend.commit(&[Write::put(Table::Meta, "schema", b"7".to_vec()).unwrap()]).unwrap();
    opened.backend.close().unwrap();
    let moved = RedbBackend::open(dir.path(), now()).unwrap().moved_aside.unwrap();
    assert_eq!(moved.reason, Unusable::NewerSchema { found: 7, known: 1 });
    assert_eq!(moved.reason.code(), "store-schema-newer");
    let told = moved.to_string();
    assert!(told.contains("was written by a newer postern (schema 7; this build knows 1)"), "{told}");
    assert!(told.contains("postern.redb.corrupt-"), "{told}");
}

#[test]
fn a_store_without_a_schema_is_not_ours() {
    let (dir, opened) = seeded();
    opened.backend.commit(&[Write::delete(Table::Meta, "schema").unwrap()]).unwrap();
    opened.backend.close().unwrap();
    let moved = RedbBackend::open(dir.path(), now()).unwrap().moved_aside.unwrap();
    assert!(matches!(moved.reason, Unusable::Foreign(_)));
}

#[test]
fn a_directory_in_its_place_is_moved_aside_with_its_content() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(file_in(dir.path())).unwrap();
    fs::write(file_in(dir.path()).join("note"), "keep me").unwrap();
    let opened = RedbBackend::open(dir.path(), now()).unwrap();
    assert_usable_and_empty(&opened);
    let moved = opened.moved_aside.unwrap();
    assert_eq!(moved.reason, Unusable::NotAFile);
    assert_eq!(fs::read_to_string(moved.to.join("note")).unwrap(), "keep me");
}

#[test]
fn nothing_moved_aside_is_ever_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut moved: Vec<MovedAside> = Vec::new();
    for n in 0..3 {
        fs::write(file_in(dir.path()), format!("junk {n}")).unwrap();
        let opened = RedbBackend::open(dir.path(), now()).unwrap();
        moved.extend(opened.moved_aside.clone());
        opened.backend.close().unwrap();
    }
    for (n, moved) in moved.iter().enumerate() {
        assert_eq!(fs::read_to_string(&moved.to).unwrap(), format!("junk {n}"));
    }
    assert_eq!(moved.len(), 3);
}

#[test]
fn the_rest_of_an_interrupted_first_start_is_swept_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("postern.redb.new"), "half a file").unwrap();
    let opened = RedbBackend::open(dir.path(), now()).unwrap();
    assert_eq!(opened.moved_aside, None);
    assert_usable_and_empty(&opened);
    assert!(!dir.path().join("postern.redb.new").exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nonexistent/volume/postern.redb", file_in(dir.path())).unwrap();
    let error = RedbBackend::open(dir.path(), now()).err().unwrap();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(file_in(dir.path()).is_symlink());
}

#[test]
fn a_file_in_the_place_of_the_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "in the way").unwrap();
    let error = Store::open(&data, now()).err().unwrap();
    assert_eq!(error.code(), "store-open-failed");
    assert_eq!(fs::read_to_string(&data).unwrap(), "in the way");
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), now()).unwrap();
    store.put(Table::Postures, "k", &1).await.unwrap();

    let error = Store::open(dir.path(), now()).err().unwrap();
    let told = format!("data directory `{}` is in use by another postern", dir.path().display());
    assert_eq!(error.to_string(), told);
    store.put(Table::Postures, "k", &2).await.unwrap();
    store.close().await.unwrap();

    let (store, moved_aside) = Store::open(dir.path(), now()).unwrap();
    assert_eq!(moved_aside, None);
    assert_eq!(store.load::<i32>(Table::Postures, "k").unwrap(), Some(2));
}
