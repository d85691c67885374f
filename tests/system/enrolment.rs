//! Devices that no policy file names, let in by the CA that vouches for them.

use std::fs;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::posture::{Device, domain};
use super::process::{Mark, Running};
use super::support::client::tls;
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

#[tokio::test]
async fn a_device_without_a_certificate_gets_one_for_a_token_and_reaches_its_service() {
    let origin = Origin::start().await;
    let world = World::before(&origin).configured(
        "identity: { enrollment: { cert_file: trust/clients.pem, key_file: enrolment.key, url: \"https://localhost:8444\" } }\n",
    );
    fs::copy(world.authority.path().join("ca.key"), world.path("enrolment.key")).unwrap();
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let management = async |method: &str, path: &str, body: Value| -> Value {
        let request = admin.request(method, &format!("/edge/management/v1/{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await.unwrap().json().await.unwrap()
    };
    let tablet = json!({"name": "tablet", "type": "Default", "isAdmin": false, "roleAttributes": ["auditors"], "enrollment": {"ott": true}});
    let made = management("POST", "identities", tablet).await;
    let id = made["data"]["id"].as_str().unwrap();
    let shown = management("GET", &format!("identities/{id}"), Value::Null).await;
    let token = shown["data"]["enrollment"]["ott"]["token"].as_str().unwrap();

    let address = gateway.addresses.client_api;
    let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
    let nobody = builder.tls_backend_preconfigured(tls(&world.authority, None)).build().unwrap();
    let url = format!("https://localhost:{}", address.port());
    assert_eq!(nobody.get(format!("{url}/.well-known/est/cacerts")).send().await.unwrap().status(), 200);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let redeem = nobody.post(format!("{url}/edge/client/v1/enroll?method=ott&token={token}"));
    let reply = redeem.header("content-type", "application/x-pem-file").body(request).send().await.unwrap();
    let reply: Value = reply.json().await.unwrap();
    let certificate = Issued {
        certificate_file: world.path("tablet.pem"),
        key_file: world.path("tablet.key"),
        serial: String::new(),
    };
    fs::write(&certificate.certificate_file, reply["data"]["cert"].as_str().unwrap()).unwrap();
    fs::write(&certificate.key_file, key.serialize_pem()).unwrap();
    let seen = Client::http2(&gateway, &world.authority, &certificate).described(FILES, "/").await;
    assert_eq!(seen["headers"]["x-postern-identity"][0], id);
    gateway.kill();

    let gateway = world.start().await;
    assert_eq!(Client::http2(&gateway, &world.authority, &certificate).status(FILES, "/").await, 200);
    let told = gateway.events(Mark::start());
    assert!(told.iter().all(|event| !event.to_string().contains(token)), "a token was logged");
}
