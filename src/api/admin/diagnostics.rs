//! What is known of one identity's device, and what it was refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};

use crate::decision::Failure;
use crate::dialect::openziti::{self, ErrorCode, ListQuery, Paging};
use crate::id::IdentityId;
use crate::posture::Posture;

use super::Admin;
use super::objects::Parameters;
use crate::api::access::Operator;
use crate::api::client::mfa::refused;
use crate::api::refusal::Refusal;
use crate::api::writing::to_its_end;

pub(super) async fn posture_data(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = known(&admin, id)?;
    // Nobody's session but the device's own: one certificate is one device.
    let session = id.as_str();
    let reply = match admin.enforcer.device(&id) {
        Some(device) => {
            Json(openziti::detail(openziti::posture_data(&device.known().posture(), session))).into_response()
        }
        None => Json(openziti::detail(openziti::posture_data(&Posture::default(), session))).into_response(),
    };
    Ok(reply)
}

/// All failures, oldest first and without pages, as OpenZiti's clients know them; whoever asks for a part is told what part it
/// is. There are few enough that no limit means all, here too.
pub(super) async fn failed_service_requests(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Result<Response, Refusal> {
    let id = known(&admin, id)?;
    let query = ListQuery::<Failure>::read_over(&parameters, Paging::WHOLE)?;
    let failures = admin.enforcer.device(&id).map(|device| device.failures()).unwrap_or_default();
    let page = query.page(failures.iter().map(Arc::as_ref)).map(openziti::failed_service_request);
    let partial = parameters.iter().any(|(name, _)| ["limit", "offset", "filter", "sort"].contains(&name.as_str()));
    Ok(if partial {
        Json(openziti::list::<Failure, _>(page)).into_response()
    } else {
        Json(openziti::detail(page.items)).into_response()
    })
}

/// Takes an identity's second factor away, and with it every pass: what was opened by one closes.
pub(super) async fn remove_second_factor(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    let id = known(&admin, id)?;
    let device = admin.enforcer.device_of_known(&id).ok_or(ErrorCode::NotFound)?;
    let factors = Arc::clone(&admin.factors);
    to_its_end(async move { factors.withdraw(&device).await.map_err(refused) }).await?;
    tracing::info!(operator = &*operator.name, identity = %id, "second factor removed");
    Ok(Json(openziti::empty()).into_response())
}

/// The id of an identity of the policy in force. One that left the policy is unknown, whatever is still kept of it.
fn known(admin: &Admin, id: String) -> Result<IdentityId, Refusal> {
    let id = IdentityId::new(id);
    match admin.enforcer.published().snapshot().find_identity(&id) {
        Some(_) => Ok(id),
        None => Err(ErrorCode::NotFound.into()),
    }
}
