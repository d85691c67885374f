//! Selection and compilation: `#attr`, `@id`, `@name`, `#all`, `AnyOf`, `AllOf`, and what a broken set does.

use std::collections::BTreeSet;
use std::sync::Arc;

use postern::id::{IdentityId, PolicyId, ServiceId};
use postern::policy::compile::{CompileProblem, compile};
use postern::policy::expression::Expression;
use postern::policy::lint::{Suspicion, lint};
use postern::policy::objects::PolicyType;
use postern::policy::roles::{Role, Semantic};
use postern::posture::Platform;
use postern::posture::check::os::{OsRequirement, OsRule};
use postern::posture::check::{Check, Predicate};
use postern::posture::version::{VersionRange, VersionReading};
use proptest::prelude::*;

use crate::objects::{World, check, identity, policy, service};

fn roles(texts: &[&str]) -> Vec<Role> {
    texts.iter().map(|text| Role::try_from((*text).to_owned()).unwrap()).collect()
}

/// The rule of the specification, written as plainly as it reads.
fn selected(roles: &[Role], semantic: Semantic, id: &str, name: &str, attributes: &[String]) -> bool {
    let wanted: Vec<&String> =
        roles.iter().filter_map(|role| if let Role::Attribute(name) = role { Some(name) } else { None }).collect();
    let carries = |attribute: &&String| attributes.contains(attribute);
    roles.contains(&Role::All)
        || roles.iter().any(|role| matches!(role, Role::Entity(entity) if entity == id || entity == name))
        || (!wanted.is_empty()
            && match semantic {
                Semantic::AllOf => wanted.iter().all(carries),
                Semantic::AnyOf => wanted.iter().any(carries),
            })
}

fn role_list() -> impl Strategy<Value = Vec<Role>> {
    let entry = prop_oneof![
        (0..4u8).prop_map(|n| Role::Attribute(format!("a{n}"))),
        (0..5u8).prop_map(|n| Role::Entity(format!("id{n}"))),
        (0..5u8).prop_map(|n| Role::Entity(format!("name{n}"))),
    ];
    prop_oneof![4 => prop::collection::vec(entry, 0..4), 1 => Just(vec![Role::All])]
}

fn attributes() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set((0..4u8).prop_map(|n| format!("a{n}")), 0..4).prop_map(|set| set.into_iter().collect())
}

fn semantic() -> impl Strategy<Value = Semantic> {
    prop_oneof![Just(Semantic::AllOf), Just(Semantic::AnyOf)]
}

proptest! {
    /// Compiled selection is the plain rule, for all three lists at once.
    #[test]
    fn compiled_selection_is_the_written_rule(
        identities in prop::collection::vec(attributes(), 1..5),
        services in prop::collection::vec(attributes(), 1..5),
        checks in prop::collection::vec(attributes(), 0..5),
        policies in prop::collection::vec((role_list(), role_list(), role_list(), semantic(), any::<bool>()), 1..4),
    ) {
        let mut world = World::default();
        for (n, attributes) in identities.iter().enumerate() {
            world.add_identity(identity(&format!("id{n}"), &format!("name{n}"), attributes));
        }
        for (n, attributes) in services.iter().enumerate() {
            world.add_service(service(&format!("id{n}"), &format!("name{n}"), attributes));
        }
        for (n, attributes) in checks.iter().enumerate() {
            world.add_check(check(&format!("id{n}"), &format!("name{n}"), attributes));
        }
        for (n, (who, what, how, semantic, dial)) in policies.iter().enumerate() {
            let mut policy = policy(&format!("p{n}"), *semantic, who.clone(), what.clone(), how.clone());
            policy.policy_type = if *dial { PolicyType::Dial } else { PolicyType::Bind };
            world.add_policy(policy);
        }
        let snapshot = compile(world.objects.clone(), 7).unwrap();
        for (i, of_identity) in identities.iter().enumerate() {
            let who = snapshot.find_identity(&IdentityId::new(format!("id{i}"))).unwrap();
            let mut reaches = false;
            for (s, of_service) in services.iter().enumerate() {
                let what = snapshot.find_service(&ServiceId::new(format!("id{s}"))).unwrap();
                let found: BTreeSet<String> =
                    snapshot.dial_policies(who, what).map(|(_, policy)| policy.object().id.to_string()).collect();
                let expected: BTreeSet<String> = policies
                    .iter()
                    .enumerate()
                    .filter(|(_, (who, what, _, semantic, dial))| {
                        *dial
                            && selected(who, *semantic, &format!("id{i}"), &format!("name{i}"), of_identity)
                            && selected(what, *semantic, &format!("id{s}"), &format!("name{s}"), of_service)
                    })
                    .map(|(n, _)| format!("p{n}"))
                    .collect();
                reaches |= !expected.is_empty();
                prop_assert_eq!(found, expected);
            }
            prop_assert_eq!(snapshot.reaches_anything(who), reaches);
        }
        for (n, (_, _, how, semantic, _)) in policies.iter().enumerate() {
            let known = (0..checks.len())
                .filter(|c| selected(how, *semantic, &format!("id{c}"), &format!("name{c}"), &checks[*c]))
                .count();
            let holes = how
                .iter()
                .filter(|role| match role {
                    Role::Entity(entity) => {
                        !(0..checks.len()).any(|c| *entity == format!("id{c}") || *entity == format!("name{c}"))
                    }
                    Role::All | Role::Attribute(_) => false,
                })
                .count();
            let compiled = snapshot.compiled_policy(&PolicyId::new(format!("p{n}"))).unwrap();
            prop_assert_eq!(compiled.checks().len(), known + holes);
        }
    }
}

