//! Bounds on what a client may take once it is through the handshake.

use std::time::Duration;

use postern::config::FrontDoor;

use super::support::{Gateway, Origin};
use super::wiki;

const GET: &str = "GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n";
const SOON: Duration = Duration::from_millis(200);

fn refused(gateway: &Gateway, reason: &str) -> bool {
    gateway.metrics().contains(&format!("postern_refused_connections_total{{reason=\"{reason}\"}}"))
}

#[tokio::test]
async fn a_connection_without_a_whole_request_is_closed() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { head_time: SOON, ..FrontDoor::default() }).start().await;
    for beginning in ["", "GET / HTTP/1.1\r\nHost: wiki.exa"] {
        let mut slow = gateway.connect("alice", "wiki.example.test").await;
        slow.say(beginning).await;
        assert_eq!(slow.rest().await, "");
    }
    assert!(refused(&gateway, "no-request-in-time"));
    // Who has asked is waited for as long as the answer takes.
    let client = gateway.client("alice");
    let held = tokio::spawn(async move { client.get("wiki.example.test", "/held").await.text().await.unwrap() });
    origin.arrived().await;
    let mut slow = gateway.connect("bob", "files.example.test").await;
    assert_eq!(slow.rest().await, "", "so long at least");
    origin.release();
    assert_eq!(held.await.unwrap(), "released");
}

#[tokio::test]
async fn an_identity_has_so_many_connections() {
    let origin = Origin::start().await;
    let bounds = FrontDoor { connections_per_identity: 1, ..FrontDoor::default() };
    let gateway = wiki(&origin).bounds(bounds).start().await;
    let mut first = gateway.connect("alice", "wiki.example.test").await;
    first.say(GET).await;
    assert_eq!(first.answer().await.unwrap().status, 200);
    let mut second = gateway.connect("alice", "wiki.example.test").await;
    assert!(second.answer().await.is_none());
    assert!(refused(&gateway, "too-many-connections"));
    let device = gateway.enforcer.device(&"alice".into()).unwrap();
    assert_eq!(device.failures()[0].reason.code(), "too-many-connections");
    assert_eq!(gateway.client("bob").get("files.example.test", "/").await.status(), 200, "others have their own");
    first.say(GET).await;
    assert_eq!(first.answer().await.unwrap().status, 200, "who is in stays in");
}

/// Requests that are reset as soon as they are made cost their client nothing and the upstream everything.
#[tokio::test]
async fn a_client_that_resets_too_much_loses_its_connection() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { resets: 5, ..FrontDoor::default() }).start().await;
    let client = gateway.client("alice");
    while !refused(&gateway, "reset-flood") {
        let before = origin.requests();
        let flooding = tokio::spawn(client.request("GET", "wiki.example.test", "/never").send());
        while origin.requests() == before && !flooding.is_finished() {
            tokio::task::yield_now().await;
        }
        flooding.abort();
        let _ = flooding.await;
    }
    // A new connection is a new chance.
    assert_eq!(gateway.client("alice").get("wiki.example.test", "/").await.status(), 200);
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_is_given_up() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).bounds(FrontDoor { body_time: SOON, ..FrontDoor::default() }).start().await;
    let mut slow = gateway.connect("alice", "wiki.example.test").await;
    slow.say("POST / HTTP/1.1\r\nHost: wiki.example.test\r\nContent-Length: 10\r\n\r\nabc").await;
    let answer = slow.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (408, "request-body-timeout"));
    assert_eq!(slow.rest().await, "", "and the connection is closed");
}
