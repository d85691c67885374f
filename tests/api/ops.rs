//! Probes and Prometheus.

use postern::policy::objects::Objects;
use postern::policy::roles::{Role, Semantic};
use reqwest::StatusCode;

use crate::objects;
use crate::world::{World, policy};

async fn get(url: String) -> (StatusCode, String) {
    let reply = reqwest::get(url).await.unwrap();
    (reply.status(), reply.text().await.unwrap())
}

/// Two services for one host and path: nothing that compiles.
fn broken_policy() -> Objects {
    let mut world = objects::World::default();
    for id in ["a", "b"] {
        let mut service = objects::service(id, id, &[]);
        service.matching.hosts = vec!["same.postern.test".into()];
        world.add_service(service);
    }
    world.add_policy(objects::policy("p", Semantic::AnyOf, vec![Role::All], vec![Role::All], vec![]));
    world.objects
}

#[tokio::test]
async fn readiness_follows_the_policy_the_listeners_and_the_shutdown() {
    let world = World::new();
    let ops = world.ops().await;
    let ready = || get(ops.plain_url("/readyz"));

    let (status, reasons) = ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reasons, "not ready: the listeners are not up yet; no policy is loaded\n");

    world.readiness.listeners_up();
    assert_eq!(ready().await.1, "not ready: no policy is loaded\n");

    world.enforcer.publish_files(policy()).unwrap();
    assert_eq!(ready().await, (StatusCode::OK, "ready\n".to_owned()));

    world.enforcer.publish_files(broken_policy()).unwrap_err();
    assert_eq!(ready().await.0, StatusCode::OK, "a broken edit leaves the policy in force");

    world.readiness.shutting_down();
    let (status, reasons) = ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reasons, "not ready: the process is shutting down\n");
    assert_eq!(get(ops.plain_url("/livez")).await, (StatusCode::OK, "live\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_in_the_form_prometheus_reads() {
    let world = World::in_force();
    let ops = world.ops().await;
    let reply = reqwest::get(ops.plain_url("/metrics")).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text().await.unwrap();
    assert!(text.contains("\npostern_snapshot_generation 1\n"), "{text}");
    assert!(!text.contains("laptop"), "no identity is named");
}

#[tokio::test]
async fn nothing_else_is_there() {
    let world = World::in_force();
    let ops = world.ops().await;
    for (path, expected) in [("/", 404), ("/metrics/", 404), ("/edge/management/v1/identities", 404)] {
        assert_eq!(get(ops.plain_url(path)).await.0, expected, "{path}");
    }
    let reply = reqwest::Client::new().post(ops.plain_url("/livez")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.headers()["allow"], "GET,HEAD");
}
