//! Service policies.

use std::sync::Arc;

use super::{Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Object, ObjectId};
use crate::id::PolicyId;
use crate::policy::objects::ServicePolicy;

pub(super) struct ServicePolicies;

impl ServicePolicies {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a ServicePolicy, Refusal> {
        let known = scene.objects().policies.get(id).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        Ok(known)
    }
}

impl Kind for ServicePolicies {
    const COLLECTION: &'static str = "/service-policies";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let read = openziti::create_service_policy(body, PolicyId::new(id), scene.objects(), scene.now)?;
        Ok(Object::Policy(Arc::new(read)))
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_service_policy(body, known, scene.objects(), scene.now)?,
            Edit::Patch => openziti::patch_service_policy(body, known, scene.objects(), scene.now)?,
        };
        Ok(Object::Policy(Arc::new(read)))
    }

    /// Nothing refers to a policy, and without it there is only less access.
    fn deletable(id: &str, _forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        Ok(ObjectId::Policy(Self::find(id, scene)?.id.clone()))
    }
}
