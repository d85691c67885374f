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

    async fn ask(&self, collection: &str, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = reqwest::Url::parse_with_params("http://any", parameters).unwrap();
        self.get(&format!("/{collection}?{}", url.query().unwrap())).await
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
async fn lists_are_filtered_and_sorted() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for (collection, parameters, expected, total) in [
        ("identities", vec![("filter", r#"name contains "o""#)], vec!["laptop-id", "lost-id", "phone-id"], 3),
        ("identities", vec![("filter", "not disabled"), ("sort", "name desc")], vec!["phone-id", "laptop-id"], 2),
        ("identities", vec![("filter", "not disabled"), ("limit", "1"), ("offset", "1")], vec!["phone-id"], 2),
        ("identities", vec![("filter", "true sort by id desc limit 1"), ("limit", "3")], vec!["phone-id"], 3),
        ("identities", vec![("filter", r#"anyOf(roleAttributes) = "guests""#)], vec![], 0),
        ("identities", vec![("roleFilter", "#staff"), ("roleFilter", "#night")], vec![], 0),
        (
            "identities",
            vec![("roleFilter", "#staff"), ("roleFilter", "#night"), ("roleSemantic", "AnyOf"), ("limit", "2")],
            vec!["laptop-id", "lost-id"],
            3,
        ),
        ("services", vec![("filter", r#"name = "wiki""#)], vec!["wiki-id"], 1),
        ("services", vec![("roleFilter", "@wiki-id")], vec!["wiki-id"], 1),
        ("services", vec![("sort", "name desc")], vec!["wiki-id", "status-id"], 2),
        ("service-policies", vec![("filter", "isEmpty(postureCheckRoles)")], vec!["status-policy"], 1),
        ("service-policies", vec![("filter", r#"anyOf(serviceRoles) = "@wiki-id""#)], vec!["wiki-policy"], 1),
        ("posture-checks", vec![("filter", r#"typeId in ["DOMAIN", "MAC"]"#)], vec!["domain-id"], 1),
        ("posture-checks", vec![("filter", r#"typeId = "MAC""#)], vec![], 0),
    ] {
        let (status, list) = reader.ask(collection, &parameters).await;
        assert_eq!(status, StatusCode::OK, "{parameters:?}: {list}");
        assert_eq!(ids(&list), expected, "{collection} {parameters:?}");
        assert_eq!(list["meta"]["pagination"]["totalCount"], total, "{collection} {parameters:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_done_with_a_list_is_refused_and_not_passed_over() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for collection in ["identities", "services", "service-policies", "posture-checks"] {
        for (name, value, code, shown) in [
            ("limit", "ten", "INVALID_PAGINATION", "ten"),
            ("offset", "1.5", "INVALID_PAGINATION", "1.5"),
            ("filter", r#"name == "x""#, "INVALID_FILTER", "="),
            ("filter", "colour = null", "INVALID_FILTER", "colour"),
            ("filter", "createdAt = 1", "INVALID_FILTER", "createdAt"),
            ("filter", "isEmpty(from services where true)", "INVALID_FILTER", "from"),
            ("sort", "colour", "INVALID_SORT_IDENTIFIER", "colour"),
            ("sort", "tags.env", "INVALID_SORT_IDENTIFIER", "tags.env"),
            ("roleSemantic", "OneOf", "COULD_NOT_VALIDATE", "OneOf"),
        ] {
            let (status, error) = reader.ask(collection, &[(name, value)]).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name}={value}");
            let error = &error["error"];
            assert_eq!(error["code"], code, "{name}={value}");
            assert_eq!((&error["cause"]["field"], &error["cause"]["value"]), (&name.into(), &shown.into()), "{value}");
        }
        let (_, error) = reader.ask(collection, &[("filter", "name = ")]).await;
        let reason = error["error"]["cause"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("is wrong at character 8: "), "{reason}");
    }
    for (collection, code) in [("identities", "COULD_NOT_VALIDATE"), ("service-policies", "INVALID_FILTER")] {
        let (status, error) = reader.ask(collection, &[("roleFilter", "staff")]).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::BAD_REQUEST, &code.into()), "{collection}");
        assert_eq!(error["error"]["cause"]["field"], "roleFilter");
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
    for path in ["/edge/management/v1/posture-check-types", "/edge/management/v1/version", "/api/v1/policy"] {
        let reply = reader.http.put(admin.url(path)).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(reply.headers()["allow"], "GET,HEAD", "{path}");
        assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn attributes_in_use_and_types_of_checks_are_listed() {
    let world = World::in_force();
    let admin = world.admin().await;
    let reader = Reader::new(&world, &admin);
    for (path, attributes) in [
        ("/identity-role-attributes", json!(["staff"])),
        ("/service-role-attributes", json!([])),
        ("/posture-check-role-attributes", json!([])),
        ("/identity-role-attributes?filter=id%20contains%20%22x%22", json!([])),
    ] {
        let (status, list) = reader.get(path).await;
        assert_eq!((status, &list["data"]), (StatusCode::OK, &attributes), "{path}");
        assert_eq!(list["meta"]["filterableFields"], json!(["id"]));
    }
    let (_, types) = reader.get("/posture-check-types").await;
    let ids: Vec<_> = types["data"].as_array().unwrap().iter().map(|kind| &kind["id"]).collect();
    assert_eq!(ids, ["DOMAIN", "MAC", "OS", "PROCESS", "PROCESS_MULTI"]);
    let (_, domain) = reader.get("/posture-check-types/DOMAIN").await;
    assert_eq!(domain["data"], types["data"][0]);
    assert_eq!(domain["data"]["operatingSystems"], json!([{"type": "Windows", "versions": []}]));
    assert_eq!(reader.get("/posture-check-types/MOOD").await.0, StatusCode::NOT_FOUND);
}
