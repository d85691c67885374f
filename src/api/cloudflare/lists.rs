//! Gateway lists of serial numbers and of client ids.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use super::{
    change, done, is_forced, is_recent, listed, may_write, must_not_be_asked, must_not_be_from_a_file,
    must_not_be_referred_to, new_id, to_its_end, written,
};
use crate::api::access::Operator;
use crate::api::admin::Admin;
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::cloudflare::{self, ApiError, ErrorCode, Message, Written};
use crate::enforce::{Change, Enforcer, Object, ObjectId, Turn};
use crate::id::ListId;
use crate::policy::device_list::DeviceList;
use crate::policy::objects::Objects;

type Parameters = Query<Vec<(String, String)>>;

pub(super) async fn list(State(admin): State<Admin>, Query(query): Parameters) -> Response {
    let published = admin.enforcer.published();
    let kind = query.iter().find(|(name, _)| name == "type").map(|(_, value)| value.as_str());
    let lists = published.snapshot().objects().lists.values();
    let asked = lists.filter(|list| kind.is_none_or(|kind| cloudflare::list_type(list) == kind));
    listed(asked.map(|list| (list.meta.created_at, list)).collect(), |list| cloudflare::gateway_list(list, false))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = find(published.snapshot().objects(), &id)?;
    Ok(done(cloudflare::gateway_list(known, true), Vec::new()))
}

/// The items of a list, all on the first page. Clients ask for pages until one is empty.
pub(super) async fn items(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = find(published.snapshot().objects(), &id)?;
    let page = query.iter().find(|(name, _)| name == "page").map_or("1", |(_, value)| value.as_str());
    let items = if page == "1" { cloudflare::list_items(known) } else { Vec::new() };
    Ok(Json(cloudflare::list(items)).into_response())
}

pub(super) async fn create(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { make(&admin.enforcer, &operator, &body).await }).await
}

async fn make(enforcer: &Enforcer, operator: &Operator, body: &Bytes) -> Result<Response, Refusal> {
    let now = enforcer.clock().now();
    let Written { object, warnings } = cloudflare::create_list(body, ListId::new(new_id()), now)?;
    let turn = enforcer.turn().await;
    {
        let published = enforcer.published();
        let same =
            |known: &&Arc<DeviceList>| is_recent(&known.meta, now) && cloudflare::same_list_content(known, &object);
        if let Some(known) = published.snapshot().objects().lists.values().find(same) {
            return Ok(done(cloudflare::gateway_list(known, true), warnings));
        }
    }
    put(enforcer, &turn, operator, "gateway list made", object, warnings).await
}

pub(super) async fn replace(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { write_over(&admin.enforcer, &operator, &id, &body, cloudflare::replace_list).await }).await
}

pub(super) async fn patch(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { write_over(&admin.enforcer, &operator, &id, &body, cloudflare::patch_list).await }).await
}

/// What makes of a body and a list what the list is to be.
type Edit = fn(&[u8], &DeviceList, Timestamp) -> Result<Written<DeviceList>, ApiError>;

async fn write_over(
    enforcer: &Enforcer,
    operator: &Operator,
    id: &str,
    body: &Bytes,
    edit: Edit,
) -> Result<Response, Refusal> {
    let now = enforcer.clock().now();
    let turn = enforcer.turn().await;
    let Written { object, warnings } = {
        let published = enforcer.published();
        let known = find(published.snapshot().objects(), id)?;
        must_not_be_from_a_file(&known.meta)?;
        edit(body, known, now)?
    };
    put(enforcer, &turn, operator, "gateway list changed", object, warnings).await
}

async fn put(
    enforcer: &Enforcer,
    turn: &Turn<'_>,
    operator: &Operator,
    what: &'static str,
    list: DeviceList,
    warnings: Vec<Message>,
) -> Result<Response, Refusal> {
    let list = Arc::new(list);
    change(enforcer, turn, operator, what, Change::Put(Object::List(Arc::clone(&list)))).await?;
    Ok(done(cloudflare::gateway_list(&list, true), warnings))
}

pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    may_write(&operator)?;
    let work = async move {
        let enforcer = &admin.enforcer;
        let turn = enforcer.turn().await;
        {
            let published = enforcer.published();
            let objects = published.snapshot().objects();
            let known = find(objects, &id)?;
            must_not_be_from_a_file(&known.meta)?;
            let forced = is_forced(&query);
            // The rule that comes with the list goes with it.
            let own = objects.checks.get(id.as_str());
            let others = objects.checks.values().filter(|check| {
                check.check.id.as_str() != id && check.check.predicate.list().is_some_and(|list| list.as_str() == id)
            });
            must_not_be_referred_to(ErrorCode::InUse, others, forced)?;
            must_not_be_asked(&published, &own.map(AsRef::as_ref).into_iter().collect::<Vec<_>>(), forced)?;
        }
        let deletion = Change::Delete(ObjectId::List(ListId::from(id.as_str())));
        change(enforcer, &turn, &operator, "gateway list deleted", deletion).await?;
        Ok(done(json!({}), Vec::new()))
    };
    to_its_end(work).await
}

fn find<'a>(objects: &'a Objects, id: &str) -> Result<&'a DeviceList, ErrorCode> {
    objects.lists.get(id).map(AsRef::as_ref).ok_or(ErrorCode::ListNotFound)
}
