//! What is written for a client in small pieces, and goes out together.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::admission::REQUEST;
use super::support::policy::{Policy, identity, policy, service};
use super::support::{Gateway, Origin};
use super::wiki;

const HOST: &str = "wiki.example.test";
/// Type, version and length.
const RECORD_HEAD: usize = 5;

// A response used to be two records, and two packets, of which the first one woke the client for a head without a body.
#[tokio::test]
async fn the_head_and_the_body_of_a_short_answer_are_one_record() {
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let mut connection = gateway.connect("alice", HOST).await;
    let answer = connection.ask(REQUEST).await.unwrap();
    assert!(!answer.body.is_empty());
    connection.say(REQUEST).await;
    let mut stream = connection.into_stream();
    let mut record_head = [0; RECORD_HEAD];
    stream.get_mut().0.read_exact(&mut record_head).await.unwrap();
    let length = u16::from_be_bytes([record_head[3], record_head[4]]);
    assert!(usize::from(length) > answer.head.len() + answer.body.len(), "{length} bytes");
}

/// A head whose body is slow is not kept back until the body comes.
#[tokio::test]
async fn nobody_waits_for_a_slow_body_without_the_head() {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = origin.local_addr().unwrap().to_string();
    let gateway = Gateway::with(
        Policy::default().identity(identity("alice")).service(service("wiki", HOST, &[upstream])).policy(policy(
            "readers",
            &["@alice"],
            &["@wiki"],
            &[],
        )),
    );
    let gateway = gateway.start().await;
    let mut connection = gateway.connect("alice", HOST).await;
    connection.say(REQUEST).await;
    let (mut asked, _) = origin.accept().await.unwrap();
    let _ = asked.read(&mut [0; 4096]).await.unwrap();
    asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na").await.unwrap();
    let mut stream = connection.into_stream();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\na") {
        said.push(stream.read_u8().await.unwrap());
    }
    asked.write_all(b"b").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'b');
}
