//! What is under way is decided again when, and only when, something may have changed for it.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::decision::lock::{LockEnd, WantedLock};
use postern::decision::{Denial, DenialReason, Permit};
use postern::enforce::{Author, Cause, Connection, EndSignal, Ended, Entry, Place, Protocol};
use postern::id::{IdentityId, ServiceId};
use postern::policy::objects::Objects;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::objects::identity;
use crate::world::{House, TestCredential, objects};

const PATIENCE: Duration = Duration::from_secs(30);

/// A request under way.
#[derive(Debug)]
struct Request {
    signal: Arc<EndSignal>,
    _place: Place,
}

impl Request {
    /// Why it was ended.
    async fn ended(&self) -> Ended {
        timeout(PATIENCE, self.signal.rung()).await.expect("it ends").clone()
    }

    fn goes_on(&self) -> bool {
        self.signal.ended().is_none()
    }
}

/// A house whose sessions are watched over, and the sender of news of trust.
fn watched(objects: Objects) -> (House, watch::Sender<u64>) {
    let house = House::new(objects);
    let (trust, epochs) = watch::channel(1);
    house.enforcer.keep_watch(|| epochs);
    (house, trust)
}

fn try_enter(house: &House, connection: &Arc<Connection>) -> Result<(Arc<Permit>, Request), Arc<Denial>> {
    let published = house.enforcer.published();
    let service = published.snapshot().find_service(&ServiceId::from("s")).unwrap();
    let signal = Arc::new(EndSignal::default());
    let entry = Entry {
        request_id: "request".into(),
        began: house.now(),
        protocol: Protocol::Http1,
        signal: Arc::clone(&signal),
    };
    let (permit, place) = house.enforcer.enter(&published, connection, service, entry)?;
    Ok((permit, Request { signal, _place: place }))
}

fn connect(credential: &Arc<TestCredential>) -> Arc<Connection> {
    Arc::new(Connection::new("connection", None, None, Some(Arc::clone(credential) as _)))
}

/// A connection of `u` that came in.
fn come_in(house: &House) -> Request {
    let signal = Arc::new(EndSignal::default());
    let entry = Entry {
        request_id: "connection".into(),
        began: house.now(),
        protocol: Protocol::Connection,
        signal: Arc::clone(&signal),
    };
    let place = house.enforcer.enter_connection(&connect(&house.credential), entry).unwrap();
    Request { signal, _place: place }
}

/// `u` with the posture that the service asks for, and a request under way.
async fn under_way(house: &House) -> Request {
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    try_enter(house, &connect(&house.credential)).unwrap().1
}

// The signal kept the session for its farewell and the session kept the signal to be rung: every request, with its connection and its
// certificate, stayed in memory for as long as the process.
#[tokio::test]
async fn what_is_over_is_forgotten_ended_or_not() {
    let (house, _trust) = watched(objects(None));
    let over = |request: Request| {
        let Request { signal, _place: place } = request;
        let left = (Arc::downgrade(&signal), Arc::downgrade(place.session()));
        drop((signal, place));
        (left.0.upgrade().is_none(), left.1.upgrade().is_none())
    };
    assert_eq!(over(under_way(&house).await), (true, true));
    let ended = under_way(&house).await;
    house.enforcer.report(&house.device(), &house.report("home.example")).await.unwrap();
    ended.ended().await;
    assert_eq!(over(ended), (true, true));
}

/// Waits until everything that was told so far has been looked at.
async fn settle(house: &House) {
    // Twice, because what the first finds may be looked at while deadlines are not.
    for _ in 0..2 {
        let passing = TestCredential::named("cn:u");
        let (_, request) = try_enter(house, &connect(&passing)).unwrap();
        passing.distrust(DenialReason::CertificateRevoked);
        house.enforcer.decide_again_for(&IdentityId::from("u"));
        assert_eq!(request.ended().await.denial.reason, DenialReason::CertificateRevoked);
    }
}

#[tokio::test]
async fn another_posture_ends_it() {
    let (house, _trust) = watched(objects(None));
    let request = under_way(&house).await;
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    settle(&house).await;
    assert!(request.goes_on());
    house.enforcer.report(&house.device(), &house.report("home.example")).await.unwrap();
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Posture, DenialReason::PostureFailed));
}

