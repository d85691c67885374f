//! Whether what a rule refers to is there.

use super::super::envelope::Message;
use super::super::error::ApiError;
use super::shown::rule_type;
use crate::policy::integration::Provider;
use crate::policy::objects::{Objects, PostureCheck};
use crate::posture::check::Predicate;
use crate::posture::check::listed::{DeviceName, ListedRule};
use crate::posture::check::provider::ProviderRule;

/// How many times the interval of its integration an expiration should be at least.
const EXPIRATION_INTERVALS_MIN: u32 = 2;

/// Checks what a rule refers to: a list and a certificate must be there, for without them it could never pass; about a connection
/// there is only something to say, for connections are deleted and made anew beside the rules that use them.
pub fn check_references(object: &PostureCheck, objects: &Objects) -> Result<Vec<Message>, ApiError> {
    match &object.check.predicate {
        Predicate::Listed(rule) => listed(rule, objects).map(|()| Vec::new()),
        Predicate::Certificate(rule) if !objects.signing_certificates.contains_key(&rule.signed_by) => {
            Err(ApiError::invalid("/input/certificate_id", "names a certificate that does not exist"))
        }
        Predicate::Provider(rule) => {
            let provider = rule_type(object).and_then(|kind| kind.provider());
            let warnings = provider.map(|provider| connected(object, rule, provider, objects));
            Ok(warnings.unwrap_or_default())
        }
        _ => Ok(Vec::new()),
    }
}

fn listed(rule: &ListedRule, objects: &Objects) -> Result<(), ApiError> {
    const POINTER: &str = "/input/id";
    let kind = match rule.name {
        DeviceName::SerialNumber => "SERIAL",
        DeviceName::UniqueClientId => "DEVICE",
    };
    match objects.lists.get(&rule.list) {
        None => Err(ApiError::invalid(POINTER, "names a list that does not exist")),
        Some(list) if list.holds != rule.name => {
            Err(ApiError::invalid(POINTER, format!("names a list that is not of type {kind}")))
        }
        Some(_) => Ok(()),
    }
}

fn connected(object: &PostureCheck, rule: &ProviderRule, provider: Provider, objects: &Objects) -> Vec<Message> {
    let Some(integration) = objects.integrations.get(&rule.connection) else {
        let message = "input.connection_id names no integration: the rule has no result until there is one";
        return vec![Message::new(message)];
    };
    let mut warnings = Vec::new();
    if integration.provider != provider {
        warnings.push(Message::new(format!(
            "input.connection_id names an integration of type {}, not {}",
            integration.provider.as_str(),
            provider.as_str()
        )));
    }
    let least = integration.interval.saturating_mul(EXPIRATION_INTERVALS_MIN);
    if object.check.max_age.is_some_and(|max_age| max_age < least.saturating_sub(std::time::Duration::from_millis(1))) {
        let message = "expiration is shorter than twice the integration's interval: one failed call leaves no result";
        warnings.push(Message::new(message));
    }
    warnings
}
