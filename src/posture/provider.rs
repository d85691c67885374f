//! What a posture provider says about a device: a few named values, the same names for every vendor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::ConnectionId;

/// What one provider says about one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRecord {
    /// The connection to the provider.
    pub connection: ConnectionId,
    /// The values. A value that is not there was not told.
    pub values: ProviderValues,
}

/// The values of one record.
pub type ProviderValues = BTreeMap<ProviderMember, ProviderValue>;

macro_rules! members {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a value is about. Vendors' own spellings are translated by the dialect that reads them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ProviderMember { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl ProviderMember {
            /// Every member.
            pub const ALL: &'static [ProviderMember] = &[$(ProviderMember::$variant,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(ProviderMember::$variant => $name,)* }
            }
        }
    };
}

members! {
    /// A score of a provider of the operator's own, 0 to 100.
    Score = "score",
    /// What such a provider calls the device; empty when it does not know it.
    ProviderId = "s2s_id",
    /// Whether device management takes the device for compliant.
    ComplianceStatus = "compliance_status",
    /// Whether the device may authenticate.
    AuthState = "auth_state",
    /// How many issues are open.
    IssueCount = "issue_count",
    /// The overall assessment, 1 to 100.
    Overall = "overall",
    /// The assessment of the system, 1 to 100.
    Os = "os",
    /// The assessment of the sensor's configuration, 1 to 100.
    SensorConfig = "sensor_config",
    /// The version of the assessment.
    Version = "version",
    /// Whether the device is online.
    State = "state",
    /// When the provider last saw the device.
    LastSeen = "last_seen",
    /// When the endpoint was last seen.
    EndpointLastSeen = "eid_last_seen",
    /// The level of risk.
    RiskLevel = "risk_level",
    /// The score of risk.
    TotalScore = "total_score",
    /// Whether the device is infected.
    Infected = "infected",
    /// How many threats are active.
    ActiveThreats = "active_threats",
    /// Whether the agent is active.
    IsActive = "is_active",
    /// Whether the agent is connected.
    NetworkStatus = "network_status",
    /// Whether the agent works as it should.
    OperationalState = "operational_state",
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProviderValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A moment.
    Instant(Timestamp),
}

/// How much at risk a device is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RiskLevel {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    Critical,
}

impl RiskLevel {
    /// Every level.
    pub const ALL: [RiskLevel; 4] = [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High, RiskLevel::Critical];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            RiskLevel::Low => "low",
            RiskLevel::Medium => "medium",
            RiskLevel::High => "high",
            RiskLevel::Critical => "critical",
        }
    }

    /// The level of a spelling, in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        RiskLevel::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}
