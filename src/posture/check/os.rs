//! The operating system and its version.

use serde::{Deserialize, Serialize};

use crate::posture::platform::Platform;

/// Passes when the reported system is listed and its version is in one of the ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OsRule {
    /// Accepted systems, sorted by spelling, each once.
    pub systems: Vec<OsRequirement>,
}

/// One accepted operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OsRequirement {
    /// The system.
    pub platform: Platform,
    /// Accepted ranges; any one suffices, none means any version.
    pub versions: Vec<crate::posture::version::VersionRange>,
}
