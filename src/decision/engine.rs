//! The one evaluator.

mod standings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::{CheckId, IdentityId};
use crate::policy::expression::Expression;
use crate::policy::objects::Identity;
use crate::policy::snapshot::{CheckSlot, CompiledPolicy, ServiceIndex, Snapshot};
use crate::posture::Posture;
use crate::posture::check::{Check, Observed, Predicate};
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

use super::asker::Asker;
use super::denial::{Denial, DenialReason, FailedCheck, FailedPolicy, FailedVerdict};
use super::lock::Lock;
use super::permit::Permit;

pub use standings::{CheckStanding, PolicyStanding, standings};

/// The answer to a request.
pub type Decision = Result<Permit, Denial>;

/// May `asker` reach `service` at `now`?
///
/// Access is granted when at least one Dial policy that selects both has all its checks, and its expression if it has one,
/// passing (`openziti.md` 2.2). Everything else is a denial with its own reason, a panic in the evaluation included.
pub fn decide(snapshot: &Snapshot, asker: &Asker<'_>, service: ServiceIndex, now: Timestamp) -> Decision {
    guarded(|| evaluate(snapshot, asker, service, now)).unwrap_or_else(|| {
        let reason = DenialReason::EvaluationFailed;
        let service = snapshot.service(service).map(|service| service.id.clone());
        Err(refusal(snapshot, reason, Some(asker.identity.clone()), service))
    })
}

/// A denial that rests on nothing but who asked and what for.
pub fn refusal(
    snapshot: &Snapshot,
    reason: DenialReason,
    identity: Option<IdentityId>,
    service: Option<crate::id::ServiceId>,
) -> Denial {
    Denial {
        reason,
        identity,
        service,
        policies: Vec::new(),
        lock: None,
        generation: snapshot.generation(),
        valid_until: Timestamp::MAX,
    }
}

/// The denial of somebody an operator has locked out.
pub fn locked_out(
    snapshot: &Snapshot,
    lock: &Arc<Lock>,
    identity: IdentityId,
    service: Option<crate::id::ServiceId>,
) -> Denial {
    Denial {
        lock: Some(Arc::clone(lock)),
        valid_until: lock.ends(),
        ..refusal(snapshot, DenialReason::IdentityLocked, Some(identity), service)
    }
}

/// Runs an evaluation so that a defect in it denies this one request instead of taking anything else down.
fn guarded<T>(evaluation: impl FnOnce() -> T) -> Option<T> {
    // Nothing the evaluation touches is mutable, so there is no half-made state to observe afterwards.
    catch_unwind(AssertUnwindSafe(evaluation)).ok()
}

fn evaluate(snapshot: &Snapshot, asking: &Asker<'_>, service: ServiceIndex, now: Timestamp) -> Decision {
    let Asker { identity, posture, .. } = *asking;
    let target = snapshot.service(service);
    let refuse = |reason| {
        let service = target.map(|service| service.id.clone());
        Err(refusal(snapshot, reason, Some(identity.clone()), service))
    };
    if !snapshot.is_loaded() {
        return refuse(DenialReason::NoSnapshot);
    }
    let Some(asker) = snapshot.find_identity(identity) else {
        return refuse(DenialReason::UnknownIdentity);
    };
    let Some(who) = snapshot.identity(asker) else {
        return refuse(DenialReason::UnknownIdentity);
    };
    if who.disabled {
        return refuse(DenialReason::IdentityDisabled);
    }
    if let Some(lock) = asking.locked(now) {
        let service = target.map(|service| service.id.clone());
        return Err(locked_out(snapshot, lock, identity.clone(), service));
    }
    let Some(target) = target else {
        return refuse(DenialReason::UnknownService);
    };

    let mut questioner = Questioner { snapshot, posture, now, answered: Vec::new() };
    let mut linked = false;
    for (_, policy) in snapshot.dial_policies(asker, service) {
        linked = true;
        let answer = questioner.policy(policy);
        if answer.outcome.is_pass() {
            let policy = Arc::clone(policy.object());
            let generation = snapshot.generation();
            return Ok(Permit::new(Arc::clone(who), Arc::clone(target), policy, generation, answer.valid_until));
        }
    }
    if !linked {
        let anonymous = identity.as_str() == Identity::ANONYMOUS;
        return refuse(if anonymous { DenialReason::CertificateRequired } else { DenialReason::NoPolicy });
    }
    let policies = snapshot.dial_policies(asker, service).map(|(_, policy)| questioner.failed_policy(policy)).collect();
    Err(Denial {
        reason: DenialReason::PostureFailed,
        identity: Some(identity.clone()),
        service: Some(target.id.clone()),
        policies,
        lock: None,
        generation: snapshot.generation(),
        valid_until: questioner.earliest_change(),
    })
}