#[tokio::test]
async fn another_policy_ends_it() {
    let (house, _trust) = watched(objects(None));
    let request = under_way(&house).await;
    let mut more = objects(None);
    more.identities.insert("v".into(), Arc::new(identity("v", "v", &[])));
    house.enforcer.publish_files(more).unwrap();
    house.enforcer.publish_files(Objects { policies: Default::default(), ..objects(None) }).unwrap();
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Policy, DenialReason::NoPolicy));
}

#[tokio::test]
async fn the_end_of_its_permit_ends_it_unless_there_is_a_new_one() {
    let (house, _trust) = watched(objects(Some(Duration::from_secs(60))));
    let request = under_way(&house).await;
    house.clock.advance(Duration::from_secs(40));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    house.clock.advance(Duration::from_secs(40));
    settle(&house).await;
    assert!(request.goes_on(), "a newer fact holds");
    house.clock.advance(Duration::from_secs(40));
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Deadline, DenialReason::PostureFailed));
    assert!(ended.since.elapsed() >= Duration::from_secs(19), "it counts from the moment, not from the look");
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_any_more_ends_everything_on_its_connection() {
    let (house, trust) = watched(objects(None));
    let request = under_way(&house).await;
    let connection = come_in(&house);
    house.credential.distrust(DenialReason::CertificateRevoked);
    trust.send_replace(2);
    for ended in [request.ended().await, connection.ended().await] {
        assert_eq!((ended.cause, ended.denial.reason), (Cause::Trust, DenialReason::CertificateRevoked));
    }
}

#[tokio::test]
async fn a_certificate_that_expires_ends_everything_on_its_connection() {
    let (house, _trust) = watched(objects(None));
    let request = under_way(&house).await;
    let expires = crate::world::THEN.after(Duration::from_secs(600));
    house.credential.expire_at(expires);
    let connection = come_in(&house);
    house.clock.set(expires);
    for ended in [request.ended().await, connection.ended().await] {
        assert_eq!((ended.cause, ended.denial.reason), (Cause::Deadline, DenialReason::CertificateExpired));
    }
}

#[tokio::test]
async fn a_certificate_name_that_moves_to_somebody_else_ends_what_was_let_through_before() {
    let (house, _trust) = watched(objects(None));
    let request = under_way(&house).await;
    let mut moved = objects(None);
    moved.identities.clear();
    let mut heir = identity("heir", "heir", &[]);
    heir.subjects = vec!["cn:u".parse().unwrap()];
    moved.identities.insert(heir.id.clone(), Arc::new(heir));
    moved.checks.clear();
    house.enforcer.publish_files(moved).unwrap();
    assert_eq!(request.ended().await.denial.reason, DenialReason::UnknownIdentity);
}

#[tokio::test]
async fn an_operator_ends_one_and_no_other() {
    let (house, _trust) = watched(objects(None));
    let [one, other] = [under_way(&house).await, under_way(&house).await];
    let id = one.signal.session().unwrap().id();
    assert!(house.enforcer.end_session(id));
    let ended = one.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Operator, DenialReason::EndedByOperator));
    assert!(!house.enforcer.end_session(id), "it says farewell, and is over");
    drop(one);
    assert!(!house.enforcer.end_session(id), "it is over");
    settle(&house).await;
    assert!(other.goes_on());
    assert_eq!(house.enforcer.sessions().len(), 1);
}

// A session that is decided while a snapshot comes into force used to be a way past it: routed by the old one, entered after
// everything was decided again by the new one.
#[tokio::test]
async fn what_was_routed_by_an_older_policy_is_decided_by_the_one_in_force() {
    let (house, _trust) = watched(objects(None));
    under_way(&house).await;
    let older = Arc::clone(&house.enforcer.published());
    house.enforcer.publish_files(Objects { policies: Default::default(), ..objects(None) }).unwrap();
    let service = older.snapshot().find_service(&ServiceId::from("s")).unwrap();
    let entry = Entry { request_id: "r".into(), began: house.now(), protocol: Protocol::Http1, signal: Arc::default() };
    let denied = house.enforcer.enter(&older, &connect(&house.credential), service, entry).unwrap_err();
    assert_eq!((denied.reason, denied.generation), (DenialReason::NoPolicy, 2));
    assert!(house.enforcer.sessions().is_empty(), "who is refused has nothing under way");
}

