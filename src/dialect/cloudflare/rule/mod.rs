//! Posture rules: bodies that create and replace them (`cloudflare.md` 1 and 2.1).
//!
//! A rule becomes a check of the same predicates that the other language's checks use. What was written stays beside it, to be
//! shown again member for member.
//!
//! A new type takes a line in the table of [`mod@kind`], a reader beside its relatives, and perhaps a predicate.

mod certificate;
mod device;
mod entries;
mod input;
mod kind;
mod listed;
mod program;
mod provider;
mod references;
mod shown;
mod system;
mod timing;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::members::{self, Members};
use super::notes::Notes;
use super::written::Written;
use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;
use crate::policy::objects::{Meta, Origin, PostureCheck};
use crate::posture::Evidence;
use crate::posture::check::Check;
use crate::posture::platform::Families;
use input::{Input, Question};
use kind::{Asked, InputNeed};
use timing::Timing;

pub use kind::RuleType;
pub use references::check_references;
pub use shown::{Rule, implicit_rule, rule, rule_type, same_content};

/// Members of a rule that are kept as they were written. The last three are ours.
const KEPT: [&str; 10] =
    ["name", "type", "description", "match", "schedule", "expiration", "input", ROLE_ATTRIBUTES, REMEDIATION, EVIDENCE];
/// Members that are shown and cannot be written: clients that send back what they read mean nothing by them.
const READ_ONLY: [&str; 3] = ["id", "enabled", "source"];
const ROLE_ATTRIBUTES: &str = "role_attributes";
const REMEDIATION: &str = "remediation";
const EVIDENCE: &str = "evidence";

/// Reads the body of a creation.
pub fn create_rule(body: &[u8], id: CheckId, now: Timestamp) -> Result<Written<PostureCheck>, ApiError> {
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    read_rule(&members::object(body)?, id, meta, None)
}

/// Reads the body of a PUT: everything is replaced, the type included. Cloudflare's clients cannot repeat what Cloudflare does not
/// know, so role attributes, the remediation and the evidence stay as they are unless the body names them; nothing loosens silently.
pub fn replace_rule(body: &[u8], known: &PostureCheck, now: Timestamp) -> Result<Written<PostureCheck>, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read_rule(&members::object(body)?, known.check.id.clone(), meta, Some(known))
}

/// Reads a rule that stands in a larger document; pointers start at the rule. `known` is the rule it is written over.
pub fn read_rule(
    body: &Map<String, Value>,
    id: CheckId,
    meta: Meta,
    known: Option<&PostureCheck>,
) -> Result<Written<PostureCheck>, ApiError> {
    let members = Members::of_body(body);
    let name = name(&members)?;
    let kind = kind(&members)?;
    members.text("description")?;
    let timing = Timing::read(&members)?;
    let matched = timing::matched(&members)?;
    let nothing = Map::new();
    let input = match (members.object("input")?, kind.input()) {
        (Some(input), _) => input,
        (None, InputNeed::Optional) => Members::of_body(&nothing),
        (None, InputNeed::Needed) => return Err(members.missing("input")),
    };
    let known_member = |name: &str| KEPT.contains(&name) || READ_ONLY.contains(&name);
    let mut notes = Notes::default();
    notes.ignored(&members, "a posture rule", known_member);
    timing.note(kind, &mut notes);
    let more = match meta.origin {
        Origin::File { .. } => kind.more_platforms(),
        Origin::Api | Origin::Enrolled => Families::NONE,
    };
    let mut input = Input { members: input, notes, supported: kind.platforms().or(more) };
    let Question { predicate, system } = input::read(kind, &mut input, &timing)?;
    let own_system = system.map(|system| Families::of(&[system]));
    let supported = kind.platforms().or(more.and(matched.or(own_system).unwrap_or(Families::NONE)));
    let additions = Additions::read(&members, known)?;
    let mut notes = input.notes;
    nowhere(kind, supported, matched, own_system).into_iter().for_each(|note| notes.add(note));
    let check = Check {
        id,
        name,
        predicate,
        applies_to: applies_to(kind, supported, matched, own_system),
        max_age: timing.max_age(),
        evidence: additions.evidence,
        remediation: additions.remediation.clone(),
    };
    let as_written = Arc::new(as_written(body, &additions));
    let role_attributes = additions.role_attributes;
    let object = PostureCheck { check: Arc::new(check), role_attributes, meta, as_written: Some(as_written) };
    Ok(Written { object, warnings: notes.into_messages() })
}

fn name(members: &Members<'_>) -> Result<Arc<str>, ApiError> {
    let name = members.required_text("name")?;
    if name.len() > limits::NAME_BYTES_MAX {
        return Err(members.wrong("name", format!("is longer than {} bytes", limits::NAME_BYTES_MAX)));
    }
    Ok(name.into())
}

