//! Exclusions that a device passes by telling nothing.

use std::sync::Arc;

use super::{Linter, Suspicion};
use crate::policy::expression::Expression;
use crate::policy::snapshot::CheckSlot;
use crate::posture::check::{Check, Predicate};

impl Linter<'_> {
    /// Exclusions of which no required check makes sure that there is something to exclude by.
    pub(super) fn exclusions(&mut self) {
        let snapshot = self.snapshot;
        for policy in &snapshot.policies {
            let Some(expression) = &policy.expression else { continue };
            let known = |slot: &CheckSlot| match slot {
                CheckSlot::Known(index) => snapshot.check(*index),
                CheckSlot::Dangling(_) => None,
            };
            let (mut excluded, mut required) = (Vec::new(), policy.checks.iter().collect::<Vec<_>>());
            collect_excluded(expression, false, &mut excluded);
            collect_required(expression, &mut required);
            for check in excluded.into_iter().filter_map(known) {
                if !required.iter().filter_map(|slot| known(slot)).any(|other| vouches_for(other, check)) {
                    let check = Arc::clone(&check.name);
                    self.find_in_policy(policy, Suspicion::ExclusionOfUnknown { check });
                }
            }
        }
    }
}

/// The checks that an expression excludes by.
fn collect_excluded<'a>(expression: &'a Expression<CheckSlot>, inside: bool, found: &mut Vec<&'a CheckSlot>) {
    match expression {
        Expression::Check(slot) if inside => found.push(slot),
        Expression::Check(_) => {}
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().for_each(|part| collect_excluded(part, inside, found));
        }
        Expression::Not(part) => collect_excluded(part, inside, found),
        Expression::Unless(part) => collect_excluded(part, true, found),
    }
}

/// The checks that must pass for an expression to pass.
fn collect_required<'a>(expression: &'a Expression<CheckSlot>, found: &mut Vec<&'a CheckSlot>) {
    match expression {
        Expression::Check(slot) => found.push(slot),
        Expression::All(parts) => parts.iter().for_each(|part| collect_required(part, found)),
        Expression::Any(parts) => {
            if let [only] = parts.as_slice() {
                collect_required(only, found);
            }
        }
        Expression::Not(_) | Expression::Unless(_) => {}
    }
}

/// Whether `required` cannot pass for a device for which `excluded` has no result: it asks the same source for the same, of no
/// other devices, and does not content itself with older answers.
fn vouches_for(required: &Check, excluded: &Check) -> bool {
    let devices = match (required.applies_to, excluded.applies_to) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(required), Some(excluded)) => required.is_within(excluded),
    };
    let ages = excluded.max_age.is_none_or(|max| required.max_age.is_some_and(|age| age <= max));
    let facts = match (&required.predicate, &excluded.predicate) {
        (Predicate::Provider(one), Predicate::Provider(other)) => {
            let asked = |member| one.criteria.iter().any(|criterion| criterion.member == member);
            one.connection == other.connection && other.criteria.iter().all(|criterion| asked(criterion.member))
        }
        (Predicate::Listed(one), Predicate::Listed(other)) => one.name == other.name,
        (Predicate::Disk(_), Predicate::Disk(_))
        | (Predicate::Firewall(_), Predicate::Firewall(_))
        | (Predicate::Antivirus(_), Predicate::Antivirus(_))
        | (Predicate::Domain(_), Predicate::Domain(_))
        | (Predicate::Mac(_), Predicate::Mac(_)) => true,
        _ => required.id == excluded.id,
    };
    devices && ages && facts
}
