//! What survives when the process is killed, and what happens to a data file that did not survive.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admin::Admin;
use super::client::Client;
use super::posture::{Device, domain, process};
use super::process::{Mark, Running};
use super::support::{Issued, Origin};
use super::world::World;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// A device and everything the gateway said it has taken in.
struct Reporter {
    name: &'static str,
    certificate: Issued,
    acknowledged: Vec<String>,
}

impl Reporter {
    /// Reports one program after the other until the gateway is gone.
    async fn report_until_the_end(mut self, device: Device, round: usize, done: watch::Sender<usize>) -> Reporter {
        for number in 0.. {
            let path = format!("/opt/{}/{round}-{number}", self.name);
            let body = Value::from(vec![process(&path), domain(&path)]).to_string();
            match device.send(body).await {
                Ok((status, reply)) => assert_eq!(status, StatusCode::CREATED, "{reply}"),
                Err(_) => break,
            }
            self.acknowledged.push(path);
            done.send_modify(|done| *done += 1);
        }
        self
    }

    /// Every report that was acknowledged is shown; the last one may be followed by one that was on its way.
    async fn assert_remembered(&self, admin: &Admin) {
        let known = admin.posture(self.name).await;
        let paths: Vec<&str> =
            known["processes"].as_array().unwrap().iter().map(|process| process["path"].as_str().unwrap()).collect();
        for path in &self.acknowledged {
            assert!(paths.contains(&path.as_str()), "{path} of {} was acknowledged and is lost", self.name);
        }
        // What arrived together is there together.
        assert_eq!(known["domain"]["domain"].as_str(), paths.last().copied());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_report_and_no_failure_is_lost_by_kill_9() {
    const ROUNDS: usize = 8;
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let mut reporters: Vec<Reporter> = NAMES
        .map(|name| Reporter { name, certificate: world.certificate(name), acknowledged: Vec::new() })
        .into_iter()
        .collect();
    let mut refused: Vec<String> = Vec::new();
    for round in 0..=ROUNDS {
        let gateway = world.start().await;
        let admin = Admin::new(&gateway, &world.authority);
        for reporter in &reporters {
            reporter.assert_remembered(&admin).await;
        }
        let failures = admin.failures("alice").await;
        let remembered: Vec<_> = failures.iter().map(|failure| failure["requestId"].as_str().unwrap()).collect();
        assert_eq!(remembered, refused, "after {round} kills");
        assert!(failures.iter().all(|failure| failure["policyFailures"][0]["checks"][0]["expectedValue"].is_array()));
        if round == ROUNDS {
            let reports: usize = reporters.iter().map(|reporter| reporter.acknowledged.len()).sum();
            println!("{reports} reports and {} failures outlived {ROUNDS} kills", refused.len());
            break;
        }
        let alice = reporters.iter().find(|reporter| reporter.name == "alice").unwrap();
        refused.push(refusal_on_record(&world, &gateway, &alice.certificate).await);

        let (sender, mut done) = watch::channel(0);
        let mut reporting = JoinSet::new();
        for reporter in reporters.drain(..) {
            let device = Device::new(&gateway, &world.authority, &reporter.certificate);
            reporting.spawn(reporter.report_until_the_end(device, round, sender.clone()));
        }
        // Each round is cut at another moment, always while reports are under way.
        done.wait_for(|done| *done >= 15 + 10 * round).await.unwrap();
        gateway.kill();
        reporters = reporting.join_all().await;
        assert!(*done.borrow() >= 15 + 10 * round);
    }
}

/// A request that is denied; returns its id once the refusal is in the queue to the disk. Reports enter the same queue, so
/// that an acknowledged one after it vouches for it.
async fn refusal_on_record(world: &World, gateway: &Running, certificate: &Issued) -> String {
    let client = Client::http2(gateway, &world.authority, certificate);
    let response = client.get("wiki.example.test", "/").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    gateway.event(Mark::start(), |event| event["request_id"] == id.as_str()).await;
    Device::new(gateway, &world.authority, certificate).report(&[domain("elsewhere.example")]).await;
    id
}

#[tokio::test]
async fn a_damaged_data_file_is_moved_aside_and_the_gateway_serves() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let alice = world.certificate("alice");
    let gateway = world.start().await;
    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    gateway.stop().await;

    let data = world.path("data/postern.redb");
    let mut bytes = fs::read(&data).unwrap();
    let middle = bytes.len() / 3;
    bytes.iter_mut().skip(64).take(middle).for_each(|byte| *byte = !*byte);
    fs::write(&data, &bytes).unwrap();

    let gateway = world.start().await;
    let told: Vec<Value> = gateway.events(Mark::start());
    let told: Vec<_> = told.iter().filter(|event| event["level"] == "ERROR").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let text = told[0]["message"].as_str().unwrap();
    assert!(text.contains("postern.redb") && text.contains("moved to"), "{text}");
    let aside: Vec<_> = fs::read_dir(world.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.display().to_string().contains(".corrupt-"))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(text.contains(&aside[0].display().to_string()), "{text}");
    assert_eq!(fs::read(&aside[0]).unwrap(), bytes, "what was found is kept as it was");

    // What is not known any more opens nothing; reported again, it does.
    let client = Client::http2(&gateway, &world.authority, &alice);
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.posture("alice").await["domain"]["domain"], json!(null));
    assert_eq!(client.status("wiki.example.test", "/").await, 403);
    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    assert_eq!(client.status("wiki.example.test", "/").await, 200);
}
