//! What an acknowledgement is worth, and what happens while the store cannot give one.

use std::sync::Arc;

use postern::clock::{ManualClock, Timestamp};
use postern::enforce::Enforcer;
use postern::id::IdentityId;
use postern::store::{Backend, Store};
use postern::telemetry::Metrics;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::faulty::FaultyBackend;
use crate::world::{Served, World, policy};

async fn report(http: Client, url: String, domain: &str) -> (StatusCode, Value) {
    let body = json!({"id": "domain-id", "typeId": "DOMAIN", "domain": domain});
    let reply = http.post(url).json(&body).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

fn url(api: &Served) -> String {
    api.url("/edge/client/v1/posture-response")
}

fn domain_in_force(enforcer: &Enforcer) -> Option<String> {
    let device = enforcer.device(&IdentityId::from("laptop-id"))?;
    device.known().posture().domain.as_ref().map(|fact| fact.value.clone())
}

/// What a start would find.
fn domain_in_store(backend: &Arc<FaultyBackend>) -> Option<String> {
    let store = Store::over(Arc::<FaultyBackend>::clone(backend), Arc::new(())).unwrap();
    let enforcer = Enforcer::new(ManualClock::at(Timestamp::default()), Metrics::new().unwrap(), store);
    enforcer.restore().unwrap();
    domain_in_force(&enforcer)
}

async fn world_over(backend: &Arc<FaultyBackend>) -> (World, Served, Client) {
    let world = World::over(Arc::<FaultyBackend>::clone(backend) as Arc<dyn Backend>);
    world.enforcer.publish_files(policy()).unwrap();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    (world, api, http)
}

#[tokio::test]
async fn a_full_disk_refuses_reports_and_keeps_what_was_known() {
    let backend = FaultyBackend::full_after(1);
    let (world, api, http) = world_over(&backend).await;
    assert_eq!(report(http.clone(), url(&api), "first.example").await.0, StatusCode::CREATED);
    assert_eq!(domain_in_store(&backend).as_deref(), Some("first.example"));

    let reply = http
        .post(url(&api))
        .json(&json!({"id": "domain-id", "typeId": "DOMAIN", "domain": "second.example"}))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "UNAVAILABLE");
    assert_eq!(domain_in_force(&world.enforcer).as_deref(), Some("first.example"));
    assert_eq!(domain_in_store(&backend).as_deref(), Some("first.example"));
    let metrics = world.enforcer.metrics().render().unwrap();
    assert!(metrics.contains(r#"postern_posture_reports_total{result="unavailable"} 1"#), "{metrics}");

    backend.make_space();
    assert_eq!(report(http, url(&api), "third.example").await.0, StatusCode::CREATED);
    assert_eq!(domain_in_force(&world.enforcer).as_deref(), Some("third.example"));
}

#[tokio::test]
async fn nothing_is_acknowledged_or_in_force_before_it_is_durable() {
    let backend = FaultyBackend::new();
    let (world, api, http) = world_over(&backend).await;
    let held = backend.hold();
    let pending = tokio::spawn(report(http, url(&api), "corp.example"));
    let held = tokio::task::spawn_blocking(move || {
        held.wait_for_commit();
        held
    })
    .await
    .unwrap();
    assert!(!pending.is_finished());
    assert_eq!(domain_in_force(&world.enforcer), None);
    held.release_one();
    assert_eq!(pending.await.unwrap().0, StatusCode::CREATED);
    assert_eq!(domain_in_force(&world.enforcer).as_deref(), Some("corp.example"));
    drop(held);
    assert_eq!(domain_in_store(&backend).as_deref(), Some("corp.example"));
}

#[tokio::test]
async fn a_report_whose_sender_left_is_either_whole_or_not_there() {
    let backend = FaultyBackend::new();
    let (world, api, http) = world_over(&backend).await;
    let held = backend.hold();
    let abandoned = tokio::spawn(report(http.clone(), url(&api), "abandoned.example"));
    let held = tokio::task::spawn_blocking(move || {
        held.wait_for_commit();
        held
    })
    .await
    .unwrap();
    abandoned.abort();
    drop(http);
    abandoned.await.unwrap_err();
    drop(held);
    // The next report waits its turn behind the abandoned one.
    let next = world.http(&api, Some(&world.ca.client("phone")));
    assert_eq!(report(next, url(&api), "phone.example").await.0, StatusCode::CREATED);
    assert_eq!(domain_in_store(&backend).as_deref(), Some("abandoned.example"));
    assert_eq!(domain_in_force(&world.enforcer).as_deref(), Some("abandoned.example"));
}
