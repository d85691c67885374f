//! Where requests go, and what is said when there is nowhere to go.

use std::collections::HashMap;
use std::time::Duration;

use postern::policy::objects::Service;
use postern::policy::service::{Balance, HealthCheck, Upstream};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::gateway::Client;
use super::support::origin::{RawOrigin, nobody};
use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, Origin};

async fn serving(wiki: Service) -> Gateway {
    Gateway::with(policies(wiki)).start().await
}

fn policies(wiki: Service) -> Policy {
    let policies = Policy::default().identity(identity("alice")).identity(identity("bob")).service(wiki);
    policies.policy(policy("readers", &["#all"], &["@wiki"], &[]))
}

fn at(upstreams: &[String]) -> Service {
    service("wiki", "wiki.example.test", upstreams)
}

/// The status and reason of a request that is answered by the gateway.
async fn trouble(client: &Client, path: &str) -> (u16, String) {
    let response = client.get("wiki.example.test", path).await;
    let status = response.status().as_u16();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["requestId"], id);
    (status, problem["reason"].as_str().unwrap().to_owned())
}

/// How often each origin answered.
async fn shares(client: &Client, requests: usize) -> HashMap<String, usize> {
    let mut shares = HashMap::new();
    for _ in 0..requests {
        let seen = client.described("wiki.example.test", "/").await;
        *shares.entry(seen["origin"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    shares
}

#[tokio::test]
async fn requests_take_turns_by_weight() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let mut wiki = at(&[a.upstream(), b.upstream()]);
    wiki.upstreams[1].weight = 3;
    let gateway = serving(wiki).await;
    let shares = shares(&gateway.client("alice"), 12).await;
    assert_eq!((shares["a"], shares["b"]), (3, 9));
}

#[tokio::test]
async fn the_least_loaded_upstream_is_chosen() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let mut wiki = at(&[a.upstream(), b.upstream()]);
    wiki.transport.balance = Balance::LeastLoaded;
    let gateway = serving(wiki).await;
    let client = gateway.client("alice");
    let held = tokio::spawn(client.request("GET", "wiki.example.test", "/held").send());
    let (busy, idle) = tokio::select! { () = a.arrived() => ("a", "b"), () = b.arrived() => ("b", "a") };
    let shares = shares(&client, 6).await;
    assert_eq!((shares.get(busy), shares[idle]), (None, 6));
    a.release();
    b.release();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_identity_stays_with_its_upstream() {
    let origins = [Origin::named("a").await, Origin::named("b").await, Origin::named("c").await];
    let mut wiki = at(&origins.each_ref().map(Origin::upstream));
    wiki.transport.balance = Balance::Hash;
    let gateway = serving(wiki).await;
    for name in ["alice", "bob"] {
        let (first, second) = (gateway.client(name), gateway.http1_client(name));
        let shares = (shares(&first, 4).await, shares(&second, 4).await);
        assert_eq!(shares.0.len(), 1);
        assert_eq!(shares.0, shares.1);
    }
}

#[tokio::test]
async fn unhealthy_upstreams_are_left_out_until_they_recover() {
    let (a, b) = (Origin::named("a").await, Origin::named("b").await);
    let mut wiki = at(&[a.upstream(), b.upstream()]);
    wiki.transport.health_check = Some(HealthCheck {
        path: Some("/healthz".to_owned()),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(20),
        healthy_after: 1,
        unhealthy_after: 1,
    });
    let gateway = serving(wiki).await;
    let client = gateway.client("alice");
    a.set_healthy(false);
    until(async || shares(&client, 4).await.get("b") == Some(&4)).await;
    b.set_healthy(false);
    until(async || client.get("wiki.example.test", "/").await.status() == 503).await;
    assert_eq!(trouble(&client, "/").await, (503, "no-healthy-upstream".to_owned()));
    a.set_healthy(true);
    until(async || client.get("wiki.example.test", "/").await.status() == 200).await;
    assert_eq!(shares(&client, 4).await.get("a"), Some(&4));
}

#[tokio::test]
async fn a_connection_is_health_enough_where_no_path_is_given() {
    let origin = Origin::named("a").await;
    let mut wiki = at(&[origin.upstream(), nobody().await]);
    wiki.transport.retries = 0;
    wiki.transport.health_check = Some(HealthCheck {
        path: None,
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(20),
        healthy_after: 1,
        unhealthy_after: 2,
    });
    let gateway = serving(wiki).await;
    let client = gateway.client("alice");
    until(async || {
        let answers = [client.get("wiki.example.test", "/").await, client.get("wiki.example.test", "/").await];
        answers.iter().all(|answer| answer.status() == 200)
    })
    .await;
}

/// Asks again until it is so; the test's own time limit is the only bound.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn another_upstream_is_tried_when_no_connection_can_be_made() {
    let origin = Origin::named("alive").await;
    let gateway = serving(at(&[nobody().await, origin.upstream(), nobody().await])).await;
    let client = gateway.client("alice");
    for _ in 0..6 {
        // One retry is allowed, and there is one dead upstream too many to get through with it every time.
        let response = client.request("POST", "wiki.example.test", "/body").body("text").send().await.unwrap();
        assert!([200, 502].contains(&response.status().as_u16()));
    }
    let mut patient = at(&[nobody().await, origin.upstream(), nobody().await]);
    patient.transport.retries = 2;
    gateway.publish(policies(patient));
    let before = origin.requests();
    for _ in 0..6 {
        let response = client.request("POST", "wiki.example.test", "/body").body("text").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "text");
    }
    assert_eq!(origin.requests() - before, 6);
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let silent = RawOrigin::start(async |mut stream| {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
    })
    .await;
    let other = Origin::start().await;
    let mut wiki = at(&[silent.address.to_string(), other.upstream()]);
    wiki.transport.retries = 3;
    let gateway = serving(wiki).await;
    let client = gateway.client("alice");
    let mut answers = Vec::new();
    for _ in 0..2 {
        let response = client.get("wiki.example.test", "/").await;
        answers.push(response.status().as_u16());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 502]);
    assert_eq!((silent.connections(), other.requests()), (1, 1));
}

