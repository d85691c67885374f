//! One-time tokens of identities, and the certificates that were issued for them.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;

use super::Admin;
use super::objects::Parameters;
use super::writes::{Scene, edit_identity, must_not_be_from_a_file, written};
use crate::api::access::Operator;
use crate::api::enroller::{Enroller, without_certificates};
use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::openziti::{self, Authenticator, Enrolling, ErrorCode, ListQuery, TokenShown};
use crate::enforce::busy;
use crate::policy::Objects;
use crate::policy::enrolment::PendingEnrolment;
use crate::policy::objects::Identity;

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/enrollments", get(list).post(create))
        .route("/enrollments/{id}", get(show).delete(delete))
        .route("/enrollments/{id}/refresh", post(refresh))
        .route("/identities/{id}/enrollments", get(of_identity))
        .route("/authenticators", get(authenticators))
        .route("/authenticators/{id}", get(authenticator).delete(delete_authenticator))
        .route("/authenticators/{id}/re-enroll", post(enrol_again))
        .route("/identities/{id}/authenticators", get(authenticators_of_identity))
}

impl Admin {
    /// The token an identity waits for, for an operator who may do more than look: whoever has it can become the identity.
    pub(super) fn token(&self, operator: &Operator, identity: &Identity) -> Option<TokenShown> {
        let enroller = self.enroller.as_ref().filter(|_| operator.may_write())?;
        enroller.show(identity)
    }

    /// What makes tokens, or why there are none.
    pub(super) fn enroller(&self, field: &str) -> Result<&Arc<Enroller>, Refusal> {
        self.enroller.as_ref().ok_or_else(|| {
            let reason = "is not offered: name an enrolment CA in `identity.enrollment` of the configuration";
            Refusal::because(ErrorCode::CouldNotValidate, field, reason, "")
        })
    }
}

async fn list(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    among(&admin, &operator, &query, published.snapshot().objects().identities.values().map(Arc::as_ref))
}

async fn of_identity(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let identity = published.snapshot().objects().identities.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    among(&admin, &operator, &query, std::iter::once(&**identity))
}

fn among<'a>(
    admin: &Admin,
    operator: &Operator,
    query: &[(String, String)],
    identities: impl Iterator<Item = &'a Identity>,
) -> Result<Response, Refusal> {
    busy(|| {
        let waiting: Vec<_> = identities.filter_map(Enrolling::of).collect();
        let page = ListQuery::<Enrolling<'_>>::read(query)?.page(waiting.iter());
        let page = page.map(|waiting| waiting.shown(admin.token(operator, waiting.identity)));
        Ok(Json(openziti::list::<Enrolling<'_>, _>(page)).into_response())
    })
}

async fn show(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let waiting = Enrolling::of(waiting_for(published.snapshot().objects(), &id)?).ok_or(ErrorCode::NotFound)?;
    let token = admin.token(&operator, waiting.identity);
    Ok(Json(openziti::detail(waiting.shown(token))).into_response())
}

/// The identity that an enrolment is for.
fn waiting_for<'a>(objects: &'a Objects, id: &str) -> Result<&'a Identity, Refusal> {
    let waits = |identity: &&Arc<Identity>| identity.enrolment.as_ref().is_some_and(|pending| *pending.id == *id);
    let found = objects.identities.values().find(waits).ok_or(ErrorCode::NotFound)?;
    Ok(found)
}

async fn create(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let id = edit_identity(admin, operator, "enrolment begun", move |scene| {
        scene.admin.enroller("method")?;
        let wanted = openziti::create_enrollment(&body, scene.now)?;
        let unknown = || {
            let reason = "is the id of no identity";
            Refusal::because(ErrorCode::CouldNotValidate, "identityId", reason, &wanted.identity)
        };
        let known = scene.objects().identities.get(wanted.identity.as_str()).ok_or_else(unknown)?;
        begun(scene, known, wanted.expires_at)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(openziti::created("enrollments", &id))).into_response())
}

