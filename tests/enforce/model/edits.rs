//! The policy of the model's town, and how it can be edited.

use std::sync::Arc;
use std::time::Duration;

use postern::id::{CheckId, IdentityId, ListId, PolicyId, ServiceId};
use postern::policy::Subject;
use postern::policy::device_list::{DeviceList, ListItem};
use postern::policy::expression::Expression;
use postern::policy::objects::{Objects, PolicyType, PostureCheck, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::listed::{DeviceName, ListedRule};
use postern::posture::check::mac::MacRule;
use postern::posture::check::mfa::MfaRule;
use postern::posture::check::os::{OsRequirement, OsRule};
use postern::posture::check::process::{ProcessRequirement, ProcessRule};
use postern::posture::check::tunnel::TunnelRule;
use postern::posture::check::{Check, Predicate};
use postern::posture::version::VersionReading;
use postern::posture::{Evidence, Platform};
use proptest::prelude::*;

use crate::objects;
use crate::world::THEN;

pub(crate) const IDENTITIES: u8 = 3;
pub(crate) const SERVICES: u8 = 3;
pub(crate) const CHECKS: u8 = 7;
/// How many certificate names identities are told apart by.
pub(crate) const NAMES: u8 = 3;
const POLICIES: u8 = 4;

/// The identity and the service that nothing changes about.
pub(crate) const CANARY: &str = "canary";

/// The check of processes, which reports name.
pub(crate) const PROCESS_CHECK: u8 = 3;

/// A change of what operators wrote.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Identity {
        which: u8,
        names: u8,
        attributes: u8,
        disabled: bool,
        alias: bool,
    },
    NoIdentity(u8),
    Service {
        which: u8,
        attributes: u8,
    },
    NoService(u8),
    Check {
        which: u8,
        wants: Good,
        max_age: Option<Duration>,
        signed: bool,
        attributes: u8,
    },
    NoCheck(u8),
    Policy {
        which: u8,
        written: Box<Written>,
    },
    NoPolicy(u8),
    /// One thing about something becomes another, and nothing else.
    Twist {
        which: u8,
        part: Part,
    },
    List {
        holds: Good,
    },
    NoList,
}

/// The one thing that a twist changes.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    IdentityDisabled,
    IdentityAlias,
    IdentityNames(u8),
    IdentityAttributes(u8),
    ServiceAttributes(u8),
    CheckAge(Option<Duration>),
    CheckEvidence,
    CheckAttributes(u8),
    PolicyAnonymous,
    PolicySemantic,
    PolicyType,
    PolicyIdentities(Vec<Role>),
    PolicyServices(Vec<Role>),
    PolicyChecks(Vec<Role>),
    PolicyExpression(Option<Expression<Arc<str>>>),
    /// What was asked is asked the other way round.
    PolicyOpposite,
}

/// Whether a check asks for what good devices report, or for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    Yes,
    No,
}

/// What a policy says.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    semantic: Semantic,
    identities: Vec<Role>,
    services: Vec<Role>,
    checks: Vec<Role>,
    expression: Option<Expression<Arc<str>>>,
    anonymous: bool,
    policy_type: PolicyType,
}

pub(crate) fn identity_id(which: u8) -> IdentityId {
    IdentityId::new(format!("i{which}"))
}

pub(crate) fn service_id(which: u8) -> ServiceId {
    ServiceId::new(format!("s{which}"))
}

pub(crate) fn check_id(which: u8) -> CheckId {
    CheckId::new(format!("k{which}"))
}

fn policy_id(which: u8) -> PolicyId {
    PolicyId::new(format!("p{which}"))
}

impl Good {
    /// The first of the two texts for what is good.
    pub(crate) fn of<T>(self, good: T, bad: T) -> T {
        if self == Good::Yes { good } else { bad }
    }
}

