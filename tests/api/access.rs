//! Who may use the admin API, and what everybody else gets.

use std::time::Duration;

use postern::limits;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::world::{ADMIN_TOKEN, VIEWER_TOKEN, World};

const IDENTITIES: &str = "/edge/management/v1/identities";

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn without_credentials_nothing_is_shown_but_version_and_cas() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    for path in [
        IDENTITIES,
        "/edge/management/v1/services/wiki-id",
        "/api/v1/policy",
        "/nowhere",
        "/edge/management/v1/current-api-session",
    ] {
        let reply = http.get(admin.url(path)).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(reply.headers()["www-authenticate"], r#"Bearer realm="postern""#);
        let request_id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["error"]["code"], "UNAUTHORIZED");
        assert_eq!(body["error"]["requestId"], request_id);
        assert_eq!(body["meta"]["apiVersion"], "0.0.1");
    }
    assert_eq!(status(http.post(admin.url("/api/v1/reload"))).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(http.delete(admin.url(IDENTITIES))).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_version_is_where_clients_look_for_it() {
    let world = World::in_force();
    let (admin, client) = (world.admin().await, world.client().await);
    let http = world.http(&admin, None);
    for path in ["/", "/version", "/edge/management/v1", "/edge/management/v1/version", "/edge/client/v1/version"] {
        let reply: Value = http.get(admin.url(path)).send().await.unwrap().json().await.unwrap();
        let version = &reply["data"];
        assert_eq!(version["version"], concat!("v", env!("CARGO_PKG_VERSION")), "{path}");
        let management = &version["apiVersions"]["edge-management"]["v1"];
        assert_eq!(management["path"], "/edge/management/v1", "{path}");
        assert_eq!(management["apiBaseUrls"], serde_json::json!([admin.url("/edge/management/v1")]), "{path}");
        let devices = &version["apiVersions"]["edge-client"]["v1"];
        assert_eq!((&devices["path"], &devices["apiBaseUrls"]), (&"/edge/client/v1".into(), &Value::Null));
        assert_eq!(version["capabilities"], serde_json::json!([]));
    }
    assert_eq!(status(http.post(admin.url("/version"))).await, StatusCode::METHOD_NOT_ALLOWED);

    let device = world.http(&client, Some(&world.ca.client("laptop")));
    for path in ["/", "/version", "/edge/client/v1/version"] {
        let reply: Value = device.get(client.url(path)).send().await.unwrap().json().await.unwrap();
        let urls = &reply["data"]["apiVersions"]["edge-client"]["v1"]["apiBaseUrls"];
        assert_eq!(urls, &serde_json::json!([client.url("/edge/client/v1")]), "{path}");
    }
}

#[tokio::test]
async fn tokens_open_as_far_as_their_role_goes() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let (list, reload) = (|| http.get(admin.url(IDENTITIES)), || http.post(admin.url("/api/v1/reload")));

    assert_eq!(status(list().bearer_auth(ADMIN_TOKEN)).await, StatusCode::OK);
    assert_eq!(status(list().bearer_auth(VIEWER_TOKEN)).await, StatusCode::OK);
    assert_eq!(status(list().header("zt-session", VIEWER_TOKEN)).await, StatusCode::OK);
    assert_eq!(status(list().bearer_auth("guessed")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(list().basic_auth("admin", Some(ADMIN_TOKEN))).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        status(http.get(admin.url(&format!("{IDENTITIES}?token={ADMIN_TOKEN}")))).await,
        StatusCode::UNAUTHORIZED
    );

    assert_eq!(status(reload().bearer_auth(VIEWER_TOKEN)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(reload().bearer_auth(ADMIN_TOKEN)).await, StatusCode::OK);
    let metrics = world.enforcer.metrics().render().unwrap();
    assert!(metrics.contains(r#"postern_refused_requests_total{reason="admin-unauthorized"} 3"#), "{metrics}");
}

#[tokio::test]
async fn a_certificate_opens_when_its_name_is_an_operators() {
    let world = World::in_force();
    let admin = world.admin().await;
    let operator = world.ca.client("operator");
    let http = world.http(&admin, Some(&operator));
    let device = world.http(&admin, Some(&world.ca.client("laptop")));

    assert_eq!(status(http.get(admin.url(IDENTITIES))).await, StatusCode::OK);
    assert_eq!(status(http.post(admin.url("/api/v1/reload"))).await, StatusCode::OK);
    assert_eq!(status(device.get(admin.url(IDENTITIES))).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(device.get(admin.url(IDENTITIES)).bearer_auth(VIEWER_TOKEN)).await, StatusCode::OK);
    let wrong = http.get(admin.url(IDENTITIES)).bearer_auth("guessed");
    assert_eq!(status(wrong).await, StatusCode::UNAUTHORIZED, "a token that is sent must be right");

    // The connection is still open; its certificate is not good any more.
    world.ca.revoke(&operator);
    world.trust.reload(world.now()).unwrap();
    assert_eq!(status(http.get(admin.url(IDENTITIES))).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_guesses_tokens_is_locked_out_for_a_while() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, None);
    let with = |token: String| http.get(admin.url(IDENTITIES)).bearer_auth(token).send();
    for guess in 0..=limits::API_FREE_GUESSES {
        assert_eq!(with(format!("guess-{guess}")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let reply = with(ADMIN_TOKEN.to_owned()).await.unwrap();
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.headers()["retry-after"], "1");
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "RATE_LIMITED");

    let by_certificate = world.http(&admin, Some(&world.ca.client("operator")));
    assert_eq!(status(by_certificate.get(admin.url(IDENTITIES))).await, StatusCode::OK, "no token, no guess");

    world.clock.advance(Duration::from_secs(1));
    assert_eq!(with(ADMIN_TOKEN.to_owned()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_the_browsers_certificate() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, Some(&world.ca.client("operator")));
    let reload = |site: &str| http.post(admin.url("/api/v1/reload")).header("sec-fetch-site", site);
    assert_eq!(status(reload("cross-site")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(reload("same-site")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(reload("same-origin")).await, StatusCode::OK);
}

#[tokio::test]
async fn a_defect_answers_this_request_and_no_other_suffers() {
    let world = World::in_force();
    let admin = world.admin().await;
    let http = world.http(&admin, Some(&world.ca.client("defective")));
    let reply = http.get(admin.url(IDENTITIES)).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply.headers().contains_key("x-request-id"));
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "UNHANDLED");
    let again = http.get(admin.url(IDENTITIES)).bearer_auth(ADMIN_TOKEN);
    assert_eq!(status(again).await, StatusCode::OK, "the connection goes on");
}