#[tokio::test]
async fn a_kept_connection_that_broke_is_not_tried_twice_either() {
    let fickle = RawOrigin::start(async |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        // The next request is read and left without an answer.
        let _ = stream.read(&mut request).await;
    })
    .await;
    let gateway = serving(at(&[fickle.address.to_string()])).await;
    let client = gateway.client("alice");
    assert_eq!(client.get("wiki.example.test", "/").await.status(), 200);
    assert_eq!(trouble(&client, "/").await, (502, "upstream-broken".to_owned()));
    assert_eq!(fickle.connections(), 1);
}

#[tokio::test]
async fn trouble_has_a_status_and_a_reason() {
    let gateway = serving(at(&[])).await;
    let client = gateway.client("alice");
    assert_eq!(trouble(&client, "/").await, (503, "no-upstream".to_owned()));

    gateway.publish(policies(at(&[nobody().await])));
    assert_eq!(trouble(&client, "/").await, (502, "upstream-unreachable".to_owned()));

    let mut nameless = at(&[]);
    nameless.upstreams = vec![Upstream { address: "nobody.invalid:80".to_owned(), weight: 1 }];
    gateway.publish(policies(nameless));
    assert_eq!(trouble(&client, "/").await, (502, "upstream-unresolved".to_owned()));

    let origin = Origin::start().await;
    let mut slow = at(&[origin.upstream()]);
    slow.transport.read_timeout = Duration::from_millis(50);
    gateway.publish(policies(slow));
    assert_eq!(trouble(&client, "/never").await, (504, "upstream-timeout".to_owned()));

    let garbled = RawOrigin::start(async |mut stream| {
        let _ = stream.write_all(b"this is not HTTP\r\n\r\n").await;
    })
    .await;
    gateway.publish(policies(at(&[garbled.address.to_string()])));
    assert_eq!(trouble(&client, "/").await, (502, "upstream-broken".to_owned()));

    let metrics = gateway.metrics();
    for reason in ["no-upstream", "upstream-unreachable", "upstream-unresolved", "upstream-timeout", "upstream-broken"]
    {
        let counted = format!("postern_upstream_requests_total{{result=\"{reason}\",service=\"wiki\"}} 1");
        assert!(metrics.contains(&counted), "{reason}: {metrics}");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_is_not_taken_for_whole() {
    let broken = RawOrigin::start(async |mut stream| {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    })
    .await;
    let gateway = serving(at(&[broken.address.to_string()])).await;
    for client in [gateway.client("alice"), gateway.http1_client("alice")] {
        let response = client.get("wiki.example.test", "/").await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());
    }
}

#[tokio::test]
async fn names_are_resolved_and_every_address_is_tried() {
    // `localhost` has an IPv6 and an IPv4 address on most machines, and the origin listens on the latter only.
    let origin = Origin::named("local").await;
    let mut wiki = at(&[format!("localhost:{}", origin.address.port())]);
    wiki.transport.retries = 0;
    let gateway = serving(wiki).await;
    assert_eq!(shares(&gateway.client("alice"), 3).await["local"], 3);
}

#[tokio::test]
async fn connections_to_upstreams_are_kept_and_pools_of_other_services_too() {
    let origin = Origin::start().await;
    let gateway = serving(at(&[origin.upstream()])).await;
    let client = gateway.client("alice");
    shares(&client, 5).await;
    assert_eq!(origin.connections(), 1);
    let other = service("other", "other.example.test", &[nobody().await]);
    gateway.publish(policies(at(&[origin.upstream()])).service(other));
    shares(&client, 5).await;
    assert_eq!(origin.connections(), 1, "the service did not change");
}
