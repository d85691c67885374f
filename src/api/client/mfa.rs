//! The caller's own second factor.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use super::Client;
use super::admission::Asker;
use super::qr_code;
use crate::api::body::{self, BodyBounds};
use crate::api::refusal::Refusal;
use crate::api::version;
use crate::api::writing::to_its_end;
use crate::dialect::openziti::{self, ErrorCode};
use crate::enforce::second_factor::Provision;
use crate::enforce::{Device, FactorRefused};
use crate::limits;
use crate::secret::Secret;

/// The header that a code may be sent in.
const CODE_HEADER: &str = "mfa-validation-code";

/// `POST /current-identity/mfa`: begins an enrolment.
pub(super) async fn enrol(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
) -> Result<Response, Refusal> {
    let (factors, device) = (Arc::clone(&client.factors), Arc::clone(&asker.device));
    let enrolled = to_its_end(async move { factors.enrol(&device).await.map_err(refused) }).await?;
    told(&asker.device, "MFA enrolment begun");
    Ok((StatusCode::CREATED, Json(openziti::mfa_created(&enrolled.id))).into_response())
}

/// `GET /current-identity/mfa`.
pub(super) async fn show(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    let identity = asker.device.identity();
    let enrolled = client.factors.find(identity).ok_or(ErrorCode::NotFound)?;
    let provision = client.factors.provision(identity).map_err(refused)?;
    let unverified = provision.map(|provision| (client.url(&asker, &request, &provision), provision.recovery_codes));
    let unverified = unverified.as_ref().map(|(url, codes)| (url, codes.as_slice()));
    let shown = openziti::mfa(&enrolled.id, enrolled.created_at, enrolled.updated_at, unverified);
    Ok(Json(openziti::detail(shown)).into_response())
}

/// `GET /current-identity/mfa/qr-code`: the provisioning URL as a picture.
pub(super) async fn show_qr_code(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    let provision = client.factors.provision(asker.device.identity()).map_err(|error| match error {
        FactorRefused::NotEnrolled => ErrorCode::MfaEnrollmentNotStarted.into(),
        other => refused(other),
    })?;
    let provision = provision.ok_or(ErrorCode::MfaEnrollmentNotStarted)?;
    let url = client.url(&asker, &request, &provision);
    let picture = qr_code::png(url.expose()).map_err(|error| {
        tracing::error!(%error, "a QR code cannot be drawn");
        ErrorCode::Unhandled
    })?;
    Ok(([(CONTENT_TYPE, "image/png")], picture).into_response())
}

/// `POST /current-identity/mfa/verify`: the code shows that the authenticator is set up.
pub(super) async fn verify(
    client: State<Client>,
    asker: Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    show_code(Shown::Enrolled, client, asker, request).await
}

/// `POST /authenticate/mfa`: a pass with the caller's certificate.
pub(super) async fn authenticate(
    client: State<Client>,
    asker: Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    show_code(Shown::Passed, client, asker, request).await
}

/// What a code shows.
#[derive(Clone, Copy, Debug)]
enum Shown {
    /// The authenticator is set up.
    Enrolled,
    /// Its holder is there.
    Passed,
}

async fn show_code(
    shown: Shown,
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    let code = code_of(request).await?;
    let factors = Arc::clone(&client.factors);
    to_its_end(async move {
        let (device, certificate) = (&asker.device, asker.connection.fingerprint());
        let (taken, none, what) = match shown {
            Shown::Enrolled => (
                factors.verify(device, certificate, code.expose()).await,
                ErrorCode::MfaEnrollmentNotStarted,
                "MFA enrolment verified",
            ),
            Shown::Passed => {
                (factors.pass(device, certificate, code.expose()).await, ErrorCode::MfaNotEnrolled, "MFA passed")
            }
        };
        taken.map_err(|error| match error {
            FactorRefused::NotEnrolled => none.into(),
            other => refused(other),
        })?;
        told(device, what);
        Ok(Json(openziti::empty()).into_response())
    })
    .await
}

/// `DELETE /current-identity/mfa`: ends the enrolment, and with it every pass. The code comes in a header.
pub(super) async fn remove(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let code = code_in(&headers)?;
    let (factors, device) = (Arc::clone(&client.factors), Arc::clone(&asker.device));
    to_its_end(async move {
        factors.remove(&device, code.as_ref().map(Secret::expose)).await.map_err(refused)?;
        told(&device, "MFA enrolment removed");
        Ok(Json(openziti::empty()).into_response())
    })
    .await
}

