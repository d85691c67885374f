//! What a refused client gets to see, and what it cannot get around.

use std::process::Command;

use serde_json::Value;

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::posture::{Device, domain};
use super::process::{Mark, Running};
use super::support::{Issued, Origin, RawAnswer};
use super::world::World;

const WIKI: &str = "wiki.example.test";
const FILES: &str = "files.example.test";

#[tokio::test]
async fn a_refusal_is_json_for_programs_and_a_page_for_people() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let bob = world.certificate("bob");
    for client in [Client::http1(&gateway, &world.authority, &bob), Client::http2(&gateway, &world.authority, &bob)] {
        let response = client.get(WIKI, "/").await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["reason"], "posture-failed");
        assert_eq!(problem["requestId"], request_id.as_str());
        assert_eq!(problem["checks"][0]["name"], "company-domain");
        assert_eq!(problem["checks"][0]["reason"], "not-reported");
        assert_eq!(problem["checks"][0]["remediation"], "Join the device to the company's domain.");
        assert_eq!(problem["checks"][0].get("expected"), None, "values are not for clients unless a service says so");

        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let response = client.request("GET", WIKI, "/").header("accept", browser).send().await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let page = response.text().await.unwrap();
        assert!(page.starts_with("<!") && page.contains(&request_id), "{page}");
        assert!(page.contains("company-domain") && page.contains("Join the device"), "{page}");
    }
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(
        admin.metric(r#"postern_decisions_total{decision="deny",reason="posture-failed",service="wiki"}"#).await,
        4.0
    );
    assert_eq!(admin.failures("bob").await.len(), 4);
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn curl_sees_the_same() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is needed here");
        println!("skipped: there is no curl on this machine");
        return;
    }
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let (bob, alice) = (world.certificate("bob"), world.certificate("alice"));
    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    let port = gateway.addresses.gateway.port();
    let curl = |who: &Issued, more: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code} %{content_type}"])
            .args(["--connect-to", &format!("{WIKI}:443:127.0.0.1:{port}")])
            .arg("--cacert")
            .arg(world.authority.ca_file())
            .arg("--cert")
            .arg(&who.certificate_file)
            .arg("--key")
            .arg(&who.key_file)
            .args(more)
            .arg(format!("https://{WIKI}/"));
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    };
    assert!(curl(&alice, &[]).await.ends_with("200 application/json"));
    assert!(curl(&bob, &[]).await.ends_with("403 application/problem+json"));
    assert!(curl(&bob, &["--http1.1", "-H", "Accept: text/html"]).await.ends_with("403 text/html; charset=utf-8"));
}

/// An answer without what differs from request to request.
fn masked(answer: &RawAnswer, request_ids: &[&str]) -> (String, String) {
    let mask = |text: &str| request_ids.iter().fold(text.to_owned(), |text, id| text.replace(id, "ID"));
    let head: Vec<_> =
        answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).map(mask).collect();
    (head.join("\n"), mask(&answer.body))
}

async fn ask(gateway: &Running, world: &World, who: &Issued, host: &str, accept: &str) -> RawAnswer {
    let mut connection = connect(gateway, &world.authority, who, host).await.unwrap();
    connection.say(&format!("GET /deep/down HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\n\r\n")).await;
    connection.answer().await.unwrap()
}

#[tokio::test]
async fn a_concealed_service_answers_byte_for_byte_like_one_that_does_not_exist() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let (bob, carol) = (world.certificate("bob"), world.certificate("carol"));
    for accept in ["*/*", "text/html"] {
        let mut seen = Vec::new();
        for host in ["secret.example.test", "nothing.example.test"] {
            let answer = ask(&gateway, &world, &bob, host, accept).await;
            assert_eq!(answer.status, 404, "{host}");
            let id = answer
                .head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
            let id = id.unwrap();
            assert!(answer.body.contains(&id));
            assert!(!answer.body.contains("secret") && !answer.body.contains("nothing"), "{}", answer.body);
            seen.push(masked(&answer, &[&id]));
        }
        assert_eq!(seen[0], seen[1]);
    }
    // Who may reach it does, and operators are told the truth.
    assert_eq!(ask(&gateway, &world, &carol, "secret.example.test", "*/*").await.status, 200);
    let admin = Admin::new(&gateway, &world.authority);
    let failures = admin.failures("bob").await;
    let reasons: Vec<_> = failures.iter().map(|failure| failure["reasonCode"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["no-policy", "unknown-service", "no-policy", "unknown-service"]);
}

#[tokio::test]
async fn a_request_for_another_service_than_the_connection_is_for_gets_421() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let mut connection = connect(&gateway, &world.authority, &world.certificate("alice"), FILES).await.unwrap();
    for _ in 0..2 {
        connection.say(&get(WIKI, "/")).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (421, "misdirected-request"));
        // The connection is good for what it was made for.
        connection.say(&get(FILES, "/")).await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
    }
    assert_eq!(origin.requests(), 2);
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.metric(r#"postern_refused_requests_total{reason="misdirected-request"}"#).await, 2.0);
}