#[test]
fn an_id_wins_over_a_name() {
    let mut world = World::default();
    world.add_identity(identity("a", "b", &[]));
    world.add_identity(identity("b", "c", &[]));
    world.add_service(service("s", "s", &[]));
    world.add_policy(policy("p", Semantic::AnyOf, roles(&["@b"]), roles(&["#all"]), vec![]));
    let snapshot = compile(world.objects, 1).unwrap();
    let reaches = |id| snapshot.reaches_anything(snapshot.find_identity(&IdentityId::from(id)).unwrap());
    assert!(reaches("b"));
    assert!(!reaches("a"));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let mut world = World::default();
    let mut first = identity("1", "same", &[]);
    first.subjects = vec!["cn:laptop".parse().unwrap()];
    let mut second = identity("2", "same", &[]);
    second.subjects = vec!["cn:laptop".parse().unwrap()];
    world.add_identity(first);
    world.add_identity(second);
    let mut left = service("s1", "left", &[]);
    left.matching.hosts = vec!["app.example".into()];
    let mut right = service("s2", "right", &[]);
    right.matching.hosts = vec!["APP.example".into()];
    world.add_service(left);
    world.add_service(right);
    let mut crooked = policy("p", Semantic::AnyOf, roles(&["#all", "#x"]), roles(&["#all"]), vec![]);
    crooked.expression = Some(Expression::All(vec![]));
    world.add_policy(crooked);
    let problems: Vec<CompileProblem> =
        compile(world.objects, 1).unwrap_err().into_iter().map(|error| error.problem).collect();
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(matches!(&problems[0], CompileProblem::DuplicateName(_)));
    assert!(matches!(&problems[1], CompileProblem::DuplicateSubject { subject, .. } if subject == "cn:laptop"));
    assert!(matches!(&problems[2], CompileProblem::DuplicateRoute { host, .. } if host == "APP.example"));
    assert!(matches!(&problems[3], CompileProblem::AllNotAlone("identityRoles")));
    assert!(matches!(&problems[4], CompileProblem::Expression(_)));
}

#[test]
fn a_bypass_names_both_policies_and_one_pair() {
    let mut world = World::default();
    world.add_identity(identity("u", "ursula", &["staff".into()]));
    world.add_service(service("s", "payroll", &[]));
    world.add_check(check("c", "disk", &[]));
    world.add_policy(policy("open", Semantic::AnyOf, roles(&["#all"]), roles(&["@payroll"]), vec![]));
    world.add_policy(policy("strict", Semantic::AnyOf, roles(&["#staff"]), roles(&["#all"]), roles(&["@disk"])));
    let findings = lint(&compile(world.objects, 1).unwrap());
    let bypass = Suspicion::Bypass { stricter: "strict".into(), identity: "ursula".into(), service: "payroll".into() };
    let found: Vec<_> = findings.iter().filter(|finding| finding.suspicion == bypass).collect();
    assert_eq!(found.len(), 1, "{findings:?}");
    assert_eq!(&*found[0].name, "open");
}

#[test]
fn dangling_and_unreachable_things_are_found() {
    let mut world = World::default();
    world.add_identity(identity("u", "u", &[]));
    world.add_service(service("s", "s", &[]));
    let mut lost = policy("lost", Semantic::AnyOf, roles(&["@ghost"]), roles(&["@nowhere"]), roles(&["@nothing"]));
    lost.expression = Some(Expression::Not(Box::new(Expression::Check(Arc::from("@gone")))));
    world.add_policy(lost);
    let texts: Vec<String> = lint(&compile(world.objects, 1).unwrap()).iter().map(ToString::to_string).collect();
    for expected in [
        "service policy `lost`: `@ghost` in `identity_roles` names nothing that exists",
        "service policy `lost`: `@nowhere` in `service_roles` names nothing that exists",
        "service policy `lost`: `@nothing` in `posture_check_roles` names nothing that exists, so the policy never passes",
        "service policy `lost`: `@gone` in `require` names nothing that exists, so the policy never passes",
        "service policy `lost`: it is unreachable: it selects no service",
        "service policy `lost`: it is unreachable: it selects no identity",
        "service `s`: no policy leads to it, so nobody can reach it",
        "identity `u`: it has no subjects, so no certificate is recognised as it",
    ] {
        assert!(texts.iter().any(|text| text == expected), "missing {expected:?} in {texts:#?}");
    }
}

#[test]
fn the_same_objects_have_no_findings_when_nothing_is_wrong() {
    let mut world = World::default();
    let mut user = identity("u", "u", &[]);
    user.subjects = vec!["cn:u".parse().unwrap()];
    world.add_identity(user);
    let mut web = service("s", "s", &[]);
    web.matching.hosts = vec!["s.example".into()];
    world.add_service(web);
    world.add_check(check("c", "c", &[]));
    world.add_policy(policy("p", Semantic::AnyOf, roles(&["#all"]), roles(&["#all"]), roles(&["#all"])));
    assert_eq!(lint(&compile(world.objects, 1).unwrap()), vec![]);
}

#[test]
fn a_range_that_reads_differently_from_how_it_looks_is_pointed_out() {
    let mut world = World::default();
    let mut system = check("os", "os", &[]);
    let range = VersionRange::try_from("!=1.2.x".to_owned()).unwrap();
    let predicate = Predicate::Os(OsRule {
        systems: vec![OsRequirement { platform: Platform::Linux, versions: vec![range] }],
        version_reading: VersionReading::Strict,
    });
    system.check = Arc::new(Check { predicate, ..Check::clone(&system.check) });
    world.add_check(system);
    let findings = lint(&compile(world.objects, 1).unwrap());
    assert!(
        matches!(&findings[..], [only] if matches!(only.suspicion, Suspicion::VersionRange { .. })),
        "{findings:?}"
    );
}
