//! Signed reports: what counts as signed, what is refused, and what it opens.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern::clock::Timestamp;
use postern::dialect::native::evidence::{NONCE_FIELD, SIGNATURE_FIELD, TIME_FIELD, statement};
use postern::dialect::openziti::create_posture_check;
use postern::id::IdentityId;
use postern::limits;
use postern::posture::Posture;
use postern::posture::facts::Source;
use postern::store::MemoryBackend;
use postern::tls::DeviceSigner;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::authority::Issued;
use crate::world::{Served, World, policy};

const REPORT: &str = r#"{"domain": "corp.example"}"#;

/// A device that can sign, rightly or wrongly.
struct Signer<'a> {
    world: &'a World,
    api: &'a Served,
    http: Client,
    key: DeviceSigner,
}

/// One attempt, with what a test changes about it.
struct Attempt {
    nonce: String,
    time: Timestamp,
    signed: String,
    sent: String,
}

fn signer(certificate: &Issued) -> DeviceSigner {
    DeviceSigner::load(&certificate.certificate_file, &certificate.key_file).unwrap()
}

impl<'a> Signer<'a> {
    fn new(world: &'a World, api: &'a Served, certificate: &Issued) -> Self {
        Signer { world, api, http: world.http(api, Some(certificate)), key: signer(certificate) }
    }

    async fn nonce(&self) -> String {
        let reply = self.http.get(self.api.url("/api/v1/posture/nonce")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        let reply: Value = reply.json().await.unwrap();
        assert_eq!(reply["data"]["time"], self.world.now().to_string());
        reply["data"]["nonce"].as_str().unwrap().to_owned()
    }

    async fn attempt(&self) -> Attempt {
        let nonce = self.nonce().await;
        Attempt { nonce, time: self.world.now(), signed: REPORT.to_owned(), sent: REPORT.to_owned() }
    }

    async fn send(&self, attempt: &Attempt) -> reqwest::Response {
        self.send_with(attempt, &self.key).await
    }

    async fn send_with(&self, attempt: &Attempt, key: &DeviceSigner) -> reqwest::Response {
        let time = attempt.time.to_string();
        let signature = key.sign(&statement(&attempt.nonce, &time, attempt.signed.as_bytes())).unwrap();
        let request = self.http.put(self.api.url("/api/v1/posture")).header("content-type", "application/json");
        let request = request.header(NONCE_FIELD, &attempt.nonce).header(TIME_FIELD, time);
        let request = request.header(SIGNATURE_FIELD, STANDARD.encode(signature));
        request.body(attempt.sent.clone()).send().await.unwrap()
    }

    async fn refused(&self, attempt: &Attempt, code: &str) {
        refused(self.send(attempt).await, code).await;
    }

    fn posture(&self) -> Posture {
        let device = self.world.enforcer.device(&IdentityId::from("laptop-id"));
        device.map(|device| device.known().posture()).unwrap_or_default()
    }
}

async fn refused(reply: reqwest::Response, code: &str) {
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(reply["error"]["code"], "INVALID_EVIDENCE", "{reply}");
    assert_eq!(reply["error"]["cause"]["value"], code, "{reply}");
}

#[tokio::test]
async fn a_signed_report_is_kept_as_signed_and_offers_the_next_number() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Signer::new(&world, &api, &world.ca.client("laptop"));
    let first = laptop.attempt().await;
    let reply = laptop.send(&Attempt { time: world.now().before(Duration::from_secs(2)), ..first }).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let posture = laptop.posture();
    assert_eq!(posture.domain.as_ref().unwrap().source, Source::DeviceSigned);
    assert_eq!((posture.signed_in_at, posture.clock_skew_millis), (Some(world.now()), Some(-2000)));

    let offered = reply.headers()[NONCE_FIELD].to_str().unwrap().to_owned();
    let next = Attempt { nonce: offered, time: world.now(), signed: REPORT.to_owned(), sent: REPORT.to_owned() };
    assert_eq!(laptop.send(&next).await.status(), StatusCode::OK);

