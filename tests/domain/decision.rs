//! The decision: default deny, the access rule, three-valued expressions, evidence, and how long an answer holds.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::decision::{Asker, DenialReason, FailedVerdict, decide};
use postern::id::{IdentityId, ServiceId};
use postern::policy::Snapshot;
use postern::policy::compile::compile;
use postern::policy::expression::Expression;
use postern::policy::objects::ServicePolicy;
use postern::policy::roles::{Role, Semantic};
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::mac::MacRule;
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::{Fact, Source};
use postern::posture::outcome::{FailReason, NoResultReason};
use postern::posture::{Outcome, Posture};
use proptest::prelude::*;

use crate::objects::{World, check, identity, policy, service};

const THEN: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn fact<T>(value: T) -> Option<Fact<T>> {
    Some(Fact { value, observed_at: THEN, source: Source::Device, asked_by: None })
}

fn domain(name: &str) -> Posture {
    Posture { domain: fact(name.to_owned()), ..Posture::default() }
}

/// One identity `u`, one service `s`, the given policies, and a check `domain` that wants `corp.example`.
fn world(policies: Vec<ServicePolicy>) -> Snapshot {
    let mut world = World::default();
    world.add_identity(identity("u", "u", &[]));
    world.add_service(service("s", "s", &[]));
    world.add_check(check("domain", "domain", &[]));
    let mut mac = check("mac", "mac", &[]);
    mac.check = Arc::new(Check {
        predicate: Predicate::Mac(MacRule { addresses: vec!["020000000001".into()] }),
        ..Check::clone(&mac.check)
    });
    world.add_check(mac);
    for policy in policies {
        world.add_policy(policy);
    }
    compile(world.objects, 3).unwrap()
}

fn role(text: &str) -> Role {
    Role::try_from(text.to_owned()).unwrap()
}

fn policy_with(id: &str, checks: &[&str]) -> ServicePolicy {
    policy(id, Semantic::AnyOf, vec![Role::All], vec![Role::All], checks.iter().map(|text| role(text)).collect())
}

fn ask(snapshot: &Snapshot, posture: &Posture) -> postern::decision::engine::Decision {
    let service = snapshot.find_service(&ServiceId::from("s")).unwrap();
    decide(snapshot, &Asker::new(&IdentityId::from("u"), posture), service, THEN)
}

fn reason(snapshot: &Snapshot, posture: &Posture) -> DenialReason {
    ask(snapshot, posture).unwrap_err().reason
}

#[test]
fn nothing_is_open_by_default() {
    let known = world(vec![]);
    assert_eq!(reason(&known, &Posture::default()), DenialReason::NoPolicy);

    let service = known.find_service(&ServiceId::from("s")).unwrap();
    let stranger = decide(&known, &Asker::new(&IdentityId::from("stranger"), &Posture::default()), service, THEN);
    assert_eq!(stranger.unwrap_err().reason, DenialReason::UnknownIdentity);

    let nothing = Snapshot::deny_all();
    let answer = decide(&nothing, &Asker::new(&IdentityId::from("u"), &Posture::default()), service, THEN);
    assert_eq!(answer.unwrap_err().reason, DenialReason::NoSnapshot);
}

#[test]
fn a_disabled_identity_is_refused_whatever_its_posture() {
    let mut world = World::default();
    let mut user = identity("u", "u", &[]);
    user.disabled = true;
    world.add_identity(user);
    world.add_service(service("s", "s", &[]));
    world.add_policy(policy_with("p", &[]));
    assert_eq!(reason(&compile(world.objects, 1).unwrap(), &domain("corp.example")), DenialReason::IdentityDisabled);
}

#[test]
fn one_passing_policy_opens_and_is_named() {
    let snapshot = world(vec![policy_with("a-strict", &["@domain", "@mac"]), policy_with("b-domain", &["@domain"])]);
    let permit = ask(&snapshot, &domain("corp.example")).unwrap();
    assert_eq!(permit.policy().id.as_str(), "b-domain");
    assert_eq!(permit.generation(), 3);
    assert_eq!(permit.valid_until(), Timestamp::MAX);
}

