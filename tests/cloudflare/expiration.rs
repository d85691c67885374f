//! A result ends by itself, and with it every request that rested on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use postern::clock::Stopwatch;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, connect};
use super::operator::{Operator, RULES, checks};
use super::process::{Mark, PATIENCE, Running};
use super::reporter::{Reporter, os};
use super::scene::{APP, world};
use super::support::{Issued, Origin};
use super::world::World;

/// How long a result counts, and how much later it may be noticed.
const EXPIRATION: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(1);
/// How often a device reports that wants to keep its request.
const REPORTING: Duration = Duration::from_millis(200);
/// How often it is looked whether the machine stands still.
const TICK: Duration = Duration::from_millis(10);

/// A gateway whose service asks for a recent Linux, and two devices: `good` reports once, `bad` again and again.
struct Scene {
    world: World,
    gateway: Running,
    operator: Operator,
    once: Issued,
    again: Issued,
    /// The longest this machine kept a timer waiting, in milliseconds: that is no fault of the gateway's.
    stood_still: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

fn report() -> Value {
    json!({ "os": os("Linux", "6.1.0") })
}

impl Scene {
    async fn new(origin: &Origin) -> Scene {
        let world = world(origin);
        let gateway = world.start().await;
        let operator = Operator::new(&gateway, &world.authority);
        let rule = json!({
            "name": "recent", "type": "os_version", "expiration": "2s", "role_attributes": ["under-test"],
            "input": {"operating_system": "linux", "operator": ">=", "version": "6.1.0"},
        });
        let made = operator.send("POST", RULES, &rule).await;
        let warning = made.envelope["messages"][0]["message"].as_str().unwrap();
        assert!(warning.contains("shorter than twice the schedule"), "{warning}");
        let [once, again] = ["good", "bad"].map(|name| world.certificate(name));
        let device = Reporter::new(&gateway, &world.authority, &again);
        device.report(&report()).await;
        let mut tasks = JoinSet::new();
        let stood_still = Arc::new(AtomicU64::new(0));
        let longest = Arc::clone(&stood_still);
        tasks.spawn(async move {
            loop {
                let before = Stopwatch::start();
                tokio::time::sleep(TICK).await;
                let late = before.elapsed().saturating_sub(TICK);
                longest.fetch_max(u64::try_from(late.as_millis()).unwrap(), Ordering::SeqCst);
            }
        });
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(REPORTING).await;
                device.report(&report()).await;
            }
        });
        Scene { world, gateway, operator, once, again, stood_still, _tasks: tasks }
    }

    /// The device reports, this once.
    async fn reports(&self) {
        Reporter::new(&self.gateway, &self.world.authority, &self.once).report(&report()).await;
    }

    /// A request of the device that reported once was ended: in time, and told of once, everywhere. Returns its connection.
    async fn assert_ended_once(&self, request_id: &str) -> String {
        let told = |event: &Value| event["decision"] == "end" && event["request_id"] == request_id;
        let line = self.gateway.event(Mark::start(), told).await;
        assert_eq!(line["message"], "request ended: it is no longer allowed", "{line}");
        assert_eq!((&line["identity"], &line["service"]), (&json!("good"), &json!("app")), "{line}");
        let ends = self.gateway.events(Mark::start()).into_iter().filter(|event| event["decision"] == "end");
        assert_eq!(ends.count(), 1, "{}", self.gateway.log_text());
        let failures = self.operator.admin.failures("good").await;
        let own: Vec<&Value> = failures.iter().filter(|failure| failure["requestId"] == request_id).collect();
        let [failure] = own[..] else { panic!("{failures:?}") };
        assert_eq!(failure["reasonCode"], "posture-failed", "{failure}");
        let checks = checks(failure);
        assert_eq!((checks.len(), &checks[0]["reasonCode"]), (1, &json!("stale")), "{failure}");
        let moment = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
        let (reported, ended) = (moment(&checks[0]["observedAt"]), moment(&failure["when"]));
        let lasted = Duration::try_from(ended.duration_since(reported)).unwrap();
        let late = LATE + Duration::from_millis(self.stood_still.load(Ordering::SeqCst));
        assert!((EXPIRATION..EXPIRATION + late).contains(&lasted), "it lasted {lasted:?}");
        let ended = r#"postern_ended_requests_total{reason="posture-failed"}"#;
        assert_eq!(self.operator.admin.metric(ended).await, 1.0);
        assert!(self.operator.admin.failures("bad").await.is_empty());
        failure["apiSessionId"].as_str().unwrap().to_owned()
    }
}

