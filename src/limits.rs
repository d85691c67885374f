//! Every bound of the program, in one place: name, unit, reason.

/// Longest accepted posture report, in bytes.
pub const REPORT_BYTES_MAX: usize = 1024 * 1024;
/// Most observations in one posture report.
pub const REPORT_OBSERVATIONS_MAX: usize = 4096;
/// Most process facts kept for one identity.
pub const PROCESSES_PER_IDENTITY_MAX: usize = 1024;
/// Most MAC addresses kept for one identity.
pub const MACS_PER_IDENTITY_MAX: usize = 256;
/// Longest text of one reported fact (a path, a domain, a version), in bytes.
pub const FACT_TEXT_BYTES_MAX: usize = 4096;
/// Failures kept for each identity; the oldest goes first.
pub const FAILURES_PER_IDENTITY_MAX: usize = 50;
/// Most verdicts cached beside one identity; past it the cache starts afresh.
pub const VERDICTS_PER_IDENTITY_MAX: usize = 256;
/// Deepest nesting of a posture expression.
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Most leaves in one posture expression.
pub const EXPRESSION_LEAVES_MAX: usize = 1024;
/// Most operators and tokens in one version range.
pub const VERSION_RANGE_BYTES_MAX: usize = 1024;
