//! Findings about checks, and about how policies name them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Linter, Suspicion};
use crate::policy::compile::name_holders;
use crate::policy::objects::PostureCheck;
use crate::policy::roles::Role;
use crate::policy::snapshot::CompiledPolicy;
use crate::posture::check::Predicate;

impl Linter<'_> {
    /// Ranges that OpenZiti's grammar accepts and that do not mean what they say.
    pub(super) fn version_ranges(&mut self) {
        for check in self.snapshot.objects().checks.values() {
            let Predicate::Os(rule) = &check.check.predicate else { continue };
            for range in rule.systems.iter().flat_map(|system| &system.versions) {
                for trap in range.warnings() {
                    let suspicion = Suspicion::VersionRange { range: range.as_str().to_owned(), trap };
                    self.find_in_check(check, suspicion);
                }
            }
        }
    }

    /// Checks whose platforms do not meet.
    pub(super) fn checks_for_nobody(&mut self) {
        for check in self.snapshot.objects().checks.values() {
            if check.check.applies_to.is_some_and(|families| families.is_empty()) {
                self.find_in_check(check, Suspicion::MeantForNobody);
            }
        }
    }

    /// Checks that refer to lists, certificates or connections that are not there.
    pub(super) fn checks_without_objects(&mut self) {
        let objects = self.snapshot.objects();
        for check in objects.checks.values() {
            let predicate = &check.check.predicate;
            let list = predicate.list().filter(|id| !objects.lists.contains_key(*id));
            let signer = predicate.signing_certificate();
            let signer = signer.filter(|id| !objects.signing_certificates.contains_key(*id));
            let connection = predicate.connection().filter(|id| !objects.integrations.contains_key(*id));
            let missing = [
                ("list", list.map(|id| id.as_str())),
                ("signing certificate", signer.map(|id| id.as_str())),
                ("posture integration", connection.map(|id| id.as_str())),
            ];
            for (what, reference) in missing {
                if let Some(reference) = reference {
                    let suspicion = Suspicion::DanglingReference { what, reference: reference.into() };
                    self.find_in_check(check, suspicion);
                }
            }
        }
    }

    /// Names of checks need not be unique, which only matters where a policy uses one.
    pub(super) fn ambiguous_names(&mut self) {
        let objects = self.snapshot.objects();
        let mut counts: HashMap<&str, usize> = HashMap::with_capacity(objects.checks.len());
        for check in objects.checks.values() {
            *counts.entry(&check.check.name).or_default() += 1;
        }
        if counts.values().all(|count| *count == 1) {
            return;
        }
        let holders = name_holders(objects);
        for policy in &self.snapshot.policies {
            for name in check_references(policy) {
                let count = counts.get(&*name).copied().unwrap_or(0);
                let by_id = objects.checks.contains_key(&*name);
                if let Some((_, holder)) = holders.get(&name).filter(|_| count > 1 && !by_id) {
                    let meant = holder.check.id.as_str().into();
                    self.find_in_policy(policy, Suspicion::AmbiguousName { name, count, meant });
                }
            }
        }
    }

    fn find_in_check(&mut self, check: &PostureCheck, suspicion: Suspicion) {
        let (id, name) = (check.check.id.as_str(), &check.check.name);
        self.find("posture check", id, name, &check.meta.origin, suspicion);
    }
}

/// What a policy calls its checks, as written, without the `@`.
fn check_references(policy: &CompiledPolicy) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for role in &policy.object.posture_check_roles {
        if let Role::Entity(name) = role {
            names.push(name.as_str().into());
        }
    }
    if let Some(expression) = &policy.object.expression {
        expression.visit(&mut |name| names.push(name.strip_prefix('@').unwrap_or(name).into()));
    }
    names.sort_unstable();
    names.dedup();
    names
}
