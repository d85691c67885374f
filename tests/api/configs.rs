//! Configs: services that say where they are as OpenZiti's clients do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::devices::Device;
use crate::world::{PASSWORD, World, policy};
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

#[tokio::test]
async fn types_of_ones_own_are_kept_and_their_configs_held_against_them() {
    let operator = Operator::new().await;
    let schema = json!({"type": "object", "required": ["tray"], "additionalProperties": false,
        "properties": {"tray": {"type": "integer", "minimum": 1}, "sizes": {"type": "array", "items": {"enum": ["A4", "A5"]}}}});
    let kind =
        operator.make("/config-types", json!({"name": "printer.v1", "schema": schema, "tags": {"team": "x"}})).await;
    let path = format!("/config-types/{kind}");
    let (_, shown) = operator.management("GET", &path, Value::Null).await;
    let told = |member: &str| shown["data"][member].clone();
    assert_eq!((told("schema"), told("target"), told("tags")), (schema, json!("service"), json!({"team": "x"})));
    let (_, listed) =
        operator.management("GET", "/config-types?filter=name%20contains%20%22.v1%22&sort=name", Value::Null).await;
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["host.v1", "intercept.v1", "printer.v1", "ziti-tunneler-client.v1", "ziti-tunneler-server.v1"]);

    let config = |data: Value| json!({"name": "tray one", "configTypeId": kind, "data": data});
    let invalid = |field: &str| (400, "COULD_NOT_VALIDATE".to_owned(), field.to_owned());
    for (data, field) in [
        (json!({}), "data"),
        (json!({"tray": 0}), "data.tray"),
        (json!({"tray": 1, "sizes": ["A4", "B1"]}), "data.sizes[1]"),
        (json!({"tray": 1, "other": 2}), "data"),
    ] {
        assert_eq!(operator.refused("POST", "/configs", config(data)).await, invalid(field));
    }
    let made = operator.make("/configs", config(json!({"tray": 1, "sizes": ["A4"]}))).await;
    let (_, shown) = operator.management("GET", &format!("/configs/{made}"), Value::Null).await;
    assert_eq!(shown["data"]["configType"]["name"], "printer.v1");
    assert_eq!(
        operator.refused("PATCH", &format!("/configs/{made}"), json!({"data": {"tray": "x"}})).await,
        invalid("data.tray")
    );
    let app = json!({"name": "app", "encryptionRequired": true, "match": {"hosts": ["app.ziti"]}, "configs": [made]});
    let app = operator.make("/services", app).await;
    let (_, shown) =
        operator.management("GET", &format!("/services/{app}?configTypes=printer.v1,nothing"), Value::Null).await;
    assert_eq!(shown["data"]["config"], json!({"printer.v1": {"tray": 1, "sizes": ["A4"]}}));
    assert_eq!(shown["data"]["effective"]["match"]["hosts"], json!(["app.ziti"]), "it says nothing to the gateway");

    let in_use = (409, "CAN_NOT_DELETE_REFERENCED_ENTITY".to_owned(), "id".to_owned());
    assert_eq!(operator.refused("DELETE", &path, Value::Null).await, in_use);
    let patched = json!({"name": "printer.v2"});
    assert_eq!(operator.management("PATCH", &path, patched).await.0, 200);
    let (_, shown) = operator.management("GET", &format!("/configs/{made}"), Value::Null).await;
    assert_eq!(shown["data"]["configType"]["name"], "printer.v2");
    assert_eq!(operator.management("PUT", &path, json!({"name": "printer.v3"})).await.0, 200);
    let (_, shown) = operator.management("GET", &path, Value::Null).await;
    assert_eq!((&shown["data"]["schema"], &shown["data"]["tags"]), (&json!({}), &json!({})), "all is replaced");
    for path in [format!("/services/{app}"), format!("/configs/{made}"), path.clone()] {
        assert_eq!(operator.management("DELETE", &path, Value::Null).await.0, 200, "{path}");
    }
    assert_eq!(operator.management("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn types_that_cannot_be_are_refused() {
    let operator = Operator::new().await;
    let own = operator.make("/config-types", json!({"name": "own.v1"})).await;
    let invalid = |field: &str| (400, "COULD_NOT_VALIDATE".to_owned(), field.to_owned());
    for (body, field) in [
        (json!({"schema": {}}), "name"),
        (json!({"name": "host.v1"}), "name"),
        (json!({"name": INTERCEPT}), "name"),
        (json!({"name": "own.v1"}), "name"),
        (json!({"name": "x", "schema": {"type": "nonsense"}}), "schema"),
        (json!({"name": "x", "schema": {"$ref": "https://example.com/schema.json"}}), "schema"),
        (json!({"name": "x", "schema": []}), "schema"),
        (json!({"name": "x", "target": "printer"}), "target"),
    ] {
        assert_eq!(operator.refused("POST", "/config-types", body.clone()).await, invalid(field), "{body}");
    }
    for (method, body) in [("PUT", json!({"name": "mine"})), ("PATCH", json!({})), ("DELETE", Value::Null)] {
        assert_eq!(operator.refused(method, &format!("/config-types/{HOST}"), body).await, invalid("id"), "{method}");
    }
    assert_eq!(operator.management("PATCH", &format!("/config-types/{own}"), json!({"name": "own.v1"})).await.0, 200);
}

/// Two services that lead by configs, one of them open to nobody.
async fn two_services(operator: &Operator) -> [String; 3] {
    let asked = operator.make("/configs", intercept("asked", json!(["app.ziti"]))).await;
    let served = operator.make("/configs", host("served", 8080)).await;
    let app = json!({"name": "app", "encryptionRequired": true, "configs": [asked, served], "roleAttributes": ["web"]});
    let app = operator.make("/services", app).await;
    let other = json!({"name": "other", "encryptionRequired": true, "match": {"hosts": ["other.ziti"]}});
    operator.make("/services", other).await;
    let dial = json!({"name": "dial", "type": "Dial", "semantic": "AnyOf", "identityRoles": ["#staff"], "serviceRoles": ["#web"]});
    operator.make("/service-policies", dial).await;
    let staff = json!({"name": "carol", "type": "Default", "isAdmin": false, "roleAttributes": ["staff"],
        "subjects": ["spiffe://postern.test/carol"]});
    let carol = operator.make("/identities", staff).await;
    [app, served, carol]
}

/// What a reply shows of the configs of the services in it.
fn shown_configs(services: &Value) -> Vec<(String, Value)> {
    let all = services.as_array().unwrap().iter();
    let mut shown: Vec<_> =
        all.map(|service| (service["name"].as_str().unwrap().to_owned(), service["config"].clone())).collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    shown
}

#[tokio::test]
async fn clients_get_the_data_of_the_types_they_asked_for() {
    let operator = Operator::new().await;
    let [app, ..] = two_services(&operator).await;
    let api = operator.world.client().await;
    let intercept = json!({"protocols": ["tcp"], "addresses": ["app.ziti"], "portRanges": [{"low": 443, "high": 443}]});
    let host = json!({"protocol": "tcp", "address": "10.0.0.7", "port": 8080});
    let mut carol = Device::new(&operator.world, &api, "carol");
    for (types, ids, expected) in [
        (json!(["intercept.v1"]), json!([INTERCEPT]), json!({"intercept.v1": intercept})),
        (json!([INTERCEPT, "unheard-of.v9"]), json!([INTERCEPT]), json!({"intercept.v1": intercept})),
        (json!(["all"]), json!(["all"]), json!({"intercept.v1": intercept, "host.v1": host})),
        (json!([]), json!([]), json!({})),
        (Value::Null, json!([]), json!({})),
    ] {
        carol.token = None;
        let (status, session) = carol.post("/authenticate?method=cert", json!({"configTypes": types})).await;
        assert_eq!((status.as_u16(), &session["data"]["configTypes"]), (200, &ids), "{types}");
        carol.token = Some(session["data"]["token"].as_str().unwrap().to_owned());
        let shown = carol.good(Method::GET, "/current-api-session", None, "apiSession").await;
        assert_eq!(shown["configTypes"], ids);
        let listed = carol.good(Method::GET, "/services?filter=name%3D%22app%22", None, "service").await;
        assert_eq!(shown_configs(&listed), [("app".to_owned(), expected.clone())], "{types}");
        let one = carol.good(Method::GET, &format!("/services/{app}"), None, "service").await;
        assert_eq!(one["config"], expected, "{types}");
        let other = carol.good(Method::GET, &format!("/services/{app}?configTypes=host.v1"), None, "service").await;
        assert_eq!(other["config"], json!({"host.v1": host}), "the query goes before the login");
    }
    let many = json!({"configTypes": vec!["x"; 65]});
    let (status, refused) = carol.post("/authenticate?method=cert", many).await;
    assert_eq!((status.as_u16(), &refused["error"]["cause"]["field"]), (400, &json!("configTypes")));
}

#[tokio::test]
async fn an_identity_is_shown_its_own_configs() {
    let operator = Operator::new().await;
    let [app, served, carol] = two_services(&operator).await;
    let own = operator.make("/configs", host("carols", 9090)).await;
    let path = format!("/identities/{carol}/service-configs");
    let pair = |config: &str| json!({"serviceId": app, "configId": config});
    assert_eq!(operator.management("POST", &path, json!([pair(&served)])).await.0, 200);
    assert_eq!(operator.management("POST", &path, json!([pair(&own)])).await.0, 200);
    let (_, shown) = operator.management("GET", &path, Value::Null).await;
    let assigned = shown["data"].as_array().unwrap();
    assert_eq!(assigned.len(), 1, "one config of a type: {shown}");
    assert_eq!((&assigned[0]["config"]["name"], &assigned[0]["service"]["name"]), (&json!("carols"), &json!("app")));

    let api = operator.world.client().await;
    let device = Device::new(&operator.world, &api, "carol");
    let port = async || {
        let shown = device.good(Method::GET, &format!("/services/{app}?configTypes=host.v1"), None, "service").await;
        shown["config"]["host.v1"]["port"].clone()
    };
    assert_eq!(port().await, json!(9090));
    {
        let published = operator.world.enforcer.published();
        let index = published.snapshot().route("app.ziti", "/").unwrap();
        assert_eq!(published.snapshot().service(index).unwrap().upstreams[0].address, "10.0.0.7:8080");
    }
    let rename = json!({"name": "carol", "type": "Default", "isAdmin": false, "roleAttributes": ["staff"]});
    assert_eq!(operator.management("PUT", &format!("/identities/{carol}"), rename).await.0, 200);
    assert_eq!(port().await, json!(9090), "a PUT says nothing of them");
    assert_eq!(operator.management("DELETE", &path, json!([pair(&served)])).await.0, 200);
    assert_eq!(port().await, json!(9090), "another pair was named");
    assert_eq!(operator.management("DELETE", &path, json!([pair(&own)])).await.0, 200);
    assert_eq!(port().await, json!(8080));
    assert_eq!(operator.management("POST", &path, json!([pair(&own)])).await.0, 200);
    assert_eq!(operator.management("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(operator.management("GET", &path, Value::Null).await.1["data"], json!([]));

    let invalid = |field: &str| (400, "COULD_NOT_VALIDATE".to_owned(), field.to_owned());
    for (body, field) in [
        (json!({}), "body"),
        (json!([{"serviceId": app}]), "[0].configId"),
        (json!([pair(&own), {"serviceId": "none", "configId": own}]), "[1].serviceId"),
        (json!([pair("none")]), "[0].configId"),
    ] {
        assert_eq!(operator.refused("POST", &path, body).await, invalid(field));
    }
    assert_eq!(operator.management("GET", "/identities/none/service-configs", Value::Null).await.0, 404);
}

#[tokio::test]
async fn operators_look_as_an_identity_and_log_in_for_types() {
    let operator = Operator::new().await;
    let [app, _, carol] = two_services(&operator).await;
    let names = async |query: &str| {
        let (status, reply) = operator.management("GET", &format!("/services?sort=name&{query}"), Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        shown_configs(&reply["data"]).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["app", "other", "status", "wiki"]);
    assert_eq!(names("asIdentity=").await, ["app", "other", "status", "wiki"]);
    for who in [carol.as_str(), "carol", "laptop-id", "laptop"] {
        assert_eq!(names(&format!("asIdentity={who}")).await, ["app", "status", "wiki"], "{who}");
    }
    assert_eq!(names("asIdentity=carol&filter=name%3D%22other%22").await, [""; 0]);
    assert_eq!(names("asIdentity=carol&roleFilter=%23web").await, ["app"]);
    let (_, shown) =
        operator.management("GET", "/services?asIdentity=carol&filter=name%3D%22app%22", Value::Null).await;
    assert_eq!(shown["data"][0]["permissions"], json!(["Dial"]));
    assert_eq!(operator.management("GET", "/services?asIdentity=nobody", Value::Null).await.0, 404);

    let login = json!({"username": "grace", "password": PASSWORD, "configTypes": ["host.v1"]});
    let path = "/edge/management/v1/authenticate?method=password";
    let session: Value =
        operator.http.post(operator.api.url(path)).json(&login).send().await.unwrap().json().await.unwrap();
    assert_eq!(session["data"]["configTypes"], json!([HOST]));
    let request = operator.http.get(operator.api.url(&format!("/edge/management/v1/services/{app}")));
    let request = request.header("zt-session", session["data"]["token"].as_str().unwrap());
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["data"]["config"].as_object().unwrap().keys().collect::<Vec<_>>(), ["host.v1"]);
}

/// Types outlive the process, as their configs do.
#[tokio::test]
async fn types_come_back_after_a_restart() {
    let backend = std::sync::Arc::new(postern::store::MemoryBackend::new());
    let operator = Operator::over(std::sync::Arc::clone(&backend) as _).await;
    let kind = operator.make("/config-types", json!({"name": "printer.v1", "schema": {"type": "object"}})).await;
    operator.make("/configs", json!({"name": "tray", "configTypeId": kind, "data": {"tray": 1}})).await;
    let world = World::over(backend);
    world.enforcer.restore().unwrap();
    world.enforcer.publish_files(policy()).unwrap();
    let published = world.enforcer.published();
    let objects = published.snapshot().objects();
    assert_eq!(objects.config_types.values().map(|kind| &*kind.name).collect::<Vec<_>>(), ["printer.v1"]);
    assert_eq!(objects.configs.len(), 1);
}
