//! Who changed what through the API.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Admin;
use crate::api::refusal::Refusal;
use crate::dialect::openziti::{self, Paging};

/// Which entries are asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    limit: Option<String>,
    offset: Option<String>,
}

/// The audit trail, newest first.
pub(super) async fn list(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Result<Response, Refusal> {
    let paging = Paging::parse(asked.limit.as_deref(), asked.offset.as_deref(), Paging::default())?;
    let oldest_first = admin.enforcer.audit_trail();
    let page = paging.page(oldest_first.iter().rev());
    Ok(Json(openziti::unfiltered(page)).into_response())
}
