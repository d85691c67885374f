//! Bodies that create, replace and change types of configs.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::config_schema;
use super::config_type::ConfigTypes;
use super::entity::{Absent, name, tags};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::id::ConfigTypeId;
use crate::policy::config_type::{ConfigTarget, OwnConfigType};
use crate::policy::objects::{Meta, Origin};

/// Reads the body of a creation.
pub fn create_config_type(
    body: &[u8],
    id: ConfigTypeId,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<OwnConfigType, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    let target = match members.text("target")? {
        None | Some("service") => ConfigTarget::Service,
        Some("router") => ConfigTarget::Router,
        Some(_) => return Err(members.wrong("target", "must be service or router").into()),
    };
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    read(&members, OwnConfigType { id, name: "".into(), schema: Arc::default(), target, meta }, types, Absent::Missing)
}

/// Reads the body of a PUT: everything but the target is replaced.
pub fn replace_config_type(
    body: &[u8],
    known: &OwnConfigType,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<OwnConfigType, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    let blank = OwnConfigType { schema: Arc::default(), meta, ..known.clone() };
    read(&Members::of(&json(body)?, "")?, blank, types, Absent::Missing)
}

/// Reads the body of a PATCH: only what it names changes; the schema changes as a whole.
pub fn patch_config_type(
    body: &[u8],
    known: &OwnConfigType,
    types: ConfigTypes<'_>,
    now: Timestamp,
) -> Result<OwnConfigType, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read(&Members::of(&json(body)?, "")?, OwnConfigType { meta, ..known.clone() }, types, Absent::Kept)
}

fn read(
    members: &Members<'_>,
    mut kind: OwnConfigType,
    types: ConfigTypes<'_>,
    absent: Absent,
) -> Result<OwnConfigType, ApiError> {
    if absent.is_told(members, "name") {
        kind.name = name(members)?;
        // Clients ask for types by name or id, so what one of them is called must not be another.
        if types.all().any(|other| other.id() != kind.id.as_str() && [other.name(), other.id()].contains(&&*kind.name))
        {
            return Err(members.wrong("name", "is taken by another type of configs").into());
        }
    }
    if members.names("schema") {
        kind.schema = schema(members)?;
    }
    if members.names("tags") {
        kind.meta.tags = tags(members)?;
    }
    Ok(kind)
}

/// The schema; none, where any data will do.
fn schema(members: &Members<'_>) -> Result<Arc<Map<String, Value>>, FieldError> {
    let schema = members.object("schema")?.map(|schema| schema.to_map()).unwrap_or_default();
    config_schema::check(&schema).map_err(|reason| members.wrong("schema", reason))?;
    Ok(Arc::new(schema))
}
