//! The joined domain.

use serde::{Deserialize, Serialize};

/// Passes when the reported domain is listed, under simple case folding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainRule {
    /// Accepted domains, as written.
    pub domains: Vec<String>,
}
