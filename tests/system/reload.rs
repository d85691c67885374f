//! Policy files change while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::admin::Admin;
use super::client::Client;
use super::posture::{Device, domain};
use super::process::Running;
use super::support::Origin;
use super::world::{World, policy};

const EDITS: usize = 20;

/// Waits until a policy newer than `generation` is in force, and returns its number.
async fn loaded_after(gateway: &Running, generation: u64) -> u64 {
    let newer = |event: &Value| {
        event["message"] == "policy loaded" && event["generation"].as_u64().is_some_and(|loaded| loaded > generation)
    };
    gateway.event(super::process::Mark::start(), newer).await["generation"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_policy_edits_fail_not_one_of_the_requests_that_run() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let alice = world.certificate("alice");
    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;

    let (enough, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for number in 0..8 {
        let client = match number % 2 {
            0 => Client::http1(&gateway, &world.authority, &alice),
            _ => Client::http2(&gateway, &world.authority, &alice),
        };
        let (enough, served) = (Arc::clone(&enough), Arc::clone(&served));
        clients.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                // At once over one connection in HTTP/2, one after the other in HTTP/1.1.
                let exchanges = (0..if number % 2 == 0 { 1 } else { 10 }).map(|_| async {
                    let request = client.request("POST", "wiki.example.test", "/body").body("ping");
                    let response = request.send().await.unwrap();
                    assert_eq!(response.status(), 200);
                    assert_eq!(response.text().await.unwrap(), "ping");
                    served.fetch_add(1, Ordering::Relaxed);
                });
                join_all(exchanges).await;
            }
        });
    }
    // One request is under way from the first edit to the last.
    let held = Client::http1(&gateway, &world.authority, &alice);
    let held = tokio::spawn(async move { held.get("wiki.example.test", "/held").await.text().await.unwrap() });
    origin.arrived().await;

    let unedited = policy(&origin.upstream());
    let mut generation = admin.policy().await["generation"].as_u64().unwrap();
    for edit in 0..EDITS {
        let more = format!("identities:\n  - {{ name: newcomer-{edit}, subjects: [\"dns:{edit}.example\"] }}\n");
        match edit % 3 {
            0 => world.write("policy/more.yaml", &more),
            1 => world.write("policy/objects.yaml", &format!("# edit {edit}\n{unedited}")),
            _ => std::fs::remove_file(world.path("policy/more.yaml")).unwrap(),
        }
        generation = loaded_after(&gateway, generation).await;
    }
    assert_eq!(admin.policy().await["generation"], json!(generation));
    origin.release();
    assert_eq!(held.await.unwrap(), "released");
    enough.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let served = served.load(Ordering::Relaxed);
    println!("{served} requests over {EDITS} policy edits");
    assert!(served > 200, "only {served} requests");
    let denied = admin.failures("alice").await;
    assert!(denied.is_empty(), "{denied:?}");
}

#[tokio::test]
async fn an_edit_that_takes_access_away_holds_for_the_very_next_request() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let bob = world.certificate("bob");
    let clients = [Client::http1(&gateway, &world.authority, &bob), Client::http2(&gateway, &world.authority, &bob)];
    for client in &clients {
        assert_eq!(client.status("files.example.test", "/").await, 200);
    }
    let before = admin.policy().await["generation"].as_u64().unwrap();
    let reached = origin.requests();
    let without_staff = policy(&origin.upstream()).replace("[\"#staff\", \"#auditors\"]", "[\"#auditors\"]");
    world.write("policy/objects.yaml", &without_staff);
    while admin.policy().await["generation"].as_u64().unwrap() <= before {
        tokio::task::yield_now().await;
    }
    for client in &clients {
        let response = client.get("files.example.test", "/").await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.json::<Value>().await.unwrap()["reason"], "no-policy");
    }
    assert_eq!(origin.requests(), reached);
    // And back again.
    let stricter = admin.policy().await["generation"].as_u64().unwrap();
    world.write("policy/objects.yaml", &policy(&origin.upstream()));
    loaded_after(&gateway, stricter).await;
    for client in &clients {
        assert_eq!(client.status("files.example.test", "/").await, 200);
    }
}

// The log used to tell of a load before the admin API did: who read the log and then asked was told that nothing was wrong.
#[tokio::test]
async fn a_broken_edit_leaves_the_old_policy_in_force_and_is_told_everywhere() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let alice = world.certificate("alice");
    let client = Client::http2(&gateway, &world.authority, &alice);
    assert_eq!(client.status("files.example.test", "/").await, 200);
    let good = admin.policy().await;
    assert_eq!(good["lastError"], json!(null));

    let (failed, ok) = (
        r#"postern_reloads_total{result="failed",subject="policy"}"#,
        r#"postern_reloads_total{result="ok",subject="policy"}"#,
    );
    let loaded = admin.metric(ok).await;
    // A misspelt key, a reference that cannot be compiled, and no YAML at all: each is refused whole.
    let unedited = policy(&origin.upstream());
    let services_twice = unedited.replace("hosts: [files.example.test]", "hosts: [wiki.example.test]");
    let edits = [unedited.replace("identity_roles", "identity_rolls"), services_twice, "services: [".to_owned()];
    for (number, edit) in edits.iter().enumerate() {
        let mark = gateway.mark();
        world.write("policy/objects.yaml", edit);
        gateway.message(mark, "policy not loaded: the one in force stays").await;
        let told = gateway
            .event(mark, |event| {
                event["level"] == "ERROR"
                    && event["place"].as_str().is_some_and(|place| place.contains("objects.yaml:"))
            })
            .await;
        let shown = admin.policy().await;
        assert_eq!(shown["generation"], good["generation"]);
        assert_eq!(shown["loaded"], json!(true));
        let findings = shown["lastError"]["findings"].to_string();
        assert!(findings.contains(told["message"].as_str().unwrap()), "{told} is not in {findings}");
        assert_eq!(admin.metric(failed).await, number as f64 + 1.0);
        assert_eq!(admin.metric(r#"postern_reload_last_successful{subject="policy"}"#).await, 0.0);
        assert_eq!(admin.readiness().await, (200, "ready\n".to_owned()));
        assert_eq!(client.status("files.example.test", "/").await, 200);
        assert_eq!(client.status("wiki.example.test", "/").await, 403);
    }
    assert_eq!(admin.metric(ok).await, loaded);

    world.write("policy/objects.yaml", &format!("# better\n{unedited}"));
    let generation = loaded_after(&gateway, good["generation"].as_u64().unwrap()).await;
    let shown = admin.policy().await;
    assert_eq!((&shown["generation"], &shown["lastError"]), (&json!(generation), &json!(null)));
    assert_eq!(admin.metric(r#"postern_reload_last_successful{subject="policy"}"#).await, 1.0);
}
