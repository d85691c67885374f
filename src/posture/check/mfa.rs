//! Multi-factor authentication: passed, recent, and renewed after wake or unlock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

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
