//! What a device learns about itself: what is wanted of it, and how it stands with its own services.

use std::sync::Arc;

use postern::dialect::cloudflare::create_rule;
use postern::dialect::openziti::create_posture_check;
use postern::policy::objects::{Objects, PostureCheck};
use postern::policy::roles::Role;
use postern::policy::service::Disclosure;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::world::{Served, World, policy};

async fn get(http: &Client, api: &Served, path: &str) -> (StatusCode, Value) {
    let reply = http.get(api.url(path)).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

fn add(objects: &mut Objects, check: PostureCheck) {
    let id = check.check.id.clone();
    objects.checks.insert(id.clone(), Arc::new(check));
    let mut wiki = (*objects.policies["wiki-policy"]).clone();
    wiki.posture_check_roles.push(Role::try_from(format!("@{id}")).unwrap());
    objects.policies.insert("wiki-policy".into(), Arc::new(wiki));
}

fn rule(id: &str, body: &Value) -> PostureCheck {
    create_rule(body.to_string().as_bytes(), id.into(), postern::clock::Timestamp::default()).unwrap().object
}

fn check(id: &str, body: &Value) -> PostureCheck {
    create_posture_check(body.to_string().as_bytes(), id.into(), postern::clock::Timestamp::default()).unwrap()
}

#[tokio::test]
async fn what_is_wanted_says_where_to_look_and_never_what_would_pass() {
    let world = World::new();
    let mut objects = policy();
    let (digest, signer) = ("ab".repeat(64), "cd".repeat(20));
    for (id, body) in [
        (
            "agent",
            json!({"typeId": "PROCESS", "name": "agent", "maxAge": "90s", "process": {
            "osType": "Linux", "path": "/opt/agent", "hashes": [digest], "signerFingerprint": signer}}),
        ),
        (
            "tools",
            json!({"typeId": "PROCESS_MULTI", "name": "tools", "semantic": "AnyOf", "processes": [
            {"osType": "Linux", "path": "/opt/tool", "hashes": [digest]}]}),
        ),
        ("mac", json!({"typeId": "MAC", "name": "mac", "macAddresses": ["02:00:00:00:00:aa"]})),
        (
            "os",
            json!({"typeId": "OS", "name": "os", "operatingSystems": [{"type": "Linux", "versions": [">=77.7.7"]}]}),
        ),
    ] {
        add(&mut objects, check(id, &body));
    }
    for (id, body) in [
        (
            "file",
            json!({"name": "file", "type": "file", "input": {
            "operating_system": "linux", "path": "${HOME}/.ok", "exists": true, "sha256": "ef".repeat(32)}}),
        ),
        ("disk", json!({"name": "disk", "type": "disk_encryption", "input": {"requireAll": true}})),
        ("windows-only", json!({"name": "w", "type": "antivirus", "input": {}})),
        (
            "held",
            json!({"name": "held", "type": "client_certificate_v2", "input": {
            "certificate_id": "ca", "check_private_key": true, "operating_system": "linux", "cn": "${hostname}.secret-name",
            "locations": {"paths": ["/etc/device.pem"]}}}),
        ),
    ] {
        add(&mut objects, rule(id, &body));
    }
    world.enforcer.publish_files(objects).unwrap();
    let api = world.client().await;

    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let report = json!({"os": {"name": "Linux", "version": "6.1.0"}});
    assert_eq!(http.put(api.url("/api/v1/posture")).json(&report).send().await.unwrap().status(), StatusCode::OK);
    let (status, wanted) = get(&http, &api, "/api/v1/posture/wanted").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "facts": ["os", "hostname", "domain", "macAddresses", "processes", "files", "volumes", "serialNumber", "environment",
            "certificates"],
        "processes": [{"path": "/opt/agent", "checkId": "agent"}, {"path": "/opt/tool"}],
        "files": ["${HOME}/.ok"],
        "environment": ["HOME"],
        "certificatePaths": ["/etc/device.pem"],
        "certificateStores": [],
        "signed": false,
        "maxAgeMillis": 90_000,
    });
    assert_eq!(wanted["data"], expected);
    let text = wanted.to_string();
    for secret in [&digest, &signer, &"ef".repeat(32), "77.7.7", "0200000000aa", "corp.example", "secret-name"] {
        assert!(!text.contains(secret), "{secret} is told: {text}");
    }

    // A device whose system is not known yet is asked everything it might be.
    let phone = world.http(&api, Some(&world.ca.client("phone")));
    let (_, wanted) = get(&phone, &api, "/api/v1/posture/wanted").await;
    assert!(wanted["data"]["facts"].as_array().unwrap().contains(&json!("antivirus")), "{wanted}");
}

