//! Configs that an identity is shown in the place of those of services: shown, and the bodies that assign them.

use serde::Serialize;
use serde_json::Value;

use super::envelope::EntityRef;
use super::error::{ApiError, ErrorCode, FieldError};
use super::members::{Members, json};
use crate::id::{ConfigId, ServiceId};
use crate::limits;
use crate::policy::Objects;
use crate::policy::objects::{AssignedConfig, Identity};

/// One assignment as lists show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConfigDetail<'a> {
    service_id: &'a str,
    service: EntityRef<'a>,
    config_id: &'a str,
    config: EntityRef<'a>,
}

/// Shows the assignments of an identity, but for those whose service or config is gone.
pub fn assigned_configs<'a>(identity: &'a Identity, objects: &'a Objects) -> Vec<ServiceConfigDetail<'a>> {
    let shown = identity.service_configs.iter().filter_map(|assigned| {
        let (service, config) = (objects.services.get(&assigned.service)?, objects.configs.get(&assigned.config)?);
        Some(ServiceConfigDetail {
            service_id: service.id.as_str(),
            service: EntityRef::new("services", service.id.as_str(), &service.name),
            config_id: config.id.as_str(),
            config: EntityRef::new("configs", config.id.as_str(), &config.name),
        })
    });
    shown.collect()
}

/// Reads the body that assigns configs to an identity. One takes the place of an earlier one for the same service and type.
pub fn read_assignments(body: &[u8], known: &Identity, objects: &Objects) -> Result<Vec<AssignedConfig>, ApiError> {
    let mut all = known.service_configs.clone();
    let type_of = |config: &ConfigId| objects.configs.get(config).map(|config| &config.type_id);
    all.retain(|known| objects.services.contains_key(&known.service) && type_of(&known.config).is_some());
    for (index, pair) in pairs(body)?.into_iter().enumerate() {
        let unknown = |member: &str, value: &str| {
            FieldError::new(format!("[{index}].{member}"), "is the id of nothing here", &Value::from(value))
        };
        if !objects.services.contains_key(&pair.service) {
            return Err(unknown("serviceId", pair.service.as_str()).into());
        }
        let Some(kind) = type_of(&pair.config) else {
            return Err(unknown("configId", pair.config.as_str()).into());
        };
        all.retain(|known| known.service != pair.service || type_of(&known.config) != Some(kind));
        all.push(pair);
    }
    if all.len() > limits::CONFIGS_PER_IDENTITY_MAX {
        let reason = format!("would give the identity more than {} configs", limits::CONFIGS_PER_IDENTITY_MAX);
        return Err(FieldError::new("body", reason, &Value::Null).into());
    }
    Ok(all)
}

/// Reads the body that takes assignments back: those it names, or all where it names none.
pub fn read_unassignments(body: &[u8], known: &Identity) -> Result<Vec<AssignedConfig>, ApiError> {
    let gone = if body.trim_ascii().is_empty() { Vec::new() } else { pairs(body)? };
    let stays = |assigned: &&AssignedConfig| !gone.is_empty() && !gone.contains(assigned);
    Ok(known.service_configs.iter().filter(stays).cloned().collect())
}

fn pairs(body: &[u8]) -> Result<Vec<AssignedConfig>, ApiError> {
    let body = json(body)?;
    let pairs = match &body {
        Value::Array(pairs) if pairs.len() <= limits::CONFIGS_PER_IDENTITY_MAX => pairs,
        Value::Array(_) => {
            let reason = format!("has more than {} entries", limits::CONFIGS_PER_IDENTITY_MAX);
            return Err(FieldError::new("body", reason, &Value::Null).into());
        }
        other => {
            let cause = FieldError::new("body", "must be an array", other);
            return Err(ApiError { code: ErrorCode::CouldNotValidate, cause: Some(cause) });
        }
    };
    let read = |(index, pair): (usize, &Value)| {
        let members = Members::of(pair, &format!("[{index}]"))?;
        let (service, config) = (members.required_text("serviceId")?, members.required_text("configId")?);
        Ok(AssignedConfig { service: ServiceId::from(service), config: ConfigId::from(config) })
    };
    pairs.iter().enumerate().map(read).collect()
}
