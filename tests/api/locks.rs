//! Operators lock identities out over the admin API.

use std::time::Duration;

use postern::id::IdentityId;
use postern::posture::Posture;
use reqwest::Client;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Served, VIEWER_TOKEN, World};

struct Desk {
    world: World,
    api: Served,
    http: Client,
}

impl Desk {
    async fn new() -> Desk {
        let world = World::in_force();
        let api = world.admin().await;
        let http = world.http(&api, None);
        Desk { world, api, http }
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), self.api.url(&format!("/api/v1{path}")));
        let request = request.bearer_auth(token);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, mut reply) = self.send(ADMIN_TOKEN, method, path, body).await;
        assert_eq!(status, 200, "{reply}");
        reply["data"].take()
    }

    fn is_locked(&self, id: &str) -> bool {
        let device = self.world.enforcer.device(&IdentityId::from(id));
        device.is_some_and(|device| device.locked(self.world.now()).is_some())
    }
}

#[tokio::test]
async fn an_identity_is_locked_by_id_or_name_and_shown_with_its_end() {
    let desk = Desk::new().await;
    let end = desk.world.now().after(Duration::from_secs(12 * 3600)).to_string();
    let body = json!({"reason": "reported stolen", "for": "12h"});
    let lock = desk.done("PUT", "/identities/laptop/lock", Some(body)).await;
    assert_eq!(lock["identity"], json!({"id": "laptop-id", "name": "laptop"}));
    assert_eq!((&lock["until"], &lock["lockedBy"]), (&end.into(), &"ops".into()));
    assert_eq!(lock["reason"], "reported stolen");
    assert!(desk.is_locked("laptop-id"));
    assert_eq!(desk.done("GET", "/identities/laptop-id/lock", None).await, lock);
    assert_eq!(desk.done("GET", "/locks", None).await, json!([lock]));

    desk.done("DELETE", "/identities/laptop-id/lock", None).await;
    assert!(!desk.is_locked("laptop-id"));
    assert_eq!(desk.done("GET", "/locks", None).await, json!([]));
    for method in ["GET", "DELETE"] {
        assert_eq!(desk.send(ADMIN_TOKEN, method, "/identities/laptop-id/lock", None).await.0, 404, "{method}");
    }

    let trail = desk.done("GET", "/audit", None).await;
    let told: Vec<_> = trail.as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["kind"])).collect();
    assert_eq!(told, [(&"delete".into(), &"identity lock".into()), (&"create".into(), &"identity lock".into())]);
}

#[tokio::test]
async fn only_admins_lock_and_everybody_may_look() {
    let desk = Desk::new().await;
    let body = || Some(json!({"reason": "x"}));
    assert_eq!(desk.send(VIEWER_TOKEN, "PUT", "/identities/laptop/lock", body()).await.0, 401);
    desk.done("PUT", "/identities/laptop/lock", body()).await;
    assert_eq!(desk.send(VIEWER_TOKEN, "DELETE", "/identities/laptop/lock", None).await.0, 401);
    let (status, locks) = desk.send(VIEWER_TOKEN, "GET", "/locks", None).await;
    assert_eq!((status, &locks["data"][0]["until"]), (200, &Value::Null));
    assert!(desk.is_locked("laptop-id"));
}

#[tokio::test]
async fn what_is_wrong_with_a_lock_is_named() {
    let desk = Desk::new().await;
    for (body, field) in [
        (json!({"reason": ""}), "reason"),
        (json!({"reason": "x".repeat(1025)}), "reason"),
        (json!({"reason": "x", "for": "soon"}), "for"),
        (json!({"reason": "x", "for": "0s"}), "until"),
        (json!({"reason": "x", "for": "2years"}), "until"),
        (json!({"reason": "x", "until": "2001-01-01T00:00:00Z"}), "until"),
        (json!({"reason": "x", "for": "1h", "until": "2100-01-01T00:00:00Z"}), "until"),
        (json!({"for": "1h"}), "body"),
        (json!({"reason": "x", "fro": "1h"}), "body"),
    ] {
        let (status, reply) = desk.send(ADMIN_TOKEN, "PUT", "/identities/laptop/lock", Some(body.clone())).await;
        assert_eq!((status, &reply["error"]["cause"]["field"]), (400, &field.into()), "{body}: {reply}");
    }
    let body = Some(json!({"reason": "x"}));
    assert_eq!(desk.send(ADMIN_TOKEN, "PUT", "/identities/nobody/lock", body).await.0, 404);
    assert_eq!(desk.done("GET", "/locks", None).await, json!([]));
}

#[tokio::test]
async fn the_lock_explains_why_and_keeps_the_device_from_reporting() {
    let desk = Desk::new().await;
    let laptop = desk.world.ca.client("laptop");
    let client = desk.world.client().await;
    let device = desk.world.http(&client, Some(&laptop));
    let report = || device.put(client.url("/api/v1/posture")).json(&json!({"domain": "corp.example"})).send();
    desk.done("PUT", "/identities/laptop/lock", Some(json!({"reason": "reported stolen"}))).await;

    let explained = desk.done("GET", "/explain?identity=laptop&service=wiki", None).await;
    assert_eq!((&explained["reasonCode"], &explained["allowed"]), (&"identity-locked".into(), &false.into()));
    assert_eq!(explained["lock"]["reason"], "reported stolen");

    let refused = report().await.unwrap();
    assert_eq!(refused.status(), 401);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["error"]["cause"]["value"], "identity-locked");
    let known = desk.world.enforcer.device(&IdentityId::from("laptop-id")).unwrap();
    assert_eq!(known.known().posture(), Posture::default(), "nothing was taken in");

    desk.done("DELETE", "/identities/laptop/lock", None).await;
    assert_eq!(report().await.unwrap().status(), 200);
}