/// `GET /current-identity/mfa/recovery-codes`: those that are left. The code comes in a header or, unusually for this method, a
/// body.
pub(super) async fn show_recovery_codes(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    if !client.factors.is_enabled(asker.device.identity()) {
        return Err(ErrorCode::NotFound.into());
    }
    let code = match code_in(request.headers())? {
        Some(code) => code,
        None => code_or_nothing(request).await?.ok_or(ErrorCode::MfaInvalidToken)?,
    };
    let (factors, device) = (Arc::clone(&client.factors), Arc::clone(&asker.device));
    to_its_end(async move {
        let (enrolled, codes) = factors.recovery_codes(&device, code.expose()).await.map_err(refused)?;
        let shown = openziti::recovery_codes(&enrolled.id, enrolled.created_at, enrolled.updated_at, &codes);
        Ok(Json(openziti::detail(shown)).into_response())
    })
    .await
}

/// `POST /current-identity/mfa/recovery-codes`: new ones in the place of the old.
pub(super) async fn renew_recovery_codes(
    State(client): State<Client>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, Refusal> {
    let code = code_of(request).await?;
    let (factors, device) = (Arc::clone(&client.factors), Arc::clone(&asker.device));
    to_its_end(async move {
        factors.renew_recovery_codes(&device, code.expose()).await.map_err(refused)?;
        told(&device, "recovery codes renewed");
        Ok(Json(openziti::empty()).into_response())
    })
    .await
}

impl Client {
    /// The URL an authenticator is set up by. The account is the identity; who it is with is the name the client knows this
    /// listener by.
    fn url(&self, asker: &Asker, request: &Request, provision: &Provision) -> Secret {
        let published = self.enforcer.published();
        let identity = asker.device.identity();
        let known = published.snapshot().objects().identities.get(identity);
        let name = known.map_or(identity.as_str(), |identity| &identity.name);
        let host = version::host(request);
        openziti::provisioning_url(name, host.as_ref().map_or("postern", |host| host.host()), &provision.secret)
    }
}

async fn code_of(request: Request) -> Result<Secret, Refusal> {
    Ok(openziti::read_mfa_code(&body::json(request, BOUNDS).await?)?)
}

async fn code_or_nothing(request: Request) -> Result<Option<Secret>, Refusal> {
    let body = body::json_or_nothing(request, BOUNDS).await?;
    if body.is_empty() { Ok(None) } else { Ok(Some(openziti::read_mfa_code(&body)?)) }
}

const BOUNDS: BodyBounds = BodyBounds { bytes: limits::API_LOGIN_BYTES_MAX, time: limits::API_BODY_TIME_MAX };

fn code_in(headers: &HeaderMap) -> Result<Option<Secret>, Refusal> {
    let Some(code) = headers.get(CODE_HEADER) else {
        return Ok(None);
    };
    let code = code.to_str().ok().filter(|code| code.len() <= limits::MFA_CODE_BYTES_MAX);
    Ok(Some(Secret::new(code.ok_or(ErrorCode::MfaInvalidToken)?.to_owned())))
}

fn told(device: &Device, what: &str) {
    tracing::info!(identity = %device.identity(), "{what}");
}

/// What a client is told where nothing more particular is.
pub(in crate::api) fn refused(error: FactorRefused) -> Refusal {
    match error {
        FactorRefused::Exists => ErrorCode::MfaExists.into(),
        FactorRefused::NotEnrolled => ErrorCode::NotFound.into(),
        FactorRefused::WrongCode => ErrorCode::MfaInvalidToken.into(),
        FactorRefused::LockedOut(remaining) => Refusal::locked_out(remaining),
        FactorRefused::Unavailable(error) => {
            tracing::error!(%error, code = error.code(), "a second factor could not be stored");
            Refusal::store_unavailable()
        }
        FactorRefused::Seal(error) => {
            tracing::error!(%error, code = error.code(), "a second factor cannot be opened or sealed");
            ErrorCode::Unavailable.into()
        }
    }
}
