//! Requests without a certificate: open only what a policy opens to everybody.

use postern::decision::{Asker, DenialReason, decide};
use postern::id::{IdentityId, ServiceId};
use postern::policy::compile::{CompileProblem, compile};
use postern::policy::lint::{Suspicion, lint};
use postern::policy::objects::{Identity, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::posture::Posture;

use super::objects::{World, check, identity, policy, service};
use postern::clock::Timestamp;

const THEN: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn role(text: &str) -> Role {
    Role::try_from(text.to_owned()).unwrap()
}

/// Service `open`, which is for everybody; `asking`, which asks everybody for a check; `staff`, which is for all who are known.
fn world() -> World {
    let mut world = World::default();
    world.add_identity(identity("u", "u", &[]));
    for name in ["open", "asking", "staff"] {
        world.add_service(service(name, name, &[]));
    }
    world.add_check(check("domain", "domain", &[]));
    let to =
        |name: &str, checks: Vec<Role>| policy(name, Semantic::AnyOf, vec![], vec![role(&format!("@{name}"))], checks);
    world.add_policy(ServicePolicy { anonymous: true, ..to("open", vec![]) });
    world.add_policy(ServicePolicy { anonymous: true, ..to("asking", vec![role("@domain")]) });
    world.add_policy(ServicePolicy { identity_roles: vec![Role::All], ..to("staff", vec![]) });
    world
}

fn answer(identity: &str, service: &str) -> Result<String, DenialReason> {
    let snapshot = compile(world().objects, 1).unwrap();
    let service = snapshot.find_service(&ServiceId::from(service)).unwrap();
    let (identity, posture) = (IdentityId::from(identity), Posture::default());
    let decision = decide(&snapshot, &Asker::new(&identity, &posture), service, THEN);
    decision.map(|permit| permit.identity_id().to_string()).map_err(|denial| denial.reason)
}

#[test]
fn only_an_anonymous_policy_lets_in_who_has_no_certificate() {
    let nobody = Identity::ANONYMOUS;
    assert_eq!(answer(nobody, "open"), Ok(nobody.to_owned()));
    assert_eq!(answer(nobody, "asking"), Err(DenialReason::PostureFailed));
    assert_eq!(answer(nobody, "staff"), Err(DenialReason::CertificateRequired), "`#all` are all who are known");
    // An anonymous policy without roles is not for those who are known.
    assert_eq!(answer("u", "open"), Err(DenialReason::NoPolicy));
    assert_eq!(answer("u", "staff"), Ok("u".to_owned()));
}

#[test]
fn an_anonymous_policy_is_pointed_out() {
    let findings = lint(&compile(world().objects, 1).unwrap());
    let of = |name: &str| -> Vec<&Suspicion> {
        findings.iter().filter(|finding| &*finding.name == name).map(|finding| &finding.suspicion).collect()
    };
    assert!(of("open").contains(&&Suspicion::Anonymous), "{findings:?}");
    assert!(of("asking").contains(&&Suspicion::AnonymousWithChecks), "{findings:?}");
    assert!(!of("open").iter().any(|suspicion| matches!(suspicion, Suspicion::Unreachable(_))), "{findings:?}");
}

#[test]
fn nobody_may_be_called_like_nobody() {
    for (id, name) in [("anonymous", "x"), ("x", "anonymous")] {
        let mut world = world();
        world.add_identity(identity(id, name, &[]));
        let errors = compile(world.objects, 1).unwrap_err();
        assert_eq!(errors.iter().map(|error| &error.problem).collect::<Vec<_>>(), [&CompileProblem::Reserved]);
    }
}
