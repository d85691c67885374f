//! What the Cloudflare-compatible admin API takes for granted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve_all;
use crate::config::document::Field;
use crate::config::values::{AccountIdText, PathText};

/// What the Cloudflare-compatible admin API takes for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloudflare {
    /// The account this gateway stands for, in lower-case hex. `None`: every well-formed account id is its own.
    pub account_id: Option<Arc<str>>,
    /// Whether an integration is tried against its provider before it is saved.
    pub test_integrations: bool,
    /// CAs that vouch for providers' servers, beside those of the system.
    pub ca_files: Vec<PathBuf>,
}

/// What the Cloudflare-compatible admin API takes for granted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCloudflare {
    /// The account that this gateway stands for, 32 hex digits; requests for another one find nothing. Default: none,
    /// every well-formed account id is this gateway's.
    account_id: Field<AccountIdText>,
    /// Whether an integration is tried against its provider before it is saved; `false` for gateways without a way out.
    /// Default: true.
    test_integrations: Field<bool>,
    /// PEM files of CAs that vouch for providers' servers, beside those of the system. Default: none.
    ca_files: Field<Vec<Field<PathText>>>,
}

impl RawCloudflare {
    /// Relative paths start at `folder`.
    pub(super) fn check(self, folder: &Path) -> Cloudflare {
        Cloudflare {
            account_id: self.account_id.value().map(|id| id.0.into()),
            test_integrations: self.test_integrations.or(true),
            ca_files: resolve_all(folder, self.ca_files),
        }
    }
}
