//! The types of rules, and what is true of a type whatever its rules say (`cloudflare.md` 1).

use crate::policy::integration::Provider;
use crate::posture::platform::{Families, Family};

/// Whom a rule asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The agent on the device.
    Agent,
    /// A posture provider, over a connection that the rule names.
    Provider(Provider),
}

/// Whether a rule of a type has an `input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputNeed {
    /// It says nothing without one.
    Needed,
    /// It may be left out.
    Optional,
}

use Asked::{Agent, Provider as By};
use InputNeed::{Needed, Optional};

const DESKTOPS: Families = Families::of(&[Family::Mac, Family::Windows, Family::Linux]);
const MANAGED: Families = Families::of(&[Family::Mac, Family::Windows]);
const MOBILES: Families = Families::of(&[Family::Ios, Family::Android, Family::ChromeOs]);
const WINDOWS: Families = Families::of(&[Family::Windows]);
const ALL: Families = Families::ALL;

macro_rules! rule_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $platforms:expr, $input:expr, $asked:expr;)*) => {
        /// The type of a rule: 23, in Cloudflare's order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RuleType { $($(#[$doc])* $variant,)* }

        impl RuleType {
            /// Every type.
            pub const ALL: &'static [RuleType] = &[$(RuleType::$variant,)*];

            /// The one accepted spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(RuleType::$variant => $name,)* }
            }

            /// The platforms a rule of this type can be answered on.
            pub const fn platforms(self) -> Families {
                match self { $(RuleType::$variant => $platforms,)* }
            }

            pub(super) const fn input(self) -> InputNeed {
                match self { $(RuleType::$variant => $input,)* }
            }

            pub(super) const fn asked(self) -> Asked {
                match self { $(RuleType::$variant => $asked,)* }
            }
        }
    };
}

rule_types! {
    /// A file is there, or is not.
    File = "file", DESKTOPS, Needed, Agent;
    /// A program runs.
    Application = "application", DESKTOPS, Needed, Agent;
    /// Tanium as the browser used to ask it; no longer answered.
    Tanium = "tanium", DESKTOPS, Optional, Agent;
    /// The device's client belongs to this gateway.
    Gateway = "gateway", ALL, Optional, Agent;
    /// The device has a client at all.
    Warp = "warp", ALL, Optional, Agent;
    /// Volumes are encrypted.
    DiskEncryption = "disk_encryption", DESKTOPS, Needed, Agent;
    /// The serial number is in a list.
    SerialNumber = "serial_number", DESKTOPS, Needed, Agent;
    /// SentinelOne's agent runs.
    SentinelOne = "sentinelone", DESKTOPS, Needed, Agent;
    /// Carbon Black's agent runs.
    CarbonBlack = "carbonblack", DESKTOPS, Needed, Agent;
    /// The firewall is on, or off.
    Firewall = "firewall", MANAGED, Needed, Agent;
    /// The operating system's version.
    OsVersion = "os_version", ALL, Needed, Agent;
    /// The device is joined to a domain.
    DomainJoined = "domain_joined", WINDOWS, Needed, Agent;
    /// The device holds a certificate, as older rules ask it.
    ClientCertificate = "client_certificate", DESKTOPS, Needed, Agent;
    /// The device holds a certificate.
    ClientCertificateV2 = "client_certificate_v2", DESKTOPS, Needed, Agent;
    /// An antivirus product is on and current.
    Antivirus = "antivirus", WINDOWS, Optional, Agent;
    /// The id given by device management is in a list.
    UniqueClientId = "unique_client_id", MOBILES, Needed, Agent;
    /// What Kolide says.
    Kolide = "kolide", DESKTOPS, Needed, By(Provider::Kolide);
    /// What Tanium says.
    TaniumS2s = "tanium_s2s", DESKTOPS, Needed, By(Provider::Tanium);
    /// What CrowdStrike says.
    CrowdStrikeS2s = "crowdstrike_s2s", DESKTOPS, Needed, By(Provider::CrowdStrike);
    /// What Intune says.
    Intune = "intune", MANAGED, Needed, By(Provider::Intune);
    /// What Workspace ONE says.
    WorkspaceOne = "workspace_one", DESKTOPS, Needed, By(Provider::WorkspaceOne);
    /// What SentinelOne says.
    SentinelOneS2s = "sentinelone_s2s", DESKTOPS, Needed, By(Provider::SentinelOne);
    /// What a service of the operator's own says.
    CustomS2s = "custom_s2s", ALL, Needed, By(Provider::Custom);
}

impl RuleType {
    /// The type of a spelling.
    pub fn parse(text: &str) -> Option<Self> {
        RuleType::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }

    /// Platforms beside those on which a rule of this type is answered when it stands in a policy file and names them: our agent
    /// tells there what Cloudflare's does not.
    pub(super) const fn more_platforms(self) -> Families {
        match self {
            RuleType::Firewall | RuleType::Antivirus => Families::of(&[Family::Linux]),
            _ => Families::NONE,
        }
    }

    /// The provider a rule of this type asks; `None` when it asks the device.
    pub fn provider(self) -> Option<Provider> {
        match self.asked() {
            Agent => None,
            By(provider) => Some(provider),
        }
    }
}
