//! Configs of services.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::ConfigId;
use crate::limits;
use crate::policy::service_config::ServiceConfig;

pub(super) struct Configs;

impl Configs {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a ServiceConfig, Refusal> {
        let known = scene.objects().configs.get(id).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        Ok(known)
    }
}

impl Kind for Configs {
    const COLLECTION: &'static str = "/configs";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        Ok(Object::Config(Arc::new(openziti::create_config(body, ConfigId::new(id), scene.config_types(), scene.now)?)))
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_config(body, known, scene.config_types(), scene.now)?,
            Edit::Patch => openziti::patch_config(body, known, scene.config_types(), scene.now)?,
        };
        Ok(Object::Config(Arc::new(read)))
    }

    /// As in OpenZiti, a config that services refer to stays.
    fn deletable(id: &str, _forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        let known = Self::find(id, scene)?;
        let users: Vec<_> = scene.objects().services.values().filter(|user| user.configs.contains(&known.id)).collect();
        if users.is_empty() {
            return Ok(ObjectId::Config(known.id.clone()));
        }
        let ids: Vec<_> = users.iter().take(limits::IN_USE_NAMES_MAX).map(|service| service.id.as_str()).collect();
        let reason = format!("is referred to by {} of the services; change them first", users.len());
        Err(Refusal::because(ErrorCode::CanNotDeleteReferencedEntity, "id", reason, &ids.join(",")))
    }
}
