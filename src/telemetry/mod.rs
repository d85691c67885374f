//! What operators see: Prometheus metrics and structured logs.
//!
//! Metrics live in a registry of their own for each gateway, so two can run in one process. Labels never carry an identity;
//! every label set is bounded. Handles are resolved when a snapshot is published, not on the request path.

mod json_lines;
pub mod logs;
pub mod metrics;
mod tally;

pub use metrics::{Metrics, MetricsError};
pub use tally::Tally;
