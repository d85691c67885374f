//! `postern-agent`: what makes it a program of its own. What it does is `postern agent`'s, and is tested there.

use std::ffi::OsStr;
use std::process::{Command, Output};

use super::agent::{Agent, config, json};
use super::process::undisturbed;
use super::support::Origin;
use super::world::World;

fn program() -> Command {
    undisturbed(env!("CARGO_BIN_EXE_postern-agent"))
}

async fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = program();
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn it_explains_itself_by_its_own_name() {
    let version = run(["--version"]).await;
    assert_eq!(
        (version.status.code(), printed(&version).trim()),
        (Some(0), concat!("postern-agent ", env!("CARGO_PKG_VERSION")))
    );
    for arguments in [vec!["--help"], vec!["run", "--help"], vec!["report", "--help"], vec!["status", "--help"]] {
        let help = run(&arguments).await;
        let text = printed(&help);
        assert_eq!(help.status.code(), Some(0), "{arguments:?}: {text}");
        assert!(text.contains("Examples:\n  postern-agent "), "{arguments:?}: {text}");
        assert!(text.contains("Exit codes:\n"), "{arguments:?}: {text}");
        assert!(!text.contains("postern agent"), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn it_refuses_what_it_does_not_know_and_what_cannot_work() {
    // A gateway's commands are not in it.
    for arguments in [vec![], vec!["check"], vec!["demo"], vec!["run"], vec!["report", "--colour"]] {
        let refused = run(&arguments).await;
        let text = printed(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("Usage: postern-agent"), "{arguments:?}: {text}");
    }
    for command in ["run", "report", "status"] {
        let refused = run([command, "--config", "/nowhere/agent.yaml"]).await;
        let text = printed(&refused);
        assert_eq!(refused.status.code(), Some(1), "{command}: {text}");
        assert!(text.contains("/nowhere/agent.yaml"), "{command}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reports_to_a_gateway_and_tells_what_is_open() {
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&format!(
        "\
identities: [{{ name: alice, subjects: [\"spiffe://postern.test/alice\"] }}]
services: [{{ name: app, hosts: [app.example.test], upstreams: [\"{upstream}\"] }}]
posture_checks: [{{ name: any-linux, type: OS, evidence: signed, operating_systems: [{{ type: Linux, versions: [\">=1.0.0\"] }}] }}]
service_policies: [{{ name: p, identity_roles: [\"#all\"], service_roles: [\"#all\"], posture_check_roles: [\"#all\"] }}]
",
        upstream = origin.upstream(),
    ));
    let gateway = world.start().await;
    let url = format!("https://localhost:{}", gateway.addresses.client_api.port());
    let config = config(folder.path(), &url, &world.authority, &world.certificate("alice"));
    let once = async |command: &str, output: &str| {
        run([OsStr::new(command), OsStr::new("--output"), OsStr::new(output), OsStr::new("--config"), config.as_ref()])
            .await
    };

    let shut = once("status", "text").await;
    assert_eq!(shut.status.code(), Some(1));
    assert!(printed(&shut).contains("has never reported; run `postern-agent report`"), "{}", printed(&shut));
    let reported = once("report", "json").await;
    assert_eq!(reported.status.code(), Some(0), "{}", printed(&reported));
    assert_eq!(json(&reported)["report"]["os"]["name"], "Linux");
    let open = once("status", "json").await;
    assert_eq!(open.status.code(), Some(0), "{}", printed(&open));
    assert_eq!(json(&open)["services"][0]["open"], true);

    let mut agent = Agent::of(program(), &config);
    agent.says("watching this device").await;
    agent.says("reported").await;
    agent.stop().await;
}
