//! Posture rules.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;

use super::{
    Deleted, change, done, is_forced, is_recent, listed, may_write, must_not_be_asked, must_not_be_from_a_file, new_id,
    to_its_end, written,
};
use crate::api::access::Operator;
use crate::api::admin::Admin;
use crate::api::refusal::Refusal;
use crate::dialect::cloudflare::{self, ApiError, ErrorCode};
use crate::enforce::{Change, Enforcer, Object, ObjectId};
use crate::id::{CheckId, ListId};
use crate::policy::objects::{Objects, PostureCheck};

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    let published = admin.enforcer.published();
    let checks = published.snapshot().objects().checks.values();
    let rules = checks.filter_map(|check| Some((check.meta.created_at, cloudflare::rule(check)?)));
    listed(rules.collect(), |rule| rule)
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = find(published.snapshot().objects(), &id)?;
    Ok(done(cloudflare::rule(known), Vec::new()))
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
    let rule = cloudflare::create_rule(body, CheckId::new(new_id()), now)?;
    let turn = enforcer.turn().await;
    let mut warnings = rule.warnings;
    {
        let published = enforcer.published();
        let objects = published.snapshot().objects();
        let same =
            |known: &&Arc<PostureCheck>| is_recent(&known.meta, now) && cloudflare::same_content(known, &rule.object);
        if let Some(known) = objects.checks.values().find(same) {
            return Ok(done(cloudflare::rule(known), warnings));
        }
        warnings.extend(cloudflare::check_references(&rule.object, objects)?);
    }
    put(enforcer, &turn, operator, "posture rule made", rule.object, warnings).await
}

pub(super) async fn replace(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { write_over(&admin.enforcer, &operator, &id, &body).await }).await
}

async fn write_over(enforcer: &Enforcer, operator: &Operator, id: &str, body: &Bytes) -> Result<Response, Refusal> {
    let now = enforcer.clock().now();
    let turn = enforcer.turn().await;
    let (rule, warnings) = {
        let published = enforcer.published();
        let objects = published.snapshot().objects();
        let known = find(objects, id)?;
        must_not_be_from_a_file(&known.meta)?;
        must_not_be_implicit(objects, id)?;
        let rule = cloudflare::replace_rule(body, known, now)?;
        let mut warnings = rule.warnings;
        warnings.extend(cloudflare::check_references(&rule.object, objects)?);
        (rule.object, warnings)
    };
    put(enforcer, &turn, operator, "posture rule replaced", rule, warnings).await
}

async fn put(
    enforcer: &Enforcer,
    turn: &crate::enforce::Turn<'_>,
    operator: &Operator,
    what: &'static str,
    rule: PostureCheck,
    warnings: Vec<cloudflare::Message>,
) -> Result<Response, Refusal> {
    let rule = Arc::new(rule);
    change(enforcer, turn, operator, what, Change::Put(Object::Check(Arc::clone(&rule)))).await?;
    Ok(done(cloudflare::rule(&rule), warnings))
}

/// Deleting what is not there is success: it may be the repetition of a deletion.
pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    may_write(&operator)?;
    let work = async move {
        let enforcer = &admin.enforcer;
        let turn = enforcer.turn().await;
        let exists = {
            let published = enforcer.published();
            let objects = published.snapshot().objects();
            match find(objects, &id) {
                Err(_) => false,
                Ok(known) => {
                    must_not_be_from_a_file(&known.meta)?;
                    must_not_be_implicit(objects, &id)?;
                    must_not_be_asked(&published, &[known], is_forced(&query))?;
                    true
                }
            }
        };
        if exists {
            let deletion = Change::Delete(ObjectId::Check(CheckId::from(id.as_str())));
            change(enforcer, &turn, &operator, "posture rule deleted", deletion).await?;
        }
        Ok(done(Deleted { id: &id }, Vec::new()))
    };
    to_its_end(work).await
}

fn find<'a>(objects: &'a Objects, id: &str) -> Result<&'a PostureCheck, ErrorCode> {
    let known = objects.checks.get(id).filter(|check| cloudflare::rule(check).is_some());
    known.map(AsRef::as_ref).ok_or(ErrorCode::RuleNotFound)
}

/// A rule that exists because a list does changes with the list.
fn must_not_be_implicit(objects: &Objects, id: &str) -> Result<(), ApiError> {
    match objects.lists.get(&ListId::from(id)) {
        Some(list) => {
            let message = format!("the rule comes with the gateway list `{}`; change the list instead", list.name);
            Err(ApiError::because(ErrorCode::ReadOnly, message))
        }
        None => Ok(()),
    }
}
