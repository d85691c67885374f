//! What the store tells those who count: telemetry implements this, the store knows no metrics.

use std::time::Duration;

use super::error::StoreError;

/// Hears of the store's work, from its writer's thread or from a caller that was refused.
///
/// Calls must return at once: they hold up the next commit.
pub trait StoreObserver: Send + Sync + 'static {
    /// A commit made its writes durable.
    fn committed(&self, _commit: Commit) {}

    /// A commit failed: none of its writes is acknowledged.
    fn commit_failed(&self, _commit: Commit, _error: &StoreError) {}

    /// A write was refused before it was queued.
    fn refused(&self, _error: &StoreError) {}
}

/// The size of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// How many writes were gathered.
    pub writes: usize,
    /// How many records they change.
    pub records: usize,
    /// How long the backend took.
    pub took: Duration,
}

/// Listens to nothing.
impl StoreObserver for () {}
