//! What operators read about a device: its posture and its last failures.

use std::time::Duration;

use postern::decision::{Denial, FailedService, Failure};
use postern::id::{IdentityId, ServiceId};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::world::{Served, VIEWER_TOKEN, World};

async fn read(world: &World, admin: &Served, path: &str) -> (StatusCode, Value) {
    let url = admin.url(&format!("/edge/management/v1/identities{path}"));
    let reply = world.http(admin, None).get(url).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

async fn report(http: &Client, api: &Served, body: Value) {
    let reply = http.post(api.url("/edge/client/v1/posture-response-bulk")).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
}

/// What the gateway does when `laptop` asks for `wiki` and is refused.
pub(crate) fn refuse(world: &World, request_id: &str) {
    let published = world.enforcer.published();
    let snapshot = published.snapshot();
    let wiki = snapshot.find_service(&ServiceId::from("wiki-id")).unwrap();
    let identity = IdentityId::from("laptop-id");
    let Denial { reason, policies, generation, .. } = world.enforcer.explain(snapshot, &identity, wiki).unwrap_err();
    world.enforcer.record(Failure {
        when: world.now(),
        request_id: request_id.into(),
        connection_id: "connection".into(),
        identity,
        service: Some(FailedService { id: ServiceId::from("wiki-id"), name: "wiki".into() }),
        reason,
        policies,
        lock: None,
        source_address: None,
        generation,
    });
}

#[tokio::test]
async fn posture_is_shown_as_it_was_reported() {
    let world = World::in_force();
    let (admin, api) = (world.admin().await, world.client().await);
    let (status, unknown) = read(&world, &admin, "/laptop-id/posture-data").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(unknown["data"]["os"]["type"], Value::Null);
    assert_eq!(unknown["data"]["processes"], json!([]));

    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let body = json!([
        {"id": "os-id", "typeId": "OS", "type": "windows", "version": "10.0.26200", "build": "1"},
        {"id": "domain-id", "typeId": "DOMAIN", "domain": "CORP.example"},
        {"id": "mac-id", "typeId": "MAC", "macAddresses": ["02-00-00-00-00-0A"]},
        {"id": "p-id", "typeId": "PROCESS", "path": "/usr/bin/av", "isRunning": true, "hash": "AB:CD"},
    ]);
    report(&http, &api, body).await;
    let (_, known) = read(&world, &admin, "/laptop-id/posture-data").await;
    let data = &known["data"];
    assert_eq!((&data["os"]["type"], &data["os"]["version"]), (&"windows".into(), &"10.0.26200".into()));
    assert_eq!(data["os"]["postureCheckId"], "os-id");
    assert_eq!(data["os"]["lastUpdatedAt"], world.now().to_string());
    assert_eq!(data["domain"]["domain"], "CORP.example");
    assert_eq!(data["mac"]["addresses"], json!(["02000000000a"]));
    assert_eq!(data["processes"][0]["binaryHash"], "abcd");
    let (_, other) = read(&world, &admin, "/phone-id/posture-data").await;
    assert_eq!(other["data"]["domain"]["domain"], Value::Null);

    let (_, identity) = read(&world, &admin, "/laptop-id").await;
    assert_eq!(identity["data"]["envInfo"]["os"], "windows");
}

#[tokio::test]
async fn failures_are_listed_oldest_first_with_what_was_seen_and_wanted() {
    let world = World::in_force();
    let (admin, api) = (world.admin().await, world.client().await);
    assert_eq!(read(&world, &admin, "/laptop-id/failed-service-requests").await.1, json!({"data": [], "meta": {}}));

    refuse(&world, "first");
    world.clock.advance(Duration::from_secs(1));
    let http = world.http(&api, Some(&world.ca.client("laptop")));
    report(&http, &api, json!([{"id": "domain-id", "typeId": "DOMAIN", "domain": "home.example"}])).await;
    refuse(&world, "second");

    let (status, failures) = read(&world, &admin, "/laptop-id/failed-service-requests").await;
    assert_eq!(status, StatusCode::OK);
    let [first, second] = failures["data"].as_array().unwrap().as_slice() else { panic!("{failures}") };
    assert_eq!((&first["requestId"], &second["requestId"]), (&"first".into(), &"second".into()));
    assert_eq!(second["when"], world.now().to_string());
    assert_eq!((&second["serviceId"], &second["serviceName"]), (&"wiki-id".into(), &"wiki".into()));
    assert_eq!((&second["sessionType"], &second["apiSessionId"]), (&"Dial".into(), &"connection".into()));
    let failed = &second["policyFailures"][0];
    assert_eq!((&failed["policyId"], &failed["policyName"]), (&"wiki-policy".into(), &"wiki-policy".into()));
    let check = &failed["checks"][0];
    assert_eq!((&check["postureCheckType"], &check["postureCheckId"]), (&"DOMAIN".into(), &"domain-id".into()));
    assert_eq!(check["postureCheckName"], "joined to the company domain");
    assert_eq!((&check["actualValue"], &check["expectedValue"]), (&"home.example".into(), &json!(["corp.example"])));
    assert_eq!(first["policyFailures"][0]["checks"][0]["actualValue"], "");
    assert_eq!(read(&world, &admin, "/phone-id/failed-service-requests").await.1["data"], json!([]));
}

#[tokio::test]
async fn failures_can_be_narrowed_sorted_and_paged() {
    let world = World::in_force();
    let admin = world.admin().await;
    for request_id in ["first", "second", "third"] {
        refuse(&world, request_id);
        world.clock.advance(Duration::from_secs(1));
    }
    for (query, expected, pagination) in [
        ("limit=2", vec!["first", "second"], json!({"limit": 2, "offset": 0, "totalCount": 3})),
        ("offset=2", vec!["third"], json!({"limit": -1, "offset": 2, "totalCount": 3})),
        ("sort=when%20desc&limit=1", vec!["third"], json!({"limit": 1, "offset": 0, "totalCount": 3})),
        (
            "filter=requestId%20!=%20%22second%22%20and%20serviceName=%22wiki%22",
            vec!["first", "third"],
            json!({"limit": -1, "offset": 0, "totalCount": 2}),
        ),
        (
            "filter=sourceAddress=null%20and%20reasonCode=%22posture-failed%22%20limit%201",
            vec!["first"],
            json!({"limit": 1, "offset": 0, "totalCount": 3}),
        ),
    ] {
        let (status, list) = read(&world, &admin, &format!("/laptop-id/failed-service-requests?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|failure| &failure["requestId"]).collect();
        assert_eq!(ids, expected, "{query}");
        assert_eq!(list["meta"]["pagination"], pagination, "{query}");
        assert!(list["meta"]["filterableFields"].as_array().unwrap().contains(&"when".into()));
    }
    let (_, everything) = read(&world, &admin, "/laptop-id/failed-service-requests").await;
    assert_eq!((everything["data"].as_array().unwrap().len(), &everything["meta"]), (3, &json!({})));
    for (query, code) in [
        ("filter=name=%22x%22", "INVALID_FILTER"),
        ("roleFilter=%23staff", "INVALID_FILTER"),
        ("sort=id", "INVALID_SORT_IDENTIFIER"),
        ("limit=x", "INVALID_PAGINATION"),
    ] {
        let (status, error) = read(&world, &admin, &format!("/laptop-id/failed-service-requests?{query}")).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::BAD_REQUEST, &code.into()), "{query}");
    }
}

#[tokio::test]
async fn an_identity_nobody_wrote_down_is_not_found() {
    let world = World::in_force();
    let admin = world.admin().await;
    for what in ["posture-data", "failed-service-requests"] {
        let (status, error) = read(&world, &admin, &format!("/nobody/{what}")).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &"NOT_FOUND".into()), "{what}");
    }
}
