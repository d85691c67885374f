//! Members that bodies of every kind of object have.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::FieldError;
use super::members::Members;
use crate::limits;

/// What it means that a body leaves out a member which every object of its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// It is missing.
    Missing,
    /// It stays as it is.
    Kept,
}

impl Absent {
    /// Whether the member is to be read, and complained of when it is not there.
    pub(super) fn is_told(self, members: &Members<'_>, name: &str) -> bool {
        self == Absent::Missing || members.names(name)
    }
}

/// The name, which must be there.
pub(super) fn name(members: &Members<'_>) -> Result<Arc<str>, FieldError> {
    let name = members.required_text("name")?;
    if name.is_empty() {
        return Err(members.missing("name"));
    }
    if name.len() > limits::NAME_BYTES_MAX {
        return Err(members.wrong("name", format!("is longer than {} bytes", limits::NAME_BYTES_MAX)));
    }
    Ok(name.into())
}

/// The role attributes, sorted, each once; none when they are left out.
pub(super) fn role_attributes(members: &Members<'_>) -> Result<Vec<Arc<str>>, FieldError> {
    let mut attributes = members.texts("roleAttributes")?.unwrap_or_default();
    for (index, attribute) in attributes.iter().enumerate() {
        let reason = if attribute.is_empty() {
            "must not be empty"
        } else if attribute.starts_with(['#', '@']) {
            "must not start with `#` or `@`"
        } else {
            continue;
        };
        return Err(FieldError::new(members.item("roleAttributes", index), reason, &Value::from(attribute.as_str())));
    }
    attributes.sort_unstable();
    attributes.dedup();
    if attributes.len() > limits::ATTRIBUTES_PER_OBJECT_MAX {
        let reason = format!("has more than {} entries", limits::ATTRIBUTES_PER_OBJECT_MAX);
        return Err(members.wrong("roleAttributes", reason));
    }
    Ok(attributes.into_iter().map(Arc::from).collect())
}

/// The tags; none when they are left out.
pub(super) fn tags(members: &Members<'_>) -> Result<Map<String, Value>, FieldError> {
    let Some(given) = members.get("tags") else {
        return Ok(Map::new());
    };
    let tags = given.as_object().ok_or_else(|| members.wrong("tags", "must be an object"))?;
    if tags.len() > limits::ATTRIBUTES_PER_OBJECT_MAX {
        return Err(members.wrong("tags", format!("has more than {} members", limits::ATTRIBUTES_PER_OBJECT_MAX)));
    }
    match tags.iter().find(|(_, value)| value.is_array() || value.is_object()) {
        None => Ok(tags.clone()),
        Some((tag, value)) => {
            Err(FieldError::new(format!("tags.{tag}"), "must be a string, a number, true, false or null", value))
        }
    }
}
