//! Multi-factor authentication: passed, recent, and renewed after wake or unlock.

use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::{self, Endpoint, Mfa, Posture, Sdk};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};
use crate::posture::version::VersionReading;

/// How long an MFA pass still counts after the device woke or was unlocked, unless a check says otherwise.
pub const GRACE: Duration = Duration::from_secs(300);

/// Passes while an MFA pass exists that is young enough and, where asked, newer than the last wake and unlock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MfaRule {
    /// How long a pass lasts; `None` is for ever.
    pub timeout: Option<Duration>,
    /// Whether waking asks for a fresh pass.
    pub prompt_on_wake: bool,
    /// Whether unlocking asks for a fresh pass.
    pub prompt_on_unlock: bool,
    /// How long after waking or unlocking the old pass still counts.
    pub grace: Duration,
    /// Kept for OpenZiti's clients; changes only the time shown to old ones.
    pub ignore_legacy_endpoints: bool,
}

/// The MFA state a check judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MfaState {
    /// Whether any pass exists.
    pub passed: bool,
    /// Whether the pass is older than the check's time-out (also true when there is none).
    pub timed_out: bool,
    /// Whether the wake rule is satisfied.
    pub wake_satisfied: bool,
    /// Whether the unlock rule is satisfied.
    pub unlock_satisfied: bool,
    /// When MFA was last passed.
    pub passed_at: Option<Timestamp>,
    /// When the device last woke.
    pub woken_at: Option<Timestamp>,
    /// When the device was last unlocked.
    pub unlocked_at: Option<Timestamp>,
    /// Whole seconds left before the pass ends; -1 for no end.
    pub timeout_remaining_seconds: i64,
}

impl MfaRule {
    /// What the rule says at `now`. A pass exactly as old as the time-out still counts; a grace is over at its very end.
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(passed_at) = posture.mfa.passed_at else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::MfaNotPassed));
        };
        let Some(stale_at) = facts::counts_until(passed_at, max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        let ends = [
            (self.timed_out_at(passed_at), FailReason::MfaTimedOut),
            (self.wake_grace_end(passed_at, &posture.endpoint), FailReason::MfaRequiredAfterWake),
            (self.unlock_grace_end(passed_at, &posture.endpoint), FailReason::MfaRequiredAfterUnlock),
        ];
        let over = ends.iter().find(|(end, _)| *end <= now);
        let outcome = over.map_or(Outcome::Pass, |(_, reason)| Outcome::Fail(*reason));
        let to_come = ends.iter().map(|(end, _)| *end).filter(|end| *end > now);
        Assessment::until(outcome, to_come.min().unwrap_or(Timestamp::MAX).min(stale_at))
    }

    /// The state a failure record shows. Without a pass nothing counts as satisfied.
    pub fn state(&self, posture: &Posture, now: Timestamp) -> MfaState {
        let Posture { mfa, endpoint, sdk, .. } = posture;
        let holds = |end: fn(&Self, Timestamp, &Endpoint) -> Timestamp| {
            mfa.passed_at.is_some_and(|passed_at| now < end(self, passed_at, endpoint))
        };
        MfaState {
            passed: mfa.passed_at.is_some(),
            timed_out: !holds(|rule, passed_at, _| rule.timed_out_at(passed_at)),
            wake_satisfied: holds(Self::wake_grace_end),
            unlock_satisfied: holds(Self::unlock_grace_end),
            passed_at: mfa.passed_at,
            woken_at: endpoint.woken_at,
            unlocked_at: endpoint.unlocked_at,
            timeout_remaining_seconds: self.timeout_remaining(mfa, endpoint, sdk.as_ref(), now),
        }
    }

    /// Whole seconds left as posture queries tell them (`openziti.md` 1.7): -1 for no end, also for a client too old to be told
    /// where the check asks for that.
    pub fn timeout_remaining(&self, mfa: &Mfa, endpoint: &Endpoint, sdk: Option<&Sdk>, now: Timestamp) -> i64 {
        let Some(timeout) = self.timeout else {
            return -1;
        };
        let Some(passed_at) = mfa.passed_at else {
            return 0;
        };
        if self.ignore_legacy_endpoints && sdk.is_none_or(is_legacy) {
            return -1;
        }
        let age = whole_seconds(now.since(passed_at));
        let left = whole_seconds(timeout).saturating_sub(age).max(0);
        let prompting =
            [endpoint.woken_at.filter(|_| self.prompt_on_wake), endpoint.unlocked_at.filter(|_| self.prompt_on_unlock)];
        let graces = prompting.into_iter().flatten().filter(|event| *event > passed_at);
        graces.map(|event| self.grace_remaining(event, now)).fold(left, i64::min)
    }

    /// Whole seconds left of the grace after an event.
    pub fn grace_remaining(&self, event: Timestamp, now: Timestamp) -> i64 {
        whole_seconds(self.grace.saturating_sub(now.since(event)))
    }

    /// Whether a wake or unlock at `now` puts the device on notice: the check prompts for it, and the pass would have outlived
    /// the grace that now begins. Clients are told of the services behind such checks.
    pub fn is_cut_short_by(&self, woken: bool, unlocked: bool, mfa: &Mfa, now: Timestamp) -> bool {
        let prompts = (woken && self.prompt_on_wake) || (unlocked && self.prompt_on_unlock);
        let outlives = |passed_at: Timestamp| {
            self.timeout.is_none_or(|timeout| timeout.saturating_sub(now.since(passed_at)) > self.grace)
        };
        prompts && mfa.passed_at.is_some_and(outlives)
    }

    /// The first moment at which the pass is too old.
    fn timed_out_at(&self, passed_at: Timestamp) -> Timestamp {
        self.timeout.map_or(Timestamp::MAX, |timeout| passed_at.after(timeout).after(Duration::from_millis(1)))
    }

    fn wake_grace_end(&self, passed_at: Timestamp, endpoint: &Endpoint) -> Timestamp {
        self.grace_end(passed_at, endpoint.woken_at.filter(|_| self.prompt_on_wake))
    }

    fn unlock_grace_end(&self, passed_at: Timestamp, endpoint: &Endpoint) -> Timestamp {
        self.grace_end(passed_at, endpoint.unlocked_at.filter(|_| self.prompt_on_unlock))
    }

    /// The first moment at which an event asks for a fresh pass. An event at the same moment as the pass counts as after it.
    fn grace_end(&self, passed_at: Timestamp, event: Option<Timestamp>) -> Timestamp {
        event.filter(|event| *event >= passed_at).map_or(Timestamp::MAX, |event| event.after(self.grace))
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Clients other than the C SDK from 0.25.0 on do not tell when a device wakes or is unlocked.
fn is_legacy(sdk: &Sdk) -> bool {
    let version = sdk.version.as_deref().and_then(|version| VersionReading::Strict.read(version));
    sdk.kind.as_deref() != Some("ziti-sdk-c") || version.is_none_or(|version| version < Version::new(0, 25, 0))
}
