//! A cached verdict never outlives what it was based on.

use std::sync::Arc;
use std::time::Duration;

use postern::decision::DenialReason;
use postern::enforce::{Connection, Enforcer, Enrollment};
use postern::policy::objects::Objects;
use postern::posture::Posture;
use postern::posture::check::mfa::{GRACE, MfaRule};
use postern::posture::check::{Check, Predicate};
use postern::store::{Store, Table};
use postern::telemetry::Metrics;

use crate::objects::{check, identity};
use crate::world::{House, THEN, TestCredential, objects};

fn reason(verdict: &postern::decision::Verdict) -> Option<DenialReason> {
    verdict.as_ref().err().map(|denial| denial.reason)
}

#[tokio::test]
async fn a_report_changes_the_next_answer() {
    let house = House::new(objects(None));
    assert_eq!(reason(&house.ask()), Some(DenialReason::PostureFailed));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    assert!(house.ask().is_ok());
    assert!(house.ask().is_ok(), "the cached answer is the same");
    house.enforcer.report(&house.device(), &house.report("home.example")).await.unwrap();
    assert_eq!(reason(&house.ask()), Some(DenialReason::PostureFailed));
}

#[tokio::test]
async fn a_fact_grows_stale_without_any_event() {
    let house = House::new(objects(Some(Duration::from_secs(60))));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    assert!(house.ask().is_ok());
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(reason(&house.ask()), Some(DenialReason::PostureFailed));
}

#[tokio::test]
async fn a_new_policy_is_asked_at_once_and_a_broken_one_never() {
    let house = House::new(objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    assert!(house.ask().is_ok());

    let mut broken = objects(None);
    let twin = identity("v", "u", &[]);
    broken.identities.insert(twin.id.clone(), Arc::new(twin));
    assert!(house.enforcer.publish_files(broken).is_err());
    assert_eq!(house.enforcer.published().snapshot().generation(), 1);
    assert!(house.ask().is_ok());

    let mut without = objects(None);
    without.policies.clear();
    house.enforcer.publish_files(without).unwrap();
    assert_eq!(reason(&house.ask()), Some(DenialReason::NoPolicy));
}

#[test]
fn trust_is_asked_with_every_request() {
    let house = House::new(objects(None));
    house.credential.distrust(DenialReason::CertificateRevoked);
    assert_eq!(reason(&house.ask()), Some(DenialReason::CertificateRevoked));
}

#[test]
fn a_certificate_name_that_moves_takes_open_connections_along() {
    let house = House::new(objects(None));
    assert_eq!(house.device().identity().as_str(), "u");
    let mut moved = objects(None);
    moved.identities.clear();
    let mut heir = identity("heir", "heir", &[]);
    heir.subjects = vec!["cn:u".parse().unwrap()];
    moved.identities.insert(heir.id.clone(), Arc::new(heir));
    house.enforcer.publish_files(moved).unwrap();
    assert_eq!(house.device().identity().as_str(), "heir");
}

#[tokio::test]
async fn who_can_reach_nothing_does_not_come_in() {
    let house = House::new(objects(None));
    assert!(house.enforcer.admit(&house.connection).await.is_ok());
    let mut unreachable = objects(None);
    unreachable.policies.clear();
    house.enforcer.publish_files(unreachable).unwrap();
    assert_eq!(house.enforcer.admit(&house.connection).await.unwrap_err(), DenialReason::NoPolicy);
    let stranger = Connection::new("stranger", None, None, Some(TestCredential::named("cn:stranger")));
    assert_eq!(house.enforcer.admit(&stranger).await.unwrap_err(), DenialReason::UnknownIdentity);
    let nobody = Connection::new("nobody", None, None, None);
    assert_eq!(house.enforcer.admit(&nobody).await.unwrap_err(), DenialReason::NoIdentity);
}

#[tokio::test]
async fn without_a_policy_everything_is_denied_under_its_own_reason() {
    let clock = postern::clock::ManualClock::at(THEN);
    let enforcer = Enforcer::new(clock, Metrics::new().unwrap(), Store::memory().unwrap());
    let connection = Connection::new("c", None, None, Some(TestCredential::named("cn:u")));
    assert_eq!(enforcer.admit(&connection).await.unwrap_err(), DenialReason::NoSnapshot);
}

#[tokio::test]
async fn an_unknown_client_of_an_enrolling_ca_becomes_an_identity_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enrollment = Enrollment {
        id: "0123".into(),
        name: "newcomer".into(),
        subject: "cn:newcomer".parse().unwrap(),
        role_attributes: vec!["guest".into()],
    };
    let credential = TestCredential::enrolling("cn:newcomer", Some(enrollment));
    let connection = Connection::new("c", None, None, Some(credential));
    let house = House::over(store.clone(), objects(None));
    assert_eq!(house.enforcer.admit(&connection).await.unwrap().identity().as_str(), "0123");
    store.close().await.unwrap();
    drop((house, store));

    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enforcer = Enforcer::new(postern::clock::ManualClock::at(THEN), Metrics::new().unwrap(), store);
    assert_eq!(enforcer.restore().unwrap().objects, 1);
    enforcer.publish_files(Objects::default()).unwrap();
    let published = enforcer.published();
    let newcomer = published.snapshot().identify(&["cn:newcomer".parse().unwrap()]).unwrap();
    assert_eq!(newcomer.role_attributes, vec!["guest".into()]);
}

#[tokio::test]
async fn an_mfa_pass_counts_with_its_certificate_and_until_its_deadline() {
    let mut asking = objects(None);
    let mut mfa = check("mfa", "mfa", &[]);
    let rule = MfaRule {
        timeout: Some(Duration::from_secs(60)),
        prompt_on_wake: false,
        prompt_on_unlock: false,
        grace: GRACE,
        ignore_legacy_endpoints: false,
    };
    mfa.check = Arc::new(Check { predicate: Predicate::Mfa(rule), ..Check::clone(&mfa.check) });
    asking.checks = [(mfa.check.id.clone(), Arc::new(mfa))].into();
    let store = Store::memory().unwrap();
    let passed = Posture::default().with_mfa_pass("one", THEN);
    store.put(Table::Postures, "u", &passed).await.unwrap();
    let house = House::over(store, asking);
    house.enforcer.restore().unwrap();
    let connection = |fingerprint| Connection::new("c", None, None, Some(TestCredential::renewed("cn:u", fingerprint)));
    let (one, other) = (connection("one"), connection("other"));

    for _ in 0..2 {
        let permit = house.ask_for(&one).unwrap();
        assert_eq!(permit.valid_until(), THEN.after(Duration::from_millis(60_001)), "what is open is asked again then");
        assert_eq!(reason(&house.ask_for(&other)), Some(DenialReason::PostureFailed), "cached beside each other");
    }
    house.clock.advance(Duration::from_millis(60_000));
    assert!(house.ask_for(&one).is_ok());
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(reason(&house.ask_for(&one)), Some(DenialReason::PostureFailed));
}
