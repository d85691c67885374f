//! The policy in force and how its last loads went; and the order to load again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::Findings;
use crate::dialect::openziti::{self, ErrorCode};

use super::Admin;
use crate::api::access::Operator;
use crate::api::refusal::Refusal;

/// What is said of the policy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyInForce<'a> {
    generation: u64,
    /// `false` while everything is denied because nothing was ever loaded.
    loaded: bool,
    loaded_at: Option<Timestamp>,
    identities: usize,
    services: usize,
    service_policies: usize,
    posture_checks: usize,
    warnings: &'a Findings,
    /// The last load, when it was refused and the policy in force is an earlier one.
    last_error: Option<LastError<'a>>,
}

#[derive(Serialize)]
struct LastError<'a> {
    at: Timestamp,
    findings: &'a Findings,
}

pub(super) async fn show(State(admin): State<Admin>) -> Response {
    in_force(&admin)
}

/// Answers with what is in force, and 422 when that is not what was just tried.
pub(super) async fn reload(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    match Arc::clone(&admin.reloader).reload().await {
        Some(Ok(generation)) => {
            tracing::info!(operator = &*operator.name, generation, "policy loaded again on demand");
            Ok(in_force(&admin))
        }
        Some(Err(_)) => Ok((StatusCode::UNPROCESSABLE_ENTITY, in_force(&admin)).into_response()),
        None => Err(ErrorCode::Unhandled.into()),
    }
}

fn in_force(admin: &Admin) -> Response {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let objects = snapshot.objects();
    admin.reloader.look_over();
    let loads = admin.status.loads();
    let data = PolicyInForce {
        generation: snapshot.generation(),
        loaded: snapshot.is_loaded(),
        loaded_at: loads.loaded_at,
        identities: objects.identities.len(),
        services: objects.services.len(),
        service_policies: objects.policies.len(),
        posture_checks: objects.checks.len(),
        warnings: &loads.warnings,
        last_error: loads.refused.as_ref().map(|refused| LastError { at: refused.at, findings: &refused.findings }),
    };
    Json(openziti::detail(data)).into_response()
}