    // An unsigned report is taken as before, and says so of each fact.
    let request = laptop.http.put(api.url("/api/v1/posture")).json(&json!({"domain": "corp.example"}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(laptop.posture().domain.unwrap().source, Source::Device);
    let metrics = world.enforcer.metrics().render().unwrap();
    for line in [r#"{result="signed"} 2"#, r#"{result="unsigned"} 1"#] {
        assert!(metrics.contains(&format!("postern_posture_evidence_total{line}")), "{metrics}");
    }
}

#[tokio::test]
async fn what_does_not_count_is_refused_and_nothing_is_stored() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Signer::new(&world, &api, &world.ca.client("laptop"));
    let phone = Signer::new(&world, &api, &world.ca.client("phone"));

    let invented = Attempt { nonce: "invented".to_owned(), ..laptop.attempt().await };
    laptop.refused(&invented, "evidence-nonce").await;
    let foreign = Attempt { nonce: phone.nonce().await, ..laptop.attempt().await };
    laptop.refused(&foreign, "evidence-nonce").await;
    let late = laptop.attempt().await;
    world.clock.advance(limits::EVIDENCE_NONCE_LIFETIME);
    laptop.refused(&Attempt { time: world.now(), ..late }, "evidence-nonce").await;

    let beyond = limits::EVIDENCE_CLOCK_WINDOW + Duration::from_millis(1);
    for time in [world.now().before(beyond), world.now().after(beyond)] {
        laptop.refused(&Attempt { time, ..laptop.attempt().await }, "evidence-time").await;
    }

    let other_content = Attempt { sent: r#"{"domain": "evil.example"}"#.to_owned(), ..laptop.attempt().await };
    laptop.refused(&other_content, "evidence-signature").await;
    refused(laptop.send_with(&laptop.attempt().await, &phone.key).await, "evidence-signature").await;
    // Another certificate of the same identity has another key.
    let twin = signer(&world.ca.client_with("laptop-2", |_| {}));
    refused(laptop.send_with(&laptop.attempt().await, &twin).await, "evidence-signature").await;

    let url = api.url("/api/v1/posture");
    let half = laptop.http.put(&url).header(NONCE_FIELD, laptop.nonce().await).json(&json!({"domain": "corp.example"}));
    refused(half.send().await.unwrap(), "evidence-incomplete").await;
    let junk = laptop.http.put(&url).header(NONCE_FIELD, laptop.nonce().await).header(TIME_FIELD, "now");
    let junk = junk.header(SIGNATURE_FIELD, "?").json(&json!({"domain": "corp.example"}));
    refused(junk.send().await.unwrap(), "evidence-malformed").await;

    assert_eq!(laptop.posture(), Posture::default());
}

#[tokio::test]
async fn a_report_cannot_be_replayed_even_if_the_first_one_was_refused() {
    let world = World::in_force();
    let api = world.client().await;
    let laptop = Signer::new(&world, &api, &world.ca.client("laptop"));
    let attempt = laptop.attempt().await;
    assert_eq!(laptop.send(&attempt).await.status(), StatusCode::OK);
    laptop.refused(&attempt, "evidence-nonce").await;

    let attempt = laptop.attempt().await;
    refused(laptop.send_with(&attempt, &signer(&world.ca.client("phone"))).await, "evidence-signature").await;
    laptop.refused(&attempt, "evidence-nonce").await;
}

/// Numbers bind a report to the gateway that gave them out, so the gateway need not be named in what is signed.
#[tokio::test]
async fn a_report_that_was_signed_for_one_gateway_is_refused_by_another() {
    let world = World::in_force();
    let api = world.client().await;
    let certificate = world.ca.client("laptop");
    let (attempt, spent) = {
        let laptop = Signer::new(&world, &api, &certificate);
        let spent = laptop.attempt().await;
        assert_eq!(laptop.send(&spent).await.status(), StatusCode::OK);
        (laptop.attempt().await, spent)
    };
    // Another gateway, which believes the same CAs and knows the same identities.
    let other = world.restarted(Arc::new(MemoryBackend::new()));
    other.enforcer.publish_files(policy()).unwrap();
    let other_api = other.client().await;
    let laptop = Signer::new(&other, &other_api, &certificate);
    laptop.refused(&attempt, "evidence-nonce").await;
    laptop.refused(&spent, "evidence-nonce").await;
    // Nor does the signature fit a number of its own.
    let time = attempt.time.to_string();
    let signature = laptop.key.sign(&statement(&attempt.nonce, &time, REPORT.as_bytes())).unwrap();
    let request = laptop.http.put(other_api.url("/api/v1/posture")).header("content-type", "application/json");
    let request = request.header(NONCE_FIELD, laptop.nonce().await).header(TIME_FIELD, time);
    let request = request.header(SIGNATURE_FIELD, STANDARD.encode(signature));
    refused(request.body(REPORT).send().await.unwrap(), "evidence-signature").await;
    assert_eq!(laptop.posture(), Posture::default());
}

#[tokio::test]
async fn a_check_that_demands_signed_evidence_opens_to_nothing_less() {
    let world = World::new();
    let mut objects = policy();
    let body = json!({"typeId": "DOMAIN", "name": "d", "domains": ["corp.example"], "evidence": "signed"});
    let check = create_posture_check(body.to_string().as_bytes(), "domain-id".into(), world.now()).unwrap();
    objects.checks.insert("domain-id".into(), Arc::new(check));
    world.enforcer.publish_files(objects).unwrap();
    let api = world.client().await;
    let laptop = Signer::new(&world, &api, &world.ca.client("laptop"));
    let wiki = async || {
        let reply: Value = laptop.http.get(api.url("/api/v1/services")).send().await.unwrap().json().await.unwrap();
        let services = reply["data"]["services"].as_array().unwrap().clone();
        services.into_iter().find(|service| service["name"] == "wiki").unwrap()
    };
    assert_eq!(wiki().await["checks"][0]["reason"], "not-reported");

    let unsigned = || laptop.http.put(api.url("/api/v1/posture")).json(&json!({"domain": "corp.example"})).send();
    assert_eq!(unsigned().await.unwrap().status(), StatusCode::OK);
    let shut = wiki().await;
    assert_eq!((&shut["open"], &shut["checks"][0]["reason"]), (&json!(false), &json!("not-signed")), "{shut}");

    assert_eq!(laptop.send(&laptop.attempt().await).await.status(), StatusCode::OK);
    assert_eq!(wiki().await["open"], true);

    // What was said last counts, and that was not signed.
    assert_eq!(unsigned().await.unwrap().status(), StatusCode::OK);
    assert_eq!(wiki().await["checks"][0]["reason"], "not-signed");

    let wanted: Value = laptop.http.get(api.url("/api/v1/posture/wanted")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&wanted["data"]["signed"], &wanted["data"]["facts"]), (&json!(true), &json!(["domain"])));
}
