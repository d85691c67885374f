//! Role attributes and role selectors (`openziti.md` 2.1).

use serde::{Deserialize, Serialize};

/// One entry of a role list as written: `#attribute`, `@id`, `@name` or `#all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// `#all`: every entity. Must be the only entry of its list.
    All,
    /// `#attribute`: entities that carry the attribute.
    Attribute(String),
    /// `@…`: the entity of that id, or else of that name.
    Entity(String),
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        match role {
            Role::All => "#all".to_owned(),
            Role::Attribute(name) => format!("#{name}"),
            Role::Entity(name) => format!("@{name}"),
        }
    }
}

impl TryFrom<String> for Role {
    type Error = InvalidRole;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match (text.strip_prefix('#'), text.strip_prefix('@')) {
            (Some("all"), _) => Ok(Role::All),
            (Some(name), _) if !name.is_empty() => Ok(Role::Attribute(name.to_owned())),
            (_, Some(name)) if !name.is_empty() => Ok(Role::Entity(name.to_owned())),
            _ => Err(InvalidRole(text)),
        }
    }
}

/// A role entry that is neither `#attribute` nor `@entity`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role `{0}` must be `#attribute`, `@id`, `@name` or `#all`")]
pub struct InvalidRole(String);

/// How the `#attribute` entries of a policy's lists combine. It governs selection only, never which checks must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Semantic {
    /// An entity needs every listed attribute.
    AllOf,
    /// An entity needs at least one listed attribute.
    AnyOf,
}
