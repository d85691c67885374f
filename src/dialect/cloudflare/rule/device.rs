//! What protects the device itself: volumes, firewall, antivirus, and a client that reports (`cloudflare.md` 1.6 to 1.8, 1.11,
//! 1.16).

use std::time::Duration;

use super::super::error::ApiError;
use super::entries;
use super::input::{Input, Question};
use super::timing::Timing;
use crate::limits;
use crate::posture::check::Predicate;
use crate::posture::check::antivirus::AntivirusRule;
use crate::posture::check::disk::DiskRule;
use crate::posture::check::firewall::FirewallRule;
use crate::posture::check::tunnel::TunnelRule;

const SECONDS_PER_DAY: f64 = 24.0 * 60.0 * 60.0;

pub(super) fn tunnel(input: &mut Input<'_>, own_only: bool, timing: &Timing) -> Question {
    input.knows(&[]);
    Question::to_all(Predicate::Tunnel(TunnelRule { own_only, presence: timing.presence() }))
}

pub(super) fn disk_encryption(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["checkDisks", "requireAll"]);
    let every_volume = input.members.flag("requireAll")?.unwrap_or(false);
    let listed = entries::texts(&input.members, "checkDisks")?;
    if !every_volume && listed.is_empty() {
        input.warn("neither input.requireAll nor input.checkDisks selects a volume: the rule fails on every device");
    }
    let volumes = listed.into_iter().map(str::to_owned).collect();
    Ok(Question::to_all(Predicate::Disk(DiskRule { every_volume, volumes })))
}

pub(super) fn firewall(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["enabled", "operating_system"]);
    let enabled = input.required_flag("enabled")?;
    let system = input.system(input.supported)?;
    Ok(Question::to(system, Predicate::Firewall(FirewallRule { system, enabled })))
}

pub(super) fn antivirus(input: &mut Input<'_>) -> Result<Question, ApiError> {
    input.knows(&["update_window_days"]);
    let window = |days: f64| {
        let wrong = |reason| input.members.wrong("update_window_days", reason);
        if days <= 0.0 {
            return Err(wrong("must be more than 0"));
        }
        let window = Duration::try_from_secs_f64(days * SECONDS_PER_DAY).map_err(|_| wrong("is too large"))?;
        if window > limits::RULE_DURATION_MAX { Err(wrong("is too large")) } else { Ok(window) }
    };
    let update_window = input.members.number("update_window_days")?.map(window).transpose()?;
    Ok(Question::to_all(Predicate::Antivirus(AntivirusRule { update_window })))
}
