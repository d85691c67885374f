//! What is too ambiguous to be judged never gets past the gate, and nothing that follows it on the connection does.

use postern::config::FrontDoor;

use super::support::{Gateway, Origin};
use super::wiki;

/// A request smuggled behind the first, for the eyes of a server that reads the first one differently.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n";

/// Says `request` and the smuggled one in one breath and returns everything that comes back.
async fn everything(gateway: &Gateway, request: &str) -> String {
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection.say(&format!("{request}{SMUGGLED}")).await;
    connection.rest().await
}

async fn refused(fields: &str, reason: &str) {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let request = format!("POST /p HTTP/1.1\r\nHost: wiki.example.test\r\n{fields}\r\n");
    let all = everything(&gateway, &request).await;
    assert!(all.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{all}");
    assert_eq!(all.matches("HTTP/1.1").count(), 1, "{all}");
    assert!(all.to_ascii_lowercase().contains("connection: close\r\n"), "{all}");
    assert_eq!(origin.connections(), 0, "the upstream saw something");
    if !reason.is_empty() {
        assert!(all.contains(&format!("\"reason\":\"{reason}\"")), "{all}");
        let counted = format!("postern_refused_requests_total{{reason=\"{reason}\"}} 1");
        assert!(gateway.metrics().contains(&counted), "{counted}");
    }
}

#[tokio::test]
async fn two_framings() {
    refused("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "content-length-and-transfer-encoding").await;
    refused("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "content-length-and-transfer-encoding").await;
}

#[tokio::test]
async fn several_lengths() {
    refused("Content-Length: 0\r\nContent-Length: 0\r\n", "duplicate-content-length").await;
    refused("Content-Length: 0, 0\r\n", "duplicate-content-length").await;
    // Pingora's parser is the one to notice these.
    refused("Content-Length: 0\r\nContent-Length: 5\r\n", "").await;
    refused("Content-Length: 0, 5\r\n", "").await;
    refused("Content-Length: -1\r\n", "").await;
}

#[tokio::test]
async fn transfer_codings_that_are_not_chunked() {
    refused("Transfer-Encoding: gzip, chunked\r\n", "unsupported-transfer-encoding").await;
    refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "unsupported-transfer-encoding").await;
    refused("Transfer-Encoding: identity\r\n", "").await;
    refused("Transfer-Encoding: xchunked\r\n", "").await;
}

#[tokio::test]
async fn folded_fields_and_stray_line_ends() {
    refused("X-Folded: a\r\n b\r\n", "").await;
    refused("X-Folded: a\r\n\tb\r\n", "").await;
    refused("X-Bare: a\nX-Second: b\r\n", "bare-control-character").await;
    refused("X-Bare: a\rb\r\n", "").await;
    refused("Content-Length : 0\r\n", "").await;
}

#[tokio::test]
async fn hosts_that_are_missing_doubled_or_contradicted() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for (request, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", Some("missing-host")),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Some("missing-host")),
        ("GET / HTTP/1.1\r\nHost: wiki.example.test/x\r\n\r\n", Some("invalid-host")),
        ("GET / HTTP/1.1\r\nHost: wiki.example.test\r\nHost: wiki.example.test\r\n\r\n", None),
        ("GET https://files.example.test/ HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n", None),
    ] {
        let all = everything(&gateway, request).await;
        assert!(all.starts_with("HTTP/1.1 400 "), "{request} -> {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{all}");
        if let Some(reason) = reason {
            assert!(all.contains(reason), "{request} -> {all}");
        }
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn paths_that_can_be_read_in_several_ways() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    for path in ["/a/../b", "/a/%2e%2e/b", "/a/..;/b", "/a/..%2fb", "/a%00b", "/a\\..\\b"] {
        let mut connection = gateway.connect("alice", "wiki.example.test").await;
        connection.say(&format!("GET {path} HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n")).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (400, "ambiguous-path"), "{path}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn too_many_and_too_large_fields() {
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    refused(&many, "too-many-header-fields").await;
    refused(&format!("X-Large: {}\r\n", "a".repeat(80_000)), "request-head-too-large").await;
}

#[tokio::test]
async fn heads_may_be_bounded_more_tightly() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { head_bytes: 1024, header_fields: 10, target_bytes: 64, ..FrontDoor::default() };
    let gateway = wiki(&origin).bounds(bounds).start().await;
    let many: String = (0..10).map(|number| format!("X-{number}: 1\r\n")).collect();
    let (large, long) = (format!("X-Large: {}\r\n", "a".repeat(1000)), "a".repeat(64));
    for (path, fields, reason) in [
        ("/", &*many, "too-many-header-fields"),
        ("/", &*large, "request-head-too-large"),
        (&*format!("/{long}"), "", "request-target-too-long"),
    ] {
        let mut connection = gateway.connect("alice", "wiki.example.test").await;
        connection.say(&format!("GET {path} HTTP/1.1\r\nHost: wiki.example.test\r\n{fields}\r\n")).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (400, reason));
    }
    assert_eq!(origin.connections(), 0);
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    let fits: String = many.lines().skip(1).map(|field| format!("{field}\r\n")).collect();
    let path = format!("/{}", "a".repeat(63));
    connection.say(&format!("GET {path} HTTP/1.1\r\nHost: wiki.example.test\r\n{fits}\r\n")).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn the_same_rules_hold_over_http2() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let client = gateway.client("alice");
    let many = (0..200).fold(client.request("GET", "wiki.example.test", "/"), |request, number| {
        request.header(format!("x-{number}"), "1")
    });
    let response = many.send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 400);
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["reason"], "too-many-header-fields");
    assert_eq!(origin.requests(), 0);
    assert!(client.get("wiki.example.test", "/").await.status().is_success(), "other streams go on");
}

#[tokio::test]
async fn an_ordinary_pipelined_request_is_not_taken_for_an_attack() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("alice", "wiki.example.test").await;
    connection.say("POST /body HTTP/1.1\r\nHost: wiki.example.test\r\nContent-Length: 4\r\n\r\nping").await;
    assert_eq!(connection.answer().await.unwrap().body, "ping");
    connection.say("GET /again HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n").await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
}
