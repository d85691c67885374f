//! Configuration as the binary takes it: from the file, from the environment, and not at all when it is wrong.

use std::time::Duration;

use postern::clock::Stopwatch;
use serde_json::Value;

use super::admin::Admin;
use super::client::Client;
use super::posture::{Device, domain, process};
use super::process::postern;
#[cfg(target_os = "linux")]
use super::process::{Mark, in_shell};
use super::support::Origin;
use super::world::{World, configuration, policy};

#[tokio::test]
async fn the_environment_overrides_the_file() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    std::fs::rename(world.path("policy"), world.path("elsewhere")).unwrap();
    let mut command = world.command();
    command
        .env("POSTERN_POLICY__DIRECTORY", world.path("elsewhere"))
        .env("POSTERN_DATA__STORE", "memory")
        .env("POSTERN_ADMIN__TOKENS__0__ROLE", "read-only")
        .env("POSTERN_TLS__CERTIFICATES", "[{ cert_file: other.pem, key_file: other.key }]")
        .env("POSTERN_PROXY__FORWARDED__CLIENT_CERTIFICATE", "false");
    std::fs::rename(world.path("server.pem"), world.path("other.pem")).unwrap();
    std::fs::rename(world.path("server.key"), world.path("other.key")).unwrap();
    let gateway = world.start_command(command).await;
    let client = Client::http1(&gateway, &world.authority, &world.certificate("alice"));
    let seen = client.described("files.example.test", "/").await;
    assert_eq!(seen["headers"].get("x-forwarded-client-cert"), None, "{seen}");
    assert!(!world.path("data").exists(), "nothing is written to disk");
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.policy().await["identities"], 4);
    let reload = admin.request("POST", "/api/v1/reload").send().await.unwrap();
    assert_eq!(reload.status(), 401, "the token may only read now");
}

// A gateway used to serve under the limit it was started with, of which most systems give 1,024: some five hundred clients.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn as_many_file_descriptors_are_used_as_the_system_allows() {
    let world = World::new(&policy("127.0.0.1:1"));
    let command = in_shell("ulimit -Sn 300; ulimit -Hn 700; exec \"$@\"", "sh", &world.command());
    let gateway = world.start_command(command).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(open_files.split_whitespace().take(2).collect::<Vec<_>>(), ["700", "700"]);
    let fewer =
        |event: &Value| event["message"].as_str().is_some_and(|said| said.starts_with("fewer file descriptors"));
    let told = gateway.event(Mark::start(), fewer).await;
    assert_eq!((&told["limit"], &told["wanted"]), (&700.into(), &(2 * 65_536).into()));
    gateway.stop().await;
}

#[tokio::test]
async fn an_override_that_is_wrong_is_named_and_nothing_is_served() {
    let world = World::new(&policy("127.0.0.1:1"));
    for (name, value) in [
        ("POSTERN_LISTENERS__GATEWAY__ADDRESS", "here"),
        ("POSTERN_LISTENERS__GATEWAY__ADRESS", "127.0.0.1:0"),
        ("POSTERN_SHUTDOWN__GRACE", "soon"),
        ("POSTERN_DATA__STORE", "cloud"),
    ] {
        for words in [["run", "--config"], ["check", "--config"]] {
            let mut command = postern();
            command.args(words).arg(world.path("postern.yaml")).env(name, value);
            let refused = world.attempt(command).await;
            let said = String::from_utf8(refused.stdout).unwrap() + &String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains(name), "{name}: {said}");
        }
    }
    assert!(!world.path("data").exists());
}

#[tokio::test]
async fn check_prints_every_finding_with_its_place_and_run_refuses_the_same() {
    let world = World::new(&policy("127.0.0.1:1").replace("type: DOMAIN", "type: DOMANE"));
    world.write("postern.yaml", &configuration("log: { level: info, colour: red }\nshutdown: { grace: -1s }\n"));
    let mut command = postern();
    command.arg("check").arg("--config").arg(world.path("postern.yaml"));
    let checked = world.attempt(command).await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    let first = configuration("").lines().count() + 1;
    for place in [format!("postern.yaml:{first}:"), format!("postern.yaml:{}:", first + 1)] {
        let line = said.lines().find(|line| line.contains(&place));
        assert!(line.is_some_and(|line| line.contains("error: ")), "{place} is not in: {said}");
    }

    world.write("postern.yaml", &configuration(""));
    let mut command = postern();
    command.args(["check", "--output", "json", "--config"]).arg(world.path("postern.yaml"));
    let checked = world.attempt(command).await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    let finding: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert!(finding["file"].as_str().unwrap().ends_with("objects.yaml"), "{finding}");
    assert!(finding["line"].is_u64() && finding["column"].is_u64(), "{finding}");

    let refused = world.attempt(world.command()).await;
    let log = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{log}");
    assert!(log.contains("objects.yaml:"), "{log}");
    assert!(!log.contains("\"listening\""), "{log}");
}

