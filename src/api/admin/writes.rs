//! What OpenZiti's clients create, replace, change and delete. One kind of object differs from the next in how its bodies are read
//! and in what must be so before it may go; the rest is the same for all.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post, put};
use bytes::Bytes;
use http::StatusCode;

use super::Admin;
use crate::api::access::Operator;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::writing::{change, new_id, to_its_end};
use crate::clock::Timestamp;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::{Change, Object, ObjectId, Published};
use crate::id::{CheckId, IdentityId, ListId, PolicyId};
use crate::limits;
use crate::policy::Objects;
use crate::policy::objects::{Identity, Meta, Origin, PostureCheck, ServicePolicy};

/// The routes that write, to be merged with those that read.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route(Identities::COLLECTION, collection::<Identities>())
        .route(&format!("{}/{{id}}", Identities::COLLECTION), entity::<Identities>())
        .route("/identities/{id}/disable", post(disable))
        .route("/identities/{id}/enable", post(enable))
        .route(PostureChecks::COLLECTION, collection::<PostureChecks>())
        .route(&format!("{}/{{id}}", PostureChecks::COLLECTION), entity::<PostureChecks>())
        .route(ServicePolicies::COLLECTION, collection::<ServicePolicies>())
        .route(&format!("{}/{{id}}", ServicePolicies::COLLECTION), entity::<ServicePolicies>())
}

fn collection<K: Kind>() -> MethodRouter<Admin> {
    post(create::<K>)
}

fn entity<K: Kind>() -> MethodRouter<Admin> {
    put(replace::<K>).patch(patch::<K>).delete(delete::<K>)
}

/// How much of an object a body describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    /// All of it.
    Replace,
    /// What it names.
    Patch,
}

/// What a write is read against: the objects in force, while nobody else changes them.
struct Scene<'a> {
    published: &'a Published,
    now: Timestamp,
}

impl Scene<'_> {
    fn objects(&self) -> &Objects {
        self.published.snapshot().objects()
    }
}

/// What one kind of object does in its own way.
trait Kind: 'static {
    /// Where its objects lie.
    const COLLECTION: &'static str;

    /// Reads a new object.
    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal>;

    /// Reads what an object is to become.
    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal>;

    /// The id of an object that may be deleted.
    fn deletable(id: &str, forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal>;
}

async fn create<K: Kind>(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let id = new_id();
        let object = {
            let scene = Scene { published: &admin.enforcer.published(), now: admin.enforcer.clock().now() };
            K::create(&body, id.clone(), &scene)?
        };
        change(&admin.enforcer, &turn, &operator, "object made", Change::Put(object)).await?;
        let reply = openziti::created(K::COLLECTION.trim_start_matches('/'), &id);
        Ok((StatusCode::CREATED, Json(reply)).into_response())
    };
    to_its_end(work).await
}

async fn replace<K: Kind>(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    write_over::<K>(Edit::Replace, admin, operator, id, request).await
}

async fn patch<K: Kind>(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    write_over::<K>(Edit::Patch, admin, operator, id, request).await
}

async fn write_over<K: Kind>(
    edit: Edit,
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let object = {
            let scene = Scene { published: &admin.enforcer.published(), now: admin.enforcer.clock().now() };
            K::edit(&body, &id, edit, &scene)?
        };
        change(&admin.enforcer, &turn, &operator, "object changed", Change::Put(object)).await?;
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}

async fn delete<K: Kind>(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let forced = query.iter().any(|(name, value)| name == "force" && value == "true");
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let id = {
            let scene = Scene { published: &admin.enforcer.published(), now: admin.enforcer.clock().now() };
            K::deletable(&id, forced, &scene)?
        };
        change(&admin.enforcer, &turn, &operator, "object deleted", Change::Delete(id)).await?;
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}

/// The body of a request that writes, from somebody who may.
async fn written(operator: &Operator, request: Request) -> Result<Bytes, Refusal> {
    operator.must_be_admin()?;
    body::json(request, BodyBounds { bytes: limits::API_WRITE_BYTES_MAX, time: limits::API_BODY_TIME_MAX }).await
}

