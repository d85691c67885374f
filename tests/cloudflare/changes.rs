//! What the API refuses to change, what it does once however often it is asked, and what bad input leaves behind: nothing.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::operator::{CERTIFICATES, INTEGRATIONS, LISTS, Operator, RULES, reply};
use super::process::Mark;
use super::reporter::{Reporter, os};
use super::scene::{APP, ASKS, policy, world};
use super::support::{Authority, Origin};
use super::world::World;

#[tokio::test]
async fn objects_from_files_are_shown_with_their_place_and_changed_only_there() {
    let origin = Origin::start().await;
    let files = "posture_rules:
  - { name: present, type: warp, role_attributes: [under-test] }
device_lists:
  - { name: laptops, type: SERIAL, items: [C02XYZ] }
signing_certificates:
  - { name: devices, file: devices.pem }
";
    let text = policy(&origin, ASKS) + files;
    let world = World::new(&text);
    let signer = Authority::new("Signer of devices");
    world.write("policy/devices.pem", &std::fs::read_to_string(signer.ca_file()).unwrap());
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let generation = operator.admin.metric("postern_snapshot_generation").await;
    let line = |name: &str| text.lines().position(|line| line.contains(&format!("name: {name},"))).unwrap() + 1;

    let rules = operator.get(RULES).await;
    let named = |name: &str| rules.as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
    let (present, implicit) = (named("present"), named("laptops"));
    let certificates = operator.get(CERTIFICATES).await;
    let lists = operator.get(LISTS).await;
    for (object, name) in
        [(present, "present"), (implicit, "laptops"), (&lists[0], "laptops"), (&certificates[0], "devices")]
    {
        let source = object["source"].as_str().unwrap_or_else(|| panic!("{object}"));
        assert!(source.starts_with("file:") && source.ends_with(&format!("objects.yaml:{}", line(name))), "{source}");
    }
    let [rule, listed, certificate] =
        [present, &lists[0], &certificates[0]].map(|object| object["id"].as_str().unwrap());
    let [rule, of_list, list, certificate] =
        [(RULES, rule), (RULES, listed), (LISTS, listed), (CERTIFICATES, certificate)]
            .map(|(collection, id)| format!("{collection}/{id}"));
    let warp = json!({"name": "changed", "type": "warp"});
    for (method, path, body, name) in [
        ("PUT", &rule, warp.clone(), "present"),
        ("DELETE", &rule, json!({}), "present"),
        ("PUT", &of_list, warp, "laptops"),
        ("DELETE", &of_list, json!({}), "laptops"),
        ("PUT", &list, json!({"name": "changed", "items": []}), "laptops"),
        ("PATCH", &list, json!({"append": [{"value": "C02ABC"}]}), "laptops"),
        ("DELETE", &list, json!({}), "laptops"),
        ("DELETE", &certificate, json!({}), "devices"),
    ] {
        for path in [path.clone(), format!("{path}?force=true")] {
            let reply = operator.send(method, &path, &body).await;
            let message = reply.refused(StatusCode::BAD_REQUEST, 2019)["message"].as_str().unwrap();
            let place = message.contains("objects.yaml") && message.contains(&format!("line {}", line(name)));
            assert!(place, "{method} {path}: {message}");
        }
    }
    assert_eq!(operator.get(RULES).await, rules);
    assert_eq!(operator.get(LISTS).await, lists);
    assert_eq!(operator.get(CERTIFICATES).await, certificates);
    assert_eq!(operator.admin.metric("postern_snapshot_generation").await, generation);
    gateway.stop().await;
}

