//! What posture providers say (`cloudflare.md` 1.5 and 1.17 to 1.23).

use std::time::Duration;

use super::super::duration;
use super::super::error::ApiError;
use super::entries;
use super::input::{Input, Question};
use crate::clock::Timestamp;
use crate::id::ConnectionId;
use crate::posture::check::Predicate;
use crate::posture::check::os_version::Numbers;
use crate::posture::check::provider::{Criterion, ProviderRule, Wanted};
use crate::posture::compare::Comparison;
use crate::posture::provider::{ProviderMember, RiskLevel};

/// Of a connection with an empty id there is never a record.
const NO_CONNECTION: &str = "";
const SCORE_MAX: f64 = 100.0;

/// The rule that a browser used to ask Tanium's client on the device: nobody asks any more, so it never has a result.
pub(super) fn legacy_tanium() -> Question {
    ask(ConnectionId::from(NO_CONNECTION), Vec::new())
}

fn ask(connection: ConnectionId, criteria: Vec<Criterion>) -> Question {
    let rule = ProviderRule { connection, criteria, unmatched_is_unknown: false, unconnected: false };
    Question::to_all(Predicate::Provider(rule))
}

fn must_be(member: ProviderMember, wanted: Wanted) -> Criterion {
    Criterion { member, wanted, optional: false }
}

fn connection(input: &Input<'_>) -> Result<ConnectionId, ApiError> {
    input.reference("connection_id").map(ConnectionId::from)
}

/// A question that asks nothing of the record but that there is one is allowed, and pointed out.
fn ask_or_warn(input: &mut Input<'_>, connection: ConnectionId, criteria: Vec<Criterion>) -> Question {
    if criteria.is_empty() {
        input.warn("the rule asks only whether the provider knows the device");
    }
    ask(connection, criteria)
}

/// A member whose wanted value is one of a few texts.
fn one_of(input: &Input<'_>, member: ProviderMember, known: &[&'static str]) -> Result<Option<Criterion>, ApiError> {
    let wanted = input.members.one_of(member.as_str(), known, |text| text)?;
    Ok(wanted.map(|text| must_be(member, Wanted::OneOf(vec![text.to_owned()]))))
}

/// A member whose wanted value is yes or no.
fn flag(input: &Input<'_>, member: ProviderMember) -> Result<Option<Criterion>, ApiError> {
    Ok(input.members.flag(member.as_str())?.map(|wanted| must_be(member, Wanted::Flag(wanted))))
}

pub(super) fn workspace_one(input: &mut Input<'_>) -> Result<Question, ApiError> {
    compliance(input, &["compliant", "noncompliant", "unknown"])
}

pub(super) fn intune(input: &mut Input<'_>) -> Result<Question, ApiError> {
    // The last two are states that Intune has and Cloudflare has no word for.
    const STATES: [&str; 8] = [
        "compliant",
        "noncompliant",
        "unknown",
        "notapplicable",
        "ingraceperiod",
        "error",
        "conflict",
        "configmanager",
    ];
    compliance(input, &STATES)
}

fn compliance(input: &mut Input<'_>, states: &[&'static str]) -> Result<Question, ApiError> {
    input.knows(&["compliance_status", "connection_id"]);
    let status = one_of(input, ProviderMember::ComplianceStatus, states)?;
    let status = status.ok_or_else(|| input.members.missing("compliance_status"))?;
    Ok(ask(connection(input)?, vec![status]))
}

pub(super) fn kolide(input: &mut Input<'_>) -> Result<Question, ApiError> {
    const STATES: [&str; 4] = ["Good", "Notified", "Will Block", "Blocked"];
    input.knows(&["connection_id", "auth_state", "countOperator", "issue_count"]);
    let connection = connection(input)?;
    let states = entries::several_of(&input.members, "auth_state", &STATES, |state| state)?;
    let count = input.decimal("issue_count")?;
    let mut criteria = Vec::new();
    if !states.is_empty() {
        let states = states.into_iter().map(str::to_owned).collect();
        criteria.push(must_be(ProviderMember::AuthState, Wanted::OneOf(states)));
    }
    match count {
        Some(count) => {
            let comparison = input.required_comparison("countOperator")?;
            // Kolide stopped telling the count; a rule of the old form that asks for nothing else has no result then.
            let optional = criteria.is_empty();
            let wanted = Wanted::Number(comparison, count);
            criteria.push(Criterion { member: ProviderMember::IssueCount, wanted, optional });
            input.warn("input.issue_count is deprecated; ask for input.auth_state");
        }
        None => input.idle_comparison("countOperator")?,
    }
    if criteria.is_empty() {
        return Err(input.members.wrong("auth_state", "must name at least one state"));
    }
    Ok(ask(connection, criteria))
}

pub(super) fn tanium(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["connection_id", "eid_last_seen", "operator", "risk_level", "scoreOperator", "total_score"]);
    let connection = connection(input)?;
    let mut criteria = Vec::new();
    if let Some(level) = input.members.one_of("risk_level", &RiskLevel::ALL, RiskLevel::as_str)? {
        let comparison = input.comparison_or("operator", Comparison::Equal, "risk_level")?;
        criteria.push(must_be(ProviderMember::RiskLevel, Wanted::Level(comparison, level)));
    }
    if let Some(text) = input.text("eid_last_seen")? {
        let wanted = last_seen(input, text)?;
        criteria.push(must_be(ProviderMember::EndpointLastSeen, wanted));
    }
    if criteria.is_empty() {
        input.idle_comparison("operator")?;
    }
    match input.members.number("total_score")? {
        Some(score) => {
            // The lower the risk the better.
            let comparison = input.comparison_or("scoreOperator", Comparison::LessOrEqual, "total_score")?;
            criteria.push(must_be(ProviderMember::TotalScore, Wanted::Number(comparison, score)));
        }
        None => input.idle_comparison("scoreOperator")?,
    }
    Ok(ask_or_warn(input, connection, criteria))
}