impl Edit {
    pub(crate) fn make(&self, objects: &mut Objects) {
        match self {
            Edit::Identity { which, names, attributes, disabled, alias } => {
                let name = if *alias { "alias".to_owned() } else { format!("i{which}") };
                let mut identity = objects::identity(&format!("i{which}"), &name, &picked(*attributes));
                identity.subjects = subjects(*names);
                identity.disabled = *disabled;
                objects.identities.insert(identity.id.clone(), Arc::new(identity));
            }
            Edit::NoIdentity(which) => drop(objects.identities.remove(&identity_id(*which))),
            Edit::Service { which, attributes } => {
                let name = format!("s{which}");
                let service = objects::service(&name, &name, &picked(*attributes));
                objects.services.insert(service.id.clone(), Arc::new(service));
            }
            Edit::NoService(which) => drop(objects.services.remove(&service_id(*which))),
            Edit::Check { which, wants, max_age, signed, attributes } => {
                let evidence = if *signed { Evidence::Signed } else { Evidence::Any };
                let check = Check {
                    id: check_id(*which),
                    name: format!("k{which}").into(),
                    predicate: predicate(*which, *wants),
                    applies_to: None,
                    max_age: *max_age,
                    evidence,
                    remediation: None,
                };
                let role_attributes = shared(*attributes);
                let object =
                    PostureCheck { check: Arc::new(check), role_attributes, meta: objects::meta(), as_written: None };
                objects.checks.insert(check_id(*which), Arc::new(object));
            }
            Edit::NoCheck(which) => drop(objects.checks.remove(&check_id(*which))),
            Edit::Policy { which, written } => {
                objects.policies.insert(policy_id(*which), Arc::new(written.policy(*which)));
            }
            Edit::NoPolicy(which) => drop(objects.policies.remove(&policy_id(*which))),
            Edit::Twist { which, part } => part.twist(*which, objects),
            Edit::List { holds } => drop(objects.lists.insert("numbers".into(), Arc::new(list(*holds)))),
            Edit::NoList => drop(objects.lists.remove(&ListId::from("numbers"))),
        }
    }
}

impl Part {
    fn twist(&self, which: u8, objects: &mut Objects) {
        let identity = objects.identities.get_mut(&identity_id(which)).map(Arc::make_mut);
        let service = objects.services.get_mut(&service_id(which)).map(Arc::make_mut);
        let check = objects.checks.get_mut(&check_id(which)).map(Arc::make_mut);
        let policy = objects.policies.get_mut(&policy_id(which)).map(Arc::make_mut);
        match (self, identity, service, check, policy) {
            (Part::IdentityDisabled, Some(identity), ..) => identity.disabled = !identity.disabled,
            (Part::IdentityAlias, Some(identity), ..) => {
                identity.name = if &*identity.name == "alias" { format!("i{which}").into() } else { "alias".into() };
            }
            (Part::IdentityNames(names), Some(identity), ..) => identity.subjects = subjects(*names),
            (Part::IdentityAttributes(bits), Some(identity), ..) => identity.role_attributes = shared(*bits),
            (Part::ServiceAttributes(bits), _, Some(service), ..) => service.role_attributes = shared(*bits),
            (Part::CheckAge(age), _, _, Some(check), _) => Arc::make_mut(&mut check.check).max_age = *age,
            (Part::CheckEvidence, _, _, Some(check), _) => {
                let evidence = &mut Arc::make_mut(&mut check.check).evidence;
                *evidence = if *evidence == Evidence::Any { Evidence::Signed } else { Evidence::Any };
            }
            (Part::CheckAttributes(bits), _, _, Some(check), _) => check.role_attributes = shared(*bits),
            (Part::PolicyAnonymous, .., Some(policy)) => policy.anonymous = !policy.anonymous,
            (Part::PolicySemantic, .., Some(policy)) => {
                let any = policy.semantic == Semantic::AnyOf;
                policy.semantic = if any { Semantic::AllOf } else { Semantic::AnyOf };
            }
            (Part::PolicyType, .., Some(policy)) => {
                let dial = policy.policy_type == PolicyType::Dial;
                policy.policy_type = if dial { PolicyType::Bind } else { PolicyType::Dial };
            }
            (Part::PolicyIdentities(roles), .., Some(policy)) => policy.identity_roles.clone_from(roles),
            (Part::PolicyServices(roles), .., Some(policy)) => policy.service_roles.clone_from(roles),
            (Part::PolicyChecks(roles), .., Some(policy)) => policy.posture_check_roles.clone_from(roles),
            (Part::PolicyExpression(expression), .., Some(policy)) => policy.expression.clone_from(expression),
            (Part::PolicyOpposite, .., Some(policy)) => {
                let asked = policy.expression.take();
                policy.expression = asked.map(|asked| Expression::Not(asked.into()));
            }
            // What is to be changed is not there.
            _ => {}
        }
    }
}

