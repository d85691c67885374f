//! What is known of one identity's device, and what it was refused.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use crate::dialect::openziti::{self, ErrorCode};
use crate::id::IdentityId;
use crate::posture::Posture;

use super::Admin;
use crate::api::refusal::Refusal;

pub(super) async fn posture_data(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = known(&admin, id)?;
    // Nobody's session but the device's own: one certificate is one device.
    let session = id.as_str();
    let reply = match admin.enforcer.device(&id) {
        Some(device) => {
            Json(openziti::detail(openziti::posture_data(&device.known().posture, session))).into_response()
        }
        None => Json(openziti::detail(openziti::posture_data(&Posture::default(), session))).into_response(),
    };
    Ok(reply)
}

pub(super) async fn failed_service_requests(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = known(&admin, id)?;
    let failures = admin.enforcer.device(&id).map(|device| device.failures()).unwrap_or_default();
    let oldest_first: Vec<_> = failures.iter().map(|failure| openziti::failed_service_request(failure)).collect();
    Ok(Json(openziti::detail(oldest_first)).into_response())
}

/// The id of an identity of the policy in force. One that left the policy is unknown, whatever is still kept of it.
fn known(admin: &Admin, id: String) -> Result<IdentityId, Refusal> {
    let id = IdentityId::new(id);
    match admin.enforcer.published().snapshot().find_identity(&id) {
        Some(_) => Ok(id),
        None => Err(ErrorCode::NotFound.into()),
    }
}
