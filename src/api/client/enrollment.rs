//! Devices that have a one-time token, or a certificate of a CA whose clients are enrolled, and no identity to log in as yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::Client;
use crate::api::authorities::Authorities;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::writing::to_its_end;
use crate::dialect::openziti::{self, EnrollmentRequest, ErrorCode};
use crate::enforce::Connection;

const BOUNDS: BodyBounds = BodyBounds::WRITE;

/// The CAs to know, without credentials, as clients ask before they believe anything.
pub(super) fn show_authorities(authorities: Option<&Authorities>) -> Result<Response, Refusal> {
    authorities.map(Authorities::show).ok_or_else(|| ErrorCode::NotFound.into())
}

/// The generic endpoint, where the query says how.
pub(super) async fn enroll(
    state: State<Client>,
    connection: Extension<Arc<Connection>>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Refusal> {
    let named = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    match named("method").as_deref() {
        None | Some("ott") => by_token(state.0, named("token"), request).await,
        Some("ca") => by_authority(state, connection).await,
        Some(other) => Err(Refusal::because(ErrorCode::InvalidEnrollMethod, "method", "must be ott or ca", other)),
    }
}

/// The endpoint of one-time tokens, which come in the body.
pub(super) async fn enroll_by_token(
    State(client): State<Client>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Refusal> {
    let token = query.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token);
    by_token(client, token, request).await
}

/// Makes the identity of a certificate whose CA enrols its clients, as its first report would.
pub(super) async fn by_authority(
    State(client): State<Client>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Response, Refusal> {
    client.device(&connection).await?;
    Ok(Json(openziti::empty()).into_response())
}

async fn by_token(client: Client, token: Option<String>, request: Request) -> Result<Response, Refusal> {
    let Some(enroller) = client.enroller.clone() else {
        let reason = "is not offered: this gateway has no enrolment CA";
        return Err(Refusal::because(ErrorCode::InvalidEnrollMethod, "method", reason, "ott"));
    };
    let sent = read(request).await?;
    let token = sent.token.or(token).ok_or(ErrorCode::InvalidEnrollmentToken)?;
    let work = async move {
        let issued = enroller.redeem(&client.enforcer, &token, sent.request.as_bytes()).await?;
        Ok(Json(openziti::detail(issued)).into_response())
    };
    to_its_end(work).await
}

/// What a device sends: PEM as it is, or inside JSON.
async fn read(request: Request) -> Result<EnrollmentRequest, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(openziti::read_enrollment_request(&body::json(request, BOUNDS).await?)?),
        "application/x-pem-file" | "application/pkcs7" | "application/pkcs10" | "text/plain" => {
            let body = body::any(request, BOUNDS).await?;
            Ok(EnrollmentRequest { token: None, request: String::from_utf8_lossy(&body).into_owned() })
        }
        _ => {
            let reason = "must be application/x-pem-file, text/plain or application/json";
            Err(Refusal::because(ErrorCode::UnsupportedMediaType, "content-type", reason, &essence))
        }
    }
}
