//! Who is selected by which policy: the questions operators ask of a snapshot. None of them is asked on the way of a request.

use super::objects::{Identity, PolicyType, PostureCheck, Service, ServicePolicy};
use super::snapshot::{CheckSlot, CompiledPolicy, CompiledService, IdentityIndex, PolicyIndex, ServiceIndex, Snapshot};
use crate::id::PolicyId;

impl Snapshot {
    /// The identities a policy is for.
    pub fn identities_of(&self, policy: &PolicyId) -> Vec<&Identity> {
        let Some(policy) = self.compiled_policy(policy) else {
            return Vec::new();
        };
        let all = self.identities.iter().zip(0u32..);
        let selected = all.filter(|(identity, position)| policy.identities.selects(*position, &identity.attributes));
        selected.map(|(identity, _)| &*identity.object).collect()
    }

    /// The services a policy leads to.
    pub fn services_of(&self, policy: &PolicyId) -> Vec<&Service> {
        let Ok(position) = self.policies.binary_search_by(|known| known.object.id.cmp(policy)) else {
            return Vec::new();
        };
        let index = PolicyIndex(u32::try_from(position).unwrap_or(u32::MAX));
        let leads = |service: ServiceIndex| self.leading_to(service).any(|known| known == index);
        let all = self.services.iter().zip(0u32..).filter(|(_, position)| leads(ServiceIndex(*position)));
        all.map(|(service, _)| &*service.object).collect()
    }

    /// The checks that a policy's list selects; those of its expression are not among them.
    pub fn checks_of(&self, policy: &PolicyId) -> Vec<&PostureCheck> {
        let slots = self.compiled_policy(policy).map_or(&[][..], |policy| policy.checks());
        let known = slots.iter().filter_map(|slot| match slot {
            CheckSlot::Known(index) => self.check(*index),
            CheckSlot::Dangling(_) => None,
        });
        known.filter_map(|check| self.posture_check(&check.id)).map(AsRef::as_ref).collect()
    }

    /// The policies that are for an identity.
    pub fn policies_for(&self, identity: IdentityIndex) -> Vec<&ServicePolicy> {
        self.policies.iter().filter(|policy| self.is_for(policy, identity)).map(|policy| &*policy.object).collect()
    }

    /// The policies that lead to a service.
    pub fn policies_to(&self, service: ServiceIndex) -> Vec<&ServicePolicy> {
        let mut positions: Vec<usize> = self.leading_to(service).map(PolicyIndex::position).collect();
        positions.sort_unstable();
        positions.into_iter().filter_map(|position| self.policies.get(position)).map(|policy| &*policy.object).collect()
    }

    /// What an identity may do with a service, provided that the checks pass.
    pub fn permissions(&self, identity: IdentityIndex, service: ServiceIndex) -> Vec<PolicyType> {
        let leading = || self.leading_to(service).filter_map(|index| self.policies.get(index.position()));
        let granted = |wanted: PolicyType| {
            leading().any(|policy| policy.object.policy_type == wanted && self.is_for(policy, identity))
        };
        [PolicyType::Dial, PolicyType::Bind].into_iter().filter(|wanted| granted(*wanted)).collect()
    }

    /// The policies of both types that select an identity and a service.
    pub fn policies_between(
        &self,
        identity: IdentityIndex,
        service: ServiceIndex,
    ) -> impl Iterator<Item = &CompiledPolicy> {
        let leading = self.leading_to(service).filter_map(|index| self.policies.get(index.position()));
        leading.filter(move |policy| self.is_for(policy, identity))
    }

    /// The services an identity may reach or host, provided that the checks pass.
    pub fn services_for(&self, identity: IdentityIndex) -> Vec<&Service> {
        let own: Vec<bool> = self.policies.iter().map(|policy| self.is_for(policy, identity)).collect();
        let any_own =
            |policies: &[PolicyIndex]| policies.iter().any(|index| own.get(index.position()).is_some_and(|own| *own));
        let all = any_own(&self.policies_of_every_service) || any_own(&self.bind_policies_of_every_service);
        let granted =
            |service: &&CompiledService| all || any_own(&service.dial_policies) || any_own(&service.bind_policies);
        self.services.iter().filter(granted).map(|service| &*service.object).collect()
    }

    /// The identities that may reach or host a service, provided that the checks pass.
    pub fn identities_for(&self, service: ServiceIndex) -> Vec<&Identity> {
        let leading: Vec<&CompiledPolicy> =
            self.leading_to(service).filter_map(|index| self.policies.get(index.position())).collect();
        let all = self.identities.iter().zip(0u32..);
        let granted = all.filter(|(identity, position)| {
            leading.iter().any(|policy| policy.identities.selects(*position, &identity.attributes))
        });
        granted.map(|(identity, _)| &*identity.object).collect()
    }

    /// Policies of both types that lead to a service.
    fn leading_to(&self, service: ServiceIndex) -> impl Iterator<Item = PolicyIndex> {
        let service = self.services.get(service.position());
        let dial = service.map_or(&[][..], |service| &service.dial_policies);
        let bind = service.map_or(&[][..], |service| &service.bind_policies);
        let of_all = self.policies_of_every_service.iter().chain(&self.bind_policies_of_every_service);
        dial.iter().chain(bind).chain(of_all).copied()
    }

    fn is_for(&self, policy: &CompiledPolicy, identity: IdentityIndex) -> bool {
        let attributes = self.identities.get(identity.position()).map_or(&[][..], |known| &known.attributes);
        policy.identities.selects(identity.0, attributes)
    }
}