#[tokio::test]
async fn a_native_report_answers_process_checks_under_their_ids_and_with_any_digest() {
    let world = World::new();
    let mut objects = policy();
    let digest = "ab".repeat(64);
    let process = json!({"osType": "Linux", "path": "/opt/agent", "hashes": [digest]});
    add(&mut objects, check("agent", &json!({"typeId": "PROCESS", "name": "agent", "process": process})));
    add(
        &mut objects,
        check("any", &json!({"typeId": "PROCESS_MULTI", "name": "any", "semantic": "AllOf", "processes": [process]})),
    );
    world.enforcer.publish_files(objects).unwrap();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let report = async |processes: Value| {
        let report = json!({"domain": "corp.example", "processes": processes});
        let reply = http.put(api.url("/api/v1/posture")).json(&report).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        let (_, own) = get(&http, &api, "/api/v1/services").await;
        own["data"]["services"].as_array().unwrap().iter().find(|service| service["name"] == "wiki").unwrap().clone()
    };
    let process = |check: Option<&str>, sha512: &str| json!({"path": "/opt/agent", "running": true, "sha256": "cd".repeat(32), "sha512": sha512, "checkId": check});
    let unasked = report(json!([process(None, &digest)])).await;
    assert_eq!((unasked["checks"].as_array().unwrap().len(), &unasked["checks"][0]["name"]), (1, &json!("agent")));
    assert_eq!(report(json!([process(Some("agent"), &digest)])).await["open"], true);
    let other = report(json!([process(Some("agent"), &"ee".repeat(64))])).await;
    assert_eq!(other["checks"][0]["reason"], "process-hash-mismatch", "{other}");
}

#[tokio::test]
async fn a_device_sees_its_own_services_as_far_as_they_disclose_themselves() {
    let world = World::new();
    let mut objects = policy();
    let change = |objects: &mut Objects, id: &str, disclosure, concealed| {
        let mut service = (*objects.services[id]).clone();
        (service.disclosure, service.concealed) = (disclosure, concealed);
        objects.services.insert(id.into(), Arc::new(service));
    };
    world.enforcer.publish_files(objects.clone()).unwrap();
    let api = world.client().await;
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let own = async || get(&http, &api, "/api/v1/services").await.1["data"]["services"].clone();

    let told = own().await;
    assert_eq!(
        (&told[0]["name"], &told[0]["open"], &told[0]["reason"]),
        (&json!("status"), &json!(true), &json!("allowed"))
    );
    let wiki = &told[1];
    assert_eq!((&wiki["open"], &wiki["reason"]), (&json!(false), &json!("posture-failed")));
    assert_eq!(wiki["hosts"], json!(["wiki.postern.test"]));
    let shut = &wiki["checks"][0];
    assert_eq!((&shut["reason"], &shut["expected"]), (&json!("not-reported"), &Value::Null));

    change(&mut objects, "wiki-id", Disclosure::Values, false);
    world.enforcer.publish_files(objects.clone()).unwrap();
    assert!(own().await[1]["checks"][0]["expected"].is_array() || own().await[1]["checks"][0]["expected"].is_object());
    change(&mut objects, "wiki-id", Disclosure::Reason, false);
    world.enforcer.publish_files(objects.clone()).unwrap();
    assert_eq!(own().await[1]["checks"], Value::Null);
    // A concealed service that is shut reads like one that does not exist.
    change(&mut objects, "wiki-id", Disclosure::Values, true);
    world.enforcer.publish_files(objects.clone()).unwrap();
    assert_eq!(own().await.as_array().unwrap().len(), 1);

    // Services of others are nobody's business.
    objects.policies.clear();
    world.enforcer.publish_files(objects).unwrap();
    let (status, nothing) = get(&http, &api, "/api/v1/services").await;
    assert_eq!((status, &nothing["data"]["services"]), (StatusCode::OK, &json!([])));
    for name in ["stranger", "lost"] {
        let http = world.http(&api, Some(&world.ca.client(name)));
        for path in ["/api/v1/services", "/api/v1/posture/wanted", "/api/v1/posture/nonce"] {
            assert_eq!(get(&http, &api, path).await.0, StatusCode::UNAUTHORIZED, "{name} {path}");
        }
    }
}
