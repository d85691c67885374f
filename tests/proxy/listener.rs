//! Gateways in one process: each on a port of its own, each stopping in order.

use std::time::Duration;

use super::support::Origin;
use super::wiki;

#[tokio::test]
async fn two_gateways_live_side_by_side() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let (first, second) = (wiki(&a).start().await, wiki(&b).start().await);
    assert_ne!(first.address, second.address);
    assert_ne!(first.address.port(), 0);
    assert_eq!(first.client("alice").described("wiki.example.test", "/").await["origin"], "a");
    assert_eq!(second.client("alice").described("wiki.example.test", "/").await["origin"], "b");
    first.stopped().await;
    assert_eq!(second.client("alice").described("wiki.example.test", "/").await["origin"], "b");
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_nobody_in() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let held: Vec<_> = [gateway.client("alice"), gateway.http1_client("alice")]
        .into_iter()
        .map(|client| tokio::spawn(async move { client.get("wiki.example.test", "/held").await.text().await.unwrap() }))
        .collect();
    origin.arrived().await;
    while origin.requests() < 2 {
        tokio::task::yield_now().await;
    }
    let mut idle = gateway.connect("alice", "wiki.example.test").await;
    idle.say("GET / HTTP/1.1\r\nHost: wiki.example.test\r\n\r\n").await;
    idle.answer().await.unwrap();
    gateway.stop();
    assert_eq!(idle.rest().await, "", "idle connections are closed");
    let address = gateway.address;
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let stopped = tokio::spawn(gateway.stopped());
    origin.release();
    origin.release();
    for held in held {
        loop {
            // One release may be taken for both when they come before the other request waits.
            origin.release();
            if held.is_finished() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(held.await.unwrap(), "released");
    }
    stopped.await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_is_cut_when_the_grace_is_over() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).grace(Duration::from_millis(50)).start().await;
    let client = gateway.client("alice");
    let never = tokio::spawn(client.request("GET", "wiki.example.test", "/never").send());
    while origin.requests() == 0 {
        tokio::task::yield_now().await;
    }
    gateway.stopped().await;
    assert!(never.await.unwrap().is_err());
}