/// Refuses to change what is written in a file.
fn must_not_be_from_a_file(meta: &Meta) -> Result<(), Refusal> {
    match &meta.origin {
        Origin::File { path, line } => {
            let reason = format!("is written in {path}, line {line}; change it there");
            Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, ""))
        }
        Origin::Api | Origin::Enrolled => Ok(()),
    }
}

struct Identities;

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
        let read = openziti::create_identity(body, IdentityId::new(id), scene.now)?;
        Ok(Object::Identity(Arc::new(read)))
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

/// Shuts an identity out at once, whatever it has open.
async fn disable(
    admin: State<Admin>,
    operator: Extension<Operator>,
    id: Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let bounds = BodyBounds { bytes: limits::API_WRITE_BYTES_MAX, time: limits::API_BODY_TIME_MAX };
    openziti::read_disabling(&body::json_or_nothing(request, bounds).await?)?;
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
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let identity = {
            let scene = Scene { published: &admin.enforcer.published(), now: admin.enforcer.clock().now() };
            let known = Identities::find(&id, &scene)?;
            let meta = Meta { updated_at: scene.now, ..known.meta.clone() };
            Identity { disabled, meta, ..known.clone() }
        };
        let what = if disabled { "identity disabled" } else { "identity enabled" };
        change(&admin.enforcer, &turn, &operator, what, Change::Put(Object::Identity(Arc::new(identity)))).await?;
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}

struct PostureChecks;

impl PostureChecks {
    fn find<'a>(id: &str, scene: &'a Scene<'_>) -> Result<&'a PostureCheck, Refusal> {
        Ok(scene.objects().checks.get(id).ok_or(ErrorCode::NotFound)?)
    }

    /// Cloudflare's rules may share names, OpenZiti's checks may not.
    fn with_own_name(check: PostureCheck, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let (id, name) = (&check.check.id, &check.check.name);
        let taken = scene.objects().checks.values().any(|other| other.check.name == *name && other.check.id != *id);
        if taken {
            return Err(Refusal::because(
                ErrorCode::CouldNotValidate,
                "name",
                "is taken by another posture check",
                name,
            ));
        }
        Ok(Object::Check(Arc::new(check)))
    }
}

impl Kind for PostureChecks {
    const COLLECTION: &'static str = "/posture-checks";

    fn create(body: &[u8], id: String, scene: &Scene<'_>) -> Result<Object, Refusal> {
        Self::with_own_name(openziti::create_posture_check(body, CheckId::new(id), scene.now)?, scene)
    }

    fn edit(body: &[u8], id: &str, edit: Edit, scene: &Scene<'_>) -> Result<Object, Refusal> {
        let known = Self::find(id, scene)?;
        must_not_be_from_a_file(&known.meta)?;
        if known.as_written.is_some() {
            let reason = "is a Cloudflare posture rule, which can say more than a body here; change it in its own API";
            return Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, id));
        }
        let read = match edit {
            Edit::Replace => openziti::replace_posture_check(body, known, scene.now)?,
            Edit::Patch => openziti::patch_posture_check(body, known, scene.now)?,
        };
        Self::with_own_name(read, scene)
    }

    /// OpenZiti deletes a check that policies ask for and leaves them with one question less; here that must be meant.
    fn deletable(id: &str, forced: bool, scene: &Scene<'_>) -> Result<ObjectId, Refusal> {
        let known = Self::find(id, scene)?;
        must_not_be_from_a_file(&known.meta)?;
        if let Some(list) = scene.objects().lists.get(&ListId::from(id)) {
            let reason = format!("comes with the gateway list `{}`; delete the list instead", list.name);
            return Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, id));
        }
        let asked_by = scene.published.snapshot().policies_asking(&known.check.id);
        if !asked_by.is_empty() && !forced {
            let ids: Vec<_> = asked_by.iter().take(limits::IN_USE_NAMES_MAX).map(|policy| policy.id.as_str()).collect();
            let reason = format!(
                "is asked for by {} of the service policies; change them first, or add `?force=true`, after which policies that \
                 name it stay shut and those that select it by attribute ask for less",
                asked_by.len()
            );
            return Err(Refusal::because(ErrorCode::CanNotDeleteReferencedEntity, "id", reason, &ids.join(",")));
        }
        Ok(ObjectId::Check(known.check.id.clone()))
    }
}

struct ServicePolicies;

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
