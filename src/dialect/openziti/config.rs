//! Configs, shown.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config_type::ConfigTypes;
use super::envelope::{Entity, EntityRef, Links};
use super::error::{ApiError, FieldError};
use super::members::Members;
use crate::limits;
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
pub fn config<'a>(config: &'a ServiceConfig, types: ConfigTypes<'a>) -> ConfigDetail<'a> {
    let id = config.id.as_str();
    ConfigDetail {
        entity: Entity::new(id, &config.meta, Links::own("configs", id).and("configs", id, "services")),
        name: &config.name,
        config_type: EntityRef::new("config-types", &config.type_id, types.name_of(&config.type_id)),
        config_type_id: &config.type_id,
        data: &config.data,
        left_out: &config.left_out,
    }
}

/// The types of configs whose data a client wants to see with services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WantedConfigTypes {
    /// Every type.
    All,
    /// Those with these ids or names. What is no type yet may become one, and is asked for by clients that know of more
    /// types than there are.
    Called(Vec<String>),
    /// None.
    #[default]
    Nothing,
}

impl WantedConfigTypes {
    /// Reads the parameters `configTypes`, each a list of ids or names between commas; `all` stands for every type. `None` where
    /// there are none.
    pub fn read(parameters: &[(String, String)]) -> Result<Option<Self>, ApiError> {
        let given: Vec<_> = parameters.iter().filter(|(name, _)| name == "configTypes").collect();
        if given.is_empty() {
            return Ok(None);
        }
        let names = given.iter().flat_map(|(_, value)| value.split(',')).map(|name| name.trim().to_owned());
        Ok(Some(Self::called(names.collect())?))
    }

    /// Reads the member `configTypes` of a login.
    pub(super) fn of_login(members: &Members<'_>) -> Result<Self, FieldError> {
        Self::called(members.texts("configTypes")?.unwrap_or_default())
    }

    fn called(names: Vec<String>) -> Result<Self, FieldError> {
        let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.len() > limits::CONFIG_TYPES_WANTED_MAX {
            let reason = format!("has more than {} entries", limits::CONFIG_TYPES_WANTED_MAX);
            return Err(FieldError::new("configTypes", reason, &Value::Null));
        }
        if let Some(name) = names.iter().find(|name| name.len() > limits::NAME_BYTES_MAX) {
            let reason = format!("has an entry longer than {} bytes", limits::NAME_BYTES_MAX);
            return Err(FieldError::new("configTypes", reason, &Value::from(name.as_str())));
        }
        Ok(match names {
            names if names.iter().any(|name| name == "all") => WantedConfigTypes::All,
            names if names.is_empty() => WantedConfigTypes::Nothing,
            names => WantedConfigTypes::Called(names),
        })
    }

    /// The ids of those that are types, as sessions show them.
    pub fn ids<'a>(&'a self, types: ConfigTypes<'a>) -> Vec<&'a str> {
        match self {
            WantedConfigTypes::All => vec!["all"],
            WantedConfigTypes::Called(names) => {
                names.iter().filter_map(|name| types.called(name)).map(|kind| kind.id()).collect()
            }
            WantedConfigTypes::Nothing => Vec::new(),
        }
    }

    /// The data of these configs by the names of their types, as far as it is wanted. Of two of one type the later one is shown.
    pub(super) fn of<'a>(
        &self,
        configs: impl Iterator<Item = &'a ServiceConfig>,
        types: ConfigTypes<'_>,
    ) -> Map<String, Value> {
        let named = configs.filter_map(|config| {
            let kind = types.of_id(&config.type_id)?;
            let is_called =
                |names: &[String]| names.iter().any(|name| [kind.id(), kind.name()].contains(&name.as_str()));
            let wanted = match self {
                WantedConfigTypes::All => true,
                WantedConfigTypes::Called(names) => is_called(names),
                WantedConfigTypes::Nothing => false,
            };
            wanted.then(|| (kind.name().to_owned(), Value::Object(Map::clone(&config.data))))
        });
        named.collect()
    }
}
