//! Postern's own endpoints: the policy in force, reload, explain.

use postern::config::{Finding, Findings, Place};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Served, World, policy};

async fn get(world: &World, admin: &Served, path: &str) -> (StatusCode, Value) {
    let reply = world.http(admin, None).get(admin.url(path)).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

async fn reload(world: &World, admin: &Served) -> (StatusCode, Value) {
    let request = world.http(admin, None).post(admin.url("/api/v1/reload")).bearer_auth(ADMIN_TOKEN);
    let reply = request.send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

#[tokio::test]
async fn a_reload_is_made_on_demand_and_a_broken_one_changes_nothing() {
    let world = World::new();
    let admin = world.admin().await;
    let (_, nothing) = get(&world, &admin, "/api/v1/policy").await;
    assert_eq!((&nothing["data"]["loaded"], &nothing["data"]["loadedAt"]), (&false.into(), &Value::Null));

    let (status, loaded) = reload(&world, &admin).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&loaded["data"]["generation"], &loaded["data"]["identities"]), (&1.into(), &3.into()));
    assert_eq!(loaded["data"]["loadedAt"], world.now().to_string());
    assert_eq!(loaded["data"]["lastError"], Value::Null);

    let mut findings = Findings::new();
    let place = Place::File { path: "policy/services.yaml".into(), line: 7, column: 3 };
    findings.push(Finding::error(place, "services[1].host", "already leads to service `wiki`"));
    *world.next_load.lock().unwrap() = Err(findings);
    let (status, refused) = reload(&world, &admin).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["data"]["generation"], 1);
    let found = &refused["data"]["lastError"]["findings"][0];
    assert_eq!(
        (&found["file"], &found["line"], &found["column"]),
        (&"policy/services.yaml".into(), &7.into(), &3.into())
    );
    assert_eq!(found["message"], "already leads to service `wiki`");
    assert_eq!(get(&world, &admin, "/api/v1/policy").await.1, refused);
    assert_eq!(get(&world, &admin, "/edge/management/v1/services/wiki-id").await.0, StatusCode::OK);

    *world.next_load.lock().unwrap() = Ok(policy());
    let (status, repaired) = reload(&world, &admin).await;
    assert_eq!((status, &repaired["data"]["generation"]), (StatusCode::OK, &2.into()));
    assert_eq!(repaired["data"]["lastError"], Value::Null);
}

#[tokio::test]
async fn an_explanation_is_the_gateways_own_decision() {
    let world = World::in_force();
    let (admin, api) = (world.admin().await, world.client().await);
    let path = "/api/v1/explain?identity=laptop&service=wiki-id";
    let (status, refused) = get(&world, &admin, path).await;
    let data = &refused["data"];
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&data["allowed"], &data["reasonCode"]), (&false.into(), &"posture-failed".into()));
    assert_eq!(data["identity"], json!({"id": "laptop-id", "name": "laptop"}));
    assert_eq!(data["service"], json!({"id": "wiki-id", "name": "wiki"}));
    let check = &data["policyFailures"][0]["checks"][0];
    assert_eq!((&check["reasonCode"], &check["expectedValue"]), (&"not-reported".into(), &json!(["corp.example"])));

    let http = world.http(&api, Some(&world.ca.client("laptop")));
    let report = json!({"id": "domain-id", "typeId": "DOMAIN", "domain": "corp.example"});
    http.post(api.url("/edge/client/v1/posture-response")).json(&report).send().await.unwrap();
    let (_, allowed) = get(&world, &admin, path).await;
    assert_eq!((&allowed["data"]["allowed"], &allowed["data"]["reasonCode"]), (&true.into(), &"allowed".into()));
    assert_eq!(allowed["data"]["policy"]["id"], "wiki-policy");
    assert_eq!(allowed["data"]["policyFailures"], json!([]));

    let (_, disabled) = get(&world, &admin, "/api/v1/explain?identity=lost-id&service=status").await;
    assert_eq!(disabled["data"]["reasonCode"], "identity-disabled");
    assert!(world.enforcer.device(&"lost-id".into()).is_none(), "asking leaves nothing behind");
}

#[tokio::test]
async fn an_explanation_needs_two_names_it_knows() {
    let world = World::in_force();
    let admin = world.admin().await;
    for (query, status, field) in [
        ("?service=wiki", StatusCode::BAD_REQUEST, "identity"),
        ("?identity=laptop", StatusCode::BAD_REQUEST, "service"),
        ("?identity=laptop&identity=phone&service=wiki", StatusCode::BAD_REQUEST, "path"),
        ("?identity=nobody&service=wiki", StatusCode::NOT_FOUND, "identity"),
        ("?identity=laptop&service=nothing", StatusCode::NOT_FOUND, "service"),
    ] {
        let (answered, error) = get(&world, &admin, &format!("/api/v1/explain{query}")).await;
        assert_eq!((answered, &error["error"]["cause"]["field"]), (status, &field.into()), "{query}");
    }
}