/// The identity with a new token, and the id of its enrolment.
fn begun(scene: &Scene<'_>, known: &Identity, expires_at: Timestamp) -> Result<(Identity, Arc<str>), Refusal> {
    must_not_be_from_a_file(&known.meta)?;
    if known.enrolment.is_some() {
        return Err(ErrorCode::EnrollmentExists.into());
    }
    let pending = scene.admin.enroller("method")?.begin(Some(expires_at), scene.now)?;
    let id = Arc::clone(&pending.id);
    Ok((with_enrolment(known, Some(pending)), id))
}

async fn refresh(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let id = edit_identity(admin, operator, "enrolment moved", move |scene| {
        let (now, expires_at) = (scene.now, openziti::refresh_enrollment(&body, scene.now)?);
        let known = waiting_for(scene.objects(), &id)?;
        let pending = known.enrolment.as_deref().cloned();
        let moved = pending.map(|pending| PendingEnrolment { expires_at, updated_at: now, ..pending });
        Ok((with_enrolment(known, moved), id))
    })
    .await?;
    Ok(Json(openziti::created("enrollments", &id)).into_response())
}

async fn delete(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    edit_identity(admin, operator, "enrolment taken back", move |scene| {
        Ok((with_enrolment(waiting_for(scene.objects(), &id)?, None), ()))
    })
    .await?;
    Ok(Json(openziti::empty()).into_response())
}

fn with_enrolment(identity: &Identity, enrolment: Option<PendingEnrolment>) -> Identity {
    Identity { enrolment: enrolment.map(Arc::new), ..identity.clone() }
}

async fn authenticators(State(admin): State<Admin>, Query(query): Parameters) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    authenticators_among(&query, published.snapshot().objects().identities.values().map(Arc::as_ref))
}

async fn authenticators_of_identity(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let identity = published.snapshot().objects().identities.get(id.as_str()).ok_or(ErrorCode::NotFound)?;
    authenticators_among(&query, std::iter::once(&**identity))
}

fn authenticators_among<'a>(
    query: &[(String, String)],
    identities: impl Iterator<Item = &'a Identity>,
) -> Result<Response, Refusal> {
    busy(|| {
        let all: Vec<_> = identities.flat_map(Authenticator::all_of).collect();
        let page = ListQuery::<Authenticator<'_>>::read(query)?.page(all.iter()).map(Authenticator::shown);
        Ok(Json(openziti::list::<Authenticator<'_>, _>(page)).into_response())
    })
}

async fn authenticator(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let holder = holder_of(published.snapshot().objects(), &id)?;
    let found = Authenticator::all_of(holder).find(|known| *known.certificate.id == *id).ok_or(ErrorCode::NotFound)?;
    Ok(Json(openziti::detail(found.shown())).into_response())
}

/// The identity that a certificate was issued to.
fn holder_of<'a>(objects: &'a Objects, id: &str) -> Result<&'a Identity, Refusal> {
    let holds = |identity: &&Arc<Identity>| identity.certificates.iter().any(|certificate| *certificate.id == *id);
    let found = objects.identities.values().find(holds).ok_or(ErrorCode::NotFound)?;
    Ok(found)
}

/// From then on the certificate is nobody's.
async fn delete_authenticator(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    operator.must_be_admin()?;
    edit_identity(admin, operator, "certificate taken back", move |scene| Ok((without(&id, scene)?, ()))).await?;
    Ok(Json(openziti::empty()).into_response())
}

/// The holder of a certificate without it.
fn without(certificate: &str, scene: &Scene<'_>) -> Result<Identity, Refusal> {
    let holder = holder_of(scene.objects(), certificate)?;
    Ok(without_certificates(holder, |known| *known.id == *certificate, scene.now))
}

/// Takes a certificate back and makes a token for another one.
async fn enrol_again(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    let id = edit_identity(admin, operator, "certificate taken back, enrolment begun", move |scene| {
        let expires_at = openziti::refresh_enrollment(&body, scene.now)?;
        begun(scene, &without(&id, scene)?, expires_at)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(openziti::created("enrollments", &id))).into_response())
}
