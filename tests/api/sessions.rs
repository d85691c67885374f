//! Logging in and out as OpenZiti's clients do.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postern::limits;
use postern::tls::{load_certificates, pkcs7};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, PASSWORD, Served, VIEWER_TOKEN, World};

const AUTHENTICATE: &str = "/edge/management/v1/authenticate";
const SESSION: &str = "/edge/management/v1/current-api-session";
const IDENTITIES: &str = "/edge/management/v1/identities";

async fn login(http: &Client, admin: &Served, user: &str, password: &str) -> Response {
    let body = json!({"username": user, "password": password, "configTypes": [], "envInfo": {"os": "linux"}});
    http.post(admin.url(&format!("{AUTHENTICATE}?method=password"))).json(&body).send().await.unwrap()
}

async fn login_by_certificate(http: &Client, admin: &Served) -> Response {
    http.post(admin.url(&format!("{AUTHENTICATE}?method=cert"))).send().await.unwrap()
}

async fn token_of(reply: Response) -> String {
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json::<Value>().await.unwrap()["data"]["token"].as_str().unwrap().to_owned()
}

async fn with(http: &Client, admin: &Served, method: Method, path: &str, token: &str) -> (StatusCode, Value) {
    let reply = http.request(method, admin.url(path)).header("zt-session", token).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

async fn get(http: &Client, admin: &Served, path: &str, token: &str) -> (StatusCode, Value) {
    with(http, admin, Method::GET, path, token).await
}

#[tokio::test]
async fn a_user_logs_in_works_and_logs_out() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let reply = login(&http, &admin, "grace", PASSWORD).await;
    assert_eq!((reply.status(), &reply.headers()["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
    let session = reply.json::<Value>().await.unwrap();
    let data = &session["data"];
    let now = world.now();
    assert_eq!(session["meta"], json!({}));
    assert_eq!((&data["identity"]["name"], &data["identity"]["id"]), (&"grace".into(), &data["identityId"]));
    assert_eq!((&data["createdAt"], &data["updatedAt"]), (&now.to_string().into(), &now.to_string().into()));
    assert_eq!(data["expiresAt"], now.after(Duration::from_secs(1800)).to_string());
    assert_eq!((&data["expirationSeconds"], &data["ipAddress"]), (&1800.into(), &"127.0.0.1".into()));
    assert_eq!(data["_links"], json!({"self": {"href": "./current-api-session"}}));
    for list in ["authQueries", "configTypes"] {
        assert_eq!(data[list], json!([]), "{list}");
    }
    for flag in ["isMfaRequired", "isMfaComplete", "isCertExtendable"] {
        assert_eq!(data[flag], false, "{flag}");
    }
    for text in ["id", "authenticatorId", "lastActivityAt", "cachedLastActivityAt", "cachedUpdatedAt"] {
        assert!(data[text].is_string(), "{text}");
    }

    let token = data["token"].as_str().unwrap();
    assert_eq!(get(&http, &admin, IDENTITIES, token).await.0, StatusCode::OK);
    let reload = http.post(admin.url("/api/v1/reload")).bearer_auth(token).send().await.unwrap();
    assert_eq!(reload.status(), StatusCode::OK);
    let (status, own) = get(&http, &admin, SESSION, token).await;
    assert_eq!((status, &own["data"]), (StatusCode::OK, data));
    let (_, identity) = get(&http, &admin, "/edge/management/v1/current-identity", token).await;
    let identity = &identity["data"];
    assert_eq!((&identity["id"], &identity["name"]), (&data["identityId"], &"grace".into()));
    assert_eq!((&identity["isAdmin"], &identity["permissions"]), (&true.into(), &json!([])));

    assert_eq!(
        with(&http, &admin, Method::DELETE, SESSION, token).await,
        (StatusCode::OK, json!({"data": {}, "meta": {}}))
    );
    assert_eq!(get(&http, &admin, IDENTITIES, token).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(with(&http, &admin, Method::DELETE, SESSION, token).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_user_who_may_only_look_changes_nothing() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let token = token_of(login(&http, &admin, "alan", PASSWORD).await).await;
    assert_eq!(get(&http, &admin, IDENTITIES, &token).await.0, StatusCode::OK);
    let (status, refused) = with(&http, &admin, Method::POST, "/api/v1/reload", &token).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::UNAUTHORIZED, &"UNAUTHORIZED".into()));
    let (_, identity) = get(&http, &admin, "/edge/management/v1/current-identity", &token).await;
    assert_eq!(
        (&identity["data"]["isAdmin"], &identity["data"]["permissions"]),
        (&false.into(), &json!(["admin_readonly"]))
    );
    assert_eq!(with(&http, &admin, Method::DELETE, SESSION, &token).await.0, StatusCode::OK, "but may log out");
}

#[tokio::test]
async fn sessions_end_by_themselves() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let (used, unused) = (
        token_of(login(&http, &admin, "grace", PASSWORD).await).await,
        token_of(login(&http, &admin, "grace", PASSWORD).await).await,
    );
    world.clock.advance(Duration::from_secs(20 * 60));
    let (_, session) = get(&http, &admin, SESSION, &used).await;
    assert_eq!(session["data"]["expiresAt"], world.now().after(Duration::from_secs(30 * 60)).to_string());
    world.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(get(&http, &admin, SESSION, &unused).await.0, StatusCode::UNAUTHORIZED);
    for _ in 0..45 {
        assert_eq!(get(&http, &admin, SESSION, &used).await.0, StatusCode::OK);
        world.clock.advance(Duration::from_secs(15 * 60));
    }
    let (_, session) = get(&http, &admin, SESSION, &used).await;
    let created: postern::clock::Timestamp = session["data"]["createdAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(session["data"]["expiresAt"], created.after(Duration::from_secs(12 * 3600)).to_string());
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(get(&http, &admin, SESSION, &used).await.0, StatusCode::UNAUTHORIZED, "its lifetime is over");
}

#[tokio::test]
async fn wrong_and_unknown_look_the_same() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    for (user, password) in [("grace", "wrong"), ("nobody", PASSWORD), ("Grace", PASSWORD), ("grace", "")] {
        let reply = login(&http, &admin, user, password).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{user}");
        assert!(reply.headers().contains_key("www-authenticate"));
        let body: Value = reply.json().await.unwrap();
        assert_eq!((&body["error"]["code"], &body["error"]["cause"]), (&"UNAUTHORIZED".into(), &Value::Null), "{user}");
    }
    let metrics = world.enforcer.metrics().render().unwrap();
    assert!(metrics.contains(r#"postern_refused_requests_total{reason="admin-login-refused"} 4"#), "{metrics}");
}

#[tokio::test]
async fn whoever_guesses_passwords_is_locked_out_and_who_is_in_stays_in() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let token = token_of(login(&http, &admin, "grace", PASSWORD).await).await;
    for guess in 0..=limits::API_FREE_GUESSES {
        let reply = login(&http, &admin, "grace", &format!("guess {guess}")).await;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    }
    let reply = login(&http, &admin, "grace", PASSWORD).await;
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS, "even the right one");
    assert_eq!(reply.headers()["retry-after"], "1");
    let list = http.get(admin.url(IDENTITIES)).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    assert_eq!(list.status(), StatusCode::TOO_MANY_REQUESTS, "tokens are not guessed from there either");
    assert_eq!(get(&http, &admin, IDENTITIES, &token).await.0, StatusCode::OK);
    let operator = world.http(&admin, Some(&world.ca.client("operator")));
    assert_eq!(login_by_certificate(&operator, &admin).await.status(), StatusCode::OK);

    world.clock.advance(Duration::from_secs(1));
    assert_eq!(login(&http, &admin, "grace", PASSWORD).await.status(), StatusCode::OK);
    let metrics = world.enforcer.metrics().render().unwrap();
    assert!(metrics.contains(r#"postern_refused_requests_total{reason="admin-login-locked-out"} 1"#), "{metrics}");
}

#[tokio::test]
async fn a_certificate_logs_in_and_its_sessions_end_with_it() {
    let world = World::in_force();
    let admin = world.admin().await;
    let operator = world.ca.client("operator");
    let http = world.http(&admin, Some(&operator));
    let token = token_of(login_by_certificate(&http, &admin).await).await;
    // What clients send along is not needed, and a token opens wherever it is carried to.
    let with_body = http.post(admin.url(&format!("{AUTHENTICATE}?method=cert"))).json(&json!({"configTypes": []}));
    assert_eq!(with_body.send().await.unwrap().status(), StatusCode::OK);
    let elsewhere = world.http(&admin, None);
    let (status, identity) = get(&elsewhere, &admin, "/edge/management/v1/current-identity", &token).await;
    assert_eq!((status, &identity["data"]["name"]), (StatusCode::OK, &"spiffe://postern.test/operator".into()));

    let device = world.http(&admin, Some(&world.ca.client("laptop")));
    for stranger in [&elsewhere, &device] {
        assert_eq!(login_by_certificate(stranger, &admin).await.status(), StatusCode::UNAUTHORIZED);
    }

    world.ca.revoke(&operator);
    world.trust.reload(world.now()).unwrap();
    assert_eq!(get(&elsewhere, &admin, IDENTITIES, &token).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(login_by_certificate(&http, &admin).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_no_login_is_told_why() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let long = format!(r#"{{"username":"grace","password":"{}"}}"#, "x".repeat(limits::API_LOGIN_BYTES_MAX));
    for (query, body, status, code, field) in [
        ("", "{}", 400, "COULD_NOT_VALIDATE", "method"),
        ("?method=ext-jwt", "{}", 400, "COULD_NOT_VALIDATE", "method"),
        ("?method=Password", "{}", 400, "COULD_NOT_VALIDATE", "method"),
        ("?method=password&method=cert", "{}", 400, "COULD_NOT_VALIDATE", "path"),
        ("?method=password", "", 400, "COULD_NOT_PARSE_BODY", "body"),
        ("?method=password", "{", 400, "COULD_NOT_PARSE_BODY", "body"),
        ("?method=password", "[]", 400, "COULD_NOT_VALIDATE", "body"),
        ("?method=password", r#"{"username":"grace"}"#, 400, "COULD_NOT_VALIDATE", "password"),
        ("?method=password", r#"{"password":"x"}"#, 400, "COULD_NOT_VALIDATE", "username"),
        ("?method=password", r#"{"username":"grace","password":1}"#, 400, "COULD_NOT_VALIDATE", "password"),
        ("?method=password", &long, 413, "REQUEST_ENTITY_TOO_LARGE", ""),
    ] {
        let request =
            http.post(admin.url(&format!("{AUTHENTICATE}{query}"))).header("content-type", "application/json");
        let reply = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status, "{query} {body:.60}");
        let error = reply.json::<Value>().await.unwrap()["error"].take();
        let named = error["cause"]["field"].as_str().unwrap_or_default();
        assert_eq!((error["code"].as_str().unwrap(), named), (code, field), "{query} {body:.60}");
    }
    let form = http.post(admin.url(&format!("{AUTHENTICATE}?method=password"))).body("username=grace");
    assert_eq!(form.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let got = http.get(admin.url(AUTHENTICATE)).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let forged = http.post(admin.url(&format!("{AUTHENTICATE}?method=cert"))).header("sec-fetch-site", "cross-site");
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn configured_tokens_and_certificates_need_no_session() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let (status, session) = get(&http, &admin, SESSION, VIEWER_TOKEN).await;
    let data = &session["data"];
    assert_eq!((status, &data["token"], &data["identity"]["name"]), (StatusCode::OK, &"".into(), &"viewer".into()));
    let (status, refused) = with(&http, &admin, Method::DELETE, SESSION, VIEWER_TOKEN).await;
    assert_eq!((status, &refused["error"]["cause"]["field"]), (StatusCode::BAD_REQUEST, &"session".into()));
    assert_eq!(get(&http, &admin, IDENTITIES, VIEWER_TOKEN).await.0, StatusCode::OK);

    let operator = world.http(&admin, Some(&world.ca.client("operator")));
    let own: Value = operator.get(admin.url(SESSION)).send().await.unwrap().json().await.unwrap();
    assert_eq!(own["data"]["identity"]["name"], "spiffe://postern.test/operator");
}

#[tokio::test]
async fn the_cas_are_there_for_whoever_asks() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let expected = pkcs7::certificates_only(&load_certificates(&world.ca.ca_file()).unwrap());
    for path in ["/.well-known/est/cacerts", "/edge/management/v1/.well-known/est/cacerts"] {
        let reply = http.get(admin.url(path)).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
        assert_eq!(reply.headers()["content-type"], "application/pkcs7-mime");
        assert_eq!(reply.headers()["content-transfer-encoding"], "base64");
        assert_eq!(STANDARD.decode(reply.text().await.unwrap()).unwrap(), expected, "{path}");
    }
}
