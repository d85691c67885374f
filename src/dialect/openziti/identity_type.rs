//! The types of identities: there is one.

use serde::Serialize;

use super::envelope::{Entity, Links};
use super::unmade;

/// The type of every identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityType;

impl IdentityType {
    /// The only one.
    pub const ALL: [IdentityType; 1] = [IdentityType];
    /// The id, which is its name as well.
    pub const ID: &'static str = "Default";
}

/// A type as lists and details show it.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityTypeDetail {
    #[serde(flatten)]
    entity: Entity<'static>,
    name: &'static str,
}

/// Shows a type.
pub fn identity_type(_: &IdentityType) -> IdentityTypeDetail {
    let entity = Entity::new(IdentityType::ID, unmade(), Links::own("identity-types", IdentityType::ID));
    IdentityTypeDetail { entity, name: IdentityType::ID }
}
