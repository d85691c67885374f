//! The test vectors: facts about how OpenZiti and Cloudflare behave, run through the dialects and checks the gateway uses.
//!
//! `cargo test --test domain vectors` runs the files of `tests/data/vectors/`, or of the folder named by `POSTERN_VECTORS`, prints
//! each mismatch and ends with a line `N passed, M failed`. Which form a file has, its name says.

pub(crate) mod cloudflare;
mod mfa_timing;
mod openziti;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One case and what came of it.
struct Case {
    name: String,
    expected: String,
    got: String,
    matches: bool,
}

impl Case {
    fn new(name: impl Into<String>, expected: impl Into<String>, got: impl Into<String>, matches: bool) -> Self {
        Case { name: name.into(), expected: expected.into(), got: got.into(), matches }
    }
}

fn run(name: &str, content: &Value) -> Vec<Case> {
    if name.starts_with("openziti") {
        match content.get("vectors") {
            Some(_) => openziti::run(content),
            None => mfa_timing::run(content),
        }
    } else if name.starts_with("cloudflare") {
        cloudflare::run(content)
    } else {
        vec![Case::new(name, "a file named openziti*.json or cloudflare*.json", "another name", false)]
    }
}

#[test]
fn vectors() {
    let folder = std::env::var_os("POSTERN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors"), PathBuf::from);
    let files = files(&folder);
    assert!(!files.is_empty(), "no *.json in {}", folder.display());

    let (mut passed, mut failed, mut lines) = (0, 0, String::from("\n"));
    for (name, content) in files {
        for case in run(&name, &content) {
            if case.matches {
                passed += 1;
            } else {
                failed += 1;
                writeln!(lines, "{name}: {}: expected {}, got {}", case.name, case.expected, case.got).unwrap();
            }
        }
    }
    writeln!(lines, "{passed} passed, {failed} failed").unwrap();
    // The test harness keeps what goes through `print!` to itself; the summary is for everyone.
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(lines.as_bytes()).unwrap();
    stdout.flush().unwrap();
    drop(stdout);
    assert_eq!(failed, 0, "{failed} vectors do not match");
}

/// The folder's JSON files by name, in order.
fn files(folder: &Path) -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let content = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap().to_string_lossy().into_owned(), content)
    };
    paths.into_iter().map(read).collect()
}