#[test]
fn a_denial_lists_every_policy_with_every_failing_check() {
    let snapshot = world(vec![policy_with("both", &["@domain", "@mac"]), policy_with("one", &["@mac"])]);
    let denial = ask(&snapshot, &domain("evil.example")).unwrap_err();
    assert_eq!(denial.reason, DenialReason::PostureFailed);
    let listed: Vec<(String, Vec<(String, FailedVerdict)>)> = denial
        .policies
        .iter()
        .map(|policy| {
            let checks = policy.checks.iter().map(|failed| (failed.check.id.to_string(), failed.verdict)).collect();
            (policy.id.to_string(), checks)
        })
        .collect();
    let domain = ("domain".to_owned(), FailedVerdict::Fail(FailReason::DomainNotAllowed));
    let mac = ("mac".to_owned(), FailedVerdict::NoResult(NoResultReason::NotReported));
    assert_eq!(listed, vec![("both".to_owned(), vec![domain, mac.clone()]), ("one".to_owned(), vec![mac])]);
}

#[test]
fn a_missing_check_keeps_its_policy_shut() {
    let snapshot = world(vec![policy_with("p", &["@domain", "@deleted"])]);
    let denial = ask(&snapshot, &domain("corp.example")).unwrap_err();
    let failed = &denial.policies[0].checks[0];
    assert_eq!(&*failed.check.name, "deleted");
    assert_eq!(failed.verdict, FailedVerdict::NoResult(NoResultReason::Dangling));
}

#[test]
fn an_expression_and_the_list_must_both_pass() {
    let mut policy = policy_with("p", &["@domain"]);
    policy.expression = Some(Expression::Check(Arc::from("@mac")));
    let snapshot = world(vec![policy]);
    assert_eq!(reason(&snapshot, &domain("corp.example")), DenialReason::PostureFailed);
    let both = Posture { macs: fact(vec!["020000000001".to_owned()]), ..domain("corp.example") };
    assert!(ask(&snapshot, &both).is_ok());
}

#[test]
fn not_forbids_what_is_shown_and_does_not_trust_what_is_unknown() {
    let mut policy = policy_with("p", &[]);
    policy.expression = Some(Expression::Not(Box::new(Expression::Check(Arc::from("domain")))));
    let snapshot = world(vec![policy]);
    assert!(ask(&snapshot, &domain("home.example")).is_ok());
    let forbidden = ask(&snapshot, &domain("corp.example")).unwrap_err();
    assert_eq!(forbidden.policies[0].checks[0].verdict, FailedVerdict::Forbidden);
    let unknown = ask(&snapshot, &Posture::default()).unwrap_err();
    assert_eq!(unknown.policies[0].checks[0].verdict, FailedVerdict::NoResult(NoResultReason::NotReported));
}

#[test]
fn an_answer_holds_until_a_fact_grows_stale() {
    let mut world = World::default();
    world.add_identity(identity("u", "u", &[]));
    world.add_service(service("s", "s", &[]));
    let mut fresh = check("domain", "domain", &[]);
    fresh.check = Arc::new(Check { max_age: Some(Duration::from_secs(60)), ..Check::clone(&fresh.check) });
    world.add_check(fresh);
    world.add_policy(policy_with("p", &["@domain"]));
    let snapshot = compile(world.objects, 1).unwrap();
    let service = snapshot.find_service(&ServiceId::from("s")).unwrap();
    let posture = domain("corp.example");
    let at = |now| decide(&snapshot, &Asker::new(&IdentityId::from("u"), &posture), service, now);
    let until = at(THEN).unwrap().valid_until();
    assert!(at(until.before(Duration::from_millis(1))).is_ok());
    let stale = at(until).unwrap_err();
    assert_eq!(stale.policies[0].checks[0].verdict, FailedVerdict::NoResult(NoResultReason::Stale));
}

/// Checks of a generated world by what they will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Pass,
    Fail,
    Unknown,
}

fn expression() -> impl Strategy<Value = Expression<Arc<str>>> {
    let leaf = prop_oneof![Just("pass"), Just("fail"), Just("unknown")].prop_map(|name| Expression::Check(name.into()));
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expression::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Expression::Any),
            inner.clone().prop_map(|part| Expression::Not(Box::new(part))),
            inner.prop_map(|part| Expression::Unless(Box::new(part))),
        ]
    })
}

