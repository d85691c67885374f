//! Runs the Python scripts of this folder, each against a gateway of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use ring::digest::{SHA256, digest};
use tokio::process::Command;

use super::process::Running;
use super::python::interpreter;
use super::support::Authority;
use super::world::{ADMIN_TOKEN, World, policy};

/// An account as the SDK names one. Any will do, as long as the configuration names none.
pub(crate) const ACCOUNT: &str = "699d98642c564d2e855e9661899b7252";

/// The bearer token of an operator who may only look.
const VIEWER_TOKEN: &str = "a-token-that-opens-nothing-but-eyes";

/// The address that goes with it.
const VIEWER_EMAIL: &str = "ada@example.org";

/// How every secret begins that the scripts send.
const SECRET: &str = "a-secret-that-is-never-told";

/// A gateway with two operators, one of them read-only, that takes the credentials of integrations on trust.
pub(crate) fn world() -> World {
    world_with("test_integrations: false")
}

/// The same with settings of the test's own.
pub(crate) fn world_with(cloudflare: &str) -> World {
    let viewer: String =
        digest(&SHA256, VIEWER_TOKEN.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    World::new(&policy("127.0.0.1:1")).configured(&format!(
        "    - name: viewers
      sha256: {viewer}
      email: {VIEWER_EMAIL}
      role: read-only
cloudflare: {{ {cloudflare} }}
"
    ))
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Runs a script to its end. It must succeed, and no secret it sent may be in the log.
async fn run(script: &str) {
    let python = tokio::task::spawn_blocking(interpreter).await.unwrap();
    let (world, signer) = (world(), Authority::new("Signing CA"));
    let gateway = world.start().await;
    let mut command = Command::new(python);
    // Nothing of the caller's environment: no proxies, and no credentials that the SDK would find by itself.
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.arg("-B").arg(file("sdk").join(script));
    command
        .env("PYTHONUTF8", "1")
        .env("SSL_CERT_FILE", world.authority.ca_file())
        .env("SDK_BASE_URL", format!("https://localhost:{}/client/v4", gateway.addresses.admin.port()))
        .env("SDK_ACCOUNT_ID", ACCOUNT)
        .env("SDK_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("SDK_VIEWER_TOKEN", VIEWER_TOKEN)
        .env("SDK_VIEWER_EMAIL", VIEWER_EMAIL)
        .env("SDK_SECRET", SECRET)
        .env("SDK_CA_FILE", signer.ca_file())
        .env("SDK_CA_KEY_FILE", signer.path().join("ca.key"))
        .env("SDK_VECTORS", file("data/vectors/cloudflare.json"));
    let ended = command.output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(
        ended.status.success(),
        "{script}: {}\n{stdout}{stderr}\nthe gateway's log:\n{}",
        ended.status,
        log(&gateway)
    );
    for secret in [SECRET, VIEWER_TOKEN] {
        assert!(!gateway.log_text().contains(secret), "{secret} is in the log:\n{}", gateway.log_text());
    }
    gateway.stop().await;
}

/// The end of the log: the whole of it would bury what the script says.
fn log(gateway: &Running) -> String {
    let text = gateway.log_text();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
}

#[tokio::test]
async fn rules() {
    run("rules.py").await;
}

#[tokio::test]
async fn refusals() {
    run("refusals.py").await;
}

#[tokio::test]
async fn integrations() {
    run("integrations.py").await;
}

#[tokio::test]
async fn lists() {
    run("lists.py").await;
}

#[tokio::test]
async fn certificates() {
    run("certificates.py").await;
}

#[tokio::test]
async fn authentication() {
    run("authentication.py").await;
}
