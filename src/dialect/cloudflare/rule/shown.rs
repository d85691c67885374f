//! How a rule is shown: as it was written (`cloudflare.md` 3.7).

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::source::source;
use super::kind::RuleType;
use super::listed;
use crate::id::CheckId;
use crate::policy::device_list::DeviceList;
use crate::policy::objects::PostureCheck;
use crate::posture::check::listed::DeviceName;
use crate::posture::check::{Check, Predicate};

/// A rule as lists and details show it.
#[derive(Clone, Debug, Serialize)]
pub struct Rule<'a> {
    id: &'a str,
    #[serde(flatten)]
    written: &'a Map<String, Value>,
    enabled: bool,
    source: String,
}

/// Shows a rule; `None` for a check of another language.
pub fn rule(object: &PostureCheck) -> Option<Rule<'_>> {
    let written = object.as_written.as_deref()?;
    let enabled = is_enabled(&object.check.predicate);
    Some(Rule { id: object.check.id.as_str(), written, enabled, source: source(&object.meta.origin) })
}

/// The old form of Kolide's rules, which asks for a number of issues and nothing else, is shown as disabled.
fn is_enabled(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Provider(rule) => !rule.criteria.iter().any(|criterion| criterion.optional),
        _ => true,
    }
}

/// The type of a rule; `None` for a check of another language.
pub fn rule_type(object: &PostureCheck) -> Option<RuleType> {
    RuleType::parse(object.as_written.as_ref()?.get("type")?.as_str()?)
}

/// Whether two rules were written alike. Clients send a creation again when they did not see the answer to the first.
pub fn same_content(one: &PostureCheck, other: &PostureCheck) -> bool {
    one.as_written.is_some() && one.as_written == other.as_written
}

/// The rule that a list of serial numbers is without being created as one, under the list's own id (`cloudflare.md` 1.9).
pub fn implicit_rule(list: &DeviceList) -> Option<PostureCheck> {
    if list.holds != DeviceName::SerialNumber {
        return None;
    }
    let kind = RuleType::SerialNumber;
    let mut written = Map::new();
    written.insert("name".to_owned(), (*list.name).into());
    written.insert("type".to_owned(), kind.as_str().into());
    written.insert("input".to_owned(), json!({"id": list.id}));
    let check = Check {
        id: CheckId::from(list.id.as_str()),
        name: Arc::clone(&list.name),
        predicate: listed::lookup(DeviceName::SerialNumber, list.id.clone()),
        applies_to: Some(kind.platforms()),
        max_age: None,
        evidence: crate::posture::Evidence::Any,
        remediation: None,
    };
    let (check, meta) = (Arc::new(check), list.meta.clone());
    Some(PostureCheck { check, role_attributes: Vec::new(), meta, as_written: Some(Arc::new(written)) })
}
