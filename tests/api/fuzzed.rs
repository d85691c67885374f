//! Bodies that nobody meant: whatever comes, a report is taken whole or refused with 400 and nothing stored.

use postern::id::IdentityId;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

const PATHS: [(&str, &str); 3] = [
    ("POST", "/edge/client/v1/posture-response"),
    ("POST", "/edge/client/v1/posture-response-bulk"),
    ("PUT", "/api/v1/posture"),
];

/// Bodies tried on each path.
const CASES: usize = 300;

/// Any JSON, with the names that count among those of its members.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        select(vec!["id", "typeId", "type", "version", "domain", "macAddresses", "isRunning", "path", "hash"]),
        select(vec!["os", "name", "files", "exists", "volumes", "certificates", "woken", "signerFingerprints", "x"]),
        select(vec!["product", "screenLocked", "unknown", "fact", "reason", "firewall", "packetFilter", "sentAt"]),
        select(vec!["code", "serviceId", "sdkInfo", "envInfo", "configTypes"]),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec!["OS", "DOMAIN", "MAC", "PROCESS", "ENDPOINT_STATE", "PROCESS_MULTI", "MFA", ""])
            .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Something that would be taken.
fn good(path: &str) -> Value {
    let responses = json!([
        {"id": "a", "typeId": "OS", "type": "Linux", "version": "6.1.0", "build": "1"},
        {"id": "b", "typeId": "PROCESS", "path": "/p", "isRunning": true, "hash": "ab", "signerFingerprints": ["cd"]},
        {"id": "c", "typeId": "MAC", "macAddresses": ["02:00:00:00:00:01"]},
        {"id": "d", "typeId": "ENDPOINT_STATE", "woken": true},
    ]);
    match path {
        "/api/v1/posture" => json!({
            "os": {"name": "Linux", "version": "6.1.0"}, "domain": "x", "files": [{"path": "/a", "exists": true}],
            "processes": [{"path": "/p", "running": true, "sha256": "ab"}], "volumes": [{"name": "/", "encrypted": null}],
            "product": "x", "screenLocked": true, "firewall": {"packetFilter": true},
            "unknown": [{"fact": "processes", "path": "/q", "reason": "forbidden", "detail": "x"}],
        }),
        path if path.ends_with("-bulk") => responses,
        _ => responses[0].clone(),
    }
}

/// The same cases each time.
fn runner() -> TestRunner {
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// A good body with one of its values replaced, or with bytes that do not belong there, or something else altogether.
fn around(good: Value) -> impl Strategy<Value = Vec<u8>> + use<> {
    let places = pointers(&good);
    let replaced = (select(places), any_json(), Just(good.clone())).prop_map(|(place, value, mut good)| {
        if let Some(target) = good.pointer_mut(&place) {
            *target = value;
        }
        good.to_string().into_bytes()
    });
    let text = good.to_string().into_bytes();
    let broken = (0..text.len(), any::<u8>(), Just(text)).prop_map(|(place, byte, mut text)| {
        text[place] = byte;
        text
    });
    prop_oneof![
        4 => replaced,
        2 => broken,
        2 => any_json().prop_map(|value| value.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..200),
    ]
}

/// The places of all values in a document.
fn pointers(value: &Value) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below =
        inner.iter().flat_map(|(name, value)| pointers(value).into_iter().map(move |rest| format!("/{name}{rest}")));
    std::iter::once(String::new()).chain(below).collect()
}

/// What else takes a body, with something that it would take.
fn asked() -> [(&'static str, Value); 5] {
    let code = json!({"code": "123456"});
    [
        ("/edge/client/v1/authenticate?method=cert", json!({"sdkInfo": {"type": "x"}, "configTypes": []})),
        ("/edge/client/v1/authenticate/mfa", code.clone()),
        ("/edge/client/v1/current-identity/mfa/verify", code.clone()),
        ("/edge/client/v1/current-identity/mfa/recovery-codes", code),
        ("/edge/client/v1/sessions", json!({"serviceId": "wiki-id", "type": "Dial"})),
    ]
}

#[tokio::test]
async fn whatever_else_is_sent_is_answered_in_order_and_proves_nothing() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let device = || world.enforcer.device_of_known(&IdentityId::from("laptop-id")).unwrap();
    let mut runner = runner();
    for (path, good) in asked() {
        let bodies = around(good);
        for _ in 0..CASES / 3 {
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let request = http.post(api.url(path)).header("content-type", "application/json");
            let reply = request.body(body.clone()).send().await.unwrap();
            let (status, shown) = (reply.status(), String::from_utf8_lossy(&body).into_owned());
            assert!(status.is_success() || status.is_client_error(), "{path}: {status}: {shown}");
            let reply: Value = reply.json().await.unwrap();
            assert_eq!(reply.get("error").is_some(), status.is_client_error(), "{path}: {shown}: {reply}");
        }
    }
    let posture = device().known().posture();
    assert!(posture.mfa.passed_at.is_none() && posture.checked_in_at.is_none(), "{posture:?}");
    assert!(world.factors.find(&IdentityId::from("laptop-id")).is_none());
}

#[tokio::test]
async fn a_report_is_taken_whole_or_refused_and_nothing_stored() {
    let world = World::in_force();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let device = || world.enforcer.device_of_known(&IdentityId::from("laptop-id")).unwrap();
    let mut runner = runner();
    for (method, path) in PATHS {
        let bodies = around(good(path));
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..CASES {
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let before = device().known().revision;
            let request =
                http.request(method.parse().unwrap(), api.url(path)).header("content-type", "application/json");
            let reply = request.body(body.clone()).send().await.unwrap();
            let (status, shown) = (reply.status(), String::from_utf8_lossy(&body).into_owned());
            let after = device().known().revision;
            if status.is_success() {
                assert_eq!(after, before + 1, "{path}: {shown}");
                taken += 1;
            } else {
                assert_eq!((status, after), (StatusCode::BAD_REQUEST, before), "{path}: {shown}");
                let reply: Value = reply.json().await.unwrap();
                assert!(reply["error"]["cause"]["field"].is_string(), "{path}: {shown}: {reply}");
                refused += 1;
            }
        }
        assert!(taken > 2 && refused > CASES / 4, "{path}: {taken} taken, {refused} refused");
    }
}