/// Asks checks about one posture at one instant, each at most once.
struct Questioner<'a> {
    snapshot: &'a Snapshot,
    posture: &'a Posture,
    now: Timestamp,
    /// Few enough that a search by position beats a map.
    answered: Vec<(crate::policy::snapshot::CheckIndex, Assessment)>,
}

impl Questioner<'_> {
    fn slot(&mut self, slot: &CheckSlot) -> Assessment {
        let dangling = Assessment::lasting(Outcome::NoResult(NoResultReason::Dangling));
        let CheckSlot::Known(index) = slot else {
            return dangling;
        };
        if let Some((_, known)) = self.answered.iter().find(|(answered, _)| answered == index) {
            return *known;
        }
        let Some(check) = self.snapshot.check(*index) else {
            return dangling;
        };
        let answer = check.assess(self.posture, self.now);
        self.answered.push((*index, answer));
        answer
    }

    /// All checks and the expression, joined by AND.
    fn policy(&mut self, policy: &CompiledPolicy) -> Assessment {
        let checks = policy.checks().iter().map(|slot| self.slot(slot)).collect::<Vec<_>>();
        let expression = policy.expression().map(|expression| self.expression(expression));
        every(checks.into_iter().chain(expression))
    }

    fn expression(&mut self, expression: &Expression<CheckSlot>) -> Assessment {
        match expression {
            Expression::Check(slot) => self.slot(slot),
            Expression::All(parts) => {
                let answers = parts.iter().map(|part| self.expression(part)).collect::<Vec<_>>();
                every(answers)
            }
            Expression::Any(parts) => {
                let answers = parts.iter().map(|part| self.expression(part)).collect::<Vec<_>>();
                some(answers)
            }
            Expression::Not(part) => {
                let answer = self.expression(part);
                Assessment::until(answer.outcome.negate(), answer.valid_until)
            }
            Expression::Unless(part) => {
                let answer = self.expression(part);
                if !answer.outcome.is_pass() && self.names_nothing(part) {
                    return Assessment::lasting(Outcome::NoResult(NoResultReason::Dangling));
                }
                Assessment::until(unless(answer.outcome), answer.valid_until)
            }
        }
    }

    /// Whether one of the checks is not there. Such a check can show nothing of any device, so that an exclusion by it would let
    /// in whom it was written to keep out.
    fn names_nothing(&mut self, expression: &Expression<CheckSlot>) -> bool {
        let mut found = false;
        expression.visit(&mut |slot| {
            found |= self.slot(slot).outcome == Outcome::NoResult(NoResultReason::Dangling);
        });
        found
    }

    /// The first moment at which any answer given so far could change.
    fn earliest_change(&self) -> Timestamp {
        self.answered.iter().map(|(_, answer)| answer.valid_until).min().unwrap_or(Timestamp::MAX)
    }

    fn failed_policy(&mut self, policy: &CompiledPolicy) -> FailedPolicy {
        let mut blocking: Vec<CheckSlot> = Vec::new();
        for slot in policy.checks() {
            if !self.slot(slot).outcome.is_pass() {
                blocking.push(slot.clone());
            }
        }
        if let Some(expression) = policy.expression() {
            self.blocking(expression, true, &mut blocking);
        }
        let mut checks: Vec<FailedCheck> = Vec::with_capacity(blocking.len());
        for slot in blocking {
            let failed = self.failed_check(&slot);
            if !checks.iter().any(|known| known.check.id == failed.check.id) {
                checks.push(failed);
            }
        }
        FailedPolicy { id: policy.object().id.clone(), name: Arc::clone(&policy.object().name), checks }
    }

    /// Leaves that keep the expression from being what is `wanted`.
    fn blocking(&mut self, expression: &Expression<CheckSlot>, wanted: bool, found: &mut Vec<CheckSlot>) {
        let answer = self.expression(expression).outcome;
        let satisfied = if wanted { answer.is_pass() } else { answer.negate().is_pass() };
        if satisfied {
            return;
        }
        match expression {
            Expression::Check(slot) => found.push(slot.clone()),
            Expression::All(parts) | Expression::Any(parts) => {
                parts.iter().for_each(|part| self.blocking(part, wanted, found));
            }
            Expression::Not(part) | Expression::Unless(part) => self.blocking(part, !wanted, found),
        }
    }

    fn failed_check(&mut self, slot: &CheckSlot) -> FailedCheck {
        let verdict = FailedVerdict::of(self.slot(slot).outcome);
        let known = match slot {
            CheckSlot::Known(index) => self.snapshot.check(*index),
            CheckSlot::Dangling(_) => None,
        };
        match (known, slot) {
            (Some(check), _) => FailedCheck {
                check: Arc::clone(check),
                verdict,
                observed: check.observe(self.posture, self.now),
                observed_at: check.observed_at(self.posture),
            },
            (None, CheckSlot::Dangling(name)) => missing_check(name, verdict),
            (None, CheckSlot::Known(_)) => missing_check(&Arc::from("?"), verdict),
        }
    }
}

