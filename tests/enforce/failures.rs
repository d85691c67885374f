//! The last fifty failures of an identity: in order, bounded, and back after a restart.

use postern::clock::{ManualClock, Timestamp};
use postern::decision::{DenialReason, Failure};
use postern::enforce::Enforcer;
use postern::id::IdentityId;
use postern::limits::FAILURES_PER_IDENTITY_MAX;
use postern::store::Store;
use postern::telemetry::Metrics;

use crate::world::{House, THEN, objects};

fn failure(identity: &str, n: i64) -> Failure {
    Failure {
        when: Timestamp::from_millis(THEN.as_millis() + n),
        request_id: format!("request-{n}").into(),
        connection_id: "connection".into(),
        identity: IdentityId::from(identity),
        service: None,
        reason: DenialReason::PostureFailed,
        policies: vec![],
        lock: None,
        source_address: None,
        generation: 1,
    }
}

fn kept(enforcer: &Enforcer, identity: &str) -> Vec<i64> {
    let device = enforcer.device(&IdentityId::from(identity)).unwrap();
    device.failures().iter().map(|failure| failure.when.as_millis() - THEN.as_millis()).collect()
}

#[tokio::test]
async fn the_last_fifty_are_kept_oldest_first_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let house = House::over(store.clone(), objects(None));
    let many = 2 * FAILURES_PER_IDENTITY_MAX as i64 + 7;
    for n in 0..many {
        house.enforcer.record(failure("u", n));
    }
    house.enforcer.record(failure("other/with:odd name", 3));
    let last_fifty: Vec<i64> = (many - FAILURES_PER_IDENTITY_MAX as i64..many).collect();
    assert_eq!(kept(&house.enforcer, "u"), last_fifty);
    store.close().await.unwrap();
    drop((house, store));

    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enforcer = Enforcer::new(ManualClock::at(THEN), Metrics::new().unwrap(), store.clone());
    assert_eq!(enforcer.restore().unwrap().failures, FAILURES_PER_IDENTITY_MAX + 1);
    assert_eq!(kept(&enforcer, "u"), last_fifty);
    assert_eq!(kept(&enforcer, "other/with:odd name"), vec![3]);

    // The ring goes on where it stopped: a restart must not make room for more than fifty on disk.
    enforcer.record(failure("u", many));
    store.close().await.unwrap();
    drop((enforcer, store));
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enforcer = Enforcer::new(ManualClock::at(THEN), Metrics::new().unwrap(), store);
    enforcer.restore().unwrap();
    let mut moved_on = last_fifty;
    moved_on.remove(0);
    moved_on.push(many);
    assert_eq!(kept(&enforcer, "u"), moved_on);
}

/// Fifty slots are taken in turn. Failures of one millisecond that lay across the end of the ring once came back in the order
/// of their slots, the newest before the oldest.
#[tokio::test]
async fn failures_of_the_same_moment_come_back_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let house = House::over(store.clone(), objects(None));
    let slots = FAILURES_PER_IDENTITY_MAX as i64;
    for n in 0..slots + 3 {
        // The last six share one moment and wrap around the end of the ring.
        let when = n.min(slots - 3);
        house.enforcer.record(Failure { request_id: format!("{n}").into(), ..failure("u", when) });
    }
    let ids = |enforcer: &Enforcer| -> Vec<String> {
        let device = enforcer.device(&IdentityId::from("u")).unwrap();
        device.failures().iter().map(|failure| failure.request_id.to_string()).collect()
    };
    let before = ids(&house.enforcer);
    store.close().await.unwrap();
    drop((house, store));
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enforcer = Enforcer::new(ManualClock::at(THEN), Metrics::new().unwrap(), store);
    enforcer.restore().unwrap();
    assert_eq!(ids(&enforcer), before);
}
