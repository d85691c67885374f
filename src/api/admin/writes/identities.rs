//! Identities: beside the usual, they are disabled and enabled.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};

use super::{Admin, Edit, Kind, Scene, must_not_be_from_a_file};
use crate::api::access::Operator;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::writing::{change, to_its_end};
use crate::dialect::openziti::{self, ErrorCode, NewIdentity};
use crate::enforce::{Change, Object, ObjectId};
use crate::id::IdentityId;
use crate::policy::Objects;
use crate::policy::objects::Identity;

pub(super) struct Identities;

impl Identities {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a Identity, Refusal> {
        let known = scene.objects().identities.get(id).ok_or(ErrorCode::NotFound)?;
        must_not_be_from_a_file(&known.meta)?;
        Ok(known)
    }
}

impl Kind for Identities {
    const COLLECTION: &'static str = "/identities";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let NewIdentity { mut identity, wants_token } =
            openziti::create_identity(body, IdentityId::new(id), scene.now)?;
        if wants_token {
            let pending = scene.admin.enroller("enrollment.ott")?.begin(None, scene.now)?;
            identity.enrolment = Some(Arc::new(pending));
        }
        Ok(Object::Identity(Arc::new(identity)))
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        let read = match edit {
            Edit::Replace => openziti::replace_identity(body, known, scene.now)?,
            Edit::Patch => openziti::patch_identity(body, known, scene.now)?,
        };
        Ok(Object::Identity(Arc::new(read)))
    }

    /// Policies that name it name nobody then, and select nobody by that.
    fn deletable(id: &str, _forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        Ok(ObjectId::Identity(Self::find(id, scene)?.id.clone()))
    }
}

/// What is kept of the device of an identity that is no more goes with it. What cannot be removed now stays, and opens nothing.
pub(super) async fn forget_device(admin: &Admin, id: &IdentityId) {
    if let Err(error) = admin.factors.forget_deleted(id).await {
        tracing::error!(%error, identity = %id, "the posture and the second factor of a deleted identity stay in the store");
    }
}

/// Shuts an identity out at once, whatever it has open.
pub(super) async fn disable(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    openziti::read_disabling(&body::json_or_nothing(request, BodyBounds::WRITE).await?)?;
    set_disabled(true, admin, operator, id).await
}

pub(super) async fn enable(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    set_disabled(false, admin, operator, id).await
}

async fn set_disabled(
    disabled: bool,
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
) -> Result<Response, Refusal> {
    let what = if disabled { "identity disabled" } else { "identity enabled" };
    change_identity(admin, operator, id, what, move |known, _| Ok(Identity { disabled, ..known.clone() })).await
}

/// Changes a part of an identity that has requests of its own; it counts as a change of the identity.
pub(in crate::api::admin) async fn change_identity(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    what: &'static str,
    edit: impl FnOnce(&Identity, &Objects) -> Result<Identity, Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let identity = {
            let published = admin.enforcer.published();
            let scene = Scene::new(&admin, &published);
            let mut edited = edit(Identities::find(&id, &scene)?, scene.objects())?;
            edited.meta.updated_at = scene.now;
            edited
        };
        change(&admin.enforcer, &turn, &operator, what, Change::Put(Object::Identity(Arc::new(identity)))).await?;
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}
