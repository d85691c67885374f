//! Connections to posture providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::objects::Meta;
use crate::clock::Timestamp;
use crate::id::ConnectionId;
use crate::secret::Sealed;

/// A connection to a posture provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Integration {
    /// The id, by which checks name it.
    pub id: ConnectionId,
    /// The name.
    pub name: Arc<str>,
    /// Which provider it is.
    pub provider: Provider,
    /// How often the provider is asked.
    pub interval: Duration,
    /// The interval as it was written.
    pub interval_text: Arc<str>,
    /// What may be shown of its configuration: addresses and client ids.
    pub config: BTreeMap<Arc<str>, Arc<str>>,
    /// What may not, encrypted.
    pub secrets: BTreeMap<Arc<str>, Sealed>,
    /// Times, tags and origin.
    pub meta: Meta,
}

macro_rules! providers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A kind of posture provider.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Provider { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl Provider {
            /// Every kind.
            pub const ALL: &'static [Provider] = &[$(Provider::$variant,)*];

            /// Its name, as its connections are typed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Provider::$variant => $name,)* }
            }
        }
    };
}

providers! {
    /// Workspace ONE UEM.
    WorkspaceOne = "workspace_one",
    /// CrowdStrike Falcon.
    CrowdStrike = "crowdstrike_s2s",
    /// Uptycs.
    Uptycs = "uptycs",
    /// Microsoft Intune.
    Intune = "intune",
    /// Kolide.
    Kolide = "kolide",
    /// Tanium.
    Tanium = "tanium_s2s",
    /// SentinelOne.
    SentinelOne = "sentinelone_s2s",
    /// A service of the operator's own.
    Custom = "custom_s2s",
}

impl Integration {
    /// What a secret is encrypted for, so that it cannot be moved to another connection or another member.
    pub fn secret_context(id: &ConnectionId, member: &str) -> String {
        format!("integration/{id}/{member}")
    }
}

/// How a connection to a provider fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionState {
    /// When the provider last answered as it should.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong since, if anything did.
    pub last_error: Option<ConnectionError>,
}

/// What went wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// When.
    pub at: Timestamp,
    /// The stable code.
    pub code: &'static str,
    /// In words, without secrets.
    pub message: Arc<str>,
}
