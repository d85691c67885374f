//! Version ranges in OpenZiti's grammar, and the tolerant reading of reported versions.

use serde::{Deserialize, Serialize};

/// A version range in OpenZiti's grammar (`openziti.md` 1.2.1), kept with its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
}

impl TryFrom<String> for VersionRange {
    type Error = InvalidVersionRange;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(VersionRange { text })
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.text
    }
}

/// A text that is not a version range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version range: {reason}")]
pub struct InvalidVersionRange {
    text: String,
    reason: String,
}
