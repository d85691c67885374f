//! Configs: services that say where they are as OpenZiti's clients do.

use serde_json::{Value, json};

use crate::writes::Operator;

const INTERCEPT: &str = "g7cIWbcGg";
const HOST: &str = "NH5p4FpGR";

fn intercept(name: &str, addresses: Value) -> Value {
    json!({"name": name, "configTypeId": INTERCEPT,
        "data": {"protocols": ["tcp"], "addresses": addresses, "portRanges": [{"low": 443, "high": 443}]}})
}

fn host(name: &str, port: u16) -> Value {
    json!({"name": name, "configTypeId": HOST, "data": {"protocol": "tcp", "address": "10.0.0.7", "port": port}})
}

#[tokio::test]
async fn a_service_made_of_configs_is_in_force() {
    let operator = Operator::new().await;
    let asked = operator.make("/configs", intercept("app-asked", json!(["app.ziti"]))).await;
    let served = operator.make("/configs", host("app-served", 8080)).await;
    let app = json!({"name": "app", "encryptionRequired": true, "configs": [asked, served]});
    let id = operator.make("/services", app).await;

    let (_, shown) = operator.management("GET", &format!("/services/{id}?configTypes=all"), Value::Null).await;
    let service = &shown["data"];
    assert_eq!(service["configs"], json!([asked, served]));
    assert_eq!(service["config"]["host.v1"], json!({"protocol": "tcp", "address": "10.0.0.7", "port": 8080}));
    assert_eq!((&service["match"]["hosts"], &service["upstreams"]), (&json!([]), &json!([])));
    let effective = &service["effective"];
    assert_eq!(
        (&effective["match"]["hosts"], &effective["upstreams"][0]["address"]),
        (&json!(["app.ziti"]), &json!("10.0.0.7:8080"))
    );
    {
        let published = operator.world.enforcer.published();
        let index = published.snapshot().route("app.ziti:8443", "/").unwrap();
        assert_eq!(published.snapshot().service(index).unwrap().upstreams[0].address, "10.0.0.7:8080");
    }

    let moved = json!({"data": {"protocol": "tcp", "address": "10.0.0.8", "port": 9090}});
    assert_eq!(operator.management("PATCH", &format!("/configs/{served}"), moved).await.0, 200);
    let (_, shown) = operator.management("GET", &format!("/services/{id}"), Value::Null).await;
    assert_eq!(shown["data"]["effective"]["upstreams"][0]["address"], "10.0.0.8:9090");
    assert_eq!(shown["data"]["config"], json!({}), "data is shown where its type is asked for");
}

