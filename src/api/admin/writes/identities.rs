//! Identities: beside the usual, they are disabled and enabled, and given configs.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{Admin, Edit, Kind, Scene, must_not_be_from_a_file, written};
use crate::api::access::Operator;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::writing::{change, to_its_end};
use crate::dialect::openziti::{self, ErrorCode, NewIdentity};
use crate::enforce::{Change, Object, ObjectId};
use crate::id::IdentityId;
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

/// The routes to parts of identities, which are changed by requests of their own.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/identities/{id}/disable", post(disable))
        .route("/identities/{id}/enable", post(enable))
        .route("/identities/{id}/service-configs", get(assigned).post(assign).delete(unassign))
}

/// Shuts an identity out at once, whatever it has open.
async fn disable(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    openziti::read_disabling(&body::json_or_nothing(request, BodyBounds::WRITE).await?)?;
    set_disabled(true, admin, operator, id).await
}

async fn enable(admin: State<Admin>, operator: Extension<Operator>, id: Path<String>) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    set_disabled(false, admin, operator, id).await
}

async fn set_disabled(
    disabled: bool,
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let what = if disabled { "identity disabled" } else { "identity enabled" };
    edit_identity(admin, operator, what, move |scene| {
        let known = Identities::find(&id, scene)?;
        Ok((Identity { disabled, meta: scene.touched(&known.meta), ..known.clone() }, ()))
    })
    .await?;
    Ok(Json(openziti::empty()).into_response())
}

/// `GET /identities/{id}/service-configs`: the configs that it is shown in the place of those of services.
async fn assigned(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let objects = published.snapshot().objects();
    let identity = objects.identities.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(openziti::assigned_configs(identity, objects))).into_response())
}

async fn assign(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    edit_identity(admin, operator, "configs assigned", move |scene| {
        let known = Identities::find(&id, scene)?;
        let service_configs = openziti::read_assignments(&body, known, scene.objects())?;
        Ok((Identity { service_configs, meta: scene.touched(&known.meta), ..known.clone() }, ()))
    })
    .await?;
    Ok(Json(openziti::empty()).into_response())
}

async fn unassign(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let body = body::json_or_nothing(request, BodyBounds::WRITE).await?;
    edit_identity(admin, operator, "configs taken back", move |scene| {
        let known = Identities::find(&id, scene)?;
        let service_configs = openziti::read_unassignments(&body, known)?;
        Ok((Identity { service_configs, meta: scene.touched(&known.meta), ..known.clone() }, ()))
    })
    .await?;
    Ok(Json(openziti::empty()).into_response())
}

/// Changes an identity in a turn of its own. What `edit` also tells is told when the change is in force.
pub(in crate::api::admin) async fn edit_identity<R: Send + 'static>(
    admin: Admin,
    operator: Operator,
    what: &'static str,
    edit: impl FnOnce(&Scene<'_>) -> Result<(Identity, R), Refusal> + Send + 'static,
) -> Result<R, Refusal> {
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let (identity, told) = {
            let published = admin.enforcer.published();
            edit(&Scene::new(&admin, &published))?
        };
        change(&admin.enforcer, &turn, &operator, what, Change::Put(Object::Identity(Arc::new(identity)))).await?;
        Ok(told)
    };
    to_its_end(work).await
}
