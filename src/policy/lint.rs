//! Findings about a policy that compiles but probably does not mean what it says.

mod checks;
mod exclusions;

use std::collections::HashSet;
use std::sync::Arc;

use crate::clock::checkpoint;
use crate::limits;
use crate::posture::version::Trap;

use super::objects::{Origin, PolicyType};
use super::roles::Role;
use super::snapshot::{CheckSlot, CompiledPolicy, PolicyIndex, ServiceIndex, Snapshot};

/// One finding. The policy is in force; somebody should look at it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind} `{name}`: {suspicion}")]
pub struct Finding {
    /// `identity`, `service`, `service policy` or `posture check`.
    pub kind: &'static str,
    /// The object's id.
    pub id: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// Where the object was written.
    pub origin: Origin,
    /// What looks wrong.
    #[source]
    pub suspicion: Suspicion,
}

/// What looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// A policy without checks opens what a stricter one for the same identity and service would keep shut.
    #[error(
        "it asks for no checks, so it bypasses policy `{stricter}` for identity `{identity}` and service `{service}`, \
         and maybe others"
    )]
    Bypass {
        /// The policy that is bypassed.
        stricter: Arc<str>,
        /// One identity both select.
        identity: Arc<str>,
        /// One service both select.
        service: Arc<str>,
    },
    /// A policy that opens to everybody.
    #[error("it lets in requests without a certificate: whoever reaches the gateway reaches what it opens")]
    Anonymous,
    /// A policy that would open to everybody, but asks what they cannot answer.
    #[error("it is for requests without a certificate, too, and asks for checks, which none of them can pass")]
    AnonymousWithChecks,
    /// A reference to nothing.
    #[error("`{reference}` in `{list}` names nothing that exists{consequence}")]
    Dangling {
        /// The reference as written.
        reference: String,
        /// The list it stands in.
        list: &'static str,
        /// What follows from it.
        consequence: &'static str,
    },
    /// A policy nobody can use.
    #[error("it is unreachable: it selects no {0}")]
    Unreachable(&'static str),
    /// A service no policy leads to.
    #[error("no policy leads to it, so nobody can reach it")]
    NoPolicy,
    /// A service that no request is matched to.
    #[error("it has no hosts, so no request is matched to it")]
    NoHosts,
    /// A service that refers to a config which is gone.
    #[error("its config `{0}` does not exist and says nothing")]
    MissingConfig(Arc<str>),
    /// A config of a service says what a reverse proxy cannot do.
    #[error("its config `{config}` says what is left out here: {said}")]
    LeftOut {
        /// The config's name.
        config: Arc<str>,
        /// What it says, and why that is left out.
        said: Arc<str>,
    },
    /// An identity without certificate names.
    #[error("it has no subjects, so no certificate is recognised as it")]
    NoSubjects,
    /// A version range reads differently from how it looks.
    #[error("version range `{range}`: {trap}")]
    VersionRange {
        /// The range as written.
        range: String,
        /// What it really means.
        trap: Trap,
    },
    /// A check that refers to nothing.
    #[error("it refers to {what} `{reference}`, which does not exist, so it never passes")]
    DanglingReference {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        reference: Arc<str>,
    },
    /// A policy names a check by a name that several checks have.
    #[error("`@{name}` could mean {count} checks; it means the one with id `{meant}`, which has had the name longest")]
    AmbiguousName {
        /// The name.
        name: Arc<str>,
        /// How many checks have it.
        count: usize,
        /// The id of the one that is meant.
        meant: Arc<str>,
    },
    /// A policy whose list of checks selects none.
    #[error("its `posture_check_roles` select no check, so it opens without asking anything")]
    NoChecksSelected,
    /// An exclusion that a device passes by telling nothing.
    #[error(
        "its exclusion of check `{check}` lets in devices for which that check has no result; require another answer of \
         the same source beside it"
    )]
    ExclusionOfUnknown {
        /// The check's name.
        check: Arc<str>,
    },
    /// A check that is meant for no device at all.
    #[error(
        "it is meant for no kind of device: its `match` and its operating system do not meet, so it never has a result"
    )]
    MeantForNobody,
    /// There was more to look at than is looked at.
    #[error("there is more to look at than is looked at in one pass; the list of findings is incomplete")]
    Incomplete,
}

