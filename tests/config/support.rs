//! Configuration files made for one test.

use std::path::{Path, PathBuf};

use postern::config::policy::{self, Loaded};
use postern::config::{self, Environment, Findings, ServiceDefaults, Settings};
use tempfile::TempDir;

/// What every configuration needs.
pub(crate) const TLS: &str = "\
tls:
  certificates: [{ cert_file: server.crt, key_file: server.key }]
  client_ca_files: [ca.crt]
";

/// The repository's `config/`.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// Loads a configuration file that holds `text`.
pub(crate) fn load(text: impl AsRef<[u8]>) -> Result<(Settings, Findings), Findings> {
    load_with(text, &Environment::empty())
}

/// Loads a configuration file that holds `text`, under an environment.
pub(crate) fn load_with(text: impl AsRef<[u8]>, environment: &Environment) -> Result<(Settings, Findings), Findings> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("postern.yaml");
    std::fs::write(&path, text).unwrap();
    config::load(&path, environment)
}

/// The settings of a configuration that has nothing wrong or odd.
pub(crate) fn settings(text: &str) -> Settings {
    let (settings, warnings) = load(text).unwrap_or_else(|findings| panic!("{findings}"));
    assert!(warnings.is_empty(), "{warnings}");
    settings
}

/// What is found in a configuration that is refused, one finding a line, with the folder left out.
pub(crate) fn refusal(text: impl AsRef<[u8]>) -> String {
    brief(&load(text).expect_err("the configuration was accepted"))
}

/// A policy folder of the given files.
pub(crate) fn policy_folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Loads a policy folder of the given files.
pub(crate) fn load_policy(files: &[(&str, &str)]) -> Result<Loaded, Findings> {
    policy::load(policy_folder(files).path(), &ServiceDefaults::default())
}

/// Loads a policy folder of one file, which is accepted.
pub(crate) fn policy(text: &str) -> Loaded {
    load_policy(&[("p.yaml", text)]).unwrap_or_else(|findings| panic!("{findings}"))
}

/// What is found in a policy file that is refused, one finding a line, with the folder left out.
pub(crate) fn policy_refusal(text: &str) -> String {
    brief(&load_policy(&[("p.yaml", text)]).expect_err("the policy was accepted"))
}

/// Findings as lines, with the temporary folder left out.
pub(crate) fn brief(findings: &Findings) -> String {
    let folders = format!("{}/", std::env::temp_dir().display());
    let lines = findings.to_string();
    let mut pieces = lines.split(&folders);
    let mut brief = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // What follows is the name of one test's folder.
        brief.push_str(piece.split_once('/').map_or(piece, |(_, inside)| inside));
    }
    brief
}
