//! Keeps the floors: what each may import, where single constructors are called, and how long files may grow.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use postern::decision::DenialReason;
use postern::dialect::cloudflare::RuleType;
use postern::dialect::native::evidence::EvidenceProblem;
use postern::posture::outcome::{FailReason, NoResultReason};
use postern::proxy::UpstreamFault;
use postern::proxy::hygiene::Fault;

/// The floors from the ground up. A room imports rooms of lower floors only, and itself.
const FLOORS: &[&[&str]] = &[
    &["clock", "id", "limits", "secret"],
    &["posture"],
    &["policy"],
    &["decision"],
    &["dialect"],
    &["config", "telemetry"],
    &["store"],
    &["enforce"],
    &["tls", "agent", "provider"],
    &["proxy", "api"],
    &["app"],
    &["cli"],
];

/// Floors up to this one are pure: no runtime, no sockets, no files, no logging, no clock.
const HIGHEST_PURE_FLOOR: usize = 4;

/// What a pure floor must not name.
const IMPURE: &[&str] =
    &["tokio", "pingora", "std::fs", "std::net", "std::env", "std::process", "tracing", "reqwest", "axum", "redb"];

/// Crates that only the named rooms or files may use.
const CONFINED: &[(&str, &[&str])] = &[
    ("pingora", &["tls", "proxy", "app"]),
    ("redb", &["store/redb.rs", "store/redb/tests.rs"]),
    ("dashmap", &["enforce", "tls"]),
    ("axum", &["api", "cli"]),
    ("rcgen", &["tls"]),
    ("argon2", &["config"]),
    ("x509_parser", &["tls", "posture"]),
    ("prometheus", &["telemetry"]),
];

/// The longest a source file may grow before it must be asked whether it still owns one idea.
const LINES_MAX: usize = 600;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_path_buf();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path: relative, room: first.trim_end_matches(".rs").to_owned(), text });
        }
    }
}

/// The text without comments, so that a word in the documentation is not taken for an import.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn every_room_stands_on_a_floor() {
    for source in sources() {
        if !["lib", "main"].contains(&source.room.as_str()) {
            assert!(floor_of(&source.room).is_some(), "{} belongs to no floor", source.path.display());
        }
    }
}

#[test]
fn imports_go_downward_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = floor_of(&source.room) else { continue };
        let text = code(&source.text);
        for (room, floor) in
            FLOORS.iter().enumerate().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
        {
            let lower = floor < own || room == source.room;
            if !lower && imports(&text, room) {
                wrong.push(format!("{} (floor {own}) imports crate::{room} (floor {floor})", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the code names `crate::room`, alone or in a braced list.
fn imports(code: &str, room: &str) -> bool {
    let direct = format!("crate::{room}");
    let named = code.match_indices(&direct).any(|(at, _)| {
        let next = code.get(at + direct.len()..).and_then(|rest| rest.chars().next());
        next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
    });
    let listed = code.match_indices("use crate::{").any(|(at, _)| {
        let list = code.get(at..).and_then(|rest| rest.split(';').next()).unwrap_or_default();
        list.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == room)
    });
    named || listed
}

#[test]
fn pure_floors_know_no_outside_world() {
    let mut wrong = Vec::new();
    for source in sources() {
        if floor_of(&source.room).is_none_or(|floor| floor > HIGHEST_PURE_FLOOR) || source.room == "clock" {
            continue;
        }
        let text = code(&source.text);
        for outside in IMPURE {
            if text.contains(&format!("{outside}::")) || text.contains(&format!("use {outside};")) {
                wrong.push(format!("{} names {outside}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn confined_crates_stay_where_they_are() {
    let mut wrong = Vec::new();
    for source in sources() {
        let text = code(&source.text);
        for (name, homes) in CONFINED {
            let path = source.path.to_string_lossy().into_owned();
            let home = homes.contains(&source.room.as_str()) || homes.contains(&path.as_str());
            let used = ["use ", " ", "(", "<", "&", "["].iter().any(|before| {
                text.contains(&format!("{before}{name}::")) || text.contains(&format!("{before}::{name}::"))
            });
            if used && !home {
                wrong.push(format!("{path} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_clock_reads_time() {
    for source in sources().iter().filter(|source| source.room != "clock") {
        let text = code(&source.text);
        for reading in ["SystemTime::now", "Instant::now", "jiff::Timestamp::now", "Utc::now"] {
            assert!(!text.contains(reading), "{} reads time by {reading}", source.path.display());
        }
    }
}

#[test]
fn keys_are_cut_in_one_place() {
    // A permit made anywhere else would open an upstream undecided; an identity made anywhere else would be unverified.
    let mut calls: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for (constructor, text) in
            [("Permit::new(", code(&source.text)), ("VerifiedIdentity::new(", code(&source.text))]
        {
            for _ in text.matches(constructor) {
                calls.entry(constructor).or_default().push(source.path.display().to_string());
            }
        }
    }
    assert_eq!(calls.get("Permit::new("), Some(&vec!["decision/engine.rs".to_owned()]));
    assert_eq!(calls.get("VerifiedIdentity::new(").map_or(0, Vec::len), 1, "{calls:?}");
}

#[test]
fn files_stay_short_enough_to_own_one_idea() {
    let long: Vec<_> = sources()
        .iter()
        .map(|source| (source.path.display().to_string(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "{long:?} are longer than {LINES_MAX} lines");
    let main = sources().into_iter().find(|source| source.room == "main").unwrap();
    assert!(main.text.lines().count() < 60);
}

#[test]
fn the_visible_top_level_stays_as_it_is() {
    const TOP: &[&str] =
        &["Cargo.lock", "Cargo.toml", "Dockerfile", "LICENSE", "README.md", "benches", "config", "src", "tests"];
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        println!("skipped: not a git checkout");
        assert!(std::env::var_os("CI").is_none(), "under CI the checkout must be a git one");
        return;
    };
    let listed = String::from_utf8(listed.stdout).unwrap();
    for path in listed.lines() {
        let top = path.split('/').next().unwrap();
        assert!(top.starts_with('.') || TOP.contains(&top), "{top} does not belong on the visible top level");
    }
}

#[test]
fn the_readme_lists_every_code_rule_type_and_metric() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let codes = (DenialReason::ALL.iter().map(|reason| reason.code()))
        .chain(FailReason::ALL.iter().map(|reason| reason.code()))
        .chain(NoResultReason::ALL.iter().map(|reason| reason.code()))
        .chain(Fault::ALL.iter().map(|fault| fault.code()))
        .chain(UpstreamFault::ALL.iter().map(|fault| fault.code()))
        .chain(EvidenceProblem::ALL.iter().map(|problem| problem.code()));
    let metrics = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/metrics.rs")).unwrap();
    let metrics = metrics
        .split('"')
        .filter(|text| text.starts_with("postern_") && text.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    let types = RuleType::ALL.iter().map(|kind| kind.as_str());
    let missing: Vec<&str> =
        codes.chain(metrics).chain(types).filter(|name| !readme.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "the README has no row for {missing:?}");
}
