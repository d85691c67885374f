//! A hardware address.

use serde::{Deserialize, Serialize};

/// Passes when at least one reported address is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MacRule {
    /// Accepted addresses, bare lower-case hex.
    pub addresses: Vec<String>,
}
