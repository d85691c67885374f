//! Connections to posture providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;

use super::{
    Cloudflare, change, done, is_forced, is_recent, listed, may_write, must_not_be_from_a_file,
    must_not_be_referred_to, new_id, to_its_end, written,
};
use crate::api::access::Operator;
use crate::api::admin::Admin;
use crate::api::refusal::Refusal;
use crate::dialect::cloudflare::{self, ApiError, ErrorCode, IntegrationDraft, Message, Written};
use crate::enforce::{Change, Enforcer, Object, ObjectId};
use crate::id::ConnectionId;
use crate::policy::integration::{Integration, Provider};
use crate::policy::objects::Objects;
use crate::provider::custom::{self, Target};
use crate::secret::Secret;

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    let published = admin.enforcer.published();
    let integrations = published.snapshot().objects().integrations.values();
    let integrations = integrations.map(|integration| (integration.meta.created_at, integration)).collect();
    listed(integrations, |integration| shown(&admin.enforcer, integration))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let known = find(published.snapshot().objects(), &id)?;
    Ok(done(shown(&admin.enforcer, known), Vec::new()))
}

fn shown(enforcer: &Enforcer, integration: &Integration) -> serde_json::Value {
    let state = enforcer.connections().state(&integration.id);
    serde_json::to_value(cloudflare::integration(integration, state.as_deref())).unwrap_or_default()
}

pub(super) async fn create(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { make(&admin, &operator, &body).await }).await
}

async fn make(admin: &Admin, operator: &Operator, body: &Bytes) -> Result<Response, Refusal> {
    let (enforcer, now) = (&admin.enforcer, admin.enforcer.clock().now());
    let Written { object: draft, mut warnings } =
        cloudflare::create_integration(body, ConnectionId::new(new_id()), now)?;
    let repeats = |known: &&Arc<Integration>| {
        is_recent(&known.meta, now)
            && cloudflare::same_integration_content(known, &draft)
            && same_secrets(&admin.cloudflare, known, &draft.secrets)
    };
    {
        let published = enforcer.published();
        if let Some(known) = published.snapshot().objects().integrations.values().find(repeats) {
            return Ok(done(shown(enforcer, known), warnings));
        }
    }
    // Asking the provider takes time: others may write in the meantime.
    warnings.extend(tried(&admin.cloudflare, &draft).await?);
    let turn = enforcer.turn().await;
    {
        let published = enforcer.published();
        if let Some(known) = published.snapshot().objects().integrations.values().find(repeats) {
            return Ok(done(shown(enforcer, known), warnings));
        }
    }
    let integration = Arc::new(sealed(&admin.cloudflare, draft)?);
    let creation = Change::Put(Object::Integration(Arc::clone(&integration)));
    change(enforcer, &turn, operator, "posture integration made", creation).await?;
    Ok(done(shown(enforcer, &integration), warnings))
}

pub(super) async fn edit(
    State(admin): State<Admin>,
    Extension(operator): Extension<Operator>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = written(&operator, request).await?;
    to_its_end(async move { write_over(&admin, &operator, &id, &body).await }).await
}

async fn write_over(admin: &Admin, operator: &Operator, id: &str, body: &Bytes) -> Result<Response, Refusal> {
    let (enforcer, now) = (&admin.enforcer, admin.enforcer.clock().now());
    let patched = || {
        let published = enforcer.published();
        let known = find(published.snapshot().objects(), id)?;
        must_not_be_from_a_file(&known.meta)?;
        cloudflare::patch_integration(body, known, now).map_err(Refusal::from)
    };
    let tried = tried(&admin.cloudflare, &patched()?.object).await?;
    let turn = enforcer.turn().await;
    // Once more, for an edit made in the meantime must not be undone by this one.
    let Written { object: draft, mut warnings } = patched()?;
    warnings.extend(tried);
    let integration = Arc::new(sealed(&admin.cloudflare, draft)?);
    let edit = Change::Put(Object::Integration(Arc::clone(&integration)));
    change(enforcer, &turn, operator, "posture integration changed", edit).await?;
    Ok(done(shown(enforcer, &integration), warnings))
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
        {
            let published = enforcer.published();
            let objects = published.snapshot().objects();
            let known = find(objects, &id)?;
            must_not_be_from_a_file(&known.meta)?;
            let rules = objects
                .checks
                .values()
                .filter(|check| check.check.predicate.connection().is_some_and(|connection| connection.as_str() == id));
            must_not_be_referred_to(ErrorCode::IntegrationInUse, rules, is_forced(&query))?;
        }
        let deletion = Change::Delete(ObjectId::Integration(ConnectionId::from(id.as_str())));
        change(enforcer, &turn, &operator, "posture integration deleted", deletion).await?;
        Ok(done((), Vec::new()))
    };
    to_its_end(work).await
}

