//! What the Cloudflare-compatible admin API takes for granted.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::document::Field;
use crate::config::values::AccountIdText;

/// What the Cloudflare-compatible admin API takes for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloudflare {
    /// The account this gateway stands for, in lower-case hex. `None`: every well-formed account id is its own.
    pub account_id: Option<Arc<str>>,
    /// Whether an integration is tried against its vendor before it is saved.
    pub test_integrations: bool,
}

/// What the Cloudflare-compatible admin API takes for granted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCloudflare {
    /// The account that this gateway stands for, 32 hex digits; requests for another one find nothing. Default: none,
    /// every well-formed account id is this gateway's.
    account_id: Field<AccountIdText>,
    /// Whether an integration is tried against its vendor before it is saved; `false` for gateways without a way out.
    /// Default: true.
    test_integrations: Field<bool>,
}

impl RawCloudflare {
    pub(super) fn check(self) -> Cloudflare {
        Cloudflare {
            account_id: self.account_id.value().map(|id| id.0.into()),
            test_integrations: self.test_integrations.or(true),
        }
    }
}
