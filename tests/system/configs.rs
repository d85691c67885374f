//! Services that say where they are by OpenZiti's configs, all of it made over the management API.

use serde_json::{Value, json};

use super::admin::Admin;
use super::client::Client;
use super::support::Origin;
use super::world::World;

const APP: &str = "app.example.test";

/// Makes an object and tells its id.
async fn make(admin: &Admin, collection: &str, body: Value) -> String {
    let reply = admin.request("POST", &format!("/edge/management/v1/{collection}")).json(&body).send().await.unwrap();
    let status = reply.status();
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(status, 201, "{reply}");
    reply["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_service_made_of_configs_is_proxied_at_once_and_after_a_kill() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let upstream = origin.upstream();
    let (address, port) = upstream.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let intercept = json!({"name": "app.intercept", "configTypeId": "g7cIWbcGg",
        "data": {"protocols": ["tcp"], "addresses": [APP], "portRanges": [{"low": 443, "high": 443}]}});
    let host = json!({"name": "app.host", "configTypeId": "NH5p4FpGR",
        "data": {"protocol": "tcp", "address": address, "port": port}});
    let configs = [make(&admin, "configs", intercept).await, make(&admin, "configs", host).await];
    let app = json!({"name": "app", "encryptionRequired": true, "configs": configs});
    make(&admin, "services", app).await;
    let alice = world.certificate("alice");
    let client = Client::http2(&gateway, &world.authority, &alice);
    assert_eq!(client.status(APP, "/").await, 403, "no policy leads to it yet");
    let dial = json!({"name": "app-dial", "type": "Dial", "semantic": "AnyOf", "identityRoles": ["#staff"], "serviceRoles": ["@app"]});
    make(&admin, "service-policies", dial).await;
    assert_eq!(client.status(APP, "/").await, 200);
    gateway.kill();

    let gateway = world.start().await;
    let client = Client::http2(&gateway, &world.authority, &alice);
    assert_eq!(client.status(APP, "/").await, 200);
    assert_eq!(origin.requests(), 2);
}
