//! Posture integrations: connections to posture providers (`cloudflare.md` 3.1).

mod config;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Map;

use super::duration;
use super::error::ApiError;
use super::members::{Members, object};
use super::notes::Notes;
use super::source::source;
use super::written::Written;
use crate::clock::Timestamp;
use crate::id::ConnectionId;
use crate::limits;
use crate::policy::integration::{ConnectionState, Integration, Provider};
use crate::policy::objects::{Meta, Origin};
use crate::secret::Secret;

use config::Config;

const MEMBERS: [&str; 4] = ["name", "type", "interval", "config"];
/// What replies say about an integration. A client that changes what it read sends these back.
const READ_ONLY: [&str; 4] = ["id", "source", "last_success_at", "last_error"];

/// An integration as a body describes it, with secrets that are still to be encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationDraft {
    /// The integration; of its secrets those that are kept.
    pub integration: Integration,
    /// The secrets that the body gives.
    pub secrets: BTreeMap<Arc<str>, Secret>,
}

/// Reads the body of a creation.
pub fn create_integration(
    body: &[u8],
    id: ConnectionId,
    now: Timestamp,
) -> Result<Written<IntegrationDraft>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    let name = name(&members)?;
    let provider = provider(&members)?.ok_or_else(|| members.missing("type"))?;
    let (interval, interval_text) = interval(&members)?.ok_or_else(|| members.missing("interval"))?;
    let config = members.object("config")?.ok_or_else(|| members.missing("config"))?;
    let mut notes = notes(&members);
    let Config { shown, kept, given } = Config::default().merged(&config, provider, &mut notes)?;
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let integration = Integration { id, name, provider, interval, interval_text, config: shown, secrets: kept, meta };
    Ok(Written { object: IntegrationDraft { integration, secrets: given }, warnings: notes.into_messages() })
}

/// Reads the body of a PATCH: only what it names changes, member by member within `config` as well. Secrets are never shown, so a
/// client cannot repeat them: those it leaves out stay.
pub fn patch_integration(
    body: &[u8],
    known: &Integration,
    now: Timestamp,
) -> Result<Written<IntegrationDraft>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    let mut integration = known.clone();
    integration.meta.updated_at = now;
    if members.get("name").is_some() {
        integration.name = name(&members)?;
    }
    if provider(&members)?.is_some_and(|given| given != known.provider) {
        return Err(members.wrong("type", "of an integration cannot be changed"));
    }
    if let Some((interval, text)) = interval(&members)? {
        (integration.interval, integration.interval_text) = (interval, text);
    }
    let mut notes = notes(&members);
    let mut secrets = BTreeMap::new();
    if let Some(given) = members.object("config")? {
        let config = Config { shown: known.config.clone(), kept: known.secrets.clone(), given: BTreeMap::new() };
        let config = config.merged(&given, known.provider, &mut notes)?;
        (integration.config, integration.secrets, secrets) = (config.shown, config.kept, config.given);
    }
    Ok(Written { object: IntegrationDraft { integration, secrets }, warnings: notes.into_messages() })
}

fn notes(members: &Members<'_>) -> Notes {
    let mut notes = Notes::default();
    notes.ignored(members, "an integration", |name| MEMBERS.contains(&name) || READ_ONLY.contains(&name));
    notes
}

fn name(members: &Members<'_>) -> Result<Arc<str>, ApiError> {
    members.required_text_within("name", limits::NAME_BYTES_MAX).map(Arc::from)
}

fn provider(members: &Members<'_>) -> Result<Option<Provider>, ApiError> {
    /// What Tanium's integration was called in older versions of the API.
    const OLDER_TANIUM: &str = "tanium";
    if members.get("type").and_then(|given| given.as_str()) == Some(OLDER_TANIUM) {
        return Ok(Some(Provider::Tanium));
    }
    members.one_of("type", Provider::ALL, Provider::as_str)
}

/// How often the provider is asked, and how that was written.
fn interval(members: &Members<'_>) -> Result<Option<(Duration, Arc<str>)>, ApiError> {
    let Some(text) = members.text("interval")? else {
        return Ok(None);
    };
    let interval = duration::parse(text).map_err(|reason| members.wrong("interval", reason))?;
    if interval < limits::PROVIDER_INTERVAL_MIN {
        let minutes = limits::PROVIDER_INTERVAL_MIN.as_secs() / 60;
        return Err(members.wrong("interval", format!("must be at least {minutes}m")));
    }
    Ok(Some((interval, text.into())))
}

/// Whether a creation describes an integration that is known, its secrets aside: only the caller can open those.
pub fn same_integration_content(known: &Integration, draft: &IntegrationDraft) -> bool {
    let given = &draft.integration;
    known.name == given.name
        && known.provider == given.provider
        && known.interval_text == given.interval_text
        && known.config == given.config
}

/// An integration as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct PostureIntegration<'a> {
    id: &'a ConnectionId,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    interval: &'a str,
    config: BTreeMap<&'a str, &'a str>,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError<'a>>,
}

/// What went wrong with an integration, as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct LastError<'a> {
    at: Timestamp,
    code: &'static str,
    message: &'a str,
}

/// Shows an integration, never its secrets, and how it fares if that is known.
pub fn integration<'a>(integration: &'a Integration, state: Option<&'a ConnectionState>) -> PostureIntegration<'a> {
    let last_error = state.and_then(|state| state.last_error.as_ref());
    PostureIntegration {
        id: &integration.id,
        name: &integration.name,
        kind: integration.provider.as_str(),
        interval: &integration.interval_text,
        config: config::shown(&integration.config),
        source: source(&integration.meta.origin),
        last_success_at: state.and_then(|state| state.last_success_at),
        last_error: last_error.map(|error| LastError { at: error.at, code: error.code, message: &error.message }),
    }
}
