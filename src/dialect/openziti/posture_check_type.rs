//! The types of posture checks as a list that clients can ask for (`openziti.md` 1.8). It informs; nothing is validated by it.

use serde::Serialize;

use super::envelope::{Entity, Links};
use super::posture_check::TypeId;
use super::unmade;

/// A type, and the systems whose agents can answer it.
#[derive(Clone, Copy, Debug)]
pub struct PostureCheckType {
    id: TypeId,
    name: &'static str,
    systems: &'static [&'static str],
}

impl PostureCheckType {
    /// The types that OpenZiti lists, by id; it lists no MFA.
    pub const ALL: [PostureCheckType; 5] = [
        PostureCheckType { id: TypeId::Domain, name: "Windows Domain Check", systems: &["Windows"] },
        PostureCheckType {
            id: TypeId::Mac,
            name: "MAC Address Check",
            systems: &["Windows", "Linux", "macOS", "Android"],
        },
        PostureCheckType {
            id: TypeId::Os,
            name: "Operating System Check",
            systems: &["Windows", "WindowsServer", "Linux", "macOS", "Android", "iOS"],
        },
        PostureCheckType { id: TypeId::Process, name: "Process Check", systems: &["Windows", "macOS", "Linux"] },
        PostureCheckType {
            id: TypeId::ProcessMulti,
            name: "Process Multi Check",
            systems: &["Windows", "macOS", "Linux"],
        },
    ];

    /// The id.
    pub const fn id(&self) -> &'static str {
        self.id.as_str()
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A type as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureCheckTypeDetail {
    #[serde(flatten)]
    entity: Entity<'static>,
    name: &'static str,
    operating_systems: Vec<AnyVersion>,
    version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct AnyVersion {
    #[serde(rename = "type")]
    system: &'static str,
    versions: [&'static str; 0],
}

/// Shows a type.
pub fn posture_check_type(kind: &PostureCheckType) -> PostureCheckTypeDetail {
    PostureCheckTypeDetail {
        entity: Entity::new(kind.id(), unmade(), Links::own("posture-check-types", kind.id())),
        name: kind.name,
        operating_systems: kind.systems.iter().map(|system| AnyVersion { system, versions: [] }).collect(),
        version: "1",
    }
}