// The configuration file used to be left out of what is watched, so that nobody was told that an edit does nothing yet.
#[tokio::test]
async fn an_edit_of_the_configuration_file_is_said_to_wait_for_a_restart() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let mark = gateway.mark();
    world.write("postern.yaml", &configuration("shutdown: { grace: 1s }\n"));
    gateway
        .event(mark, |event| {
            event["message"].as_str().is_some_and(|said| said.contains("a restart puts it into force"))
        })
        .await;
    assert_eq!(Admin::new(&gateway, &world.authority).readiness().await.0, 200);
}

// A balancer needs a while to see that a gateway is no longer ready; until then it sends clients, who must be served.
#[tokio::test]
async fn after_the_order_to_stop_new_connections_are_served_for_as_long_as_the_delay() {
    let origin = Origin::start().await;
    let world = World::before(&origin).configured("shutdown: { delay: 4s }\n");
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.readiness().await.0, 200);
    let began = Stopwatch::start();
    gateway.signal("TERM");
    while admin.readiness().await.0 == 200 {}
    let client = Client::one_connection_a_request(&gateway, &world.authority, &world.certificate("alice"));
    assert_eq!(client.status("files.example.test", "/").await, 200);
    let status = gateway.ended().await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn lowered_limits_hold() {
    let origin = Origin::start().await;
    let world = World::before(&origin).configured("limits: { report_bytes: 1024, report_observations: 3 }\n");
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let alice = world.certificate("alice");
    let device = Device::new(&gateway, &world.authority, &alice);
    device.report(&[process("/a"), process("/b"), domain("corp.example")]).await;
    let (status, reply) = device.send(Value::from(vec![domain(&"x".repeat(1000))]).to_string()).await.unwrap();
    assert!(status.is_client_error(), "{status} {reply}");
    let (status, reply) = device.send(Value::from(vec![domain("x"); 4]).to_string()).await.unwrap();
    assert!(status.is_client_error(), "{status} {reply}");
    assert_eq!(admin.posture("alice").await["domain"]["domain"], "corp.example");
}

#[tokio::test]
async fn reports_that_are_too_large_or_wrong_are_refused_by_name_and_change_nothing() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    let alice = world.certificate("alice");
    let device = Device::new(&gateway, &world.authority, &alice);
    device.report(&[domain("corp.example")]).await;
    let before = admin.posture("alice").await;

    let large = format!("[{}]", " ".repeat(1024 * 1024));
    let larger = format!("[{}]", " ".repeat(12 * 1024 * 1024));
    let sending = (0..6).map(|number| {
        let device = Device::new(&gateway, &world.authority, &alice);
        let body = if number % 2 == 0 { large.clone() } else { larger.clone() };
        async move { device.send(body).await }
    });
    for (number, outcome) in futures_util::future::join_all(sending).await.into_iter().enumerate() {
        match outcome {
            Ok((status, reply)) => assert_eq!(status, 413, "{reply}"),
            // The answer may be overtaken by the end of a connection whose sender does not stop sending.
            Err(error) => assert!(number % 2 == 1, "{error}"),
        }
    }
    for (body, field) in [
        ("[{".to_owned(), "body"),
        (r#"[{"id":"x","typeId":"COLOUR"}]"#.to_owned(), "[0].typeId"),
        (format!(r#"[{},{{"id":"x","typeId":"OS","type":"Linux"}}]"#, domain("other.example")), "[1].version"),
    ] {
        let (status, reply) = device.send(body).await.unwrap();
        assert_eq!(status, 400, "{reply}");
        assert_eq!(reply["error"]["cause"]["field"], field, "{reply}");
    }
    assert_eq!(admin.posture("alice").await, before);
    assert!(admin.metric(r#"postern_posture_reports_total{result="too-large"}"#).await >= 3.0);
    assert_eq!(admin.metric(r#"postern_posture_reports_total{result="invalid"}"#).await, 3.0);
    let client = Client::http1(&gateway, &world.authority, &alice);
    assert_eq!(client.status("wiki.example.test", "/").await, 200);
}
