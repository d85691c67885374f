//! Lists narrowed by roles, as policies select entities (`openziti.md` 2.1): `roleFilter`, repeatable, and `roleSemantic`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::error::{ApiError, ErrorCode, FieldError};
use super::field::{Field, Listed};
use super::filter::{Filter, Operand};
use super::syntax::{Literal, Relation, Test, Values};
use crate::limits;
use crate::policy::roles::{Role, Semantic};

/// Reads the parameters as a filter; `None` without a `roleFilter`. Entities named by id always pass; `#all` selects every one.
pub(super) fn read<T: Listed>(roles: &[&str], semantic: Option<&str>) -> Result<Option<Filter<T>>, ApiError> {
    let semantic = semantic.map(read_semantic).transpose()?.unwrap_or(Semantic::AllOf);
    let Some(first) = roles.first() else {
        return Ok(None);
    };
    let fields = T::fields();
    let (Some(Field::Set(attributes_of)), Some(id)) = (fields.get("roleAttributes"), fields.asked("id")) else {
        let cause = FieldError::new("roleFilter", "is not supported for this list", &Value::from(*first));
        return Err(ApiError { code: ErrorCode::InvalidFilter, cause: Some(cause) });
    };
    if roles.len() > limits::ROLE_FILTERS_MAX {
        let reason = format!("is given more than {} times", limits::ROLE_FILTERS_MAX);
        return Err(FieldError::new("roleFilter", reason, &Value::from(*first)).into());
    }
    let (mut everyone, mut attributes, mut ids) = (false, Vec::new(), BTreeSet::new());
    for role in roles {
        match Role::try_from((*role).to_owned()) {
            Ok(Role::All) => everyone = true,
            Ok(Role::Attribute(attribute)) => {
                let is = Test::Relation(Relation::Equal, Literal::Text(attribute));
                attributes.push(Filter::Comparison(Operand::AnyOf(attributes_of), is));
            }
            Ok(Role::Entity(id)) => drop(ids.insert(id)),
            Err(_) => {
                let reason = "must be `#attribute`, `@id` or `#all`";
                return Err(FieldError::new("roleFilter", reason, &Value::from(*role)).into());
            }
        }
    }
    if everyone {
        return Ok(Some(Filter::Constant(true)));
    }
    let mut ways = Vec::new();
    if !attributes.is_empty() {
        ways.push(match semantic {
            Semantic::AllOf => Filter::And(attributes),
            Semantic::AnyOf => Filter::Or(attributes),
        });
    }
    if !ids.is_empty() {
        let named = Test::In { negated: false, values: Values::Texts(ids) };
        ways.push(Filter::Comparison(Operand::One(id), named));
    }
    Ok(Some(Filter::Or(ways)))
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
