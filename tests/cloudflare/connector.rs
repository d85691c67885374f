//! The connector of custom providers, against a provider that is really there.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::operator::{INTEGRATIONS, Operator, RULES};
use super::process::{Mark, PATIENCE, Running};
use super::provider::{Mood, Provider};
use super::reporter::{Reporter, os};
use super::scene::{APP, world};
use super::support::Origin;
use super::world::World;

/// No log and no reply may hold them.
const SECRET: &str = "the-first-secret-of-the-provider";
const NEW_SECRET: &str = "the-second-secret-of-the-provider";

/// Waits until asking again and again is answered as `wanted`, and returns that answer.
async fn eventually<T, F: Future<Output = T>>(mut ask: impl FnMut() -> F, wanted: impl Fn(&T) -> bool) -> T {
    let asking = async {
        loop {
            let answer = ask().await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("what was waited for comes")
}

/// A gateway with a provider, an integration and a rule that asks for a score above 60.
struct Scene {
    gateway: Running,
    operator: Operator,
    clients: [Client; 2],
    provider: Provider,
    /// The path of the integration.
    integration: String,
    _world: World,
}

impl Scene {
    /// Both devices have reported, so the provider is asked about them as soon as there is an integration.
    async fn new(origin: &Origin, mood: Mood) -> Scene {
        let world = world(origin);
        let gateway = world.start().await;
        let operator = Operator::new(&gateway, &world.authority);
        let [good, bad] = ["good", "bad"].map(|name| world.certificate(name));
        for (name, serial, certificate) in [("good", "C02GOOD", &good), ("bad", "C02BAD", &bad)] {
            let device = Reporter::new(&gateway, &world.authority, certificate);
            let report = json!({
                "os": os("Linux", "6.1.0"), "serialNumber": serial, "hostname": name, "macAddresses": ["02-00-00-00-00-0A"],
            });
            device.report(&report).await;
        }
        let provider = Provider::start(mood).await;
        let made = operator.create(INTEGRATIONS, &provider.integration(SECRET)).await;
        let id = made["id"].as_str().unwrap();
        let rule = json!({
            "name": "scored", "type": "custom_s2s", "role_attributes": ["under-test"],
            "input": {"connection_id": id, "operator": ">", "score": 60},
        });
        operator.make(RULES, &rule).await;
        let clients = [&good, &bad].map(|who| Client::http2(&gateway, &world.authority, who));
        let integration = format!("{INTEGRATIONS}/{id}");
        Scene { _world: world, gateway, operator, clients, provider, integration }
    }

    /// Waits until the service is open or closed for both, as wanted.
    async fn reach(&self, wanted: [u16; 2]) {
        let ask = async || {
            let [good, bad] = &self.clients;
            [good.status(APP, "/").await, bad.status(APP, "/").await]
        };
        eventually(ask, |statuses| *statuses == wanted).await;
    }

    /// Has the provider asked anew: a connector starts again when its integration changes.
    async fn ask_anew(&self, mood: Mood) {
        self.provider.be(mood);
        let mark = self.gateway.mark();
        self.operator.send("PATCH", &self.integration, &json!({"interval": "2m"})).await.result();
        self.gateway.message(mark, "a posture provider answered").await;
    }

    /// What is known of the provider's score of a device.
    async fn score(&self, identity: &str) -> Value {
        self.operator.admin.posture(identity).await["inventory"]["providers"][0]["value"]["values"]["score"].clone()
    }

    /// Neither the log nor a reply holds a secret.
    async fn assert_discreet(&self) {
        let shown = self.operator.get(INTEGRATIONS).await.to_string();
        let log = self.gateway.log_text();
        for secret in [SECRET, NEW_SECRET] {
            assert!(!shown.contains(secret) && !log.contains(secret), "{shown}\n{log}");
        }
    }
}

#[tokio::test]
async fn scores_open_and_close_a_service() {
    let origin = Origin::start().await;
    let scores = json!({"good": {"s2s_id": "ext-1", "score": 75}, "bad": {"s2s_id": "ext-2", "score": 60}});
    let scene = Scene::new(&origin, Mood::Scores(scores)).await;
    // The test before it was saved, and then at once a question about both devices.
    let tried = &scene.provider.calls()[0];
    assert_eq!((tried.method.as_str(), &tried.body), ("POST", &json!({"devices": []})));
    let asked = scene.provider.call(1, |call| !call.devices().is_empty()).await;
    for call in [tried, &asked] {
        assert_eq!((call.client_id.as_str(), call.client_secret.as_str()), ("id.access", SECRET));
    }
    let good = asked.devices().iter().find(|device| device["device_id"] == "good").unwrap();
    let told = json!({
        "device_id": "good", "email": "", "serial_number": "C02GOOD", "mac_address": "02:00:00:00:00:0a",
        "virtual_ipv4": "", "hostname": "good",
    });
    assert_eq!((good, asked.devices().len()), (&told, 2));
    scene.reach([200, 403]).await;
    assert_eq!(scene.score("bad").await, json!({"number": 60.0}));
    let polls = r#"postern_provider_polls_total{provider="custom_s2s",result="ok"}"#;
    assert_eq!(scene.operator.admin.metric(polls).await, 1.0);

    // A device that the provider says nothing of keeps its score.
    scene.ask_anew(Mood::Scores(json!({"bad": {"s2s_id": "ext-2", "score": 60.5}}))).await;
    scene.reach([200, 200]).await;
    assert_eq!(scene.score("good").await, json!({"number": 75.0}));

    // As does one whose score is none.
    let mark = scene.gateway.mark();
    let none = json!({"good": {"s2s_id": "ext-1", "score": 101}, "bad": {"s2s_id": "ext-2", "score": "-1"}});
    scene.ask_anew(Mood::Scores(none)).await;
    for (device, why) in [("good", "provider-score-out-of-range"), ("bad", "provider-score-not-a-number")] {
        scene.gateway.event(mark, |event| event["device"] == device && event["why"] == why).await;
    }
    assert_eq!(
        [scene.score("good").await, scene.score("bad").await],
        [json!({"number": 75.0}), json!({"number": 60.5})]
    );
    scene.reach([200, 200]).await;
    scene.assert_discreet().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_is_told_of_and_asked_again() {
    let origin = Origin::start().await;
    let scores = |good: u32| Mood::Scores(json!({"good": {"s2s_id": "ext-1", "score": good}}));
    let scene = Scene::new(&origin, scores(75)).await;
    scene.reach([200, 403]).await;
    let before = scene.operator.get(&scene.integration).await;
    assert!(before["last_success_at"].is_string() && before.get("last_error").is_none(), "{before}");

    let mark = scene.gateway.mark();
    // The provider even repeats the secret it was shown.
    scene.provider.be(Mood::Refuses(500, json!({"success": false, "error": format!("no entry for {SECRET}")})));
    scene.operator.send("PATCH", &scene.integration, &json!({"name": "more scores"})).await.result();
    let told = scene.gateway.message(mark, "a posture provider cannot be asked").await;
    assert_eq!((&told["level"], &told["code"]), (&json!("WARN"), &json!("provider-status")), "{told}");
    let failing = async || scene.operator.get(&scene.integration).await;
    let failing = eventually(failing, |shown| shown.get("last_error").is_some()).await;
    let error = &failing["last_error"];
    assert_eq!(error["code"], "provider-status", "{failing}");
    assert!(error["message"].as_str().unwrap().contains("500") && error["at"].is_string(), "{error}");
    assert_eq!(failing["last_success_at"], before["last_success_at"]);
    let polls = r#"postern_provider_polls_total{provider="custom_s2s",result="provider-status"}"#;
    assert!(scene.operator.admin.metric(polls).await >= 1.0);
    // What was known goes on to count.
    scene.reach([200, 403]).await;

    scene.provider.be(scores(10));
    let mended = async || scene.operator.get(&scene.integration).await;
    let mended = eventually(mended, |shown| shown.get("last_error").is_none()).await;
    assert_ne!(mended["last_success_at"], before["last_success_at"]);
    scene.reach([403, 403]).await;
    scene.assert_discreet().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_change_starts_the_connector_again_and_a_deletion_stops_it() {
    let origin = Origin::start().await;
    let scores = Mood::Scores(json!({"good": {"s2s_id": "ext-1", "score": 75}}));
    let scene = Scene::new(&origin, scores.clone()).await;
    scene.reach([200, 403]).await;
    let (seen, mark) = (scene.provider.calls().len(), scene.gateway.mark());
    let change = json!({"config": {"access_client_secret": NEW_SECRET}});
    let changed = scene.operator.send("PATCH", &scene.integration, &change).await.result();
    assert_eq!(changed["config"]["access_client_id"], "id.access", "the rest of the configuration stays: {changed}");
    let asked = scene.provider.call(seen, |call| !call.devices().is_empty()).await;
    assert_eq!(asked.client_secret, NEW_SECRET);
    assert_eq!(scene.provider.calls()[seen].body, json!({"devices": []}), "tried before it was saved");
    scene.gateway.message(mark, "a posture provider answered").await;

    // Deleted while the provider takes its time: the question is given up, and none follows.
    scene.provider.be(Mood::Silent);
    let seen = scene.provider.calls().len();
    scene.operator.send("PATCH", &scene.integration, &json!({"interval": "2m"})).await.result();
    scene.provider.call(seen, |call| !call.devices().is_empty()).await;
    let refused = scene.operator.ask("DELETE", &scene.integration).await;
    let message = refused.refused(StatusCode::BAD_REQUEST, 2020)["message"].clone();
    assert!(message.as_str().unwrap().contains("`scored`"), "{message}");
    scene.reach([200, 403]).await;
    let deletion = format!("{}?force=true", scene.integration);
    assert_eq!(scene.operator.ask("DELETE", &deletion).await.result(), json!(null));
    scene.provider.given_up().await;
    let last = scene.provider.calls().len();
    scene.operator.ask("GET", &scene.integration).await.refused(StatusCode::NOT_FOUND, 6025);

    // Nobody says any more what the score is; what was said once does not open for ever.
    let response = scene.clients[0].get(APP, "/").await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let (_, checks) = scene.operator.newest_refusal("good").await;
    assert_eq!(checks[0]["reasonCode"], "dangling-check", "{checks:?}");

    // A new one is asked in its place, and it alone.
    scene.provider.be(scores);
    let mut anew = scene.provider.integration(SECRET);
    anew["config"]["access_client_id"] = "another.access".into();
    scene.operator.make(INTEGRATIONS, &anew).await;
    scene.provider.call(last, |call| !call.devices().is_empty()).await;
    let calls = scene.provider.calls();
    assert!(calls.iter().skip(last).all(|call| call.client_id == "another.access"), "{calls:?}");
    scene.assert_discreet().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_integration_whose_test_fails_is_not_saved() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let generation = operator.admin.metric("postern_snapshot_generation").await;
    let provider = Provider::start(Mood::Broken(405)).await;
    let reply = operator.send("POST", INTEGRATIONS, &provider.integration(SECRET)).await;
    let message = reply.refused(StatusCode::BAD_REQUEST, 2046)["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("invalid posture integration request: invalid credentials: "), "{message}");
    assert!(message.contains("405") && !message.contains(SECRET), "{message}");
    assert_eq!(operator.get(INTEGRATIONS).await, json!([]));
    assert_eq!(operator.admin.metric("postern_snapshot_generation").await, generation);
    assert_eq!(provider.calls().len(), 1, "and nobody asks again");

    // Nor is a change that would break it.
    provider.be(Mood::Scores(json!({})));
    let made = operator.create(INTEGRATIONS, &provider.integration(SECRET)).await;
    let path = format!("{INTEGRATIONS}/{}", made["id"].as_str().unwrap());
    provider.be(Mood::Broken(403));
    let change = json!({"config": {"access_client_secret": NEW_SECRET}});
    operator.send("PATCH", &path, &change).await.refused(StatusCode::BAD_REQUEST, 2046);
    let log = gateway.events(Mark::start());
    assert!(log.iter().all(|event| event["message"] != "posture integration changed"), "{log:?}");
    assert!(!gateway.log_text().contains(SECRET) && !gateway.log_text().contains(NEW_SECRET));
    gateway.stop().await;
}
