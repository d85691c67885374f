//! Which objects belong to which, as operators ask it.

use postern::policy::objects::{PolicyType, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::objects;
use crate::world::{Served, VIEWER_TOKEN, World, policy};

struct Reader {
    api: Served,
    http: Client,
    _world: World,
}

impl Reader {
    /// With a Bind policy of `#all` services for the phone beside the others.
    async fn new() -> Reader {
        let role = |text: &str| Role::try_from(text.to_owned()).unwrap();
        let mut written = objects::World { objects: policy() };
        let hosting = objects::policy("hosting", Semantic::AnyOf, vec![role("@phone-id")], vec![role("#all")], vec![]);
        written.add_policy(ServicePolicy { policy_type: PolicyType::Bind, ..hosting });
        let world = World::new();
        world.enforcer.publish_files(written.objects).unwrap();
        let api = world.admin().await;
        let http = world.http(&api, None);
        Reader { api, http, _world: world }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self.http.get(self.api.url(&format!("/edge/management/v1{path}"))).bearer_auth(VIEWER_TOKEN);
        let reply = request.send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        let (status, list) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {list}");
        let data = list["data"].as_array().unwrap();
        data.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn relations_follow_the_policies() {
    let reader = Reader::new().await;
    for (path, ids) in [
        ("/service-policies/wiki-policy/identities", &["laptop-id", "lost-id", "phone-id"][..]),
        ("/service-policies/hosting/identities", &["phone-id"]),
        ("/service-policies/wiki-policy/services", &["wiki-id"]),
        ("/service-policies/hosting/services", &["status-id", "wiki-id"]),
        ("/service-policies/wiki-policy/posture-checks", &["domain-id"]),
        ("/service-policies/status-policy/posture-checks", &[]),
        ("/identities/laptop-id/service-policies", &["status-policy", "wiki-policy"]),
        ("/identities/phone-id/service-policies", &["hosting", "status-policy", "wiki-policy"]),
        ("/identities/laptop-id/services", &["status-id", "wiki-id"]),
        ("/services/wiki-id/service-policies", &["hosting", "wiki-policy"]),
        ("/services/wiki-id/identities", &["laptop-id", "lost-id", "phone-id"]),
        ("/services/wiki-id/identities?filter=name%20=%20%22phone%22", &["phone-id"]),
    ] {
        assert_eq!(reader.ids(path).await, ids, "{path}");
    }
    for path in [
        "/service-policies/nothing/identities",
        "/identities/nothing/services",
        "/services/nothing/identities",
        "/identities/laptop-id/policy-advice/nothing",
    ] {
        assert_eq!(reader.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn advice_tells_what_policies_grant() {
    let reader = Reader::new().await;
    let (_, advice) = reader.get("/identities/laptop-id/policy-advice/wiki-id").await;
    let reference = |entity: &str, id: &str, name: &str| json!({"_links": {"self": {"href": format!("./{entity}/{id}")}}, "entity": entity, "id": id, "name": name});
    // `ziti edge policy-advisor` used to call every pair an error, because it was told of no router.
    let mut router = reference("edge-routers", "postern", "postern");
    router["isOnline"] = json!(true);
    let expected = json!({
        "identityId": "laptop-id", "identity": reference("identities", "laptop-id", "laptop"),
        "serviceId": "wiki-id", "service": reference("services", "wiki-id", "wiki"),
        "isDialAllowed": true, "isBindAllowed": false,
        "identityRouterCount": 1, "serviceRouterCount": 1, "commonRouters": [router],
    });
    assert_eq!(advice["data"], expected);
    let (_, advice) = reader.get("/identities/phone-id/policy-advice/wiki-id").await;
    assert_eq!((&advice["data"]["isDialAllowed"], &advice["data"]["isBindAllowed"]), (&json!(true), &json!(true)));
}