impl Written {
    fn policy(&self, which: u8) -> ServicePolicy {
        let Written { semantic, identities, services, checks, expression, anonymous, policy_type } = self.clone();
        let id = format!("p{which}");
        ServicePolicy {
            expression,
            anonymous,
            policy_type,
            ..objects::policy(&id, semantic, identities, services, checks)
        }
    }
}

/// The name that certificates carry.
pub(crate) fn subject(name: u8) -> String {
    format!("cn:n{name}")
}

/// The names of a set of bits.
fn subjects(bits: u8) -> Vec<Subject> {
    (0..NAMES).filter(|name| bits >> name & 1 == 1).map(|name| subject(name).parse().unwrap()).collect()
}

fn shared(bits: u8) -> Vec<Arc<str>> {
    picked(bits).into_iter().map(Arc::from).collect()
}

/// The attributes of a set of bits.
fn picked(bits: u8) -> Vec<String> {
    ["a", "b"].iter().zip(0..).filter(|(_, bit)| bits >> bit & 1 == 1).map(|(name, _)| (*name).to_owned()).collect()
}

/// What the check at a place asks for. Each place has its own kind.
fn predicate(which: u8, wants: Good) -> Predicate {
    match which {
        0 => Predicate::Domain(DomainRule {
            domains: vec![wants.of("corp.example", "home.example").to_owned()],
            matching: DomainMatching::Folded,
        }),
        1 => Predicate::Os(OsRule {
            systems: vec![OsRequirement {
                platform: wants.of(Platform::Linux, Platform::Windows),
                versions: vec![">=6.0.0".parse().unwrap()],
            }],
            version_reading: VersionReading::Tolerant,
        }),
        2 => Predicate::Mac(MacRule { addresses: vec![wants.of("020000000001", "020000000002").to_owned()] }),
        PROCESS_CHECK => Predicate::Process(ProcessRule {
            process: ProcessRequirement {
                platform: Platform::Linux,
                path: "/usr/bin/shield".to_owned(),
                hashes: wants.of(vec![], vec!["ab".repeat(64)]),
                signer_fingerprints: vec![],
            },
        }),
        4 => Predicate::Mfa(MfaRule {
            timeout: wants.of(Some(Duration::from_secs(60)), Some(Duration::from_secs(5))),
            prompt_on_wake: true,
            prompt_on_unlock: wants == Good::No,
            grace: Duration::from_secs(10),
            ignore_legacy_endpoints: false,
        }),
        5 => Predicate::Listed(ListedRule {
            name: DeviceName::SerialNumber,
            list: wants.of("numbers", "nowhere").into(),
            entries: None,
        }),
        _ => Predicate::Tunnel(TunnelRule {
            own_only: true,
            presence: wants.of(Duration::from_secs(30), Duration::from_secs(1)),
        }),
    }
}

fn list(holds: Good) -> DeviceList {
    let item = ListItem { value: holds.of("serial-1", "serial-2").into(), description: None, created_at: THEN };
    DeviceList {
        id: "numbers".into(),
        name: "numbers".into(),
        holds: DeviceName::SerialNumber,
        description: None,
        items: vec![item],
        meta: objects::meta(),
    }
}

