//! What a device may ask about itself: what is wanted of it, how it stands with its services, and a number to sign with.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::api::refusal::Refusal;
use crate::dialect::native::{OwnService, Wanted, own_service};
use crate::dialect::openziti::ErrorCode;
use crate::enforce::Device;
use crate::limits;
use crate::policy::snapshot::{CheckSlot, CompiledPolicy, Snapshot};
use crate::posture::check::Check;

use super::Client;
use super::admission::Asker;

/// The routes, relative to the native API's root.
pub(super) fn routes() -> Router<Client> {
    Router::new()
        .route("/posture/wanted", get(wanted))
        .route("/posture/nonce", get(nonce))
        .route("/services", get(services))
}

/// What the gateway wants to know of the caller.
async fn wanted(State(client): State<Client>, Extension(asker): Extension<Asker>) -> Response {
    let device = &asker.device;
    let published = client.enforcer.published();
    let snapshot = published.snapshot();
    let family = device.known().posture().family();
    let wanted = Wanted::of(checks_for(snapshot, device), family);
    Json(json!({ "data": wanted, "meta": { "generation": snapshot.generation() } })).into_response()
}

/// A number for the caller's next signed report, and the gateway's time.
async fn nonce(State(client): State<Client>, Extension(asker): Extension<Asker>) -> Result<Response, Refusal> {
    let device = &asker.device;
    let now = client.enforcer.clock().now();
    let nonce = device.give_nonce(now).ok_or(ErrorCode::Unavailable)?;
    let data = json!({ "nonce": nonce.text, "expiresAt": nonce.expires_at, "time": now });
    Ok(Json(json!({ "data": data, "meta": {} })).into_response())
}

/// The caller's own services: which are open, which are shut, and what to do about it.
async fn services(State(client): State<Client>, Extension(asker): Extension<Asker>) -> Result<Response, Refusal> {
    let device = &asker.device;
    let published = client.enforcer.published();
    let snapshot = published.snapshot();
    let position = snapshot.find_identity(device.identity()).ok_or(ErrorCode::NotFound)?;
    let identity = snapshot.identity(position).ok_or(ErrorCode::NotFound)?;
    let mut decided = Vec::new();
    let mut left_out = 0_usize;
    for service in snapshot.services() {
        let Some(index) = snapshot.find_service(&service.id) else { continue };
        if snapshot.dial_policies(position, index).next().is_none() {
            continue;
        }
        if decided.len() < limits::OWN_SERVICES_MAX {
            decided
                .push((service, client.enforcer.explain_over(snapshot, device, asker.connection.fingerprint(), index)));
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    let shown: Vec<OwnService<'_>> =
        decided.iter().filter_map(|(service, decision)| own_service(service, decision)).collect();
    let posture = device.known().posture();
    let data = json!({
        "identity": { "id": identity.id, "name": identity.name },
        "time": client.enforcer.clock().now(),
        "checkedInAt": posture.checked_in_at,
        "signedInAt": posture.signed_in_at,
        "clockSkewMillis": posture.clock_skew_millis,
        "services": shown,
    });
    let meta = json!({ "generation": snapshot.generation(), "leftOut": left_out });
    Ok(Json(json!({ "data": data, "meta": meta })).into_response())
}

/// Every check of every policy that lets the device reach something.
fn checks_for<'a>(snapshot: &'a Snapshot, device: &Device) -> Vec<&'a Check> {
    let Some(position) = snapshot.find_identity(device.identity()) else {
        return Vec::new();
    };
    let mut slots: Vec<&CheckSlot> = snapshot.policies_of(position).flat_map(CompiledPolicy::slots).collect();
    let mut checks: Vec<&Check> = Vec::new();
    slots.sort_unstable_by_key(|slot| match slot {
        CheckSlot::Known(index) => index.position(),
        CheckSlot::Dangling(_) => usize::MAX,
    });
    slots.dedup();
    for slot in slots {
        if let CheckSlot::Known(index) = slot {
            checks.extend(snapshot.check(*index).map(|check| &**check));
        }
    }
    checks
}