/// The record of a check that a policy names and nobody defined.
fn missing_check(name: &Arc<str>, verdict: FailedVerdict) -> FailedCheck {
    let check = Check {
        id: CheckId::new(Arc::clone(name)),
        name: Arc::clone(name),
        predicate: Predicate::Missing,
        applies_to: None,
        max_age: None,
        evidence: crate::posture::Evidence::Any,
        remediation: None,
    };
    FailedCheck { check: Arc::new(check), verdict, observed: Observed::Nothing, observed_at: None }
}

/// Kleene AND: a fail wins over no result, no result over a pass. Holds until any part may change.
fn every(answers: impl IntoIterator<Item = Assessment>) -> Assessment {
    let mut joined = Assessment::lasting(Outcome::Pass);
    for answer in answers {
        joined.valid_until = joined.valid_until.min(answer.valid_until);
        joined.outcome = match (joined.outcome, answer.outcome) {
            (Outcome::Fail(reason), _) => Outcome::Fail(reason),
            (_, Outcome::Fail(reason)) => Outcome::Fail(reason),
            (Outcome::NoResult(reason), _) => Outcome::NoResult(reason),
            (Outcome::Pass, other) => other,
        };
    }
    joined
}

/// Kleene OR: a pass wins over no result, no result over a fail; of no parts, nothing passes.
fn some(answers: impl IntoIterator<Item = Assessment>) -> Assessment {
    let mut joined: Option<Assessment> = None;
    for answer in answers {
        joined = Some(match joined {
            None => answer,
            Some(known) => {
                let outcome = match (known.outcome, answer.outcome) {
                    (Outcome::Pass, _) | (_, Outcome::Pass) => Outcome::Pass,
                    (Outcome::NoResult(reason), _) | (_, Outcome::NoResult(reason)) => Outcome::NoResult(reason),
                    (Outcome::Fail(reason), Outcome::Fail(_)) => Outcome::Fail(reason),
                };
                Assessment::until(outcome, known.valid_until.min(answer.valid_until))
            }
        });
    }
    joined.unwrap_or(Assessment::lasting(Outcome::NoResult(NoResultReason::Unsatisfiable)))
}

/// Access's exclusion: only what is shown excludes.
fn unless(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Pass => Outcome::Fail(FailReason::ForbiddenStatePresent),
        Outcome::Fail(_) | Outcome::NoResult(_) => Outcome::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_evaluation_is_no_answer() {
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let answer = guarded(|| panic!("a defect in a check"));
        std::panic::set_hook(quiet);
        assert_eq!(answer, None::<()>);
    }

    #[test]
    fn any_of_nothing_does_not_pass() {
        assert!(!some([]).outcome.is_pass());
    }
}