/// Kleene's logic, as plainly as it reads.
fn evaluate(expression: &Expression<Arc<str>>) -> Answer {
    match expression {
        Expression::Check(name) => match &**name {
            "pass" => Answer::Pass,
            "fail" => Answer::Fail,
            _ => Answer::Unknown,
        },
        Expression::All(parts) => {
            let answers: Vec<Answer> = parts.iter().map(evaluate).collect();
            match () {
                () if answers.contains(&Answer::Fail) => Answer::Fail,
                () if answers.contains(&Answer::Unknown) => Answer::Unknown,
                () => Answer::Pass,
            }
        }
        Expression::Any(parts) => {
            let answers: Vec<Answer> = parts.iter().map(evaluate).collect();
            match () {
                () if answers.contains(&Answer::Pass) => Answer::Pass,
                () if answers.contains(&Answer::Unknown) => Answer::Unknown,
                () => Answer::Fail,
            }
        }
        Expression::Not(part) => match evaluate(part) {
            Answer::Pass => Answer::Fail,
            Answer::Fail => Answer::Pass,
            Answer::Unknown => Answer::Unknown,
        },
        Expression::Unless(part) => match evaluate(part) {
            Answer::Pass => Answer::Fail,
            Answer::Fail | Answer::Unknown => Answer::Pass,
        },
    }
}

proptest! {
    #[test]
    fn expressions_follow_three_valued_logic(expression in expression()) {
        let mut world = World::default();
        world.add_identity(identity("u", "u", &[]));
        world.add_service(service("s", "s", &[]));
        world.add_check(check("pass", "pass", &[]));
        let mut fail = check("fail", "fail", &[]);
        let predicate = Predicate::Domain(DomainRule { domains: vec!["other.example".into()], matching: DomainMatching::Folded });
        fail.check = Arc::new(Check { predicate, ..Check::clone(&fail.check) });
        world.add_check(fail);
        let mut unknown = check("unknown", "unknown", &[]);
        let predicate = Predicate::Mac(MacRule { addresses: vec!["020000000001".into()] });
        unknown.check = Arc::new(Check { predicate, ..Check::clone(&unknown.check) });
        world.add_check(unknown);
        let mut policy = policy_with("p", &[]);
        policy.expression = Some(expression.clone());
        world.add_policy(policy);
        let snapshot = compile(world.objects, 1).unwrap();
        let answer = ask(&snapshot, &domain("corp.example"));
        prop_assert_eq!(answer.is_ok(), evaluate(&expression) == Answer::Pass);
        if let Err(denial) = answer {
            prop_assert!(!denial.policies[0].checks.is_empty(), "a refusal must say what stands in the way");
        }
    }
}

/// An exclusion lets in devices without a result, and a check that is gone has none for any device.
#[test]
fn an_exclusion_by_a_check_that_is_gone_shuts() {
    let leaf = |name: &str| Expression::Check(Arc::<str>::from(name));
    let mut unknown = check("unknown", "unknown", &[]);
    let predicate = Predicate::Mac(MacRule { addresses: vec!["020000000001".into()] });
    unknown.check = Arc::new(Check { predicate, ..Check::clone(&unknown.check) });
    for (excluded, allowed) in [
        (leaf("unknown"), true),
        (leaf("gone"), false),
        (Expression::Any(vec![leaf("unknown"), leaf("gone")]), false),
        (Expression::Not(Box::new(Expression::Unless(Box::new(leaf("gone"))))), false),
    ] {
        let mut world = World::default();
        world.add_identity(identity("u", "u", &[]));
        world.add_service(service("s", "s", &[]));
        world.add_check(unknown.clone());
        let mut policy = policy_with("p", &[]);
        policy.expression = Some(Expression::Unless(Box::new(excluded.clone())));
        world.add_policy(policy);
        let answer = ask(&compile(world.objects, 1).unwrap(), &domain("corp.example"));
        assert_eq!(answer.is_ok(), allowed, "{excluded:?}");
        if let Err(denial) = answer {
            let failed = denial.policies[0].checks.iter().map(|failed| failed.verdict);
            assert!(failed.into_iter().any(|verdict| verdict == FailedVerdict::NoResult(NoResultReason::Dangling)));
        }
    }
}

#[test]
fn negation_of_no_result_is_no_result() {
    let unknown = Outcome::NoResult(NoResultReason::Stale);
    assert_eq!(unknown.negate(), unknown);
}
