//! What should be: worked out from first principles, from nothing that the enforcer keeps.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use postern::clock::Timestamp;
use postern::decision::{Asker, Lock, decide};
use postern::id::{IdentityId, ServiceId};
use postern::policy::objects::{Identity, Objects, PolicyType};
use postern::policy::{Snapshot, Subject};
use postern::posture::Posture;

use super::trust::{CERTIFICATES, Dates, Trusted};

/// Everything that answers rest on, as it is from one change to the next.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) postures: BTreeMap<IdentityId, Arc<Posture>>,
    pub(crate) locks: BTreeMap<IdentityId, Arc<Lock>>,
    pub(crate) trusted: Trusted,
}

/// Who is at the other end of a connection: the holder of a certificate, or nobody.
pub(crate) type Caller = Option<u8>;

/// What is under way, or was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matter {
    pub(crate) caller: Caller,
    /// Whom it was let through as.
    pub(crate) identity: IdentityId,
    /// `None` for a client's connection.
    pub(crate) service: Option<ServiceId>,
}

impl Moment {
    /// Whose a connection is.
    pub(crate) fn whose(&self, caller: Caller) -> Option<IdentityId> {
        let Some(certificate) = caller else { return Some(IdentityId::from(Identity::ANONYMOUS)) };
        let names: Vec<Subject> = CERTIFICATES[usize::from(certificate)].names();
        let holder = |name: &Subject| {
            let identities = self.snapshot.objects().identities.values();
            identities.into_iter().find(|identity| identity.subjects.contains(name)).cloned()
        };
        names.iter().find_map(holder).map(|identity| identity.id.clone())
    }

    /// Whether the matter may go on.
    pub(crate) fn allows(&self, matter: &Matter) -> bool {
        let believed = matter.caller.is_none_or(|certificate| self.trusted.believes(certificate, self.now));
        believed && self.whose(matter.caller).as_ref() == Some(&matter.identity) && self.decides(matter)
    }

    fn decides(&self, matter: &Matter) -> bool {
        let identity = &matter.identity;
        let Some(service) = &matter.service else { return self.lets_in(identity) };
        let Some(index) = self.snapshot.find_service(service) else { return false };
        let posture = self.postures.get(identity).cloned().unwrap_or_default();
        let certificate = matter.caller.map_or("", |certificate| CERTIFICATES[usize::from(certificate)].fingerprint);
        let posture = posture.as_proven_by(certificate);
        let asker = Asker { identity, posture: &posture, lock: self.locks.get(identity) };
        decide(&self.snapshot, &asker, index, self.now).is_ok()
    }

    /// Whether an identity's connections may be there: somebody who is not shut out and has somewhere to go.
    fn lets_in(&self, identity: &IdentityId) -> bool {
        let objects = self.snapshot.objects();
        let enabled = identity.as_str() == Identity::ANONYMOUS
            || objects.identities.get(identity).is_some_and(|identity| !identity.disabled);
        enabled && !self.is_locked(identity) && self.leads_somewhere(objects, identity)
    }

    pub(crate) fn is_locked(&self, identity: &IdentityId) -> bool {
        self.locks.get(identity).is_some_and(|lock| lock.holds(self.now))
    }

    fn leads_somewhere(&self, objects: &Objects, identity: &IdentityId) -> bool {
        let Some(index) = self.snapshot.find_identity(identity) else { return false };
        objects.services.keys().any(|service| {
            let service = self.snapshot.find_service(service).unwrap();
            let mut policies = self.snapshot.dial_policies(index, service);
            policies.any(|(_, policy)| policy.object().policy_type == PolicyType::Dial)
        })
    }
}

/// Every moment since the beginning.
#[derive(Debug)]
pub(crate) struct History(Vec<Moment>);

impl History {
    pub(crate) fn beginning_with(moment: Moment) -> Self {
        History(vec![moment])
    }

    pub(crate) fn now(&self) -> &Moment {
        self.0.last().unwrap()
    }

    /// The number of the moment that it is now.
    pub(crate) fn present(&self) -> usize {
        self.0.len() - 1
    }

    pub(crate) fn push(&mut self, moment: Moment) {
        self.0.push(moment);
    }

    /// Whether there was a moment at which the matter was allowed.
    pub(crate) fn allowed_in(&self, span: RangeInclusive<usize>, matter: &Matter) -> bool {
        self.0[span].iter().any(|moment| moment.allows(matter))
    }

    /// Whether there was a moment at which it was not.
    pub(crate) fn denied_in(&self, span: RangeInclusive<usize>, matter: &Matter) -> bool {
        self.0[span].iter().any(|moment| !moment.allows(matter))
    }

    /// Whether there was a moment at which the caller was nobody, or somebody else, or not allowed.
    pub(crate) fn refused_in(&self, span: RangeInclusive<usize>, caller: Caller, service: Option<&ServiceId>) -> bool {
        let first = self.0[*span.start()].whose(caller);
        self.0[span].iter().any(|moment| !moment.lets(caller, service) || moment.whose(caller) != first)
    }
}

impl Moment {
    /// Whether whoever the caller is now may reach the service, or come in.
    pub(crate) fn lets(&self, caller: Caller, service: Option<&ServiceId>) -> bool {
        let matter = |identity| Matter { caller, identity, service: service.cloned() };
        self.whose(caller).is_some_and(|identity| self.allows(&matter(identity)))
    }
}

impl Trusted {
    fn believes(&self, certificate: u8, now: Timestamp) -> bool {
        let Dates { begins, ends } = self.dates(certificate);
        let known = CERTIFICATES[usize::from(certificate)];
        begins <= now && now < ends && !self.revoked.contains(&certificate) && !self.distrusted.contains(&known.ca)
    }
}
