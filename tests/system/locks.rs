//! `postern lock` and `postern unlock` against a running gateway.

use std::process::Output;

use serde_json::Value;

use super::admin::Admin;
use super::client::Client;
use super::process::{Running, postern};
use super::support::Origin;
use super::world::{ADMIN_TOKEN, World};

const FILES: &str = "files.example.test";

/// Runs a command of an operator to its end.
async fn operator(world: &World, gateway: &Running, words: &[&str]) -> Output {
    let mut command = postern();
    command.args(words).arg("--ca").arg(world.authority.ca_file());
    command.env("POSTERN_ADMIN_URL", format!("https://localhost:{}", gateway.addresses.admin.port()));
    command.env("POSTERN_ADMIN_TOKEN", ADMIN_TOKEN);
    world.attempt(command).await
}

fn said(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

#[tokio::test]
async fn a_locked_identity_is_shut_out_over_a_restart_until_it_is_unlocked() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let gateway = world.start().await;
    let (open, other) =
        (Client::http2(&gateway, &world.authority, &alice), Client::http1(&gateway, &world.authority, &bob));
    assert_eq!((open.status(FILES, "/").await, other.status(FILES, "/").await), (200, 200));

    let locked = operator(&world, &gateway, &["lock", "alice", "--for", "12h", "--reason", "reported stolen"]).await;
    assert!(locked.status.success(), "{}", said(&locked));
    assert!(said(&locked).starts_with("alice is locked until 2"), "{}", said(&locked));
    let refused = open.request("GET", FILES, "/").send().await;
    // The open connection answers, unless its end was noticed first; nothing gets through either way.
    if let Ok(refused) = refused {
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["reason"], "identity-locked");
    }
    let new = Client::http1(&gateway, &world.authority, &alice);
    assert!(new.request("GET", FILES, "/").send().await.is_err(), "a new connection is not let in");
    assert_eq!(other.status(FILES, "/").await, 200, "others are not disturbed");
    let admin = Admin::new(&gateway, &world.authority);
    let failures = admin.failures("alice").await;
    let last = failures.last().unwrap();
    assert_eq!((&last["reasonCode"], &last["lock"]["reason"]), (&"identity-locked".into(), &"reported stolen".into()));

    let listed = operator(&world, &gateway, &["locks", "--output", "json"]).await;
    let lock: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&lock["identity"]["name"], &lock["lockedBy"]), (&"alice".into(), &"tests".into()));
    gateway.kill();

    let gateway = world.start().await;
    let alices = Client::http1(&gateway, &world.authority, &alice);
    assert!(alices.request("GET", FILES, "/").send().await.is_err(), "not after a sudden end either");
    let unlocked = operator(&world, &gateway, &["unlock", "alice"]).await;
    assert!(unlocked.status.success(), "{}", said(&unlocked));
    assert_eq!(alices.status(FILES, "/").await, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn an_order_that_is_refused_says_why_in_one_line() {
    let world = World::new(&super::world::policy("127.0.0.1:1"));
    let gateway = world.start().await;
    for (words, expected) in [
        (&["lock", "nobody", "--reason", "x"][..], "neither an id nor a name"),
        (&["lock", "alice", "--reason", "x", "--for", "soon"], "for is not a duration"),
        (&["unlock", "alice"], "not locked"),
        (&["locks", "--url", "http://localhost:1"], "is not an address such as https://"),
        (&["locks", "--url", "https://localhost:1"], "no answer from https://localhost:1/api/v1/locks"),
        (&["locks", "--token-file", "/nowhere/token"], "cannot read the token from `/nowhere/token`"),
    ] {
        let output = operator(&world, &gateway, words).await;
        let said = said(&output);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{words:?}: {said}");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    gateway.stop().await;
}
