//! Services.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::ServiceId;
use crate::policy::objects::{Meta, Origin, Service};
use crate::policy::service::{Balance, Match, Transport, UpstreamProtocol};

pub(super) struct Services;

impl Services {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a Service, Refusal> {
        let known = scene.objects().services.get(id).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        Ok(known)
    }
}

/// A service that says nothing of itself: no request is meant for it, and the rest is as the configuration has it.
fn blank(id: String, scene: &Scene<'_>) -> Service {
    let defaults = scene.service_defaults;
    Service {
        id: ServiceId::new(id),
        name: "".into(),
        matching: Match { hosts: Vec::new(), path_prefix: "/".to_owned() },
        upstreams: Vec::new(),
        transport: Transport {
            tls: None,
            protocol: UpstreamProtocol::default(),
            balance: Balance::default(),
            health_check: None,
            connect_timeout: defaults.connect_timeout,
            read_timeout: defaults.read_timeout,
            idle_timeout: defaults.idle_timeout,
            retries: defaults.retries,
        },
        configs: Vec::new(),
        role_attributes: Vec::new(),
        concealed: defaults.concealed,
        disclosure: defaults.disclosure,
        meta: Meta { created_at: scene.now, updated_at: scene.now, tags: serde_json::Map::new(), origin: Origin::Api },
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
        with_configs(openziti::create_service(body, blank(id, scene))?, scene)
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
