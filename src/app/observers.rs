//! From the events of lower floors to metrics.

use crate::store::{Commit, StoreError, StoreObserver};
use crate::telemetry::Metrics;
use crate::tls::{HandshakeObserver, HandshakeOutcome};

/// Counts the store's commits.
#[derive(Debug)]
pub(super) struct StoreMetrics(pub(super) Metrics);

impl StoreObserver for StoreMetrics {
    fn committed(&self, commit: Commit) {
        self.0.store_writes("ok", commit.records as u64);
        self.0.store_commit_seconds.observe(commit.took.as_secs_f64());
        self.0.store_commit_records.observe(commit.records as f64);
    }

    fn commit_failed(&self, commit: Commit, error: &StoreError) {
        self.0.store_writes("failed", commit.records as u64);
        tracing::error!(%error, records = commit.records, "the store could not commit");
    }

    fn refused(&self, _error: &StoreError) {
        self.0.store_writes("refused", 1);
    }
}

/// Counts the handshakes of one listener.
#[derive(Debug)]
pub(super) struct HandshakeMetrics {
    pub(super) listener: &'static str,
    pub(super) metrics: Metrics,
}

impl HandshakeObserver for HandshakeMetrics {
    fn handshake(&self, outcome: HandshakeOutcome) {
        self.metrics.handshake(self.listener, outcome.code());
    }
}
