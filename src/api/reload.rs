//! How the last load of the policy files went, and the way to ask for another.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::config::Findings;

/// How loading went, for the admin API. The side that loads feeds it; a failure leaves what it says of the policy in force.
#[derive(Debug, Default)]
pub struct ReloadStatus {
    state: ArcSwap<Loads>,
}

/// The latest loads.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    /// When the policy in force was loaded; `None` before the first.
    pub loaded_at: Option<Timestamp>,
    /// What looks wrong in the policy in force.
    pub warnings: Arc<Findings>,
    /// The last load, when it was refused.
    pub refused: Option<RefusedLoad>,
}

/// A load that changed nothing.
#[derive(Clone, Debug)]
pub struct RefusedLoad {
    /// When it was tried.
    pub at: Timestamp,
    /// Why it was refused.
    pub findings: Arc<Findings>,
}

impl ReloadStatus {
    /// Nothing was loaded so far.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The latest loads.
    pub fn loads(&self) -> Guard<Arc<Loads>> {
        self.state.load()
    }

    /// A policy came into force.
    pub fn succeeded(&self, at: Timestamp, warnings: Findings) {
        self.state.store(Arc::new(Loads { loaded_at: Some(at), warnings: Arc::new(warnings), refused: None }));
    }

    /// Something else looks wrong now in the policy in force.
    pub fn found(&self, warnings: Findings) {
        let warnings = Arc::new(warnings);
        self.state.rcu(|loads| Loads { warnings: Arc::clone(&warnings), ..Loads::clone(loads) });
    }

    /// A load was refused; the policy in force stays.
    pub fn refused(&self, at: Timestamp, findings: Findings) {
        let refused = RefusedLoad { at, findings: Arc::new(findings) };
        self.state.rcu(|loads| Loads { refused: Some(refused.clone()), ..Loads::clone(loads) });
    }
}

/// Loads the policy files again when an operator asks.
#[async_trait]
pub trait Reloader: Send + Sync + std::fmt::Debug {
    /// Loads once, feeds the [`ReloadStatus`], and answers with the generation now in force, or why nothing changed; `None` when
    /// the load did not come to an end. What has begun goes on, whether or not somebody waits for it.
    async fn reload(self: Arc<Self>) -> Option<Result<u64, Findings>>;

    /// Brings the warnings of the [`ReloadStatus`] up to what is in force: objects are also made and deleted over the API.
    fn look_over(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Finding, Place};

    #[test]
    fn a_refused_load_leaves_what_is_known_of_the_policy_in_force() {
        let status = ReloadStatus::new();
        assert!(status.loads().loaded_at.is_none());
        let (first, second) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        status.succeeded(first, Findings::new());
        let mut findings = Findings::new();
        findings.push(Finding::error(Place::Path("policy".into()), "", "broken"));
        status.refused(second, findings);
        assert_eq!(status.loads().loaded_at, Some(first));
        assert_eq!(status.loads().refused.as_ref().map(|refused| refused.at), Some(second));
        status.succeeded(second, Findings::new());
        assert!(status.loads().refused.is_none());
    }
}
