//! Lists and details in OpenZiti's envelope.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Served, VIEWER_TOKEN, World};

struct Reader<'a> {
    http: reqwest::Client,
    admin: &'a Served,
}

impl Reader<'_> {
    fn new<'a>(world: &World, admin: &'a Served) -> Reader<'a> {
        Reader { http: world.http(admin, None), admin }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let url = self.admin.url(&format!("/edge/management/v1{path}"));
        let reply = self.http.get(url).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_object_is_listed_and_shown() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for (collection, expected) in [
        ("identities", vec!["laptop-id", "lost-id", "phone-id"]),
        ("services", vec!["status-id", "wiki-id"]),
        ("service-policies", vec!["status-policy", "wiki-policy"]),
        ("posture-checks", vec!["domain-id"]),
    ] {
        let (status, list) = reader.get(&format!("/{collection}")).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        assert_eq!(ids(&list), expected);
        let pagination = json!({"limit": 10, "offset": 0, "totalCount": expected.len()});
        assert_eq!(list["meta"]["pagination"], pagination);
        assert!(list["meta"]["filterableFields"].as_array().unwrap().contains(&"name".into()), "{list}");

        for (id, listed) in expected.iter().zip(list["data"].as_array().unwrap()) {
            let (status, detail) = reader.get(&format!("/{collection}/{id}")).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(&detail["data"], listed);
            assert_eq!(detail["meta"], json!({}));
            assert_eq!(detail["data"]["_links"]["self"]["href"], format!("./{collection}/{id}"));
            assert_eq!(detail["data"]["createdAt"], "2023-11-14T22:13:20.000Z");
        }
        let (status, error) = reader.get(&format!("/{collection}/nobody")).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &"NOT_FOUND".into()));
    }
}

#[tokio::test]
async fn objects_are_shown_as_they_are_in_force() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    let (_, lost) = reader.get("/identities/lost-id").await;
    assert_eq!((&lost["data"]["name"], &lost["data"]["disabled"]), (&"lost".into(), &true.into()));
    assert_eq!(lost["data"]["subjects"], json!(["spiffe://postern.test/lost"]));

    let (_, policy) = reader.get("/service-policies/wiki-policy").await;
    assert_eq!(policy["data"]["type"], "Dial");
    assert_eq!(policy["data"]["serviceRoles"], json!(["@wiki-id"]));
    assert_eq!(policy["data"]["postureCheckRolesDisplay"][0]["name"], "@joined to the company domain");

    let (_, check) = reader.get("/posture-checks/domain-id").await;
    assert_eq!((&check["data"]["typeId"], &check["data"]["domains"]), (&"DOMAIN".into(), &json!(["corp.example"])));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    let (_, page) = reader.get("/identities?limit=1&offset=1").await;
    assert_eq!(ids(&page), ["lost-id"]);
    assert_eq!(page["meta"]["pagination"], json!({"limit": 1, "offset": 1, "totalCount": 3}));
    let (_, everything) = reader.get("/identities?limit=-1").await;
    assert_eq!(ids(&everything).len(), 3);
    let (_, beyond) = reader.get("/identities?offset=3").await;
    assert_eq!(ids(&beyond), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_done_with_a_list_is_refused_and_not_passed_over() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for collection in ["identities", "services", "service-policies", "posture-checks"] {
        for (query, code, field) in [
            ("limit=ten", "INVALID_PAGINATION", "limit"),
            ("offset=1.5", "INVALID_PAGINATION", "offset"),
            ("filter=name%3D%22laptop%22", "INVALID_FILTER", "filter"),
            ("roleFilter=%23staff", "INVALID_FILTER", "roleFilter"),
            ("sort=name", "INVALID_SORT_IDENTIFIER", "sort"),
        ] {
            let (status, error) = reader.get(&format!("/{collection}?{query}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(error["error"]["code"], code, "{query}");
            assert_eq!(error["error"]["cause"]["field"], field, "{query}");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_envelope() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for path in ["/nowhere", "/identities/laptop-id/nowhere", "/identities/"] {
        let (status, error) = reader.get(path).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &"NOT_FOUND".into()), "{path}");
    }
    let (status, error) = reader.get("/identities/%ff").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::BAD_REQUEST, &"COULD_NOT_VALIDATE".into()));
    for path in ["/edge/management/v1/services", "/edge/management/v1/version", "/api/v1/policy"] {
        let reply = reader.http.put(admin.url(path)).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(reply.headers()["allow"], "GET,HEAD", "{path}");
        assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "METHOD_NOT_ALLOWED");
    }
}
