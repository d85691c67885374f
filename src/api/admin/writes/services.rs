//! Services.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::ServiceId;
use crate::policy::objects::Service;

pub(super) struct Services;

impl Services {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a Service, Refusal> {
        let known = scene.objects().services.get(id).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        Ok(known)
    }
}

/// A new or changed service, all of whose configs exist.
fn with_configs(service: Service, scene: &Scene<'_>) -> Result<Object, Refusal> {
    let known = &scene.objects().configs;
    match service.configs.iter().enumerate().find(|(_, id)| !known.contains_key(*id)) {
        None => Ok(Object::Service(Arc::new(service))),
        Some((index, id)) => {
            let field = format!("configs[{index}]");
            Err(Refusal::because(ErrorCode::CouldNotValidate, &field, "is the id of no config", id.as_str()))
        }
    }
}

impl Kind for Services {
    const COLLECTION: &'static str = "/services";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        with_configs(
            openziti::create_service(body, scene.service_defaults.blank(ServiceId::new(id), scene.now))?,
            scene,
        )
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_service(body, known, scene.now)?,
            Edit::Patch => openziti::patch_service(body, known, scene.now)?,
        };
        with_configs(read, scene)
    }

    /// Policies that name it lead nowhere by that name then.
    fn deletable(id: &str, _forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        Ok(ObjectId::Service(Self::find(id, scene)?.id.clone()))
    }
}
