//! What was made over the API is there after a sudden end, secrets included; what could not be kept is not in force.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::operator::{CERTIFICATES, INTEGRATIONS, LISTS, Operator, RULES};
use super::process::{Mark, PATIENCE, Running, in_shell};
use super::provider::{Mood, Provider};
use super::reporter::{Reporter, os};
use super::scene::{APP, world};
use super::support::{Authority, Origin};

const SECRET: &str = "the-secret-that-outlives-the-process";
const OTHER_SECRET: &str = "the-other-secret-that-outlives-it-too";

/// Everything the API shows, without how integrations fare, which is known anew after each start.
async fn shown(operator: &Operator, list: &str) -> Vec<Value> {
    let mut shown = Vec::new();
    for collection in [RULES, LISTS, CERTIFICATES, INTEGRATIONS] {
        let mut objects = operator.get(collection).await;
        for object in objects.as_array_mut().unwrap() {
            let object = object.as_object_mut().unwrap();
            object.remove("last_success_at");
            assert!(object.remove("last_error").is_none());
        }
        shown.push(objects);
    }
    shown.push(operator.get(&format!("{LISTS}/{list}/items")).await);
    shown
}

/// No file below the folder holds the text.
fn assert_nowhere(folder: &Path, text: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_nowhere(&path, text);
        }
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in {}", path.display());
    }
}

#[tokio::test]
async fn everything_outlives_kill_9() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let good = world.certificate("good");
    Reporter::new(&gateway, &world.authority, &good)
        .report(&json!({"os": os("Windows", "10.0.0"), "serialNumber": "C02XYZ"}))
        .await;
    let provider = Provider::start(Mood::Scores(json!({"good": {"s2s_id": "ext-1", "score": 75}}))).await;
    let signer = fs::read_to_string(Authority::new("Signer of devices").ca_file()).unwrap();
    operator.make(CERTIFICATES, &json!({"name": "devices", "ca": true, "certificates": signer})).await;
    let list = json!({"name": "laptops", "type": "SERIAL", "items": [{"value": "C02XYZ", "description": "Ada's"}]});
    let list = operator.make(LISTS, &list).await;
    let scores = operator.make(INTEGRATIONS, &provider.integration(SECRET)).await;
    let config = json!({"client_id": "id", "client_secret": OTHER_SECRET, "customer_id": "tenant"});
    let intune = json!({"name": "intune", "type": "intune", "interval": "10m", "config": config});
    let intune = operator.make(INTEGRATIONS, &intune).await;
    for (kind, input) in [
        ("serial_number", json!({"id": list})),
        ("custom_s2s", json!({"connection_id": scores, "operator": ">", "score": 60})),
        ("intune", json!({"connection_id": intune, "compliance_status": "compliant"})),
    ] {
        let rule = json!({"name": kind, "type": kind, "input": input, "role_attributes": ["under-test"]});
        operator.make(RULES, &rule).await;
    }
    operator.provider_says("good", &intune, &json!({"compliance_status": "compliant"})).await;
    let client = Client::http2(&gateway, &world.authority, &good);
    provider.call(1, |call| !call.devices().is_empty()).await;
    gateway.event(Mark::start(), |event| event["message"] == "a posture provider answered").await;
    assert_eq!(client.status(APP, "/").await, 200);
    let (before, known) = (shown(&operator, &list).await, operator.admin.posture("good").await);
    let asked = provider.calls().len();
    assert!(!gateway.log_text().contains(SECRET) && !gateway.log_text().contains(OTHER_SECRET));
    gateway.kill();
    for secret in [SECRET, OTHER_SECRET] {
        assert_nowhere(&world.path("data"), secret);
    }

    // The provider is silent now, so that nothing new is heard of the device.
    provider.be(Mood::Silent);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    assert_eq!(shown(&operator, &list).await, before);
    assert_eq!(operator.admin.posture("good").await, known);
    let client = Client::http2(&gateway, &world.authority, &good);
    assert_eq!(client.status(APP, "/").await, 200);
    let call = provider.call(asked, |call| !call.devices().is_empty()).await;
    assert_eq!(call.client_secret, SECRET, "it is still the secret that was given");
    assert!(!gateway.log_text().contains(SECRET) && !gateway.log_text().contains(OTHER_SECRET));
    gateway.stop().await;
}

/// A bound on the size of files, as `ulimit -f` sets it: no room on the disk, without a disk of the test's own.
#[cfg(target_os = "linux")]
fn bound_files(gateway: &Running, size: &str) {
    let pid = gateway.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:unlimited")]).status();
    assert!(set.expect("prlimit belongs to every Linux").success());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_finds_no_room_on_disk_is_not_in_force() {
    let origin = Origin::start().await;
    let world = world(&origin);
    // The signal that comes with the error would end the process; an ignored one stays ignored over exec.
    let command = in_shell("trap '' XFSZ; exec \"$@\"", "sh", &world.command());
    let gateway = world.start_command(command).await;
    let operator = Operator::new(&gateway, &world.authority);
    operator.make(LISTS, &json!({"name": "kept", "type": "DEVICE", "items": [{"value": "a"}]})).await;
    let generation = operator.admin.metric("postern_snapshot_generation").await;
    let before = operator.get(LISTS).await;

    bound_files(&gateway, "0");
    // Large enough not to fit into what the file has to spare.
    let items: Vec<Value> =
        (0..900).map(|n| json!({"value": format!("{n}"), "description": "x".repeat(900)})).collect();
    let large = json!({"name": "large", "type": "DEVICE", "items": items});
    for _ in 0..3 {
        let reply = operator.send("POST", LISTS, &large).await;
        reply.refused(StatusCode::SERVICE_UNAVAILABLE, 10503);
        let wait: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait >= 1, "{wait}");
        assert_eq!(operator.get(LISTS).await, before);
    }
    assert_eq!(operator.admin.metric("postern_snapshot_generation").await, generation);

    bound_files(&gateway, "unlimited");
    let made = async {
        while operator.send("POST", LISTS, &large).await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, made).await.expect("lists are taken again once there is room");
    gateway.kill();
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let names = operator.get(LISTS).await;
    let names: Vec<&Value> = names.as_array().unwrap().iter().map(|list| &list["name"]).collect();
    assert_eq!(names, ["kept", "large"], "once, however often it was tried");
    gateway.stop().await;
}
