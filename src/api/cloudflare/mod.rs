//! Cloudflare's REST API for posture rules and what they refer to, as its own SDKs speak it (`cloudflare.md` 3).
//!
//! What bodies and replies look like belongs to [`crate::dialect::cloudflare`]. Here is what a request does: one turn at a time,
//! an object is checked against the policy in force, made durable, put into force and only then acknowledged.

mod certificates;
mod integrations;
mod lists;
mod rules;

use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Serialize;

use super::access::Operator;
use super::admin::Admin;
use super::body::{self, BodyBounds};
use super::refusal::Refusal;
use super::writing::{FORCING, change, is_forced, new_id, to_its_end};
use crate::clock::Timestamp;
use crate::config;
use crate::dialect::cloudflare::{self, ApiError, ErrorCode, Message};
use crate::enforce::Published;
use crate::limits;
use crate::policy::objects::{Meta, Origin, PostureCheck, ServicePolicy};
use crate::store::Sealer;

/// What Cloudflare's API works with beside the enforcer.
#[derive(Clone, Debug)]
pub struct Cloudflare {
    /// Which account this gateway is, and whether integrations are tried before they are saved.
    pub settings: config::Cloudflare,
    /// Encrypts the secrets of integrations.
    pub sealer: Arc<Sealer>,
    /// Reaches posture providers.
    pub providers: reqwest::Client,
}

/// The routes under [`CLOUDFLARE`](super::language::CLOUDFLARE), for this gateway's account only.
pub(super) fn router(admin: &Admin) -> Router<Admin> {
    below_an_account(of_account().route_layer(from_fn_with_state(admin.clone(), own_account)))
}

pub(super) fn below_an_account(routes: Router<Admin>) -> Router<Admin> {
    Router::new().nest("/accounts/{account_id}", routes)
}

pub(super) fn of_account() -> Router<Admin> {
    Router::new()
        .route("/devices/posture", get(rules::list).post(rules::create))
        // Before the rules, of which it would otherwise be one.
        .route("/devices/posture/integration", get(integrations::list).post(integrations::create))
        .route(
            "/devices/posture/integration/{id}",
            get(integrations::show).patch(integrations::edit).delete(integrations::delete),
        )
        .route("/devices/posture/{id}", get(rules::show).put(rules::replace).delete(rules::delete))
        .route("/gateway/lists", get(lists::list).post(lists::create))
        .route("/gateway/lists/{id}", get(lists::show).put(lists::replace).patch(lists::patch).delete(lists::delete))
        .route("/gateway/lists/{id}/items", get(lists::items))
        .route("/mtls_certificates", get(certificates::list).post(certificates::create))
        .route("/mtls_certificates/{id}", get(certificates::show).delete(certificates::delete))
        .route("/mtls_certificates/{id}/associations", get(certificates::associations))
}

/// Lets only requests for this gateway's account through.
async fn own_account(State(admin): State<Admin>, path: RawPathParams, request: Request, next: Next) -> Response {
    let asked = path.iter().find(|(name, _)| *name == "account_id").map(|(_, value)| value.to_ascii_lowercase());
    let well_formed = |account: &String| account.len() == 32 && account.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (asked.filter(well_formed), &admin.cloudflare.settings.account_id) {
        (None, _) => Refusal::from(ErrorCode::NoRoute).into_response(),
        (Some(asked), Some(own)) if *asked != **own => Refusal::from(ErrorCode::WrongAccount).into_response(),
        (Some(_), _) => next.run(request).await,
    }
}

/// The body of a request that writes, from somebody who may.
async fn written(operator: &Operator, request: Request) -> Result<Bytes, Refusal> {
    may_write(operator)?;
    body::json(request, BodyBounds::WRITE).await
}

fn may_write(operator: &Operator) -> Result<(), Refusal> {
    operator.must_be_admin().map_err(|_| ErrorCode::Forbidden.into())
}

/// A reply to something that was done.
fn done(result: impl Serialize, messages: Vec<Message>) -> Response {
    Json(cloudflare::success(result, messages)).into_response()
}

/// A reply with a whole list, in the order in which its items were made.
fn listed<T, S: Serialize>(mut items: Vec<(Timestamp, T)>, show: impl Fn(T) -> S) -> Response {
    items.sort_by_key(|(created_at, _)| *created_at);
    Json(cloudflare::list(items.into_iter().map(|(_, item)| show(item)).collect())).into_response()
}

/// What a deletion of a list, a certificate or a rule is answered with.
#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
}

/// Refuses to change what is written in a file.
fn must_not_be_from_a_file(meta: &Meta) -> Result<(), ApiError> {
    match &meta.origin {
        Origin::File { path, line } => {
            let message = format!("{}: {path}, line {line}", ErrorCode::ReadOnly.message());
            Err(ApiError::because(ErrorCode::ReadOnly, message))
        }
        Origin::Api | Origin::Enrolled => Ok(()),
    }
}

/// Whether an object was made so shortly before `now` that the same creation again is a repetition.
fn is_recent(meta: &Meta, now: Timestamp) -> bool {
    meta.origin == Origin::Api && now.since(meta.created_at) < limits::API_REPLAY_WINDOW
}

/// Refuses to take a check away from policies, unless that is forced.
fn must_not_be_asked(published: &Published, checks: &[&PostureCheck], forced: bool) -> Result<(), ApiError> {
    if forced {
        return Ok(());
    }
    let snapshot = published.snapshot();
    let asked_by: Vec<&ServicePolicy> =
        checks.iter().flat_map(|check| snapshot.policies_asking(&check.check.id)).collect();
    if asked_by.is_empty() {
        return Ok(());
    }
    let names = asked_by.iter().take(limits::IN_USE_NAMES_MAX).map(|policy| format!("`{}`", policy.name));
    let names: Vec<String> = names.collect();
    let message = format!(
        "{} service {} it: {}; {FORCING}",
        asked_by.len(),
        if asked_by.len() == 1 { "policy asks for" } else { "policies ask for" },
        names.join(", ")
    );
    Err(ApiError::because(ErrorCode::InUse, message))
}

/// Refuses to take something away from the rules that refer to it.
fn must_not_be_referred_to<'a>(
    code: ErrorCode,
    rules: impl Iterator<Item = &'a Arc<PostureCheck>>,
    forced: bool,
) -> Result<(), ApiError> {
    let names: Vec<String> =
        rules.take(limits::IN_USE_NAMES_MAX).map(|rule| format!("`{}`", rule.check.name)).collect();
    if names.is_empty() || forced {
        return Ok(());
    }
    let message = format!("posture rules refer to it: {}; change them first, or add `?force=true`", names.join(", "));
    Err(ApiError::because(code, message))
}