fn request_id(headers: &http::HeaderMap) -> String {
    headers["x-request-id"].to_str().unwrap().to_owned()
}

/// A response that takes its time is cut when the result ends, and not where the device keeps reporting. Returns the client that
/// lost its response, and the connection that it came over.
async fn streams(scene: &Scene, origin: &Origin, speak: fn(&Running, &World, &Issued) -> Client) -> (Client, String) {
    let [once, again] = [&scene.once, &scene.again].map(|who| speak(&scene.gateway, &scene.world, who));
    scene.reports().await;
    let mut cut = once.get(APP, "/stream").await;
    assert_eq!(cut.status(), 200);
    let mut kept = again.get(APP, "/stream").await;
    assert_eq!(kept.status(), 200);
    for response in [&mut cut, &mut kept] {
        assert_eq!(response.chunk().await.unwrap().unwrap(), "one");
    }
    let id = request_id(cut.headers());
    let end = timeout(PATIENCE, cut.chunk()).await.expect("the response is cut");
    assert!(end.is_err(), "not as if it had been complete: {end:?}");
    let connection = scene.assert_ended_once(&id).await;
    // By now the other one would be gone as well, had its device been silent. The origin goes on with both.
    origin.release();
    origin.release();
    assert_eq!(kept.text().await.unwrap(), "two");
    (once, connection)
}

#[tokio::test]
async fn a_response_over_http1_is_cut() {
    let origin = Origin::start().await;
    let scene = Scene::new(&origin).await;
    let speak = |gateway: &Running, world: &World, who: &Issued| Client::http1(gateway, &world.authority, who);
    let (client, _) = streams(&scene, &origin, speak).await;
    assert_eq!(client.status(APP, "/").await, 403);
    scene.reports().await;
    assert_eq!(client.status(APP, "/").await, 200);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_response_over_http2_is_cut_and_its_connection_goes_on() {
    let origin = Origin::start().await;
    let scene = Scene::new(&origin).await;
    let speak = |gateway: &Running, world: &World, who: &Issued| Client::http2(gateway, &world.authority, who);
    let (client, connection) = streams(&scene, &origin, speak).await;
    scene.reports().await;
    let next = client.get(APP, "/").await;
    assert_eq!(next.status(), 200);
    let id = request_id(next.headers());
    let told = scene.gateway.event(Mark::start(), |event| event["request_id"] == id.as_str()).await;
    assert_eq!(told["connection_id"], connection.as_str(), "{told}");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_is_cut() {
    let origin = Origin::start().await;
    let scene = Scene::new(&origin).await;
    let open = async |who: &Issued| {
        let stream = connect(&scene.gateway, &scene.world.authority, who, APP).await.unwrap().into_stream();
        tokio_tungstenite::client_async(format!("wss://{APP}/ws"), stream).await.unwrap()
    };
    scene.reports().await;
    let (mut cut, response) = open(&scene.once).await;
    let (mut kept, _) = open(&scene.again).await;
    for socket in [&mut cut, &mut kept] {
        socket.send(Message::text("one")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"));
    }
    let end = timeout(PATIENCE, cut.next()).await.expect("the conversation is cut");
    let Some(Ok(Message::Close(Some(farewell)))) = end else { panic!("no farewell: {end:?}") };
    assert_eq!(farewell.reason.as_str(), "posture-failed");
    scene.assert_ended_once(&request_id(response.headers())).await;
    kept.send(Message::text("two")).await.unwrap();
    assert_eq!(kept.next().await.unwrap().unwrap(), Message::text("two"));
    // The gateway would wait for it when it is told to end.
    drop(kept);
    scene.gateway.stop().await;
}