#[tokio::test]
async fn a_creation_that_is_repeated_makes_one_object() {
    let origin = Origin::start().await;
    let world = world(&origin).configured("cloudflare: { test_integrations: false }\n");
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let signer = std::fs::read_to_string(Authority::new("Signer of devices").ca_file()).unwrap();
    let config = json!({"client_id": "id", "client_secret": "a-secret-of-kolide"});
    for (collection, body) in [
        (RULES, json!({"name": "present", "type": "warp", "schedule": "5m", "match": [{"platform": "linux"}]})),
        (LISTS, json!({"name": "phones", "type": "DEVICE", "items": [{"value": "a"}]})),
        (CERTIFICATES, json!({"name": "devices", "ca": true, "certificates": signer})),
        (INTEGRATIONS, json!({"name": "kolide", "type": "kolide", "interval": "10m", "config": config})),
    ] {
        // At once, and then once more.
        let made = join_all((0..8).map(|_| operator.make(collection, &body))).await;
        let again = operator.make(collection, &body).await;
        assert!(made.iter().all(|id| *id == again), "{collection}: {made:?}");
        assert_eq!(operator.get(collection).await.as_array().unwrap().len(), 1, "{collection}");
        // Something else is another object.
        let mut other = body.clone();
        other["name"] = "another".into();
        assert_ne!(operator.make(collection, &other).await, again);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_rule_that_a_policy_asks_for_is_deleted_by_force_only() {
    let origin = Origin::start().await;
    let world = world(&origin);
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let id = operator.make(RULES, &json!({"name": "present", "type": "warp", "role_attributes": ["under-test"]})).await;
    let path = format!("{RULES}/{id}");
    let good = world.certificate("good");
    Reporter::new(&gateway, &world.authority, &good).report(&json!({"os": os("Linux", "6.1.0")})).await;
    let client = Client::http2(&gateway, &world.authority, &good);
    let by_name = policy(&origin, "    posture_check_roles: [\"@present\"]\n");
    let by_id = policy(&origin, &format!("    posture_check_roles: [\"@{id}\"]\n"));
    let in_expression = policy(&origin, &format!("    require: {{ any: [\"{id}\"] }}\n"));
    for text in [policy(&origin, ASKS), by_name, in_expression, by_id] {
        world.write("policy/objects.yaml", &text);
        operator.reload().await;
        let reply = operator.ask("DELETE", &path).await;
        let message = reply.refused(StatusCode::CONFLICT, 2021)["message"].as_str().unwrap();
        assert!(message.contains("`devices-reach-app`"), "{message}");
        assert_eq!(reply.headers["x-should-retry"], "false");
        assert_eq!(operator.get(&path).await["id"], id.as_str());
        assert_eq!(client.status(APP, "/").await, 200);
    }
    let deletion = format!("{path}?force=true");
    for _ in 0..2 {
        assert_eq!(operator.ask("DELETE", &deletion).await.result(), json!({"id": id}), "deleted, or gone already");
    }
    operator.ask("GET", &path).await.refused(StatusCode::NOT_FOUND, 6024);
    let mark = gateway.mark();
    assert_eq!(client.status(APP, "/").await, 403);
    let told = gateway.event(mark, |event| event["message"] == "request" && event["decision"] == "deny").await;
    assert!(told["checks"].to_string().contains("dangling-check"), "{told}");
    let (failure, _) = operator.newest_refusal("good").await;
    assert_eq!(failure["policyFailures"][0]["missingChecks"], json!([id]), "{failure}");
    let dangling = operator.admin.policy().await["warnings"].to_string();
    assert!(dangling.contains(&id), "what looks wrong now is told now: {dangling}");
    gateway.stop().await;
}

/// Bodies that are refused, with the member that is wrong.
fn wrong_rules(list_of_clients: &str) -> Vec<(&'static str, Value)> {
    let rule = |kind: &str, input: Value| json!({"name": "wrong", "type": kind, "input": input});
    let version = |operator: &str| json!({"operating_system": "linux", "operator": operator, "version": "6.1.0"});
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let signed = |cn: &str| json!({"certificate_id": nowhere, "cn": cn});
    vec![
        ("/name", json!({"type": "warp"})),
        ("/type", json!({"name": "wrong"})),
        ("/type", rule("uptycs", json!({}))),
        ("/input", json!({"name": "wrong", "type": "os_version"})),
        ("/input/operator", rule("os_version", version("!="))),
        ("/input/version", rule("os_version", json!({"operating_system": "linux", "operator": "<", "version": "6.1"}))),
        ("/input/update_window_days", rule("antivirus", json!({"update_window_days": -1}))),
        ("/schedule", json!({"name": "wrong", "type": "warp", "schedule": "soon"})),
        ("/schedule", json!({"name": "wrong", "type": "warp", "schedule": "59s"})),
        ("/expiration", json!({"name": "wrong", "type": "warp", "expiration": "0s"})),
        ("/match/0/platform", json!({"name": "wrong", "type": "warp", "match": [{"platform": "beos"}]})),
        ("/input/cn", rule("client_certificate", signed("${email}.example"))),
        ("/input/certificate_id", rule("client_certificate", signed("a.example"))),
        ("/input/id", rule("serial_number", json!({"id": nowhere}))),
        ("/input/id", rule("serial_number", json!({"id": list_of_clients}))),
        ("/input/connection_id", rule("intune", json!({"compliance_status": "compliant"}))),
        ("/input/score", rule("custom_s2s", json!({"connection_id": nowhere, "operator": ">", "score": 101}))),
        (
            "/input/sha256",
            rule("file", json!({"operating_system": "linux", "path": "/a", "exists": false, "sha256": "a"})),
        ),
    ]
}

#[tokio::test]
async fn bad_input_is_refused_and_leaves_nothing_behind() {
    let origin = Origin::start().await;
    let own = "699d98642c564d2e855e9661899b7252";
    let world = world(&origin).configured(&format!("cloudflare: {{ account_id: \"{own}\" }}\n"));
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    let clients = operator.make(LISTS, &json!({"name": "phones", "type": "DEVICE", "items": [{"value": "a"}]})).await;
    let known = operator.make(RULES, &json!({"name": "known", "type": "warp"})).await;
    let known = format!("{RULES}/{known}");
    let (rules, lists) = (operator.get(RULES).await, operator.get(LISTS).await);
    let generation = operator.admin.metric("postern_snapshot_generation").await;
    for (pointer, body) in wrong_rules(&clients) {
        for (method, path) in [("POST", RULES), ("PUT", &known)] {
            let reply = operator.send(method, path, &body).await;
            let error = reply.refused(StatusCode::BAD_REQUEST, 2017);
            assert_eq!(error["source"]["pointer"], pointer, "{body}: {error}");
            assert!(!error["message"].as_str().unwrap().is_empty());
        }
    }
    let integration = |interval: &str| json!({"name": "i", "type": "kolide", "interval": interval, "config": {}});
    for (collection, pointer, body) in [
        (LISTS, "/type", json!({"name": "wrong", "type": "EMAIL"})),
        (LISTS, "/items/0/value", json!({"name": "wrong", "type": "SERIAL", "items": [{"value": 1}]})),
        (INTEGRATIONS, "/interval", integration("59s")),
        (INTEGRATIONS, "/config/client_id", integration("10m")),
        (CERTIFICATES, "/certificates", json!({"ca": true, "certificates": "-----BEGIN"})),
    ] {
        let reply = operator.send("POST", collection, &body).await;
        let error = reply.refused(StatusCode::BAD_REQUEST, 2017);
        assert_eq!(error["source"]["pointer"], pointer, "{body}: {error}");
    }
    let large = json!({"name": "x".repeat(2 * 1024 * 1024), "type": "warp"});
    operator.send("POST", RULES, &large).await.refused(StatusCode::PAYLOAD_TOO_LARGE, 2022);
    let other = "/client/v4/accounts/00000000000000000000000000000001/devices/posture";
    let elsewhere = operator.admin.request("POST", other).json(&json!({"name": "elsewhere", "type": "warp"}));
    reply(elsewhere).await.refused(StatusCode::FORBIDDEN, 9109);

    assert_eq!((operator.get(RULES).await, operator.get(LISTS).await), (rules, lists));
    assert_eq!(operator.get(INTEGRATIONS).await, json!([]));
    assert_eq!(operator.get(CERTIFICATES).await, json!([]));
    assert_eq!(operator.admin.metric("postern_snapshot_generation").await, generation);
    // Nor is there anything after a restart.
    gateway.kill();
    let gateway = world.start().await;
    let operator = Operator::new(&gateway, &world.authority);
    assert_eq!(operator.get(RULES).await.as_array().unwrap().len(), 1);
    let told = gateway.events(Mark::start());
    assert!(told.iter().all(|event| event["level"] != "ERROR"), "{told:?}");
    gateway.stop().await;
}
