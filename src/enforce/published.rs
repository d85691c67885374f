//! The snapshot in force, with the metric handles that belong to its positions.

use std::sync::Arc;

use crate::clock::checkpoint;
use crate::policy::snapshot::{ServiceIndex, Snapshot};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{DecisionCounters, UpstreamMetrics};

/// A snapshot as it is in force.
#[derive(Debug)]
pub struct Published {
    snapshot: Snapshot,
    counters: Vec<DecisionCounters>,
    upstreams: Vec<Arc<UpstreamMetrics>>,
}

impl Published {
    /// Resolves the metric handles of a snapshot.
    pub fn new(snapshot: Snapshot, metrics: &Metrics) -> Arc<Self> {
        let counters = snapshot
            .services()
            .inspect(|_| checkpoint())
            .enumerate()
            .map(|(position, service)| metrics.decision_counters(position, &service.name))
            .collect();
        let upstreams = snapshot
            .services()
            .inspect(|_| checkpoint())
            .enumerate()
            .map(|(position, service)| Arc::new(metrics.upstream(position, &service.name)))
            .collect();
        Arc::new(Published { snapshot, counters, upstreams })
    }

    /// Lets go of it piece by piece, where nobody else holds it.
    pub(super) fn let_go(self: Arc<Self>) {
        if let Some(last) = Arc::into_inner(self) {
            last.snapshot.let_go();
        }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The decision counters of one of the snapshot's services.
    pub fn counters(&self, service: ServiceIndex) -> Option<&DecisionCounters> {
        self.counters.get(service.position())
    }

    /// The upstream metrics of one of the snapshot's services.
    pub fn upstream(&self, service: ServiceIndex) -> Option<&Arc<UpstreamMetrics>> {
        self.upstreams.get(service.position())
    }
}
