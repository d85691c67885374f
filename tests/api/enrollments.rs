//! Devices that get their certificate for a one-time token, and the operators who hand tokens out.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern::store::MemoryBackend;
use rcgen::{CertificateParams, KeyPair, SanType};
use reqwest::Client;
use serde_json::{Value, json};

use crate::authority::Issued;
use crate::world::{ADMIN_TOKEN, Served, VIEWER_TOKEN, World, policy};
use crate::writes::Operator;

async fn operator() -> Operator {
    let mut world = World::over(Arc::new(MemoryBackend::new()));
    world.issues = true;
    world.enforcer.publish_files(policy()).unwrap();
    let api = world.admin().await;
    let http = world.http(&api, None);
    Operator { world, api, http, token: ADMIN_TOKEN }
}

/// A device with a key of its own.
struct Device {
    key: KeyPair,
    api: Served,
    http: Client,
}

impl Device {
    async fn new(operator: &Operator) -> Device {
        let api = operator.world.client().await;
        let http = operator.world.http(&api, None);
        Device { key: KeyPair::generate().unwrap(), api, http }
    }

    /// A request that asks for the names of somebody else, which it must not get.
    fn request(&self) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI("spiffe://postern.test/laptop".try_into().unwrap())];
        params.serialize_request(&self.key).unwrap().pem().unwrap()
    }

    async fn redeem(&self, token: &str, request: String) -> (u16, Value) {
        let url = self.api.url(&format!("/edge/client/v1/enroll?method=ott&token={token}"));
        let reply = self.http.post(url).header("content-type", "application/x-pem-file").body(request);
        let reply = reply.send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    /// Whoever the client API takes the certificate for.
    async fn asks(&self, operator: &Operator, certificate: &str) -> (u16, Value) {
        let file = |name: &str, text: &str| -> PathBuf {
            let path = operator.world.ca.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let issued = Issued {
            certificate_file: file("device.pem", certificate),
            key_file: file("device.key", &self.key.serialize_pem()),
            serial: String::new(),
        };
        let http = operator.world.http(&self.api, Some(&issued));
        let reply = http.get(self.api.url("/edge/client/v1/current-identity")).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }
}

/// A new identity that waits for its token: its id, and what its detail shows of the enrolment.
async fn waiting(operator: &Operator, name: &str) -> (String, Value) {
    let body = json!({"name": name, "type": "Device", "isAdmin": false, "enrollment": {"ott": true}, "roleAttributes": ["staff"]});
    let id = operator.make("/identities", body).await;
    let (_, shown) = operator.management("GET", &format!("/identities/{id}"), Value::Null).await;
    (id, shown["data"]["enrollment"]["ott"].clone())
}

#[tokio::test]
async fn a_device_redeems_its_token_for_a_certificate_once() {
    let operator = operator().await;
    let (id, ott) = waiting(&operator, "tablet").await;
    let token = ott["token"].as_str().unwrap();
    let device = Device::new(&operator).await;

    let (status, reply) = device.redeem(token, device.request()).await;
    assert_eq!(status, 200, "{reply}");
    let (certificate, ca) = (reply["data"]["cert"].as_str().unwrap(), reply["data"]["ca"].as_str().unwrap());
    assert_eq!(certificate.matches("BEGIN CERTIFICATE").count(), 2, "with the CA's, so that it leads somewhere");
    assert!(ca.contains("BEGIN CERTIFICATE"));
    let (status, who) = device.asks(&operator, certificate).await;
    assert_eq!((status, &who["data"]["id"], &who["data"]["name"]), (200, &json!(id), &json!("tablet")));

    let (status, reply) = device.redeem(token, device.request()).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("INVALID_ENROLLMENT_TOKEN")));
    let (_, shown) = operator.management("GET", &format!("/identities/{id}"), Value::Null).await;
    assert_eq!(shown["data"]["enrollment"], json!({}));
    let fingerprint = shown["data"]["authenticators"]["cert"]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(shown["data"]["subjects"], json!([format!("sha256:{fingerprint}")]));

    let filter = format!("/authenticators?filter=identity%3D%22{id}%22");
    let (_, listed) = operator.management("GET", &filter, Value::Null).await;
    assert_eq!(listed["data"][0]["fingerprint"], fingerprint);
    let authenticator = listed["data"][0]["id"].as_str().unwrap();
    let path = format!("/authenticators/{authenticator}");
    assert_eq!(operator.management("GET", &path, Value::Null).await.0, 200);
    assert_eq!(operator.management("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(device.asks(&operator, certificate).await.0, 401, "the certificate is nobody's any more");
    assert_eq!(operator.management("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_later_certificate_takes_the_place_of_the_one_before() {
    let operator = operator().await;
    let (id, ott) = waiting(&operator, "tablet").await;
    let device = Device::new(&operator).await;
    let (_, first) = device.redeem(ott["token"].as_str().unwrap(), device.request()).await;

    let again = json!({"method": "ott", "identityId": id, "expiresAt": "2999-01-01T00:00:00Z"});
    let enrollment = operator.make("/enrollments", again.clone()).await;
    let (status, reply) = operator.management("POST", "/enrollments", again).await;
    assert_eq!((status, &reply["error"]["code"]), (409, &json!("ENROLLMENT_EXISTS")));
    let (_, shown) = operator.management("GET", &format!("/enrollments/{enrollment}"), Value::Null).await;
    let url = device.api.url("/edge/client/v1/enroll/ott");
    let body = json!({"token": shown["data"]["token"], "clientCsr": device.request()});
    let second: Value = device.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();

    let certificate = |reply: &Value| reply["data"]["cert"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
    assert_eq!(device.asks(&operator, &certificate(&second)).await.0, 200);
    assert_eq!(device.asks(&operator, &certificate(&first)).await.0, 401);
}

#[tokio::test]
async fn tokens_end_move_and_are_taken_back() {
    let operator = operator().await;
    let (id, ott) = waiting(&operator, "tablet").await;
    let device = Device::new(&operator).await;
    let token = ott["token"].as_str().unwrap();
    operator.world.clock.advance(std::time::Duration::from_secs(3601));
    let (status, reply) = device.redeem(token, device.request()).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("ENROLLMENT_EXPIRED")));

    let path = format!("/enrollments/{}", ott["id"].as_str().unwrap());
    let past = json!({"expiresAt": "2001-01-01T00:00:00Z"});
    assert_eq!(operator.refused("POST", &format!("{path}/refresh"), past).await.2, "expiresAt");
    let later = json!({"expiresAt": "2999-01-01T00:00:00Z"});
    assert_eq!(operator.management("POST", &format!("{path}/refresh"), later).await.0, 200);
    let (status, reply) = device.redeem(token, "no request".to_owned()).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("COULD_NOT_PROCESS_CSR")));

    let disable = operator.management("POST", &format!("/identities/{id}/disable"), Value::Null).await;
    assert_eq!(disable.0, 200);
    assert_eq!(device.redeem(token, device.request()).await.0, 401);
    assert_eq!(operator.management("POST", &format!("/identities/{id}/enable"), Value::Null).await.0, 200);

    let (_, listed) = operator.management("GET", &format!("/identities/{id}/enrollments"), Value::Null).await;
    assert_eq!((&listed["data"][0]["token"], &listed["data"][0]["method"]), (&json!(token), &json!("ott")));
    assert_eq!(operator.management("DELETE", &path, Value::Null).await.0, 200);
    let (status, reply) = device.redeem(token, device.request()).await;
    assert_eq!((status, &reply["error"]["code"]), (400, &json!("INVALID_ENROLLMENT_TOKEN")));
}

