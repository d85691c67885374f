//! How every policy between an identity and a service stands.
//!
//! A decision stops at the first policy that passes; people and their devices are shown them all, each with its checks.

use std::sync::Arc;

use super::{Questioner, guarded};
use crate::clock::Timestamp;
use crate::decision::denial::FailedCheck;
use crate::policy::objects::ServicePolicy;
use crate::policy::snapshot::{CheckSlot, IdentityIndex, ServiceIndex, Snapshot};
use crate::posture::Posture;
use crate::posture::check::Check;
use crate::posture::outcome::Outcome;

/// One policy that selects the identity and the service.
#[derive(Clone, Debug)]
pub struct PolicyStanding {
    /// The policy.
    pub policy: Arc<ServicePolicy>,
    /// Whether all its checks, and its expression if it has one, pass.
    pub is_passing: bool,
    /// Its checks, those of its expression included, each once.
    pub checks: Vec<CheckStanding>,
}

/// One check of such a policy.
#[derive(Clone, Debug)]
pub struct CheckStanding {
    /// The check; of one that a policy names and nobody defined, what stands in for it.
    pub check: Arc<Check>,
    /// What it answers.
    pub outcome: Outcome,
    /// When the oldest fact it looks at was observed.
    pub observed_at: Option<Timestamp>,
    /// The evidence, where the check keeps the policy from passing.
    pub in_the_way: Option<FailedCheck>,
}

/// The policies of both types that select `identity` and `service`, in no particular order. Grants nothing: only
/// [`decide`](super::decide) does.
pub fn standings(
    snapshot: &Snapshot,
    identity: IdentityIndex,
    service: ServiceIndex,
    posture: &Posture,
    now: Timestamp,
) -> Vec<PolicyStanding> {
    let evaluation = || {
        let mut questioner = Questioner { snapshot, posture, now, answered: Vec::new() };
        let linked = snapshot.policies_between(identity, service);
        linked.map(|policy| questioner.policy_standing(policy)).collect()
    };
    guarded(evaluation).unwrap_or_default()
}

impl Questioner<'_> {
    fn policy_standing(&mut self, policy: &crate::policy::snapshot::CompiledPolicy) -> PolicyStanding {
        let is_passing = self.policy(policy).outcome.is_pass();
        let failed = if is_passing { Vec::new() } else { self.failed_policy(policy).checks };
        let mut slots: Vec<&CheckSlot> = Vec::new();
        for slot in policy.slots() {
            if !slots.contains(&slot) {
                slots.push(slot);
            }
        }
        let checks = slots.into_iter().map(|slot| self.check_standing(slot, &failed)).collect();
        PolicyStanding { policy: Arc::clone(policy.object()), is_passing, checks }
    }

    fn check_standing(&mut self, slot: &CheckSlot, failed: &[FailedCheck]) -> CheckStanding {
        let outcome = self.slot(slot).outcome;
        let FailedCheck { check, observed_at, .. } = self.failed_check(slot);
        let in_the_way = failed.iter().find(|failed| failed.check.id == check.id).cloned();
        CheckStanding { check, outcome, observed_at, in_the_way }
    }
}
