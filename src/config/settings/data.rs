//! What is kept over a restart.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve;
use crate::config::document::Field;
use crate::config::values::PathText;

/// What is kept over a restart, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The folder.
    pub directory: PathBuf,
    /// In which form.
    pub store: Store,
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
}

impl RawData {
    pub(super) fn check(self, folder: &Path) -> Data {
        Data { directory: resolve(folder, self.directory, "data"), store: self.store.or_default() }
    }
}
