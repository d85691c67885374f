//! Postern's own words: posture reports that carry every fact there is, locks on identities, and the document that describes the native API.

mod lock;
mod openapi;
mod report;

pub use lock::{LockBody, LockDetail, lock, read_lock};
pub use openapi::document;
pub use report::{PostureReport, ReportProblem, read_posture_report};
