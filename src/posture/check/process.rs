//! Running processes, by the asking check's id or by path.

use serde::{Deserialize, Serialize};

use crate::posture::platform::Platform;

/// Passes when the process reported under this check's id runs, with a listed digest and signer where those are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRule {
    /// The process.
    pub process: ProcessRequirement,
}

/// Passes when all or any of the listed processes do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessesRule {
    /// Whether all or any of `processes` must be satisfied.
    pub semantic: Semantic,
    /// The processes, sorted by `osType-path`, each once.
    pub processes: Vec<ProcessRequirement>,
}

/// One wanted process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRequirement {
    /// The system the path is meant for: a hint to the client, not compared.
    pub platform: Platform,
    /// The executable's path.
    pub path: String,
    /// Accepted digests in hex; none accepts any.
    pub hashes: Vec<String>,
    /// Accepted signers in hex; none accepts any.
    pub signer_fingerprints: Vec<String>,
}

/// How several processes combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Semantic {
    /// Every one.
    AllOf,
    /// At least one.
    AnyOf,
}
