//! Bodies that create, replace and change configs.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::config_data;
use super::config_schema;
use super::config_type::{AnyConfigType, ConfigTypes};
use super::entity::{Absent, name, tags};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::id::ConfigId;
use crate::policy::objects::{Meta, Origin};
use crate::policy::service_config::{Says, ServiceConfig};

/// Reads the body of a creation.
pub fn create_config(
    body: &[u8],
    id: ConfigId,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<ServiceConfig, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    let type_id = members.required_text("configTypeId")?;
    let Some(kind) = types.of_id(type_id) else {
        return Err(FieldError::new("configTypeId", "is the id of no type of configs", &Value::from(type_id)).into());
    };
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let data = Arc::default();
    let blank = ServiceConfig {
        id,
        name: "".into(),
        type_id: kind.id().into(),
        data,
        says: Says::Nothing,
        left_out: Vec::new(),
        meta,
    };
    read(&members, blank, types, Absent::Missing)
}

/// Reads the body of a PUT: everything but the type is replaced.
pub fn replace_config(
    body: &[u8],
    known: &ServiceConfig,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<ServiceConfig, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    edit(body, ServiceConfig { meta, ..known.clone() }, types, Absent::Missing)
}

/// Reads the body of a PATCH: only what it names changes; data changes as a whole.
pub fn patch_config(
    body: &[u8],
    known: &ServiceConfig,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<ServiceConfig, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    edit(body, ServiceConfig { meta, ..known.clone() }, types, Absent::Kept)
}

fn edit(body: &[u8], config: ServiceConfig, types: ConfigTypes<'_>, absent: Absent) -> Result<ServiceConfig, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    if members.text("configTypeId")?.is_some_and(|type_id| type_id != &*config.type_id) {
        return Err(members.wrong("configTypeId", "cannot be changed").into());
    }
    read(&members, config, types, absent)
}

fn read(
    members: &Members<'_>,
    mut config: ServiceConfig,
    types: ConfigTypes<'_>,
    absent: Absent,
) -> Result<ServiceConfig, ApiError> {
    if absent.is_told(members, "name") {
        config.name = name(members)?;
    }
    if absent.is_told(members, "data") {
        let data = members.object("data")?.ok_or_else(|| members.missing("data"))?;
        let kind = types.of_id(&config.type_id);
        let kind = kind.ok_or_else(|| members.wrong("data", "belongs to a type that is gone"))?;
        (config.says, config.left_out) = match kind {
            AnyConfigType::BuiltIn(kind) => {
                let read = config_data::read(kind, &data)?;
                (read.says, read.left_out)
            }
            AnyConfigType::Own(kind) => {
                config_schema::hold(&kind.schema, &data.to_map())?;
                (Says::Nothing, Vec::new())
            }
        };
        config.data = Arc::new(data.to_map());
    }
    if members.names("tags") {
        config.meta.tags = tags(members)?;
    }
    Ok(config)
}