#[tokio::test]
async fn a_token_is_signed_by_the_certificate_its_redeemer_is_shown() {
    let operator = operator().await;
    let (id, ott) = waiting(&operator, "tablet").await;
    let jwt = ott["jwt"].as_str().unwrap();
    let parts: Vec<_> = jwt.split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decoded(parts[0])).unwrap();
    let claims: Value = serde_json::from_slice(&decoded(parts[1])).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("https://api.postern.test:8444"), &json!(id)));
    assert_eq!((&claims["jti"], &claims["em"], &claims["aud"]), (&ott["token"], &json!("ott"), &json!([""])));
    assert!(claims["exp"].as_i64().unwrap() > 1_700_000_000);

    let server = postern::tls::load_certificates(&operator.world.ca.path().join("api.pem")).unwrap();
    let key = operator.world.public_key(&server[0]);
    let signed = format!("{}.{}", parts[0], parts[1]);
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, key);
    key.verify(signed.as_bytes(), &decoded(parts[2])).unwrap();
}

#[tokio::test]
async fn tokens_are_for_operators_who_may_write_and_for_nobodys_eyes_else() {
    let mut operator = operator().await;
    let (id, ott) = waiting(&operator, "tablet").await;
    let token = ott["token"].as_str().unwrap().to_owned();
    let (_, trail) = operator.send("GET", "/api/v1/audit?limit=-1", Value::Null).await;
    assert!(trail.to_string().contains(&id) && !trail.to_string().contains(&token), "{trail}");
    assert!(!trail.to_string().contains("\"digest\""), "{trail}");

    operator.token = VIEWER_TOKEN;
    for path in [format!("/identities/{id}"), "/identities".to_owned(), "/enrollments".to_owned()] {
        let (status, shown) = operator.management("GET", &path, Value::Null).await;
        assert_eq!(status, 200);
        assert!(!shown.to_string().contains(&token), "{path}");
    }
    assert_eq!(operator.management("POST", "/enrollments", json!({})).await.0, 401);
}

