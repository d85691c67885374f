//! A Python of the tests' own, with Cloudflare's SDK and schemathesis in it, kept under cargo's target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Every package by its exact version.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What to do when there is no Python, or one that can make no environment.
const ADVICE: &str = "These tests run Cloudflare's Python SDK and schemathesis. On Debian: apt-get install -y python3 python3-venv. \
                      The first run downloads what tests/sdk/requirements.txt names, with pip.";

/// The interpreter. The environment is made on first use, and anew when requirements or the machine's Python change.
pub(crate) fn interpreter() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    fs::create_dir_all(&home).unwrap();
    // Other tests, and other processes that run them, wait here until the environment is whole.
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let environment = home.join("environment");
    let (python, made_for) = (environment.join("bin/python"), home.join("made-for"));
    let wanted = format!("{}{REQUIREMENTS}", version());
    if fs::read_to_string(&made_for).is_ok_and(|made_for| made_for == wanted) {
        return python;
    }
    // Gone until the new one is whole: a run that is cut short must not leave half an environment in use.
    let _ = fs::remove_file(&made_for);
    if environment.exists() {
        fs::remove_dir_all(&environment).unwrap();
    }
    make(&environment, &python);
    fs::write(&made_for, wanted).unwrap();
    python
}

/// What the machine's Python says of itself.
fn version() -> String {
    let output = said(Command::new("python3").arg("--version"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn make(environment: &Path, python: &Path) {
    said(Command::new("python3").args(["-m", "venv"]).arg(environment));
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/requirements.txt");
    // Without a cache: nothing is written outside the target folder.
    let pip = ["-m", "pip", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check"];
    said(Command::new(python).args(pip).args(["install", "--requirement"]).arg(requirements));
}

/// Runs a command that must succeed.
fn said(command: &mut Command) -> Output {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?} cannot be run: {error}. {ADVICE}"),
    };
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed: {}. {ADVICE}\n{stdout}{stderr}", output.status);
    output
}
