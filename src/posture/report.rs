//! A posture report: observations to be taken into a device's posture all together or not at all.

use crate::clock::Timestamp;
use crate::id::CheckId;
use crate::limits;

use super::facts::{Os, Posture, Process, Source};

/// Observations that arrived together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When they arrived.
    pub received_at: Timestamp,
    /// Who sent them.
    pub source: Source,
    /// What was observed, in the order sent; a later observation of the same fact wins.
    pub observations: Vec<Observation>,
}

/// One observation and the check it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The posture check the sender named.
    pub asked_by: Option<CheckId>,
    /// What was observed.
    pub seen: Seen,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The operating system.
    Os(Os),
    /// The domain; empty when the device is joined to none.
    Domain(String),
    /// All hardware addresses, as sent.
    Macs(Vec<String>),
    /// One process, running or not.
    Process(Process),
    /// The device woke or was unlocked just now; `false` says nothing.
    Endpoint {
        /// It woke from sleep.
        woken: bool,
        /// Its screen was unlocked.
        unlocked: bool,
    },
}

/// Why a report cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A bound of [`limits`] would be passed.
    #[error("{what} is more than the {max} allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

impl Posture {
    /// This posture with a report taken in, or why it cannot be.
    pub fn apply(&self, report: &Report) -> Result<Posture, ReportError> {
        let _ = report;
        todo!()
    }
}
