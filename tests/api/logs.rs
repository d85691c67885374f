//! The log lines of the API, and what must never be in them.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use crate::world::{ADMIN_TOKEN, PASSWORD, World};

/// Everything the product logs in this test process, at every level.
fn lines() -> &'static Arc<Mutex<Vec<u8>>> {
    static LINES: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        tracing_subscriber::fmt()
            .json()
            .with_env_filter("postern=trace")
            .with_writer(move || Sink(Arc::clone(&writer)))
            .init();
        lines
    })
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_is_one_line_without_tokens_queries_and_bodies() {
    let lines = lines();
    let world = World::in_force();
    let (admin, client) = (world.admin().await, world.client().await);

    let http = world.http(&admin, None);
    let url = admin.url("/edge/management/v1/identities/laptop-id?note=in-the-query");
    let reply = http.get(&url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    let shown = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
    http.get(&url).bearer_auth("a-wrong-token").send().await.unwrap();

    let device = world.http(&client, Some(&world.ca.client("laptop")));
    let report = r#"{"id":"domain-id","typeId":"DOMAIN","domain":"in-the-body.example"}"#;
    let reply = device
        .post(client.url("/edge/client/v1/posture-response"))
        .header("content-type", "application/json")
        .body(report)
        .send()
        .await
        .unwrap();
    let reported = reply.headers()["x-request-id"].to_str().unwrap().to_owned();

    let login = admin.url("/edge/management/v1/authenticate?method=password");
    let wrong = serde_json::json!({"username": "grace", "password": "a-wrong-password"});
    http.post(&login).json(&wrong).send().await.unwrap();
    let right = serde_json::json!({"username": "grace", "password": PASSWORD});
    let session: serde_json::Value = http.post(&login).json(&right).send().await.unwrap().json().await.unwrap();
    let token = session["data"]["token"].as_str().unwrap();
    http.delete(admin.url("/edge/management/v1/current-api-session")).bearer_auth(token).send().await.unwrap();

    let logged = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    for secret in
        [ADMIN_TOKEN, "a-wrong-token", "in-the-query", "in-the-body.example", PASSWORD, "a-wrong-password", token]
    {
        assert!(!logged.contains(secret), "{secret} was logged");
    }
    // Tests beside this one log in as well.
    for told in [r#""message":"login refused""#, r#""message":"logged in""#, r#""message":"logged out""#] {
        assert!(logged.lines().any(|line| line.contains(told) && line.contains("grace")), "{told}");
    }
    for (id, method, path, status, caller) in [
        (shown, "GET", "/edge/management/v1/identities/laptop-id", 200, "ops"),
        (reported, "POST", "/edge/client/v1/posture-response", 201, "laptop-id"),
    ] {
        let of_request: Vec<serde_json::Value> =
            logged.lines().filter(|line| line.contains(&id)).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(of_request.len(), 1, "{of_request:#?}");
        let fields = &of_request[0]["fields"];
        assert_eq!((&fields["method"], &fields["path"]), (&method.into(), &path.into()));
        assert_eq!((&fields["status"], &fields["caller"]), (&status.into(), &caller.into()));
    }
}
