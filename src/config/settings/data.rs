//! What is kept over a restart.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve;
use crate::config::document::Field;
use crate::config::values::PathText;

/// The key file's name inside the data folder.
const SECRETS_KEY_FILE: &str = "secrets.key";

/// What is kept over a restart, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The folder.
    pub directory: PathBuf,
    /// In which form.
    pub store: Store,
    /// The file of the key that encrypts the secrets in the store.
    pub secrets_key_file: PathBuf,
}

/// Where posture, objects and failures are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// One file in the data folder; survives a crash.
    #[default]
    Redb,
    /// Memory; lost when the process ends.
    Memory,
}

/// What is kept over a restart.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawData {
    /// Folder for everything the gateway keeps. Default: data.
    directory: Field<PathText>,
    /// `redb` keeps one file in the folder; `memory` forgets everything at the end. Default: redb.
    store: Field<Store>,
    /// The key that encrypts the secrets kept in the store, made when it is missing. Keep it apart from backups of the
    /// store. Default: secrets.key inside `data.directory`.
    secrets_key_file: Field<PathText>,
}

impl RawData {
    pub(super) fn check(self, folder: &Path) -> Data {
        let directory = resolve(folder, self.directory, "data");
        let secrets_key_file = match self.secrets_key_file.value() {
            Some(path) => folder.join(path.0),
            None => directory.join(SECRETS_KEY_FILE),
        };
        Data { directory, store: self.store.or_default(), secrets_key_file }
    }
}