/// What is in force at the beginning: everybody reaches every service with the right domain, the first also with a pass, and
/// the last service is open to who has no certificate.
pub(crate) fn beginning() -> Objects {
    let mut objects = Objects::default();
    let minute = Some(Duration::from_secs(60));
    let identity = |which: u8| Edit::Identity {
        which,
        names: 1 << which,
        attributes: 1 << (which & 1),
        disabled: false,
        alias: false,
    };
    let check = |which: u8| Edit::Check {
        which,
        wants: Good::Yes,
        max_age: minute.filter(|_| which == 0),
        signed: false,
        attributes: u8::from(which == 0),
    };
    let mut edits: Vec<Edit> = (0..IDENTITIES).map(identity).collect();
    edits.extend((0..SERVICES).map(|which| Edit::Service { which, attributes: 1 << (which & 1) }));
    edits.extend((0..CHECKS).map(check));
    edits.push(Edit::List { holds: Good::Yes });
    let written = |services: &str, checks: &[&str], anonymous| Written {
        semantic: Semantic::AnyOf,
        identities: vec![Role::All],
        services: roles(&[services]),
        checks: roles(checks),
        expression: None,
        anonymous,
        policy_type: PolicyType::Dial,
    };
    let policies = [written("#all", &["@k0"], false), written("@s1", &["@k4"], false), written("@s2", &[], true)];
    edits.extend(policies.into_iter().zip(0..).map(|(written, which)| Edit::Policy { which, written: written.into() }));
    edits.iter().for_each(|edit| edit.make(&mut objects));
    add_canary(&mut objects);
    objects
}

/// What leads from the beginning to where access rests on attributes and on a name that another identity can take: nobody is named,
/// and nobody is let in for being there.
pub(crate) fn by_roles() -> Vec<Edit> {
    let written = |identities: &[&str], service: &str, checks: &[&str], expression: Option<&str>| Written {
        semantic: Semantic::AnyOf,
        identities: roles(identities),
        services: roles(&[service]),
        checks: roles(checks),
        expression: expression.map(|check| Expression::Check(check.into())),
        anonymous: false,
        policy_type: PolicyType::Dial,
    };
    let policies = [
        written(&["#a"], "#a", &["#a"], None),
        written(&["@alias"], "#b", &[], None),
        written(&["#a", "#b"], "@s2", &[], Some("@k0")),
    ];
    let mut edits = vec![Edit::Identity { which: 1, names: 2, attributes: 2, disabled: false, alias: true }];
    edits.extend(policies.into_iter().zip(0..).map(|(written, which)| Edit::Policy { which, written: written.into() }));
    edits
}

/// Somebody who reaches a service of their own whatever is edited.
fn add_canary(objects: &mut Objects) {
    let mut canary = objects::identity(CANARY, CANARY, &[]);
    canary.subjects = vec![format!("cn:{CANARY}").parse().unwrap()];
    objects.identities.insert(canary.id.clone(), Arc::new(canary));
    let service = objects::service(CANARY, CANARY, &[]);
    objects.services.insert(service.id.clone(), Arc::new(service));
    let own = || roles(&["@canary"]);
    let policy = objects::policy(CANARY, Semantic::AnyOf, own(), own(), vec![]);
    objects.policies.insert(policy.id.clone(), Arc::new(policy));
}

fn roles(texts: &[&str]) -> Vec<Role> {
    texts.iter().map(|text| Role::try_from((*text).to_owned()).unwrap()).collect()
}

