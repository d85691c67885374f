//! What posture providers say, written by operators and their scripts: the way in for providers without a connector.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::writes::written;
use crate::api::access::Operator;
use crate::api::refusal::Refusal;
use crate::dialect::cloudflare;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::ReportRefused;
use crate::id::{ConnectionId, IdentityId};
use crate::posture::facts::Source;
use crate::posture::provider::ProviderRecord;
use crate::posture::report::{Observation, Report, Seen};

/// Takes the values in: durable and in force when the reply is sent.
pub(super) async fn write(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((identity, connection)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let (identity, connection) = (IdentityId::new(identity), ConnectionId::new(connection));
    let device = admin.enforcer.device_of_known(&identity).ok_or(ErrorCode::NotFound)?;
    let provider = {
        let published = admin.enforcer.published();
        let integration = published.snapshot().objects().integrations.get(&connection).cloned();
        let missing =
            || Refusal::because(ErrorCode::NotFound, "connection", "is no posture integration", connection.as_str());
        integration.ok_or_else(missing)?.provider
    };
    let now = admin.enforcer.clock().now();
    let values = cloudflare::read_provider_values(provider, &body, now)?;
    let seen = Seen::Provider(ProviderRecord { connection: connection.clone(), values });
    let observation = Observation { asked_by: None, seen };
    let report = Report { received_at: now, source: Source::Provider, observations: vec![observation] };
    let enforcer = Arc::clone(&admin.enforcer);
    // In a task of its own: what has begun comes to its end, whether or not the operator waits for it.
    match tokio::spawn(async move { enforcer.report(&device, &report).await }).await {
        Ok(Ok(())) => {
            tracing::info!(operator = &*operator.name, %identity, %connection, "provider values written");
            Ok(Json(openziti::empty()).into_response())
        }
        Ok(Err(ReportRefused::Invalid(error))) => {
            Err(Refusal::because(ErrorCode::CouldNotValidate, "body", error.to_string(), ""))
        }
        Ok(Err(ReportRefused::Unavailable(error))) => {
            tracing::error!(%error, code = error.code(), "provider values could not be stored");
            Err(Refusal::store_unavailable())
        }
        Err(_) => Err(ErrorCode::Unhandled.into()),
    }
}
