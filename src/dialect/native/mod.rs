//! Postern's own words: posture reports that carry every fact there is, and the document that describes the native API.

mod openapi;
mod report;

pub use openapi::document;
pub use report::{PostureReport, ReportProblem, read_posture_report};