/// Looks a snapshot over. At most [`limits::LINT_FINDINGS_MAX`] findings; the last one says so when there may be more.
pub fn lint(snapshot: &Snapshot) -> Vec<Finding> {
    let mut linter = Linter { snapshot, findings: Vec::new(), comparisons: 0, incomplete: false };
    linter.dangling();
    linter.unreachable();
    linter.anonymous();
    linter.configs();
    linter.version_ranges();
    linter.checks_for_nobody();
    linter.checks_without_objects();
    linter.ambiguous_names();
    linter.exclusions();
    linter.bypasses();
    linter.finish()
}

struct Linter<'a> {
    snapshot: &'a Snapshot,
    findings: Vec<Finding>,
    comparisons: usize,
    incomplete: bool,
}

impl Linter<'_> {
    fn find(&mut self, kind: &'static str, id: &str, name: &Arc<str>, origin: &Origin, suspicion: Suspicion) {
        if self.findings.len() >= limits::LINT_FINDINGS_MAX {
            self.incomplete = true;
            return;
        }
        let (id, name, origin) = (id.into(), Arc::clone(name), origin.clone());
        self.findings.push(Finding { kind, id, name, origin, suspicion });
    }

    fn find_in_policy(&mut self, policy: &CompiledPolicy, suspicion: Suspicion) {
        let policy = &policy.object;
        self.find("service policy", policy.id.as_str(), &policy.name, &policy.meta.origin, suspicion);
    }

    fn finish(mut self) -> Vec<Finding> {
        if self.incomplete {
            let suspicion = Suspicion::Incomplete;
            let origin = Origin::Api;
            self.findings.push(Finding { kind: "policy", id: "*".into(), name: "*".into(), origin, suspicion });
        }
        self.findings
    }

    /// `@` references to nothing. A missing check keeps its policy shut; a missing identity or service selects nothing.
    fn dangling(&mut self) {
        let snapshot = self.snapshot;
        let objects = snapshot.objects();
        let identities: HashSet<&str> = objects
            .identities
            .values()
            .inspect(|_| checkpoint())
            .flat_map(|identity| [identity.id.as_str(), &identity.name])
            .collect();
        let services: HashSet<&str> =
            objects.services.values().flat_map(|service| [service.id.as_str(), &service.name]).collect();
        for policy in &snapshot.policies {
            checkpoint();
            let lists = [
                ("identity_roles", &policy.object.identity_roles, &identities),
                ("service_roles", &policy.object.service_roles, &services),
            ];
            for (list, roles, known) in lists {
                for role in roles {
                    let Role::Entity(name) = role else { continue };
                    if !known.contains(name.as_str()) {
                        let reference = format!("@{name}");
                        self.find_in_policy(policy, Suspicion::Dangling { reference, list, consequence: "" });
                    }
                }
            }
            self.dangling_checks(policy);
        }
    }

    fn dangling_checks(&mut self, policy: &CompiledPolicy) {
        let consequence = ", so the policy never passes";
        let mut missing: Vec<(&'static str, Arc<str>)> = Vec::new();
        for slot in &policy.checks {
            if let CheckSlot::Dangling(name) = slot {
                missing.push(("posture_check_roles", Arc::clone(name)));
            }
        }
        if let Some(expression) = &policy.expression {
            expression.visit(&mut |slot| {
                if let CheckSlot::Dangling(name) = slot {
                    missing.push(("require", Arc::clone(name)));
                }
            });
        }
        for (list, name) in missing {
            let reference = format!("@{name}");
            self.find_in_policy(policy, Suspicion::Dangling { reference, list, consequence });
        }
    }

    fn anonymous(&mut self) {
        for policy in self.snapshot.policies.iter().filter(|policy| policy.object.anonymous) {
            let asks = !policy.checks.is_empty() || policy.expression.is_some();
            self.find_in_policy(policy, if asks { Suspicion::AnonymousWithChecks } else { Suspicion::Anonymous });
        }
    }

    fn unreachable(&mut self) {
        let snapshot = self.snapshot;
        for identity in snapshot.objects().identities.values().filter(|identity| identity.subjects.is_empty()) {
            self.find("identity", identity.id.as_str(), &identity.name, &identity.meta.origin, Suspicion::NoSubjects);
        }
        for service in &snapshot.services {
            checkpoint();
            let object = &service.object;
            if object.matching.hosts.is_empty() {
                self.find("service", object.id.as_str(), &object.name, &object.meta.origin, Suspicion::NoHosts);
            }
            if service.dial_policies.is_empty() && snapshot.policies_of_every_service.is_empty() {
                self.find("service", object.id.as_str(), &object.name, &object.meta.origin, Suspicion::NoPolicy);
            }
        }
        for policy in snapshot.policies.iter().filter(|policy| policy.object.policy_type == PolicyType::Dial) {
            checkpoint();
            if policy.is_unconditional() && !policy.object.posture_check_roles.is_empty() {
                self.find_in_policy(policy, Suspicion::NoChecksSelected);
            }
            if !policy.reaches_services {
                self.find_in_policy(policy, Suspicion::Unreachable("service"));
            }
            match self.first_selected(policy, None) {
                Search::Nobody if policy.object.anonymous => {}
                Search::Nobody => self.find_in_policy(policy, Suspicion::Unreachable("identity")),
                Search::Found(_) => {}
                Search::GaveUp => self.incomplete = true,
            }
        }
    }

    /// What configs of services cannot give them.
    fn configs(&mut self) {
        let snapshot = self.snapshot;
        for service in snapshot.objects().services.values() {
            for id in &service.configs {
                let origin = &service.meta.origin;
                let Some(config) = snapshot.objects().configs.get(id) else {
                    let suspicion = Suspicion::MissingConfig(id.as_str().into());
                    self.find("service", service.id.as_str(), &service.name, origin, suspicion);
                    continue;
                };
                for said in &config.left_out {
                    let suspicion = Suspicion::LeftOut { config: Arc::clone(&config.name), said: Arc::clone(said) };
                    self.find("service", service.id.as_str(), &service.name, origin, suspicion);
                }
            }
        }
    }

    /// Unconditional policies beside conditional ones that lead to the same service, for an identity both select.
    fn bypasses(&mut self) {
        let snapshot = self.snapshot;
        let mut seen: HashSet<(PolicyIndex, PolicyIndex)> = HashSet::new();
        for position in 0u32..u32::try_from(snapshot.services.len()).unwrap_or(u32::MAX) {
            let service = ServiceIndex(position);
            let (open, strict): (Vec<_>, Vec<_>) =
                snapshot.policies_leading_to(service).partition(|(_, policy)| policy.is_unconditional());
            for (open_index, open) in &open {
                for (strict_index, strict) in &strict {
                    if !seen.insert((*open_index, *strict_index)) {
                        continue;
                    }
                    self.bypass(open, strict, service);
                    if self.incomplete {
                        return;
                    }
                }
            }
        }
    }

    fn bypass(&mut self, open: &CompiledPolicy, strict: &CompiledPolicy, service: ServiceIndex) {
        match self.first_selected(open, Some(strict)) {
            Search::Nobody => {}
            Search::GaveUp => self.incomplete = true,
            Search::Found(identity) => {
                let service = self.snapshot.service(service).map(|service| Arc::clone(&service.name));
                let suspicion = Suspicion::Bypass {
                    stricter: Arc::clone(&strict.object.name),
                    identity,
                    service: service.unwrap_or_default(),
                };
                self.find_in_policy(open, suspicion);
            }
        }
    }

    /// The first identity selected by `policy`, and by `also` if given.
    fn first_selected(&mut self, policy: &CompiledPolicy, also: Option<&CompiledPolicy>) -> Search {
        for (identity, position) in self.snapshot.identities.iter().zip(0u32..) {
            self.comparisons += 1;
            checkpoint();
            if self.comparisons > limits::LINT_COMPARISONS_MAX {
                return Search::GaveUp;
            }
            let selected = |policy: &CompiledPolicy| policy.identities.selects(position, &identity.attributes);
            if selected(policy) && also.is_none_or(selected) {
                return Search::Found(Arc::clone(&identity.object.name));
            }
        }
        Search::Nobody
    }
}

enum Search {
    Found(Arc<str>),
    Nobody,
    GaveUp,
}
