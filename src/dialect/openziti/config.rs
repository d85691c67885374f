//! Configs, shown.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config_type::ConfigType;
use super::envelope::{Entity, EntityRef, Links};
use super::error::{ApiError, FieldError};
use crate::policy::service_config::ServiceConfig;

/// A config as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    config_type: EntityRef<'a>,
    config_type_id: &'a str,
    data: &'a Map<String, Value>,
    /// What of it a gateway does not do; an addition of ours.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    left_out: &'a [Arc<str>],
}

/// Shows a config.
pub fn config(config: &ServiceConfig) -> ConfigDetail<'_> {
    let id = config.id.as_str();
    let type_name = match ConfigType::of_id(&config.type_id) {
        Some(known) => known.name(),
        None => &config.type_id,
    };
    ConfigDetail {
        entity: Entity::new(id, &config.meta, Links::own("configs", id).and("configs", id, "services")),
        name: &config.name,
        config_type: EntityRef::new("config-types", &config.type_id, type_name),
        config_type_id: &config.type_id,
        data: &config.data,
        left_out: &config.left_out,
    }
}

/// The types of configs whose data a client wants to see with services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedConfigTypes(Vec<ConfigType>);

impl WantedConfigTypes {
    /// Reads the parameters `configTypes`, each a list of ids or names between commas; `all` stands for every type.
    pub fn read(parameters: &[(String, String)]) -> Result<Self, ApiError> {
        let mut wanted = Vec::new();
        let given = parameters.iter().filter(|(name, _)| name == "configTypes");
        for name in given.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
            if name == "all" {
                return Ok(WantedConfigTypes(ConfigType::ALL.to_vec()));
            }
            let unknown = || FieldError::new("configTypes", "is no type of configs", &Value::from(name));
            wanted.push(ConfigType::named(name).ok_or_else(unknown)?);
        }
        Ok(WantedConfigTypes(wanted))
    }

    /// The data of these configs by the names of their types, as far as it is wanted.
    pub(super) fn of<'a>(&self, configs: impl Iterator<Item = &'a ServiceConfig>) -> Map<String, Value> {
        let named = configs.filter_map(|config| {
            let kind = self.0.iter().find(|kind| kind.id() == &*config.type_id)?;
            Some((kind.name().to_owned(), Value::Object(Map::clone(&config.data))))
        });
        named.collect()
    }
}
