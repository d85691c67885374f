//! When a rule is answered: on which platforms, how often, and how long an answer counts (`cloudflare.md` 2.1).

use std::time::Duration;

use super::super::duration;
use super::super::error::ApiError;
use super::super::members::Members;
use super::super::notes::Notes;
use super::kind::{Asked, RuleType};
use crate::limits;
use crate::posture::platform::{Families, Family};

/// The reporting schedule of a rule that names none.
pub(super) const SCHEDULE_DEFAULT: &str = "5m";
const SCHEDULE_DEFAULT_LENGTH: Duration = Duration::from_secs(5 * 60);
/// A fact that is exactly as old as the expiration counts no longer; the domain's `max_age` is the age that still does.
const TICK: Duration = Duration::from_millis(1);
/// How many times the schedule an expiration should be at least.
const EXPIRATION_SCHEDULES_MIN: u32 = 2;

/// The times of a rule.
pub(super) struct Timing {
    pub(super) schedule: Duration,
    pub(super) expiration: Option<Duration>,
}

impl Timing {
    pub(super) fn read(members: &Members<'_>) -> Result<Self, ApiError> {
        let schedule = length(members, "schedule")?.unwrap_or(SCHEDULE_DEFAULT_LENGTH);
        if schedule < limits::RULE_SCHEDULE_MIN {
            return Err(members.wrong("schedule", "must be at least 1m"));
        }
        let expiration = length(members, "expiration")?;
        if expiration.is_some_and(|expiration| expiration < TICK) {
            return Err(members.wrong("expiration", "must be longer than nothing"));
        }
        Ok(Timing { schedule, expiration })
    }

    /// The oldest a fact may be.
    pub(super) fn max_age(&self) -> Option<Duration> {
        self.expiration.map(|expiration| expiration.saturating_sub(TICK))
    }

    /// How long a client counts as present after a report.
    pub(super) fn presence(&self) -> Duration {
        let some_reports = self.schedule.saturating_mul(limits::CLIENT_SESSION_SCHEDULES);
        self.expiration.unwrap_or(some_reports)
    }

    /// Notes an expiration that one late report is enough to reach. Of providers the schedule says nothing.
    pub(super) fn note(&self, kind: RuleType, notes: &mut Notes) {
        let least = self.schedule.saturating_mul(EXPIRATION_SCHEDULES_MIN);
        if kind.asked() == Asked::Agent && self.expiration.is_some_and(|expiration| expiration < least) {
            notes.add(
                "expiration is shorter than twice the schedule: a report that comes late leaves no result".to_owned(),
            );
        }
    }
}

/// A length of time; an empty text counts as absent.
fn length(members: &Members<'_>, name: &str) -> Result<Option<Duration>, ApiError> {
    match members.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => duration::parse(text).map(Some).map_err(|error| members.wrong(name, error)),
    }
}

/// The platforms that a rule is limited to; `None` when it names none.
pub(super) fn matched(members: &Members<'_>) -> Result<Option<Families>, ApiError> {
    let entries = members.objects("match", limits::RULE_ENTRIES_MAX)?.unwrap_or_default();
    if entries.is_empty() {
        return Ok(None);
    }
    let platforms = entries.iter().map(|entry| {
        let platform = entry.one_of("platform", &Family::ALL, Family::as_str)?;
        platform.ok_or_else(|| entry.missing("platform"))
    });
    Ok(Some(Families::from(platforms.collect::<Result<Vec<Family>, _>>()?)))
}
