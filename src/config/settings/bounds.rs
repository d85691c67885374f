//! Bounds an operator may lower.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::document::Field;
use crate::config::values::Whole;
use crate::limits::{REPORT_BYTES_MAX, REPORT_OBSERVATIONS_MAX};

/// Bounds in force; none is above its constant in [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest accepted posture report, in bytes.
    pub report_bytes: usize,
    /// Most observations in one posture report.
    pub report_observations: usize,
}

/// Bounds. They can be lowered, never raised.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Longest accepted posture report, in bytes. Default: 1048576.
    report_bytes: Field<Whole<1024, { REPORT_BYTES_MAX as i64 }>>,
    /// Most observations in one posture report. Default: 4096.
    report_observations: Field<Whole<1, { REPORT_OBSERVATIONS_MAX as i64 }>>,
}

impl RawLimits {
    pub(super) fn check(self) -> Limits {
        Limits {
            report_bytes: self.report_bytes.value().map_or(REPORT_BYTES_MAX, Whole::to),
            report_observations: self.report_observations.value().map_or(REPORT_OBSERVATIONS_MAX, Whole::to),
        }
    }
}