#[tokio::test]
async fn configs_are_listed_with_their_types_and_services() {
    let operator = Operator::new().await;
    let asked = operator.make("/configs", intercept("asked", json!(["app.ziti"]))).await;
    let served = operator.make("/configs", host("served", 8080)).await;
    let app = json!({"name": "app", "encryptionRequired": true, "configs": [asked]});
    let id = operator.make("/services", app).await;

    let names = async |path: &str| {
        let (status, reply) = operator.management("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        let names = reply["data"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names("/configs").await, ["asked", "served"]);
    assert_eq!(names("/configs?filter=type%3D%22NH5p4FpGR%22").await, ["served"]);
    assert_eq!(names(&format!("/config-types/{INTERCEPT}/configs")).await, ["asked"]);
    assert_eq!(names(&format!("/services/{id}/configs")).await, ["asked"]);
    assert_eq!(names(&format!("/configs/{asked}/services")).await, ["app"]);
    assert_eq!(names(&format!("/configs/{served}/services")).await, Vec::<String>::new());
    let types = names("/config-types").await;
    assert!(["host.v1", "host.v2", "intercept.v1"].iter().all(|name| types.contains(&(*name).to_owned())), "{types:?}");

    let (_, shown) = operator.management("GET", &format!("/configs/{asked}"), Value::Null).await;
    assert_eq!(shown["data"]["configType"]["name"], "intercept.v1");
    let (_, shown) = operator.management("GET", &format!("/config-types/{HOST}"), Value::Null).await;
    assert_eq!(shown["data"]["schema"]["properties"]["port"]["maximum"], 65535);
    for path in ["/configs/none", "/configs/none/services", "/config-types/none", "/services/none/configs"] {
        assert_eq!(operator.management("GET", path, Value::Null).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let operator = Operator::new().await;
    let asked = operator.make("/configs", intercept("asked", json!(["app.ziti"]))).await;
    let second = operator.make("/configs", intercept("second", json!(["other.ziti"]))).await;
    let blocks = operator.make("/configs", intercept("blocks", json!(["10.0.0.0/8"]))).await;
    let app = |configs: Value| json!({"name": "app", "encryptionRequired": true, "configs": configs});
    let id = operator.make("/services", app(json!([asked]))).await;

    let invalid = |field: &str| (400, "COULD_NOT_VALIDATE".to_owned(), field.to_owned());
    for (method, path, body, expected) in [
        ("POST", "/configs".to_owned(), intercept("asked", json!(["x.ziti"])), invalid("name")),
        ("POST", "/configs".to_owned(), intercept("x", json!(["a b"])), invalid("data.addresses[0]")),
        ("POST", "/services".to_owned(), app(json!(["none"])), invalid("configs[0]")),
        ("PATCH", format!("/services/{id}"), json!({"configs": [asked, second]}), invalid("configs")),
        ("PATCH", format!("/services/{id}"), json!({"configs": [asked, asked]}), invalid("configs[1]")),
        ("PATCH", format!("/services/{id}"), json!({"configs": [blocks]}), invalid("configs")),
        ("PATCH", format!("/configs/{asked}"), json!({"data": null}), invalid("data")),
    ] {
        assert_eq!(operator.refused(method, &path, body).await, expected, "{method} {path}");
    }
    // A config in use cannot become one that its services could not be.
    let useless = intercept("asked", json!(["10.0.0.0/8"]));
    assert_eq!(operator.refused("PUT", &format!("/configs/{asked}"), useless).await, invalid("configs"));

    let path = format!("/configs/{asked}");
    let in_use = (409, "CAN_NOT_DELETE_REFERENCED_ENTITY".to_owned(), "id".to_owned());
    assert_eq!(operator.refused("DELETE", &path, Value::Null).await, in_use);
    assert_eq!(operator.refused("DELETE", &format!("{path}?force=true"), Value::Null).await, in_use);
    let replaced = json!({"name": "app", "encryptionRequired": true});
    assert_eq!(operator.management("PUT", &format!("/services/{id}"), replaced).await.0, 200);
    assert_eq!(operator.management("DELETE", &path, Value::Null).await.0, 200);
}

#[tokio::test]
async fn upstreams_are_reached_as_the_service_says() {
    let operator = Operator::new().await;
    let app = json!({"name": "app", "encryptionRequired": true, "upstreams": ["app.internal:443"],
        "upstream": {"tls": {"serverName": "app.example", "caFile": "/etc/postern/app-ca.pem"}, "protocol": "http2",
            "balance": "hash", "healthCheck": {"path": "/health", "interval": "30s"}, "timeouts": {"read": "5m"}, "retries": 0}});
    let id = operator.make("/services", app).await;
    let path = format!("/services/{id}");
    let (_, shown) = operator.management("GET", &path, Value::Null).await;
    assert_eq!(
        shown["data"]["upstream"],
        json!({"tls": {"serverName": "app.example", "caFile": "/etc/postern/app-ca.pem"}, "protocol": "http2",
            "balance": "hash", "healthCheck": {"path": "/health", "interval": "30s", "timeout": "2s",
                "healthyAfter": 1, "unhealthyAfter": 3},
            "timeouts": {"connect": "5s", "read": "5m", "idle": "1m"}, "retries": 0})
    );
    assert_eq!(operator.management("PATCH", &path, json!({"upstream": {"tls": true}})).await.0, 200);
    let (_, shown) = operator.management("GET", &path, Value::Null).await;
    assert_eq!((&shown["data"]["upstream"]["tls"], &shown["data"]["upstream"]["retries"]), (&json!(true), &json!(0)));

    for (upstream, field) in [
        (json!({"tls": {"caFile": "ca.pem"}}), "upstream.tls.caFile"),
        (json!({"tls": {"serverName": "*.x"}}), "upstream.tls.serverName"),
        (json!({"tls": "yes"}), "upstream.tls"),
        (json!({"protocol": "h3"}), "upstream.protocol"),
        (json!({"retries": 17}), "upstream.retries"),
        (json!({"timeouts": {"read": "0s"}}), "upstream.timeouts.read"),
        (json!({"healthCheck": {"every": "1s"}}), "upstream.healthCheck.every"),
    ] {
        let (status, _, told) = operator.refused("PATCH", &path, json!({"upstream": upstream})).await;
        assert_eq!((status, &*told), (400, field));
    }
}

#[tokio::test]
async fn what_a_config_leaves_out_is_shown_with_it() {
    let operator = Operator::new().await;
    let asked = operator.make("/configs", intercept("asked", json!(["app.ziti", "10.0.0.0/8"]))).await;
    let (_, shown) = operator.management("GET", &format!("/configs/{asked}"), Value::Null).await;
    let told = shown["data"]["leftOut"][0].as_str().unwrap();
    assert!(told.starts_with("data.addresses[1]: `10.0.0.0/8` is a block of addresses"), "{told}");
}