fn find<'a>(objects: &'a Objects, id: &str) -> Result<&'a Integration, ErrorCode> {
    objects.integrations.get(id).map(AsRef::as_ref).ok_or(ErrorCode::IntegrationNotFound)
}

/// Tries the credentials, as Cloudflare does on every save: the provider is asked about no device.
async fn tried(cloudflare: &Cloudflare, draft: &IntegrationDraft) -> Result<Vec<Message>, Refusal> {
    let integration = &draft.integration;
    if integration.provider != Provider::Custom {
        return Ok(vec![Message::new(format!(
            "the credentials were not tried: there is no connector for {} yet; write what the provider says with PUT \
             /api/v1/identities/{{id}}/posture/providers/{}",
            integration.provider.as_str(),
            integration.id
        ))]);
    }
    let target = target(cloudflare, draft)?;
    if !cloudflare.settings.test_integrations {
        return Ok(Vec::new());
    }
    match custom::ask(&cloudflare.providers, &target, &[]).await {
        Ok(_) => Ok(Vec::new()),
        Err(error) => {
            let message = format!(
                "{}: invalid credentials: {error} ({}); `cloudflare.test_integrations: false` saves without trying",
                ErrorCode::InvalidIntegration.message(),
                error.code()
            );
            Err(ApiError::because(ErrorCode::InvalidIntegration, message).into())
        }
    }
}

/// Whom a connection to a provider of the operator's own asks, with the secrets given or kept.
fn target(cloudflare: &Cloudflare, draft: &IntegrationDraft) -> Result<Target, Refusal> {
    let integration = &draft.integration;
    let secret = match (draft.secrets.get(Target::SECRET), integration.secrets.get(Target::SECRET)) {
        (Some(given), _) => given.clone(),
        (None, Some(kept)) => open(cloudflare, &integration.id, Target::SECRET, kept)?,
        (None, None) => Secret::new(String::new()),
    };
    Target::of(integration, secret)
        .map_err(|error| ApiError::at(ErrorCode::Invalid, format!("/config/{}", error.member()), error).into())
}

fn open(
    cloudflare: &Cloudflare,
    id: &ConnectionId,
    member: &str,
    sealed: &crate::secret::Sealed,
) -> Result<Secret, Refusal> {
    cloudflare.sealer.open(&Integration::secret_context(id, member), sealed).map_err(|error| {
        tracing::error!(%error, integration = %id, member, "a stored secret cannot be read");
        let message = format!("the stored {member} cannot be read any more ({}); send it again", error.code());
        ApiError::at(ErrorCode::Invalid, format!("/config/{member}"), message).into()
    })
}

/// Whether the given secrets are those that are stored.
fn same_secrets(cloudflare: &Cloudflare, known: &Integration, given: &BTreeMap<Arc<str>, Secret>) -> bool {
    given.len() == known.secrets.len()
        && given.iter().all(|(member, secret)| {
            let kept = known.secrets.get(member);
            let kept = kept.and_then(|kept| open(cloudflare, &known.id, member, kept).ok());
            kept.is_some_and(|kept| kept == *secret)
        })
}

/// The integration with its given secrets encrypted.
fn sealed(cloudflare: &Cloudflare, draft: IntegrationDraft) -> Result<Integration, Refusal> {
    let IntegrationDraft { mut integration, secrets } = draft;
    for (member, secret) in secrets {
        let context = Integration::secret_context(&integration.id, &member);
        let sealed = cloudflare.sealer.seal(&context, &secret).map_err(|error| {
            tracing::error!(%error, integration = %integration.id, "a secret cannot be encrypted");
            Refusal::from(ErrorCode::Unavailable)
        })?;
        integration.secrets.insert(member, sealed);
    }
    Ok(integration)
}
