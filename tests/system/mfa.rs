//! The end of an MFA pass, seen from outside: what it had opened is cut at that moment, and nothing else is.

use std::time::Duration;

use postern::clock::Stopwatch;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::posture::Device;
use super::process::{Mark, PATIENCE, Running};
use super::support::{Issued, Origin, RawConnection, now};
use super::totp;
use super::world::World;

/// Open for six seconds after a pass; open as long as no wake or unlock asks for another.
const VAULT: &str = "vault.example.test";
const DESK: &str = "desk.example.test";
const TIMEOUT: Duration = Duration::from_secs(6);
const GRACE: Duration = Duration::from_secs(5);

fn policy(upstream: &str) -> String {
    format!(
        "\
identities:
  - {{ name: alice, subjects: [\"spiffe://postern.test/alice\"] }}
  - {{ name: bob, subjects: [\"spiffe://postern.test/bob\"] }}
services:
  - {{ name: vault, hosts: [{VAULT}], upstreams: [\"{upstream}\"] }}
  - {{ name: desk, hosts: [{DESK}], upstreams: [\"{upstream}\"] }}
posture_checks:
  - {{ name: young, type: MFA, timeout: {}s }}
  - {{ name: awake, type: MFA, prompt_on_wake: true, prompt_on_unlock: true, grace: {}s }}
service_policies:
  - {{ name: v, identity_roles: [\"#all\"], service_roles: [\"@vault\"], posture_check_roles: [\"@young\"] }}
  - {{ name: d, identity_roles: [\"#all\"], service_roles: [\"@desk\"], posture_check_roles: [\"@awake\"] }}
",
        TIMEOUT.as_secs(),
        GRACE.as_secs()
    )
}

struct Scene {
    origin: Origin,
    world: World,
    gateway: Running,
}

/// Somebody with an authenticator app.
struct Person<'a> {
    scene: &'a Scene,
    certificate: Issued,
    device: Device,
    secret: Vec<u8>,
    /// The password shown next, as a number of steps from the present one: each counts once, and none before the last.
    step: i64,
}

/// What somebody has under way with a service: an answer on its way, and a request that still waits for one.
struct UnderWay {
    answer: reqwest::Response,
    waiting: RawConnection,
}

impl Scene {
    async fn new() -> Scene {
        let origin = Origin::start().await;
        let world = World::new(&policy(&origin.upstream()));
        let gateway = world.start().await;
        Scene { origin, world, gateway }
    }

    /// Enrols, and verifies the enrolment.
    async fn enrolled(&self, name: &str) -> Person<'_> {
        let certificate = self.world.certificate(name);
        let device = Device::new(&self.gateway, &self.world.authority, &certificate);
        let (status, _) = device.ask("POST", "/current-identity/mfa", &Value::Null).await;
        assert_eq!(status, StatusCode::CREATED);
        let (_, shown) = device.ask("GET", "/current-identity/mfa", &Value::Null).await;
        let secret = totp::secret_of(shown["data"]["provisioningUrl"].as_str().unwrap());
        let mut person = Person { scene: self, certificate, device, secret, step: -1 };
        person.show("/current-identity/mfa/verify").await;
        person
    }

    fn admin(&self) -> Admin {
        Admin::new(&self.gateway, &self.world.authority)
    }

    /// Lets every stream of the origin's come to its end.
    fn release_all(&self) {
        (0..8).for_each(|_| self.origin.release());
    }
}

impl Person<'_> {
    /// Shows the next password at a path.
    async fn show(&mut self, path: &str) {
        let at = now().as_millis() + self.step * 30_000;
        self.step += 1;
        let code = totp::code(&self.secret, postern::clock::Timestamp::from_millis(at));
        let (status, reply) = self.device.ask("POST", path, &json!({"code": code})).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
    }

    async fn pass(&mut self) {
        self.show("/authenticate/mfa").await;
    }

    fn client(&self) -> Client {
        Client::http1(&self.scene.gateway, &self.scene.world.authority, &self.certificate)
    }

    /// An answer whose first piece is there and whose last is not.
    async fn stream(&self, host: &str) -> reqwest::Response {
        let mut answer = self.client().get(host, "/stream").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "one");
        answer
    }

    async fn begin(&self, host: &str) -> UnderWay {
        let answer = self.stream(host).await;
        let scene = self.scene;
        let connection = connect(&scene.gateway, &scene.world.authority, &self.certificate, host).await;
        let mut waiting = connection.unwrap();
        waiting.say(&get(host, "/held")).await;
        scene.origin.arrived().await;
        UnderWay { answer, waiting }
    }

    /// Whether the device woke, or was unlocked; which services it is told will close.
    async fn report(&self, what: &str) -> Value {
        let (status, reply) = self
            .device
            .ask("POST", "/posture-response", &json!({"id": "awake", "typeId": "ENDPOINT_STATE", what: true}))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{reply}");
        reply["data"]["services"].clone()
    }

    /// A new request gets the same answer as what was cut.
    async fn assert_refused(&self, host: &str, check: &str, reason: &str) {
        let refused = self.client().get(host, "/").await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_because(&refused.json().await.unwrap(), check, reason);
    }
}

fn assert_because(problem: &Value, check: &str, reason: &str) {
    assert_eq!(problem["reason"], "posture-failed", "{problem}");
    let checks = (&problem["checks"][0]["name"], &problem["checks"][0]["reason"]);
    assert_eq!(checks, (&check.into(), &reason.into()), "{problem}");
}

impl UnderWay {
    /// Both are cut because of a check, each as its state allows: the one that waits is told why.
    async fn assert_cut(mut self, check: &str, reason: &str) {
        let cut = timeout(PATIENCE, self.answer.chunk()).await.expect("the answer is cut");
        assert!(cut.is_err(), "{cut:?}");
        let refusal = timeout(PATIENCE, self.waiting.answer()).await.expect("the request is refused").unwrap();
        assert_eq!(refusal.status, 403);
        assert_because(&serde_json::from_str(&refusal.body).unwrap(), check, reason);
    }
}

/// The log line of each of two ends, and the failure record of the last.
async fn assert_told(scene: &Scene, mark: Mark, cause: &str, reason: &str) {
    let ended = |event: &Value| event["message"] == "request ended: it is no longer allowed";
    let told = scene.gateway.event(mark, ended).await;
    assert_eq!((&told["cause"], &told["reason"]), (&cause.into(), &"posture-failed".into()), "{told}");
    let failures = scene.admin().failures("alice").await;
    let last = failures.last().unwrap();
    assert_eq!(last["policyFailures"][0]["checks"][0]["reasonCode"], reason, "{last}");
}

#[tokio::test]
async fn a_pass_that_grows_too_old_cuts_what_it_let_through() {
    let scene = Scene::new().await;
    let mut alice = scene.enrolled("alice").await;
    let desk = alice.stream(DESK).await;
    let mark = scene.gateway.mark();
    let since = Stopwatch::start();
    alice.pass().await;
    let vault = alice.begin(VAULT).await;

    vault.assert_cut("young", "mfa-timed-out").await;
    assert!(since.elapsed() >= TIMEOUT, "cut after {:?}", since.elapsed());
    assert_told(&scene, mark, "deadline", "mfa-timed-out").await;
    alice.assert_refused(VAULT, "young", "mfa-timed-out").await;
    scene.release_all();
    assert_eq!(desk.text().await.unwrap(), "two", "what asks for no young pass goes on");
    alice.pass().await;
    assert_eq!(alice.client().status(VAULT, "/").await, 200);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_operator_who_removes_the_factor_withdraws_the_pass_at_once() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.enrolled("alice").await, scene.enrolled("bob").await);
    let (work, undisturbed) = (alice.begin(DESK).await, bob.stream(DESK).await);
    let mark = scene.gateway.mark();
    let path = "/edge/management/v1/identities/alice/mfa";
    let removed = scene.admin().request("DELETE", path).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::OK);

    work.assert_cut("awake", "mfa-not-passed").await;
    assert_told(&scene, mark, "posture", "mfa-not-passed").await;
    alice.assert_refused(DESK, "awake", "mfa-not-passed").await;
    let (status, _) = alice.device.ask("GET", "/current-identity/mfa", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "she may enrol anew");
    scene.release_all();
    assert_eq!(undisturbed.text().await.unwrap(), "two");
    scene.gateway.stop().await;
}

/// The grace that an event begins ends what asks for a fresh pass then, and not who showed one meanwhile.
async fn event_cuts(event: &str, reason: &str) {
    let scene = Scene::new().await;
    let (alice, mut bob) = (scene.enrolled("alice").await, scene.enrolled("bob").await);
    let (work, renewed) = (alice.begin(DESK).await, bob.stream(DESK).await);
    let mark = scene.gateway.mark();
    let since = Stopwatch::start();
    let told = alice.report(event).await;
    assert_eq!((&told[0]["name"], told.as_array().unwrap().len()), (&"desk".into(), 1), "{told}");
    assert_eq!(bob.report(event).await[0]["name"], "desk");
    bob.pass().await;

    work.assert_cut("awake", reason).await;
    assert!(since.elapsed() >= GRACE, "cut after {:?}", since.elapsed());
    assert_told(&scene, mark, "deadline", reason).await;
    alice.assert_refused(DESK, "awake", reason).await;
    scene.release_all();
    assert_eq!(renewed.text().await.unwrap(), "two", "who showed a code in time goes on");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn waking_begins_a_grace_and_its_end_cuts() {
    event_cuts("woken", "mfa-required-after-wake").await;
}

#[tokio::test]
async fn unlocking_begins_a_grace_and_its_end_cuts() {
    event_cuts("unlocked", "mfa-required-after-unlock").await;
}
