//! Whatever is asked of the admin API, the answer is one that its published document describes: schemathesis makes requests from the
//! document, right and wrong ones, and holds each answer against it.

use std::process::Stdio;

use tokio::process::Command;

use super::python::interpreter;
use super::scripts::world;
use super::support::client::tls;
use super::world::ADMIN_TOKEN;

/// What is looked at. Left out: whether right data is accepted, for a name may be taken and what a body refers to must be there,
/// which no document can say; and what wrong credentials are answered with, for guessing locks the address out.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,\
    allow_header_conformance,use_after_free,ensure_resource_availability";

/// Logging in, which is explored by itself and last: wrong passwords lock the address out.
const LOGIN: &str = "/edge/management/v1/authenticate";

#[tokio::test]
async fn whatever_is_asked_is_answered_as_the_document_says() {
    let python = tokio::task::spawn_blocking(interpreter).await.unwrap();
    let world = world();
    let gateway = world.start().await;
    let address = gateway.addresses.admin;
    let http = reqwest::Client::builder().resolve("localhost", address).no_proxy();
    let http = http.tls_backend_preconfigured(tls(&world.authority, None)).build().unwrap();
    let base = format!("https://localhost:{}", address.port());
    let document = http.get(format!("{base}/api/openapi.json")).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    world.write("openapi.json", &document.text().await.unwrap());
    for selection in [
        ["--exclude-path", LOGIN, "--phases", "coverage,fuzzing,stateful"],
        ["--include-path", LOGIN, "--phases", "fuzzing"],
    ] {
        let mut command = Command::new(python.with_file_name("schemathesis"));
        command.env_clear().env("PYTHONUTF8", "1").stdin(Stdio::null()).kill_on_drop(true);
        command.current_dir(world.path(".")).args(["run", "openapi.json", "--url", &base, "--checks", CHECKS]);
        command.arg("--tls-verify").arg(world.authority.ca_file());
        command.args(["--header", &format!("Authorization: Bearer {ADMIN_TOKEN}")]).args(selection);
        command.args([
            "--seed",
            "1",
            "--max-examples",
            "3",
            "--continue-on-failure",
            "--no-shrink",
            "--warnings",
            "off",
        ]);
        let ended = command.output().await.unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{selection:?}: {}\n{stdout}{stderr}", ended.status);
        println!(
            "{}",
            stdout.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    gateway.stop().await;
}