#[tokio::test]
async fn without_a_ca_nothing_is_issued() {
    let operator = Operator::new().await;
    let body = json!({"name": "t", "type": "Device", "isAdmin": false, "enrollment": {"ott": true}});
    let refused = (400, "COULD_NOT_VALIDATE".to_owned(), "enrollment.ott".to_owned());
    assert_eq!(operator.refused("POST", "/identities", body).await, refused);
    let api = operator.world.client().await;
    let laptop = operator.world.ca.client("laptop");
    let http = operator.world.http(&api, Some(&laptop));
    let url = api.url("/edge/client/v1/enroll?method=ott&token=t");
    let reply = http.post(url).header("content-type", "text/plain").body("x").send().await.unwrap();
    assert_eq!(reply.status(), 400);
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "INVALID_ENROLL_METHOD");
    let reply = http.get(api.url("/.well-known/est/cacerts")).send().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"].to_str().unwrap()),
        (200, &"application/pkcs7-mime")
    );
}

#[tokio::test]
async fn ways_that_are_not_offered_are_refused_by_field() {
    let operator = operator().await;
    let device = Device::new(&operator).await;
    let identity =
        |enrollment: Value| json!({"name": "t", "type": "Device", "isAdmin": false, "enrollment": enrollment});
    for (path, body, field) in [
        ("/identities", identity(json!({"updb": "t"})), "enrollment.updb"),
        ("/identities", identity(json!({"ottca": "ca"})), "enrollment.ottca"),
        ("/identities", identity(json!({"ott": "yes"})), "enrollment.ott"),
        (
            "/enrollments",
            json!({"method": "updb", "identityId": "laptop-id", "expiresAt": "2999-01-01T00:00:00Z"}),
            "method",
        ),
        (
            "/enrollments",
            json!({"method": "ott", "identityId": "nobody", "expiresAt": "2999-01-01T00:00:00Z"}),
            "identityId",
        ),
        ("/enrollments", json!({"method": "ott", "identityId": "laptop-id", "expiresAt": "soon"}), "expiresAt"),
    ] {
        let (status, _, told) = operator.refused("POST", path, body).await;
        assert_eq!((status, &*told), (400, field));
    }
    let url = device.api.url("/edge/client/v1/enroll?method=updb&token=t");
    let reply = device.http.post(url).header("content-type", "text/plain").body("x").send().await.unwrap();
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "INVALID_ENROLL_METHOD");
    // Everything else still asks for a certificate.
    let reply = device.http.get(device.api.url("/edge/client/v1/current-identity")).send().await.unwrap();
    assert_eq!(reply.status(), 401);
    for path in ["/enrollments/none", "/authenticators/none", "/identities/none/enrollments"] {
        assert_eq!(operator.management("GET", path, Value::Null).await.0, 404, "{path}");
    }
}