/// When the endpoint was last seen: an instant to compare with, or how long ago.
fn last_seen(input: &mut Input<'_>, text: &str) -> Result<Wanted, ApiError> {
    const NAME: &str = "eid_last_seen";
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Wanted::Instant(input.comparison_or("operator", Comparison::GreaterOrEqual, NAME)?, instant));
    }
    let Ok(age) = duration::parse(text) else {
        let reason = "must be an instant such as 2026-07-20T23:16:32Z or a duration such as 7d";
        return Err(input.members.wrong(NAME, reason));
    };
    Ok(Wanted::Age(input.comparison_or("operator", Comparison::LessOrEqual, NAME)?, age))
}

pub(super) fn crowdstrike(input: &mut Input<'_>) -> Result<Question, ApiError> {
    const SCORES: [ProviderMember; 3] = [ProviderMember::Os, ProviderMember::Overall, ProviderMember::SensorConfig];
    const NAMES: [&str; 9] = [
        "connection_id",
        "last_seen",
        "operator",
        "os",
        "overall",
        "sensor_config",
        "version",
        "versionOperator",
        "state",
    ];
    input.knows(&NAMES);
    let connection = connection(input)?;
    let mut criteria = Vec::new();
    for member in SCORES {
        if let Some(score) = score(input, member)? {
            let comparison = input.comparison_or("operator", Comparison::GreaterOrEqual, member.as_str())?;
            criteria.push(must_be(member, Wanted::Number(comparison, score)));
        }
    }
    if let Some(age) = input.duration("last_seen")? {
        criteria.push(seen_within(input, age)?);
    }
    if criteria.is_empty() {
        input.idle_comparison("operator")?;
    }
    match input.text("version")?.map(Numbers::parse_whole) {
        Some(Some(version)) => {
            let comparison = input.comparison_or("versionOperator", Comparison::Equal, "version")?;
            criteria.push(must_be(ProviderMember::Version, Wanted::Version(comparison, version)));
        }
        Some(None) => return Err(input.members.wrong("version", "must be three numbers such as 2.1.0")),
        None => input.idle_comparison("versionOperator")?,
    }
    criteria.extend(one_of(input, ProviderMember::State, &["online", "offline", "unknown"])?);
    Ok(ask_or_warn(input, connection, criteria))
}

/// An assessment, 1 to 100. Texts such as `13.3.0`, which Cloudflare's own examples show, are no scores.
fn score(input: &Input<'_>, member: ProviderMember) -> Result<Option<f64>, ApiError> {
    let name = member.as_str();
    match input.decimal(name)? {
        Some(score) if score > SCORE_MAX => Err(input.members.wrong(name, "must be at most 100")),
        score => Ok(score),
    }
}

fn seen_within(input: &mut Input<'_>, age: Duration) -> Result<Criterion, ApiError> {
    let comparison = input.comparison_or("operator", Comparison::LessOrEqual, "last_seen")?;
    Ok(must_be(ProviderMember::LastSeen, Wanted::Age(comparison, age)))
}

pub(super) fn sentinelone(input: &mut Input<'_>) -> Result<Question, ApiError> {
    const NAMES: [&str; 7] =
        ["connection_id", "active_threats", "operator", "infected", "is_active", "network_status", "operational_state"];
    const NETWORK: [&str; 4] = ["connected", "disconnected", "disconnecting", "connecting"];
    const STATES: [&str; 7] = [
        "na",
        "partially_disabled",
        "auto_fully_disabled",
        "fully_disabled",
        "auto_partially_disabled",
        "disabled_error",
        "db_corruption",
    ];
    input.knows(&NAMES);
    let connection = connection(input)?;
    let mut criteria = Vec::new();
    match input.members.number("active_threats")? {
        Some(threats) => {
            let comparison = input.comparison_or("operator", Comparison::Equal, "active_threats")?;
            criteria.push(must_be(ProviderMember::ActiveThreats, Wanted::Number(comparison, threats)));
        }
        None => input.idle_comparison("operator")?,
    }
    criteria.extend(flag(input, ProviderMember::Infected)?);
    criteria.extend(flag(input, ProviderMember::IsActive)?);
    criteria.extend(one_of(input, ProviderMember::NetworkStatus, &NETWORK)?);
    criteria.extend(one_of(input, ProviderMember::OperationalState, &STATES)?);
    Ok(ask_or_warn(input, connection, criteria))
}

pub(super) fn custom(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["connection_id", "operator", "score", "strict"]);
    let connection = connection(input)?;
    let comparison = input.required_comparison("operator")?;
    let score = input.members.number("score")?.ok_or_else(|| input.members.missing("score"))?;
    if !(0.0..=SCORE_MAX).contains(&score) {
        return Err(input.members.wrong("score", "must be from 0 to 100"));
    }
    let criteria = vec![must_be(ProviderMember::Score, Wanted::Number(comparison, score))];
    // Ours: whether a device that the provider does not know counts as such instead of having score 0.
    let unmatched_is_unknown = input.members.flag("strict")?.unwrap_or(false);
    let rule = ProviderRule { connection, criteria, unmatched_is_unknown, unconnected: false };
    Ok(Question::to_all(Predicate::Provider(rule)))
}
