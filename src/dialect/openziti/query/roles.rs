//! Lists narrowed by roles, as policies select entities (`openziti.md` 2.1): `roleFilter`, repeatable, and `roleSemantic`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::error::{ApiError, ErrorCode, FieldError};
use super::field::{Field, FieldType, Listed};
use crate::limits;
use crate::policy::roles::{Role, Semantic};

/// Which entities are selected. Those named by id always are; `#all` selects every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleFilter {
    all: bool,
    attributes: Vec<String>,
    ids: BTreeSet<String>,
    semantic: Semantic,
}

impl RoleFilter {
    /// Reads the parameters; `None` without a `roleFilter`.
    pub(super) fn read<T: Listed>(roles: &[&str], semantic: Option<&str>) -> Result<Option<Self>, ApiError> {
        let (Some(first), supported) = (roles.first(), T::FIELDS.contains(&("roleAttributes", FieldType::Set))) else {
            semantic.map(read_semantic).transpose()?;
            return Ok(None);
        };
        if !supported {
            let cause = FieldError::new("roleFilter", "is not supported for this list", &Value::from(*first));
            return Err(ApiError { code: ErrorCode::InvalidFilter, cause: Some(cause) });
        }
        if roles.len() > limits::ROLE_FILTERS_MAX {
            let reason = format!("is given more than {} times", limits::ROLE_FILTERS_MAX);
            return Err(FieldError::new("roleFilter", reason, &Value::from(*first)).into());
        }
        let semantic = semantic.map(read_semantic).transpose()?.unwrap_or(Semantic::AllOf);
        let mut filter = RoleFilter { all: false, attributes: Vec::new(), ids: BTreeSet::new(), semantic };
        for role in roles {
            match Role::try_from((*role).to_owned()) {
                Ok(Role::All) => filter.all = true,
                Ok(Role::Attribute(attribute)) => filter.attributes.push(attribute),
                Ok(Role::Entity(id)) => drop(filter.ids.insert(id)),
                Err(_) => {
                    let reason = "must be `#attribute`, `@id` or `#all`";
                    return Err(FieldError::new("roleFilter", reason, &Value::from(*role)).into());
                }
            }
        }
        Ok(Some(filter))
    }

    /// Whether the entity is selected.
    pub(super) fn selects<T: Listed>(&self, entity: &T) -> bool {
        if self.all {
            return true;
        }
        let by_attribute = match (entity.field("roleAttributes"), self.semantic) {
            _ if self.attributes.is_empty() => false,
            (Field::Set(own), Semantic::AllOf) => self.attributes.iter().all(|wanted| own.any(|text| text == wanted)),
            (Field::Set(own), Semantic::AnyOf) => self.attributes.iter().any(|wanted| own.any(|text| text == wanted)),
            (Field::One(_) | Field::Unknown, _) => false,
        };
        by_attribute || (!self.ids.is_empty() && self.names(entity))
    }

    fn names<T: Listed>(&self, entity: &T) -> bool {
        match entity.field("id") {
            Field::One(id) => id.as_text().is_some_and(|id| self.ids.contains(&*id)),
            Field::Set(_) | Field::Unknown => false,
        }
    }
}

fn read_semantic(text: &str) -> Result<Semantic, ApiError> {
    if text.is_empty() || text.eq_ignore_ascii_case("AllOf") {
        Ok(Semantic::AllOf)
    } else if text.eq_ignore_ascii_case("AnyOf") {
        Ok(Semantic::AnyOf)
    } else {
        Err(FieldError::new("roleSemantic", "must be AllOf or AnyOf", &Value::from(text)).into())
    }
}
