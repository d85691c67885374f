//! `postern sessions` and a TCP service, against a running gateway.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::admin::Admin;
use super::client::connect;
use super::process::{Running, postern};
use super::support::Issued;
use super::support::origin::echoing;
use super::world::{ADMIN_TOKEN, World, policy};

const DATABASE: &str = "database.example.test";
const PATIENCE: Duration = Duration::from_secs(30);

/// `alice` and `bob` may reach a TCP service at `upstream`, and `carol` may not.
fn with_database(upstream: &str) -> World {
    let service = format!(
        "services:\n  - {{ name: database, protocol: tcp, hosts: [{DATABASE}], upstreams: [\"{upstream}\"] }}\n"
    );
    let leads =
        "service_policies:\n  - { name: staff-store, identity_roles: [\"#staff\"], service_roles: [\"@database\"] }\n";
    let policy = policy("127.0.0.1:1").replace("services:\n", &service).replace("service_policies:\n", leads);
    World::new(&policy)
}

async fn sessions(world: &World, gateway: &Running, words: &[&str]) -> Output {
    let mut command = postern();
    command.arg("sessions").args(words).arg("--ca").arg(world.authority.ca_file());
    command.env("POSTERN_ADMIN_URL", format!("https://localhost:{}", gateway.addresses.admin.port()));
    command.env("POSTERN_ADMIN_TOKEN", ADMIN_TOKEN);
    world.attempt(command).await
}

async fn listed(world: &World, gateway: &Running, words: &[&str]) -> Vec<Value> {
    let words = [&["list", "--output", "json"], words].concat();
    let output = sessions(world, gateway, &words).await;
    assert!(output.status.success(), "{}", said(&output));
    said(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

async fn open(world: &World, gateway: &Running, who: &Issued) -> TlsStream<TcpStream> {
    connect(gateway, &world.authority, who, DATABASE).await.unwrap().into_stream()
}

async fn echo(stream: &mut TlsStream<TcpStream>, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, text);
}

async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    rest
}

#[tokio::test]
async fn a_connection_to_a_tcp_service_is_listed_and_killed() {
    let database = echoing().await;
    let world = with_database(&database.address.to_string());
    let gateway = world.start().await;
    let nothing = sessions(&world, &gateway, &["list"]).await;
    assert_eq!(said(&nothing), "nothing is under way\n");

    let certificate = world.certificate("alice");
    let mut alice = open(&world, &gateway, &certificate).await;
    let mut bob = open(&world, &gateway, &world.certificate("bob")).await;
    echo(&mut alice, b"hello").await;
    echo(&mut bob, b"hello").await;
    assert_eq!(listed(&world, &gateway, &[]).await.len(), 2);
    assert_eq!(listed(&world, &gateway, &["--limit", "1"]).await.len(), 1);
    let own = listed(&world, &gateway, &["--identity", "alice", "--service", "database"]).await;
    let [session] = &own[..] else { panic!("{own:?}") };
    assert_eq!((&session["protocol"], &session["identity"]["name"]), (&"tcp".into(), &"alice".into()));
    let id = session["id"].as_str().unwrap();
    let shown = said(&sessions(&world, &gateway, &["list", "--identity", "alice"]).await);
    assert!(shown.starts_with(&format!("{id} tcp alice database\n  from 127.0.0.1:")), "{shown}");

    let killed = sessions(&world, &gateway, &["kill", id]).await;
    assert_eq!((killed.status.code(), said(&killed)), (Some(0), format!("session {id} is ended\n")));
    assert_eq!(rest(&mut alice).await, b"");
    echo(&mut bob, b"not disturbed").await;
    let failures = Admin::new(&gateway, &world.authority).failures("alice").await;
    assert_eq!(failures.last().unwrap()["reasonCode"], "ended-by-operator");
    let again = sessions(&world, &gateway, &["kill", id]).await;
    assert_eq!((again.status.code(), said(&again).lines().count()), (Some(1), 1), "{}", said(&again));
    echo(&mut open(&world, &gateway, &certificate).await, b"a lock would keep her out").await;
    // Otherwise the gateway would wait for it before it stops.
    drop((alice, bob));
    gateway.stop().await;
}

#[tokio::test]
async fn who_may_not_reach_a_tcp_service_hears_nothing_of_it() {
    let database = echoing().await;
    let world = with_database(&database.address.to_string());
    let gateway = world.start().await;
    assert_eq!(rest(&mut open(&world, &gateway, &world.certificate("carol")).await).await, b"");
    assert_eq!(database.connections(), 0);
    let failures = Admin::new(&gateway, &world.authority).failures("carol").await;
    assert_eq!(failures.last().unwrap()["reasonCode"], "no-policy");
    gateway.stop().await;
}