#[tokio::test]
async fn requests_that_two_servers_could_read_differently_are_refused_and_nothing_after_them_is_read() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let hidden = "GET /hidden HTTP/1.1\r\nhost: files.example.test\r\n\r\n";
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: {FILES}\r\n{fields}\r\n\r\n{body}");
    let chunked = format!("0\r\n\r\n{hidden}");
    for (request, reason) in [
        (post("content-length: 5\r\ntransfer-encoding: chunked", &chunked), "content-length-and-transfer-encoding"),
        (post("transfer-encoding: chunked\r\ncontent-length: 5", &chunked), "content-length-and-transfer-encoding"),
        (post("content-length: 0\r\ncontent-length: 44", hidden), "duplicate-content-length"),
        (post("content-length: 0, 44", hidden), "duplicate-content-length"),
        (post("transfer-encoding: xchunked", &chunked), "unsupported-transfer-encoding"),
        (post("x-note: one\r\n two\r\ncontent-length: 0", hidden), "obsolete-line-folding"),
        (post("host: wiki.example.test\r\ncontent-length: 0", hidden), "duplicate-host"),
    ] {
        let mut connection = connect(&gateway, &world.authority, &alice, FILES).await.unwrap();
        connection.say(&request).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, 400, "{request}");
        // What does not even parse is refused by the parser, in fewer words.
        assert!(answer.body.is_empty() || answer.reason() == reason, "{request}: {}", answer.body);
        assert_eq!(connection.rest().await, "", "{request}");
    }
    assert_eq!(origin.requests(), 0);
    assert!(gateway.events(Mark::start()).iter().all(|event| event["path"] != "/hidden"));
}

#[tokio::test]
async fn identity_headers_of_clients_never_reach_the_origin_as_they_were_sent() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let bob = world.certificate("bob");
    let lies = [
        ("x-forwarded-client-cert", "URI=spiffe://postern.test/carol"),
        ("x-postern-identity", "carol"),
        ("x_postern_identity", "carol"),
        ("x-postern-anything", "carol"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "secret.example.test"),
        ("x-forwarded-proto", "gopher"),
        ("forwarded", "for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
        ("x-request-id", "chosen-by-me"),
        ("connection", "x-postern-identity, x-forwarded-client-cert"),
    ];
    let mut connection = connect(&gateway, &world.authority, &bob, FILES).await.unwrap();
    let fields: String = lies.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    connection.say(&format!("GET / HTTP/1.1\r\nhost: {FILES}\r\n{fields}\r\n")).await;
    let over_http1: Value = serde_json::from_str(&connection.answer().await.unwrap().body).unwrap();
    let client = Client::http2(&gateway, &world.authority, &bob);
    let request = client.request("GET", FILES, "/");
    let request = lies
        .iter()
        .filter(|(name, _)| *name != "connection")
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let over_http2: Value = request.send().await.unwrap().json().await.unwrap();
    for seen in [over_http1, over_http2] {
        let headers = &seen["headers"];
        assert_eq!(headers["x-postern-identity"], serde_json::json!(["bob"]), "{headers}");
        let certificate = headers["x-forwarded-client-cert"].as_array().unwrap();
        assert_eq!(certificate.len(), 1, "{headers}");
        assert!(certificate[0].as_str().unwrap().contains("URI=spiffe://postern.test/bob"), "{headers}");
        assert_eq!(headers["x-forwarded-for"], serde_json::json!(["127.0.0.1"]), "{headers}");
        assert_eq!(headers["x-forwarded-proto"], serde_json::json!(["https"]), "{headers}");
        let told = headers.to_string();
        for lie in ["carol", "203.0.113.7", "secret", "gopher", "chosen-by-me"] {
            assert!(!told.contains(lie), "`{lie}` reached the origin: {told}");
        }
    }
}

#[tokio::test]
async fn every_request_leaves_one_line_that_says_why() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let client = Client::http2(&gateway, &world.authority, &world.certificate("bob"));
    for (host, decision, reason) in [
        (FILES, "allow", Value::Null),
        (WIKI, "deny", "posture-failed".into()),
        ("secret.example.test", "deny", "no-policy".into()),
    ] {
        let response = client.get(host, "/some/path?with=a-query").await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        response.bytes().await.unwrap();
        let line = gateway.event(Mark::start(), |event| event["request_id"] == id.as_str()).await;
        assert_eq!((&line["decision"], &line["reason"]), (&decision.into(), &reason), "{line}");
        assert_eq!((&line["identity"], &line["path"]), (&"bob".into(), &"/some/path".into()), "{line}");
        assert!(line["generation"].is_u64(), "{line}");
        let lines = gateway.events(Mark::start());
        assert_eq!(lines.iter().filter(|event| event["request_id"] == id.as_str()).count(), 1);
    }
}
