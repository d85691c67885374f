//! Who changed what through the API, read back by an operator.

use std::sync::Arc;

use postern::store::{Backend, MemoryBackend};
use reqwest::Client;
use serde_json::{Value, json};

use crate::faulty::FaultyBackend;
use crate::world::{ACCOUNT, ADMIN_TOKEN, Served, VIEWER_TOKEN, World, policy};

const SECRET: &str = "hush-nobody-reads-this";

struct Operator {
    world: World,
    api: Served,
    http: Client,
}

impl Operator {
    async fn over(backend: Arc<dyn Backend>) -> Operator {
        let world = World::over(backend);
        world.enforcer.restore().unwrap();
        world.enforcer.publish_files(policy()).unwrap();
        let api = world.admin().await;
        let http = world.http(&api, None);
        Operator { world, api, http }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> (String, Value) {
        let url = self.api.url(&format!("/client/v4/accounts/{ACCOUNT}/devices/posture{path}"));
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(ADMIN_TOKEN).json(body);
        let reply = request.send().await.unwrap();
        let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        (id, reply.json().await.unwrap())
    }

    async fn done(&self, method: &str, path: &str, body: &Value) -> (String, Value) {
        let (id, reply) = self.send(method, path, body).await;
        assert_eq!(reply["success"], true, "{reply}");
        (id, reply)
    }

    async fn trail(&self, query: &str) -> Value {
        let url = self.api.url(&format!("/api/v1/audit{query}"));
        let reply = self.http.get(url).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    }
}

#[tokio::test]
async fn every_change_is_told_with_its_author_newest_first() {
    let operator = Operator::over(Arc::new(MemoryBackend::new())).await;
    let rule = json!({"name": "disks", "type": "disk_encryption", "input": {"requireAll": true}});
    let (made_by, made) = operator.done("POST", "", &rule).await;
    let path = format!("/{}", made["result"]["id"].as_str().unwrap());
    let renamed = json!({"name": "all disks", "type": "disk_encryption", "input": {"requireAll": true}});
    operator.done("PUT", &path, &renamed).await;
    operator.done("DELETE", &path, &Value::Null).await;

    let trail = operator.trail("").await;
    assert_eq!(trail["meta"]["pagination"]["totalCount"], 3);
    let told: Vec<_> = trail["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(told, ["delete", "update", "create"]);
    let [deleted, updated, created] = [0, 1, 2].map(|at| &trail["data"][at]);
    assert_eq!(created["author"]["name"], "ops");
    assert_eq!(created["author"]["requestId"], made_by);
    assert!(created["author"]["sourceAddress"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!((&created["kind"], &created["id"]), (&json!("posture check"), &made["result"]["id"]));
    assert_eq!((&created["before"], &created["after"]["check"]["name"]), (&Value::Null, &json!("disks")));
    assert_eq!(
        (&updated["before"]["check"]["name"], &updated["after"]["check"]["name"]),
        (&json!("disks"), &json!("all disks"))
    );
    assert_eq!((&deleted["before"]["check"]["name"], &deleted["after"]), (&json!("all disks"), &Value::Null));

    let middle = operator.trail("?limit=1&offset=1").await;
    assert_eq!(middle["data"], json!([updated]));
}

#[tokio::test]
async fn the_trail_outlives_the_process_and_numbers_go_on() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let rule = json!({"name": "disks", "type": "disk_encryption", "input": {"requireAll": true}});
    // Not dropped before the other has read: a store closes what it stands on.
    let first = Operator::over(Arc::clone(&backend)).await;
    first.done("POST", "", &rule).await;
    let before = first.trail("").await;
    let operator = Operator::over(backend).await;
    assert_eq!(operator.trail("").await, before);
    let another = json!({"name": "more disks", "type": "disk_encryption", "input": {"requireAll": true}});
    operator.done("POST", "", &another).await;
    let after = operator.trail("").await;
    assert_eq!((&after["data"][0]["number"], &after["data"][1]["number"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn secrets_are_no_part_of_it_but_that_they_changed_is() {
    let operator = Operator::over(Arc::new(MemoryBackend::new())).await;
    let integration = |secret: &str| {
        json!({
            "name": "vendor", "type": "uptycs", "interval": "10m",
            "config": {"client_key": "key", "client_secret": secret, "customer_id": "customer", "api_url": "https://api.example/"}
        })
    };
    let (_, made) = operator.done("POST", "/integration", &integration(SECRET)).await;
    let path = format!("/integration/{}", made["result"]["id"].as_str().unwrap());
    operator.done("PATCH", &path, &integration("another")).await;
    let trail = operator.trail("").await;
    assert!(!trail.to_string().contains(SECRET), "{trail}");
    let updated = &trail["data"][0];
    let [before, after] = ["before", "after"].map(|side| &updated[side]["secrets"]["client_secret"]);
    assert!(before.as_str().unwrap().starts_with("sha256:"), "{updated}");
    assert_ne!(before, after);
    let sealed = operator.world.enforcer.published();
    let sealed =
        sealed.snapshot().objects().integrations.values().next().unwrap().secrets.values().next().unwrap().clone();
    assert!(!trail.to_string().contains(sealed.as_str()));
}

#[tokio::test]
async fn a_change_that_was_refused_is_not_told() {
    let backend = FaultyBackend::full_after(0);
    let operator = Operator::over(Arc::<FaultyBackend>::clone(&backend)).await;
    let rule = json!({"name": "disks", "type": "disk_encryption", "input": {"requireAll": true}});
    let (_, refused) = operator.send("POST", "", &rule).await;
    assert_eq!(refused["success"], false);
    assert_eq!(operator.trail("").await["data"], json!([]));
    backend.make_space();
    operator.done("POST", "", &rule).await;
    assert_eq!(operator.trail("").await["data"][0]["number"], 0);
}
