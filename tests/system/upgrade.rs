//! A new process takes the place of the one that serves.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::admin::Admin;
use super::client::{Client, connect, get};
use super::posture::{Device, domain};
use super::process::{Mark, PATIENCE, Running};
use super::support::Origin;
use super::world::{ADMIN_TOKEN, World};

const WIKI: &str = "wiki.example.test";
const FILES: &str = "files.example.test";

/// Starts a successor of whatever serves.
async fn successor(world: &World) -> Running {
    let mut command = world.command();
    command.arg("--upgrade");
    world.start_command(command).await
}

/// Requests one after the other until told to stop; each must be answered with 200. Returns how many there were.
fn load(
    client: Client,
    host: &'static str,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while !stop.load(Ordering::Acquire) {
            let answer = client.request("GET", host, "/").send().await.unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            done.fetch_add(1, Ordering::AcqRel);
        }
    })
}

async fn at_least(done: &AtomicUsize, count: usize) {
    let reached = async {
        while done.load(Ordering::Acquire) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_over_under_load_without_a_failed_request() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let (alice, carol) = (world.certificate("alice"), world.certificate("carol"));
    let first = world.start().await;
    Device::new(&first, &world.authority, &alice).report(&[domain("corp.example")]).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..3 {
        for client in [
            Client::http1(&first, &world.authority, &alice),
            Client::http2(&first, &world.authority, &alice),
            Client::one_connection_a_request(&first, &world.authority, &carol),
        ] {
            clients.push(load(client, FILES, Arc::clone(&stop), Arc::clone(&done)));
        }
    }
    at_least(&done, 50).await;

    let second = successor(&world).await;
    assert_eq!(second.addresses.gateway, first.addresses.gateway);
    assert_eq!(second.addresses.admin, first.addresses.admin);
    let status = first.ended().await;
    assert!(status.success(), "{status}");
    let so_far = done.load(Ordering::Acquire);
    at_least(&done, so_far + 50).await;
    stop.store(true, Ordering::Release);
    for client in clients {
        client.await.unwrap();
    }
    // What the first was told, the second knows.
    assert_eq!(Client::http1(&second, &world.authority, &alice).status(WIKI, "/").await, 200);
    // And it can be taken over from in turn.
    let third = successor(&world).await;
    assert!(second.ended().await.success());
    assert_eq!(Client::http1(&third, &world.authority, &alice).status(WIKI, "/").await, 200);
    third.stop().await;
}

#[tokio::test]
async fn what_is_under_way_comes_to_its_end_and_its_refusals_are_kept() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let first = world.start().await;
    let client = Client::http1(&first, &world.authority, &alice);
    let held = tokio::spawn(async move { client.get(FILES, "/held").await.text().await.unwrap() });
    origin.arrived().await;
    // Under a name that is no service, so that one connection may ask for several.
    let mut idle = connect(&first, &world.authority, &bob, "localhost").await.unwrap();
    idle.say(&get(FILES, "/")).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);

    let second = successor(&world).await;
    first.message(Mark::start(), "the successor serves; what is under way here comes to its end").await;
    // One more request of a connection to the first, which is refused there.
    idle.say(&get(WIKI, "/")).await;
    let refused = idle.answer().await.unwrap();
    assert_eq!((refused.status, refused.reason().as_str()), (403, "posture-failed"));
    origin.release();
    assert_eq!(held.await.unwrap(), "released");
    assert!(first.ended().await.success());

    second.message(Mark::start(), "the predecessor has ended; its last refusals are kept").await;
    let admin = Admin::new(&second, &world.authority);
    let reasons: Vec<_> = admin.failures("bob").await.iter().map(|failure| failure["reasonCode"].clone()).collect();
    assert_eq!(reasons, ["posture-failed"]);
    second.kill();
    let third = world.start().await;
    assert_eq!(Admin::new(&third, &world.authority).failures("bob").await.len(), 1, "and they are on disk");
    third.stop().await;
}

#[tokio::test]
async fn a_successor_that_would_not_serve_disturbs_nobody() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let alice = world.certificate("alice");
    let first = world.start().await;
    let device = Device::new(&first, &world.authority, &alice);
    world.write("policy/more.yaml", "identities: 3\n");
    let mut command = world.command();
    command.args(["--upgrade", "--log", "off"]);
    let refused = world.attempt(command).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("more.yaml"), "{said}");
    device.report(&[domain("corp.example")]).await;
    assert_eq!(Client::http1(&first, &world.authority, &alice).status(WIKI, "/").await, 200);
    first.stop().await;
}

/// A successor was killed just after the first had let go of the store. Neither served then, and every connection hung.
#[tokio::test]
async fn a_successor_that_dies_half_way_is_made_up_for() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let alice = world.certificate("alice");
    let first = world.start().await;
    let device = Device::new(&first, &world.authority, &alice);
    device.report(&[domain("corp.example")]).await;
    let mark = first.mark();
    let door = world.path("data/upgrade.sock");
    let dying = tokio::task::spawn_blocking(move || {
        let mut channel = UnixStream::connect(door).unwrap();
        let mut heard = BufReader::new(channel.try_clone().unwrap()).lines();
        channel.write_all(b"{\"take\":1}\n").unwrap();
        assert!(heard.next().unwrap().unwrap().contains("gateway"));
        channel.write_all(b"\"release\"\n").unwrap();
        assert_eq!(heard.next().unwrap().unwrap(), "\"released\"");
    });
    dying.await.unwrap();
    first.message(mark, "the successor does not serve: this process goes on").await;
    first.message(mark, "listening").await;
    assert_eq!(Client::http1(&first, &world.authority, &alice).status(WIKI, "/").await, 200);
    device.report(&[domain("elsewhere.example")]).await;
    assert_eq!(Client::http1(&first, &world.authority, &alice).status(WIKI, "/").await, 403);
    // The next one may do better.
    let second = successor(&world).await;
    assert!(first.ended().await.success());
    assert_eq!(Client::http1(&second, &world.authority, &alice).status(WIKI, "/").await, 403);
    second.stop().await;
}

#[tokio::test]
async fn without_a_predecessor_there_is_nothing_to_take_over() {
    let world = World::new(&super::world::policy("127.0.0.1:1"));
    let mut command = world.command();
    command.args(["--upgrade", "--log", "off"]);
    let refused = world.attempt(command).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("no gateway to take over from") && said.contains("upgrade.sock"), "{said}");
    assert!(!said.contains(ADMIN_TOKEN));
}
