//! A report is acknowledged when it is durable, and refused without a trace otherwise.

use std::sync::Arc;

use postern::clock::ManualClock;
use postern::enforce::{Enforcer, ReportRefused};
use postern::id::IdentityId;
use postern::posture::facts::Source;
use postern::posture::report::{Observation, Report, Seen};
use postern::store::Store;
use postern::telemetry::Metrics;

use crate::world::{FillingDisk, House, THEN, objects};

#[tokio::test]
async fn an_acknowledged_report_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let house = House::over(store.clone(), objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    store.close().await.unwrap();
    drop((house, store));

    let (store, _) = Store::open(directory.path(), THEN).unwrap();
    let enforcer = Enforcer::new(ManualClock::at(THEN), Metrics::new().unwrap(), store);
    assert_eq!(enforcer.restore().unwrap().postures, 1);
    let device = enforcer.device(&IdentityId::from("u")).unwrap();
    assert_eq!(device.known().posture().domain.as_ref().unwrap().value, "corp.example");
}

#[tokio::test]
async fn a_store_that_fails_refuses_the_report_and_enforcement_goes_on() {
    let disk = Arc::new(FillingDisk::default());
    let store = Store::over(Arc::clone(&disk) as _, Arc::new(())).unwrap();
    let house = House::over(store, objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    disk.fill();
    let refused = house.enforcer.report(&house.device(), &house.report("home.example")).await.unwrap_err();
    assert!(matches!(refused, ReportRefused::Unavailable(_)), "{refused}");
    assert_eq!(house.device().known().posture().domain.as_ref().unwrap().value, "corp.example");
    assert!(house.ask().is_ok(), "decisions need no store");
}

#[tokio::test]
async fn a_report_that_breaks_a_bound_leaves_everything_as_it_was() {
    let house = House::new(objects(None));
    house.enforcer.report(&house.device(), &house.report("corp.example")).await.unwrap();
    let many = (0..=postern::limits::MACS_PER_IDENTITY_MAX).map(|n| format!("{n:012x}")).collect();
    let observations = vec![
        Observation { asked_by: None, seen: Seen::Domain("home.example".into()) },
        Observation { asked_by: None, seen: Seen::Macs(many) },
    ];
    let report = Report { received_at: THEN, source: Source::Device, observations };
    let refused = house.enforcer.report(&house.device(), &report).await.unwrap_err();
    assert!(matches!(refused, ReportRefused::Invalid(_)), "{refused}");
    assert!(house.ask().is_ok());
}
