//! Devices that no policy file names, let in by the CA that vouches for them.

use std::fs;

use serde_json::Value;

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::posture::{Device, domain};
use super::process::{Mark, Running};
use super::support::{Authority, Issued, Origin};
use super::world::{World, policy};

const FILES: &str = "files.example.test";

/// Guests are enrolled, and may reach `files`.
fn hospitable(origin: &Origin) -> World {
    let guests = "  - { name: guests, identity_roles: [\"#guests\"], service_roles: [\"@files\"] }\n";
    let world = World::new(&(policy(&origin.upstream()) + guests)).configured(
        "identity: { auto_enroll: { enabled: true, ca_files: [trust/enrolling.pem], role_attributes: [guests] } }\n",
    );
    fs::copy(world.authority.ca_file(), world.path("trust/enrolling.pem")).unwrap();
    world
}

async fn is_let_in(gateway: &Running, world: &World, certificate: &Issued) -> bool {
    let mut connection = connect(gateway, &world.authority, certificate, FILES).await.unwrap();
    connection.say(&get(FILES, "/")).await;
    connection.answer().await.is_some_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn an_enrolled_device_and_its_posture_outlive_a_kill() {
    let origin = Origin::start().await;
    let world = hospitable(&origin);
    let guest = world.certificate("guest");
    let gateway = world.start().await;
    assert_eq!(Client::http2(&gateway, &world.authority, &guest).status(FILES, "/").await, 200);
    let enrolled = gateway.message(Mark::start(), "identity enrolled").await;
    let id = enrolled["identity"].as_str().unwrap().to_owned();
    Device::new(&gateway, &world.authority, &guest).report(&[domain("home.example")]).await;
    gateway.kill();

    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.posture(&id).await["domain"]["domain"], "home.example");
    let seen = Client::http2(&gateway, &world.authority, &guest).described(FILES, "/").await;
    assert_eq!(seen["headers"]["x-postern-identity"][0], id.as_str());
    let told = gateway.events(Mark::start());
    assert!(told.iter().all(|event| event["message"] != "identity enrolled"), "it was enrolled already");
}

// The CAs that enrol were watched, and never read again: one that was taken out of the file went on making identities until
// the next start.
#[tokio::test]
async fn a_ca_that_is_no_longer_to_enrol_anybody_does_not_from_then_on() {
    let origin = Origin::start().await;
    let world = hospitable(&origin);
    let gateway = world.start().await;
    let (guest, late) = (world.certificate("guest"), world.certificate("late-guest"));
    assert!(is_let_in(&gateway, &world, &guest).await);
    let mark = gateway.mark();
    let other = Authority::new("Another CA");
    world.write("trust/enrolling.pem", &fs::read_to_string(other.ca_file()).unwrap());
    gateway.message(mark, "enrolling CAs loaded").await;
    assert!(!is_let_in(&gateway, &world, &late).await);
    let refused = |event: &Value| event["message"] == "connection refused" && event["reason"] == "unknown-identity";
    gateway.event(mark, refused).await;
    assert!(is_let_in(&gateway, &world, &guest).await, "who was enrolled stays so");

    let mark = gateway.mark();
    world.write("trust/enrolling.pem", "nothing of use\n");
    let told = gateway.message(mark, "enrolling CAs not loaded: the ones in use stay").await;
    assert!(told["error"].as_str().unwrap().contains("enrolling.pem"), "{told}");
    assert!(!is_let_in(&gateway, &world, &late).await);

    let mark = gateway.mark();
    world.write("trust/enrolling.pem", &fs::read_to_string(world.authority.ca_file()).unwrap());
    gateway.message(mark, "enrolling CAs loaded").await;
    assert!(is_let_in(&gateway, &world, &late).await);
}
