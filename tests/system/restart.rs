//! Stopping, starting again, and being told by signals.

use std::net::TcpListener;

use super::admin::Admin;
use super::client::Client;
use super::posture::{Device, domain};
use super::process::{Mark, Running};
use super::support::Origin;
use super::world::{World, configuration, policy};

const WIKI: &str = "wiki.example.test";
const FILES: &str = "files.example.test";

#[tokio::test]
async fn after_a_restart_doors_open_without_a_new_report() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let gateway = world.start().await;
    assert_eq!(Client::http1(&gateway, &world.authority, &bob).status(WIKI, "/").await, 403);
    Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
    assert_eq!(Client::http1(&gateway, &world.authority, &alice).status(WIKI, "/").await, 200);
    let admin = Admin::new(&gateway, &world.authority);
    let (posture, failures) = (admin.posture("alice").await, admin.failures("bob").await);
    gateway.stop().await;

    let gateway = world.start().await;
    assert_eq!(Client::http1(&gateway, &world.authority, &alice).status(WIKI, "/").await, 200);
    assert_eq!(Client::http1(&gateway, &world.authority, &bob).status(WIKI, "/").await, 403);
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.posture("alice").await, posture);
    let after = admin.failures("bob").await;
    assert_eq!(after[..failures.len()], failures[..], "with the values that were seen then");
    assert_eq!((failures.len(), after.len()), (1, 2));
}

#[tokio::test]
async fn a_second_gateway_on_the_same_data_says_so_in_one_line_and_disturbs_nobody() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let alice = world.certificate("alice");
    let first = world.start().await;
    let device = Device::new(&first, &world.authority, &alice);
    device.report(&[domain("corp.example")]).await;
    let mut second = world.command();
    second.args(["--log", "off"]);
    let refused = world.attempt(second).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("in use by another postern") && said.contains("data"), "{said}");
    device.report(&[domain("corp.example")]).await;
    assert_eq!(Client::http1(&first, &world.authority, &alice).status(WIKI, "/").await, 200);
    first.stop().await;
    world.start().await.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let world = World::new(&policy("127.0.0.1:1"));
    for listener in ["gateway", "client_api", "admin", "ops"] {
        let free = format!("{listener}: {{ address: 127.0.0.1:0 }}");
        world.write(
            "postern.yaml",
            &configuration("").replace(&free, &format!("{listener}: {{ address: \"{address}\" }}")),
        );
        let mut command = world.command();
        command.args(["--log", "off"]);
        let refused = world.attempt(command).await;
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&address) && said.contains(listener), "{said}");
    }
}

#[tokio::test]
async fn sigterm_lets_a_response_finish_while_no_new_connection_is_taken() {
    let origin = Origin::start().await;
    let world = World::before(&origin).configured("shutdown: { grace: 30s }\n");
    let alice = world.certificate("alice");
    for http2 in [false, true] {
        let gateway = world.start().await;
        let client = match http2 {
            false => Client::http1(&gateway, &world.authority, &alice),
            true => Client::http2(&gateway, &world.authority, &alice),
        };
        let admin = Admin::new(&gateway, &world.authority);
        let mut response = client.get(FILES, "/stream").await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), "one");
        gateway.signal("TERM");
        refuses_connections(&gateway).await;
        let (status, said) = admin.readiness().await;
        assert_eq!(status, 503, "{said}");
        assert!(said.contains("shutting down"), "{said}");
        // Reports are still taken: a device cannot know.
        Device::new(&gateway, &world.authority, &alice).report(&[domain("corp.example")]).await;
        origin.release();
        assert_eq!(response.text().await.unwrap(), "two");
        drop((client, admin));
        assert!(gateway.ended().await.success());
    }
}

/// Waits until the gateway's socket is closed.
async fn refuses_connections(gateway: &Running) {
    let closed = async {
        while tokio::net::TcpStream::connect(gateway.addresses.gateway).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::process::PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn a_response_that_takes_longer_than_the_grace_is_cut() {
    let origin = Origin::start().await;
    let world = World::before(&origin).configured("shutdown: { grace: 500ms }\n");
    let gateway = world.start().await;
    let client = Client::http1(&gateway, &world.authority, &world.certificate("alice"));
    let mut response = client.get(FILES, "/stream").await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "one");
    gateway.signal("TERM");
    assert!(response.chunk().await.is_err(), "the origin was never told to go on");
    let mark = Mark::start();
    gateway.message(mark, "connections cut at the end of the grace period").await;
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn sighup_puts_edited_files_into_force_and_leaves_broken_ones() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let client = Client::http2(&gateway, &world.authority, &world.certificate("bob"));
    assert_eq!(client.status(FILES, "/").await, 200);
    let mark = gateway.mark();
    world.write(
        "policy/objects.yaml",
        &policy(&origin.upstream()).replace("[\"#staff\", \"#auditors\"]", "[\"#auditors\"]"),
    );
    gateway.signal("HUP");
    gateway.message(mark, "policy loaded").await;
    gateway.message(mark, "client trust loaded").await;
    gateway.message(mark, "server certificates loaded").await;
    assert_eq!(client.status(FILES, "/").await, 403);

    let mark = gateway.mark();
    world.write("policy/objects.yaml", "services: 7\n");
    gateway.signal("HUP");
    gateway.message(mark, "policy not loaded: the one in force stays").await;
    assert_eq!(client.status(FILES, "/").await, 403);
    assert_eq!(Admin::new(&gateway, &world.authority).readiness().await.0, 200);
    gateway.stop().await;
}
