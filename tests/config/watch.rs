//! Changes on disk are told once each.

use std::path::Path;
use std::time::Duration;

use postern::config::watch::{Change, Timing, Watched, Watcher};
use tempfile::TempDir;

/// Far longer than any step of a test.
const LONG: Duration = Duration::from_secs(3600);
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn watched(folder: &Path) -> Watched {
    let file = |name: &str| folder.join(name);
    let names = ["postern.yaml", "server.crt", "ca.crt"];
    names.iter().for_each(|name| std::fs::write(file(name), "1").unwrap());
    std::fs::create_dir(file("policy")).unwrap();
    Watched {
        config_file: Some(file("postern.yaml")),
        certificate_files: [file("server.crt")].into(),
        trust_files: [file("ca.crt"), file("absent.crl")].into(),
        policy_directory: Some(file("policy")),
    }
}

async fn next(watcher: &mut Watcher) -> Change {
    let next = tokio::time::timeout(PATIENCE, watcher.changed()).await;
    next.expect("no change was told").expect("the watcher ended")
}

/// Only a trigger makes this one look.
const BY_HAND: Timing = Timing { quiet: LONG, quiet_wait_max: LONG, poll: LONG };

#[tokio::test]
async fn each_kind_of_file_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let mut watcher = Watcher::start(watched(folder.path()), BY_HAND);
    for (name, change) in [
        ("policy/a.yaml", Change::Policy),
        ("ca.crt", Change::Trust),
        ("absent.crl", Change::Trust),
        ("server.crt", Change::ServerCertificates),
        ("postern.yaml", Change::Config),
    ] {
        std::fs::write(folder.path().join(name), "2").unwrap();
        watcher.trigger().look();
        assert_eq!(next(&mut watcher).await, change, "{name}");
    }
    std::fs::remove_file(folder.path().join("policy/a.yaml")).unwrap();
    watcher.trigger().look();
    assert_eq!(next(&mut watcher).await, Change::Policy);
}

#[tokio::test]
async fn a_burst_of_writes_is_one_change_and_rewriting_the_same_is_none() {
    let folder = TempDir::new().unwrap();
    let mut watcher = Watcher::start(watched(folder.path()), BY_HAND);
    for number in 0..50 {
        std::fs::write(folder.path().join("policy/a.yaml"), format!("# {number}")).unwrap();
    }
    watcher.trigger().look();
    assert_eq!(next(&mut watcher).await, Change::Policy);

    std::fs::write(folder.path().join("policy/a.yaml"), "# 49").unwrap();
    std::fs::write(folder.path().join("policy/notes.txt"), "x").unwrap();
    std::fs::write(folder.path().join("ca.crt"), "2").unwrap();
    watcher.trigger().look();
    assert_eq!(next(&mut watcher).await, Change::Trust);
}

#[tokio::test]
async fn changes_are_seen_without_events_by_looking_now_and_then() {
    let folder = TempDir::new().unwrap();
    let later = folder.path().join("later");
    // A folder that does not exist cannot be watched.
    let watched = Watched { trust_files: [later.join("ca.crt")].into(), ..Watched::default() };
    let timing = Timing { poll: Duration::from_millis(5), ..Timing::default() };
    let mut watcher = Watcher::start(watched, timing);
    std::fs::create_dir(&later).unwrap();
    std::fs::write(later.join("ca.crt"), "1").unwrap();
    assert_eq!(next(&mut watcher).await, Change::Trust);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn events_lead_to_a_look() {
    let folder = TempDir::new().unwrap();
    let timing = Timing { poll: LONG, ..Timing::default() };
    let mut watcher = Watcher::start(watched(folder.path()), timing);
    // Twice, since the first look renews the watches.
    for content in ["2", "3"] {
        let aside = folder.path().join("policy/.a.tmp");
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(&aside, folder.path().join("policy/a.yaml")).unwrap();
        assert_eq!(next(&mut watcher).await, Change::Policy);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_kubernetes_swap_of_links_is_seen() {
    use std::os::unix::fs::symlink;

    let folder = TempDir::new().unwrap();
    let watched = watched(folder.path());
    let policy = folder.path().join("policy");
    for (version, content) in [("..1", "# one"), ("..2", "# two")] {
        std::fs::create_dir(policy.join(version)).unwrap();
        std::fs::write(policy.join(version).join("p.yaml"), content).unwrap();
    }
    symlink("..1", policy.join("..data")).unwrap();
    symlink("..data/p.yaml", policy.join("p.yaml")).unwrap();
    let timing = Timing { poll: LONG, ..Timing::default() };
    let mut watcher = Watcher::start(watched, timing);
    symlink("..2", policy.join("..data_tmp")).unwrap();
    std::fs::rename(policy.join("..data_tmp"), policy.join("..data")).unwrap();
    assert_eq!(next(&mut watcher).await, Change::Policy);
}
