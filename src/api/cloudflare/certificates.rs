//! Uploaded certificates that sign those of devices.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;

use super::{
    change, done, is_forced, is_recent, listed, may_write, must_not_be_from_a_file, must_not_be_referred_to, new_id,
    to_its_end, written,
};
use crate::api::access::Operator;
use crate::api::admin::Admin;
use crate::api::refusal::Refusal;
use crate::dialect::cloudflare::{self, ErrorCode, Written};
use crate::enforce::{Change, Enforcer, Object, ObjectId};
use crate::id::CertificateId;
use crate::policy::objects::Objects;
use crate::policy::signing_certificate::SigningCertificate;

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    let published = admin.enforcer.published();
    let certificates = published.snapshot().objects().signing_certificates.values();
    let certificates = certificates.map(|certificate| (certificate.meta.created_at, certificate)).collect();
    listed(certificates, |certificate| cloudflare::certificate(certificate))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = find(published.snapshot().objects(), &id)?;
    Ok(done(cloudflare::certificate(known), Vec::new()))
}

/// Services of Cloudflare's that use the certificate; posture rules are not among them, so there are none.
pub(super) async fn associations(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    find(published.snapshot().objects(), &id)?;
    Ok(listed(Vec::<(_, ())>::new(), |none| none))
}

pub(super) async fn create(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { make(&admin.enforcer, &operator, &body).await }).await
}

async fn make(enforcer: &Enforcer, operator: &Operator, body: &Bytes) -> Result<Response, Refusal> {
    let now = enforcer.clock().now();
    let Written { object, warnings } = cloudflare::create_certificate(body, CertificateId::new(new_id()), now)?;
    let turn = enforcer.turn().await;
    {
        let published = enforcer.published();
        let same = |known: &&Arc<SigningCertificate>| {
            is_recent(&known.meta, now) && cloudflare::same_certificate_content(known, &object)
        };
        if let Some(known) = published.snapshot().objects().signing_certificates.values().find(same) {
            return Ok(done(cloudflare::certificate(known), warnings));
        }
    }
    let object = Arc::new(object);
    let upload = Change::Put(Object::Certificate(Arc::clone(&object)));
    change(enforcer, &turn, operator, "signing certificate uploaded", upload).await?;
    Ok(done(cloudflare::certificate(&object), warnings))
}

pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    may_write(&operator)?;
    let work = async move {
        let enforcer = &admin.enforcer;
        let turn = enforcer.turn().await;
        let known = {
            let published = enforcer.published();
            let objects = published.snapshot().objects();
            let known = find(objects, &id)?;
            must_not_be_from_a_file(&known.meta)?;
            let rules = objects.checks.values().filter(|check| {
                check.check.predicate.signing_certificate().is_some_and(|certificate| certificate.as_str() == id)
            });
            must_not_be_referred_to(ErrorCode::InUse, rules, is_forced(&query))?;
            Arc::clone(known)
        };
        let deletion = Change::Delete(ObjectId::Certificate(known.id.clone()));
        change(enforcer, &turn, &operator, "signing certificate deleted", deletion).await?;
        Ok(done(cloudflare::certificate(&known), Vec::new()))
    };
    to_its_end(work).await
}

fn find<'a>(objects: &'a Objects, id: &str) -> Result<&'a Arc<SigningCertificate>, ErrorCode> {
    objects.signing_certificates.get(id).ok_or(ErrorCode::CertificateNotFound)
}