pub(crate) fn edits() -> impl Strategy<Value = Edit> {
    let identity = (0..IDENTITIES, 0u8..1 << NAMES, 0u8..4, prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let check = (0..CHECKS, good(), ages(), prop::bool::weighted(0.2), 0u8..4);
    prop_oneof![
        4 => identity.prop_map(|(which, names, attributes, disabled, alias)| {
            Edit::Identity { which, names, attributes, disabled, alias }
        }),
        1 => (0..IDENTITIES).prop_map(Edit::NoIdentity),
        2 => (0..SERVICES, 0u8..4).prop_map(|(which, attributes)| Edit::Service { which, attributes }),
        1 => (0..SERVICES).prop_map(Edit::NoService),
        4 => check.prop_map(|(which, wants, max_age, signed, attributes)| {
            Edit::Check { which, wants, max_age, signed, attributes }
        }),
        1 => (0..CHECKS).prop_map(Edit::NoCheck),
        5 => (0..POLICIES, written()).prop_map(|(which, written)| Edit::Policy { which, written: written.into() }),
        1 => (0..POLICIES).prop_map(Edit::NoPolicy),
        9 => (0..POLICIES, parts()).prop_map(|(which, part)| Edit::Twist { which, part }),
        1 => good().prop_map(|holds| Edit::List { holds }),
        1 => Just(Edit::NoList),
    ]
}

pub(crate) fn good() -> impl Strategy<Value = Good> {
    prop_oneof![3 => Just(Good::Yes), 1 => Just(Good::No)]
}

fn ages() -> impl Strategy<Value = Option<Duration>> {
    prop::sample::select(vec![None, Some(10), Some(60)]).prop_map(|age| age.map(Duration::from_secs))
}

fn some_of(texts: &[&str]) -> impl Strategy<Value = Vec<Role>> {
    prop::collection::vec(prop::sample::select(roles(texts)), 0..=2)
}

fn identities() -> impl Strategy<Value = Vec<Role>> {
    prop_oneof![Just(vec![Role::All]), some_of(&["#a", "#b", "@i0", "@i1", "@i2", "@alias"])]
}

fn services() -> impl Strategy<Value = Vec<Role>> {
    prop_oneof![Just(vec![Role::All]), some_of(&["#a", "#b", "@s0", "@s1", "@s2"])]
}

fn checks() -> impl Strategy<Value = Vec<Role>> {
    some_of(&["@k0", "@k1", "@k2", "@k3", "@k4", "@k5", "@k6", "#a", "#b", "@gone"])
}

fn parts() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::IdentityDisabled),
        Just(Part::IdentityAlias),
        (0u8..1 << NAMES).prop_map(Part::IdentityNames),
        (0u8..4).prop_map(Part::IdentityAttributes),
        (0u8..4).prop_map(Part::ServiceAttributes),
        ages().prop_map(Part::CheckAge),
        Just(Part::CheckEvidence),
        (0u8..4).prop_map(Part::CheckAttributes),
        Just(Part::PolicyAnonymous),
        Just(Part::PolicySemantic),
        Just(Part::PolicyType),
        identities().prop_map(Part::PolicyIdentities),
        services().prop_map(Part::PolicyServices),
        checks().prop_map(Part::PolicyChecks),
        prop::option::of(expression()).prop_map(Part::PolicyExpression),
        Just(Part::PolicyOpposite),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let semantic = prop::sample::select(vec![Semantic::AllOf, Semantic::AnyOf]);
    let expression = prop::option::weighted(0.3, expression());
    let policy_type = prop_oneof![5 => Just(PolicyType::Dial), 1 => Just(PolicyType::Bind)];
    let said = (semantic, identities(), services(), checks(), expression, any::<bool>(), policy_type);
    said.prop_map(|(semantic, identities, services, checks, expression, anonymous, policy_type)| Written {
        semantic,
        identities,
        services,
        checks,
        expression,
        anonymous,
        policy_type,
    })
}

fn expression() -> impl Strategy<Value = Expression<Arc<str>>> {
    let leaf = prop::sample::select(vec!["@k0", "@k1", "@k2", "@k4", "@k5", "@k6", "@gone"])
        .prop_map(|name| Expression::Check(name.into()));
    leaf.prop_recursive(2, 6, 2, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 1..=2).prop_map(Expression::All),
            prop::collection::vec(part.clone(), 1..=2).prop_map(Expression::Any),
            part.clone().prop_map(|part| Expression::Not(part.into())),
            part.prop_map(|part| Expression::Unless(part.into())),
        ]
    })
}