#[tokio::test]
async fn there_is_an_end_to_how_much_may_be_under_way() {
    let (house, _trust) = watched(objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    let connection = connect(&house.credential);
    let enter = || try_enter(&house, &connection);
    let mut all: Vec<_> = (0..postern::limits::SESSIONS_MAX).map(|_| enter().unwrap()).collect();
    assert_eq!(enter().unwrap_err().reason, DenialReason::TooManySessions);
    all.pop();
    let last = enter().unwrap();
    assert_eq!(enter().unwrap_err().reason, DenialReason::TooManySessions);
    drop((all, last));
    assert!(house.enforcer.sessions().is_empty());
    let metrics = house.enforcer.metrics().render().unwrap();
    assert!(metrics.contains("postern_live_sessions{protocol=\"http1\"} 0"), "{metrics}");
    assert!(enter().is_ok());
}

#[tokio::test]
async fn a_session_is_told_with_what_it_is() {
    let (house, _trust) = watched(objects(None));
    let request = under_way(&house).await;
    let [session] = &house.enforcer.sessions()[..] else { panic!("one session") };
    assert_eq!((session.identity().as_str(), session.service().unwrap().id.as_str()), ("u", "s"));
    assert_eq!((session.protocol(), session.started()), (Protocol::Http1, Timestamp::from_millis(1_795_000_000_000)));
    assert_eq!(session.permit().unwrap().policy().id.as_str(), "p");
    drop(request);
    assert!(house.enforcer.sessions().is_empty());
}

// The difference of two snapshots was all that was looked at: what was let through by one that came and went between them stayed,
// when the first and the last said the same.
#[tokio::test]
async fn what_was_let_through_by_a_policy_that_came_and_went_ends_with_it() {
    let (house, _trust) = watched(Objects { policies: Default::default(), ..objects(None) });
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    // Nobody has a turn in between.
    house.enforcer.publish_files(objects(None)).unwrap();
    let request = try_enter(&house, &connect(&house.credential)).unwrap().1;
    house.enforcer.publish_files(Objects { policies: Default::default(), ..objects(None) }).unwrap();
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Policy, DenialReason::NoPolicy));
}

// Only who had changed was looked at, and a certificate of several names can change hands without any change of who had it.
#[tokio::test]
async fn a_certificate_whose_first_name_becomes_somebody_elses_ends_what_it_was_let_through_for() {
    let (house, _trust) = watched(objects(None));
    let other = under_way(&house).await;
    let request = try_enter(&house, &connect(&TestCredential::of_names(&["cn:first", "cn:u"]))).unwrap().1;
    let mut more = objects(None);
    let mut newcomer = identity("v", "v", &[]);
    newcomer.subjects = vec!["cn:first".parse().unwrap()];
    more.identities.insert("v".into(), Arc::new(newcomer));
    house.enforcer.publish_files(more).unwrap();
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Policy, DenialReason::UnknownIdentity));
    assert!(other.goes_on());
}

// A verdict used to count for every time before its end, so that a clock that was set back into a lock, or to before a
// certificate's first moment, changed nothing for what was under way and for what was asked before.
#[tokio::test]
async fn a_clock_that_is_set_back_has_everything_decided_again() {
    let (house, _trust) = watched(objects(None));
    let hour = Duration::from_secs(3600);
    let turn = house.enforcer.turn().await;
    let wanted = WantedLock { reason: "for an hour".to_owned(), ends: LockEnd::After(hour) };
    let author = Author { name: "grace".into(), source_address: None, request_id: None };
    house.enforcer.lock(&turn, &IdentityId::from("u"), &wanted, &author).await.unwrap();
    house.clock.advance(hour);
    let request = under_way(&house).await;
    assert!(house.ask().is_ok() && house.ask().is_ok(), "from the cache, too");
    // News of the lock itself may wait to be looked at, and would be the cause.
    settle(&house).await;
    house.clock.set(crate::world::THEN);
    let ended = request.ended().await;
    assert_eq!((ended.cause, ended.denial.reason), (Cause::Deadline, DenialReason::IdentityLocked));
    assert_eq!(house.ask().unwrap_err().reason, DenialReason::IdentityLocked);
}
