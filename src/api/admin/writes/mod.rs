//! What OpenZiti's clients create, replace, change and delete. One kind of object differs from the next in how its bodies are read
//! and in what must be so before it may go; the rest is the same for all.

mod config_types;
mod configs;
mod identities;
mod posture_checks;
mod service_policies;
mod services;

use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;

use self::config_types::OwnConfigTypes;
use self::configs::Configs;
use self::identities::Identities;
use self::posture_checks::PostureChecks;
use self::service_policies::ServicePolicies;
use self::services::Services;
use super::Admin;
use crate::api::access::Operator;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::writing::{change, is_forced, new_id, to_its_end};
use crate::clock::Timestamp;
use crate::config::ServiceDefaults;
use crate::dialect::openziti::{self, ConfigTypes, ErrorCode};
use crate::enforce::{Change, Object, ObjectId, Published};
use crate::policy::Objects;
use crate::policy::objects::{Meta, Origin};

pub(super) use self::identities::edit_identity;

/// The routes that write, to be merged with those that read.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route(Identities::COLLECTION, collection::<Identities>())
        .route(&format!("{}/{{id}}", Identities::COLLECTION), entity::<Identities>())
        .merge(identities::router())
        .route(Configs::COLLECTION, collection::<Configs>())
        .route(&format!("{}/{{id}}", Configs::COLLECTION), entity::<Configs>())
        .route(OwnConfigTypes::COLLECTION, collection::<OwnConfigTypes>())
        .route(&format!("{}/{{id}}", OwnConfigTypes::COLLECTION), entity::<OwnConfigTypes>())
        .route(PostureChecks::COLLECTION, collection::<PostureChecks>())
        .route(&format!("{}/{{id}}", PostureChecks::COLLECTION), entity::<PostureChecks>())
        .route(Services::COLLECTION, collection::<Services>())
        .route(&format!("{}/{{id}}", Services::COLLECTION), entity::<Services>())
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
pub(super) struct Scene<'a> {
    pub(super) admin: &'a Admin,
    published: &'a Published,
    service_defaults: &'a ServiceDefaults,
    pub(super) now: Timestamp,
}

impl<'a> Scene<'a> {
    fn new(admin: &'a Admin, published: &'a Published) -> Self {
        Scene { admin, published, service_defaults: &admin.service_defaults, now: admin.enforcer.clock().now() }
    }

    pub(super) fn objects(&self) -> &Objects {
        self.published.snapshot().objects()
    }

    /// What an object that changes now carries.
    fn touched(&self, meta: &Meta) -> Meta {
        Meta { updated_at: self.now, ..meta.clone() }
    }

    fn config_types(&self) -> ConfigTypes<'_> {
        ConfigTypes::of(self.objects())
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
            let published = admin.enforcer.published();
            let scene = Scene::new(&admin, &published);
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
            let published = admin.enforcer.published();
            let scene = Scene::new(&admin, &published);
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
    let forced = is_forced(&query);
    let work = async move {
        let turn = admin.enforcer.turn().await;
        let id = {
            let published = admin.enforcer.published();
            let scene = Scene::new(&admin, &published);
            K::deletable(&id, forced, &scene)?
        };
        change(&admin.enforcer, &turn, &operator, "object deleted", Change::Delete(id.clone())).await?;
        if let ObjectId::Identity(id) = &id {
            identities::forget_device(&admin, id).await;
        }
        Ok(Json(openziti::empty()).into_response())
    };
    to_its_end(work).await
}

/// The body of a request that writes, from somebody who may.
pub(super) async fn written(operator: &Operator, request: Request) -> Result<Bytes, Refusal> {
    operator.must_be_admin()?;
    body::json(request, BodyBounds::WRITE).await
}

/// Refuses to change what is written in a file.
pub(super) fn must_not_be_from_a_file(meta: &Meta) -> Result<(), Refusal> {
    match &meta.origin {
        Origin::File { path, line } => {
            let reason = format!("is written in {path}, line {line}; change it there");
            Err(Refusal::because(ErrorCode::CouldNotValidate, "id", reason, ""))
        }
        Origin::Api | Origin::Enrolled => Ok(()),
    }
}
