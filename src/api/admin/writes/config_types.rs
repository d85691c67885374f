//! Types of configs. Those that are read here stay as they are.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, AnyConfigType, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::ConfigTypeId;
use crate::limits;
use crate::policy::config_type::OwnConfigType;

pub(super) struct OwnConfigTypes;

impl OwnConfigTypes {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a OwnConfigType, Refusal> {
        match scene.config_types().of_id(id).ok_or(ErrorCode::NotFound)? {
            AnyConfigType::Own(known) => {
                must_not_be_from_a_file(&known.meta)?;
                Ok(known)
            }
            AnyConfigType::BuiltIn(_) => {
                let reason = "is a type that the gateway itself reads, which cannot be changed";
                Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, id))
            }
        }
    }
}

impl Kind for OwnConfigTypes {
    const COLLECTION: &'static str = "/config-types";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let id = ConfigTypeId::new(id);
        Ok(Object::ConfigType(Arc::new(openziti::create_config_type(body, id, scene.config_types(), scene.now)?)))
    }

    /// Configs of the type are held against its schema when they are written, and not now.
    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_config_type(body, known, scene.config_types(), scene.now)?,
            Edit::Patch => openziti::patch_config_type(body, known, scene.config_types(), scene.now)?,
        };
        Ok(Object::ConfigType(Arc::new(read)))
    }

    /// As in OpenZiti, a type that configs have stays.
    fn deletable(id: &str, _forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        let known = Self::find(id, scene)?;
        let of_type = scene.objects().configs.values().filter(|config| *config.type_id == *known.id.as_str());
        let ids: Vec<_> = of_type.map(|config| config.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(ObjectId::ConfigType(known.id.clone()));
        }
        let reason = format!("is the type of {} of the configs; delete them first", ids.len());
        let shown = ids.get(..ids.len().min(limits::IN_USE_NAMES_MAX)).unwrap_or_default().join(",");
        Err(Refusal::because(ErrorCode::CanNotDeleteReferencedEntity, "id", reason, &shown))
    }
}