fn kind(members: &Members<'_>) -> Result<RuleType, ApiError> {
    members.one_of("type", RuleType::ALL, RuleType::as_str)?.ok_or_else(|| members.missing("type"))
}

/// The devices the rule is meant for; `None` when it is for every device, whatever its system.
fn applies_to(
    kind: RuleType,
    supported: Families,
    matched: Option<Families>,
    system: Option<Families>,
) -> Option<Families> {
    let everywhere = kind.platforms() == Families::ALL && matched.is_none() && kind.asked() != Asked::Agent;
    let chosen = |families: Option<Families>| families.unwrap_or(Families::ALL);
    (!everywhere).then(|| supported.and(chosen(matched)).and(chosen(system)))
}

/// What to say about a rule whose platforms do not meet.
fn nowhere(kind: RuleType, supported: Families, matched: Option<Families>, system: Option<Families>) -> Option<String> {
    let supported = supported.and(matched?);
    if supported.is_empty() {
        let kind = kind.as_str();
        return Some(format!(
            "match names no platform that a rule of type {kind} can be answered on: it never has a result"
        ));
    }
    let apart = system.is_some_and(|system| supported.and(system).is_empty());
    apart.then(|| "match and input.operating_system name different platforms: the rule never has a result".to_owned())
}

/// What a rule has that Cloudflare's have not.
struct Additions {
    role_attributes: Vec<Arc<str>>,
    remediation: Option<Arc<str>>,
    evidence: Evidence,
    /// The three as they were written.
    as_written: Vec<(&'static str, Value)>,
}

impl Additions {
    fn read(members: &Members<'_>, known: Option<&PostureCheck>) -> Result<Self, ApiError> {
        let kept = |name| known.filter(|_| !members.mentions(name));
        let role_attributes = match kept(ROLE_ATTRIBUTES) {
            Some(known) => known.role_attributes.clone(),
            None => role_attributes(members)?,
        };
        let remediation = match kept(REMEDIATION) {
            Some(known) => known.check.remediation.clone(),
            None => remediation(members)?,
        };
        let evidence = match kept(EVIDENCE) {
            Some(known) => known.check.evidence,
            None => members.one_of(EVIDENCE, &Evidence::ALL, Evidence::as_str)?.unwrap_or_default(),
        };
        let written = |name| match kept(name) {
            Some(known) => known.as_written.as_ref().and_then(|written| written.get(name)),
            None => members.get(name).filter(|value| *value != ""),
        };
        let as_written = [ROLE_ATTRIBUTES, REMEDIATION, EVIDENCE];
        let as_written = as_written.into_iter().filter_map(|name| Some((name, written(name)?.clone()))).collect();
        Ok(Additions { role_attributes, remediation, evidence, as_written })
    }
}

fn role_attributes(members: &Members<'_>) -> Result<Vec<Arc<str>>, ApiError> {
    let attributes = members.texts(ROLE_ATTRIBUTES, limits::ATTRIBUTES_PER_OBJECT_MAX)?.unwrap_or_default();
    for (index, attribute) in attributes.iter().enumerate() {
        if attribute.is_empty() {
            return Err(entries::wrong(members, ROLE_ATTRIBUTES, index, "must not be empty"));
        }
        if attribute.starts_with(['#', '@']) {
            return Err(entries::wrong(members, ROLE_ATTRIBUTES, index, "must not start with `#` or `@`"));
        }
    }
    let mut attributes: Vec<Arc<str>> = attributes.into_iter().map(Arc::from).collect();
    attributes.sort_unstable();
    attributes.dedup();
    Ok(attributes)
}

fn remediation(members: &Members<'_>) -> Result<Option<Arc<str>>, ApiError> {
    match members.text(REMEDIATION)? {
        None | Some("") => Ok(None),
        Some(text) if text.len() > limits::REMEDIATION_BYTES_MAX => {
            Err(members.wrong(REMEDIATION, format!("is longer than {} bytes", limits::REMEDIATION_BYTES_MAX)))
        }
        Some(text) => Ok(Some(text.into())),
    }
}

/// What is shown again: what was sent, without what counts as absent.
fn as_written(body: &Map<String, Value>, additions: &Additions) -> Map<String, Value> {
    let mut written = Map::new();
    for name in KEPT {
        let unset = |value: &Value| value.is_null() || (value == "" && name != "description");
        match (name, body.get(name).filter(|value| !unset(value))) {
            (ROLE_ATTRIBUTES | REMEDIATION | EVIDENCE, _) => {}
            (_, Some(value)) => drop(written.insert(name.to_owned(), without_nulls(value))),
            // The one default that is shown; nothing is ever put into the input.
            ("schedule", None) => drop(written.insert(name.to_owned(), timing::SCHEDULE_DEFAULT.into())),
            (_, None) => {}
        }
    }
    written.extend(additions.as_written.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    written
}

/// The value without members of objects that are `null`, which count as absent.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let given = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}
