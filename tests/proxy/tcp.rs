//! TCP services: chosen by the server name, decided before the first byte goes up, passed on whole.

use std::time::Duration;

use postern::id::IdentityId;
use postern::policy::objects::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::support::origin::{RawOrigin, echoing, nobody};
use super::support::policy::{Policy, identity, policy, service, tcp_service};
use super::support::{Gateway, Origin};

const DATABASE: &str = "database.example.test";

/// `alice` may reach the database, `bob` only the files.
fn policies(database: Service, files: &Origin) -> Policy {
    Policy::default()
        .identity(identity("alice"))
        .identity(identity("bob"))
        .service(database)
        .service(service("files", "files.example.test", &[files.upstream()]))
        .policy(policy("administrators", &["@alice"], &["@database"], &[]))
        .policy(policy("everybody", &["#all"], &["@files"], &[]))
}

async fn connect(gateway: &Gateway, who: &str) -> TlsStream<TcpStream> {
    gateway.connect(who, DATABASE).await.into_stream()
}

async fn everything(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn bytes_are_passed_on_and_counted_for_whom_it_is_allowed() {
    let (files, database) = (Origin::start().await, echoing().await);
    let gateway = Gateway::with(policies(at(&[database.address.to_string()]), &files)).start().await;
    let mut alice = connect(&gateway, "alice").await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (mut from, mut to) = tokio::io::split(&mut alice);
    let say = async {
        to.write_all(&large).await.unwrap();
        // Everything is said, and still the answer comes.
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let hear = async { from.read_to_end(&mut back).await.unwrap() };
    tokio::join!(say, hear);
    assert!(back == large);
    let metrics = gateway.metrics();
    for direction in ["up", "down"] {
        let counted = format!("postern_tcp_bytes_total{{direction=\"{direction}\",service=\"database\"}} 1000000");
        assert!(metrics.contains(&counted), "{metrics}");
    }
    assert!(metrics.contains("postern_decisions_total{decision=\"allow\",reason=\"\",service=\"database\"} 1"));
}

#[tokio::test]
async fn who_may_not_reach_it_gets_nothing_and_the_service_hears_nothing() {
    let (files, database) = (Origin::start().await, echoing().await);
    let gateway = Gateway::with(policies(at(&[database.address.to_string()]), &files)).start().await;
    let mut bob = connect(&gateway, "bob").await;
    assert_eq!(everything(&mut bob).await, b"");
    assert_eq!(database.connections(), 0);
    let failures = gateway.enforcer.device(&IdentityId::from("bob")).unwrap().failures();
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failure.reason.code(), failure.service.as_ref().unwrap().id.as_str()), ("no-policy", "database"));
    assert!(
        gateway
            .metrics()
            .contains("postern_decisions_total{decision=\"deny\",reason=\"no-policy\",service=\"database\"} 1")
    );
}

#[tokio::test]
async fn requests_do_not_reach_it() {
    let (files, database) = (Origin::start().await, echoing().await);
    let gateway = Gateway::with(policies(at(&[database.address.to_string()]), &files)).start().await;
    let mut alice = gateway.connect("alice", "files.example.test").await;
    alice.say(&format!("GET / HTTP/1.1\r\nhost: {DATABASE}\r\n\r\n")).await;
    let answer = alice.answer().await.unwrap();
    assert_eq!((answer.status, answer.reason().as_str()), (404, "unknown-service"));
    assert_eq!(database.connections(), 0);
}

#[tokio::test]
async fn what_the_service_says_first_is_heard() {
    let files = Origin::start().await;
    let database = RawOrigin::start(async |mut stream| {
        let _ = stream.write_all(b"220 welcome\r\n").await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    })
    .await;
    let gateway = Gateway::with(policies(at(&[database.address.to_string()]), &files)).start().await;
    let mut alice = connect(&gateway, "alice").await;
    let mut greeting = [0; 13];
    alice.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 welcome\r\n");
}

#[tokio::test]
async fn another_upstream_is_tried_and_silence_ends_it() {
    let (files, database) = (Origin::start().await, echoing().await);
    let mut reachable = at(&[nobody().await, database.address.to_string()]);
    reachable.transport.idle_timeout = Duration::from_millis(80);
    let gateway = Gateway::with(policies(reachable, &files)).start().await;
    for _ in 0..2 {
        let mut alice = connect(&gateway, "alice").await;
        alice.write_all(b"anybody there?").await.unwrap();
        assert_eq!(everything(&mut alice).await, b"anybody there?");
    }
    assert_eq!(database.connections(), 2);
    let metrics = gateway.metrics();
    assert!(
        metrics.contains("postern_upstream_requests_total{result=\"idle-timeout\",service=\"database\"}"),
        "{metrics}"
    );

    gateway.publish(policies(at(&[nobody().await]), &files));
    assert_eq!(everything(&mut connect(&gateway, "alice").await).await, b"");
    let metrics = gateway.metrics();
    assert!(
        metrics.contains("postern_upstream_requests_total{result=\"upstream-unreachable\",service=\"database\"}"),
        "{metrics}"
    );
}

fn at(upstreams: &[String]) -> Service {
    tcp_service("database", DATABASE, upstreams)
}
