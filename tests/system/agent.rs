//! `postern agent` on this machine, against real gateways and against parties that are none.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern::agent::{Collector, MacCollector, Machine, held_certificates};
use postern::clock::Stopwatch;
use postern::posture::Platform;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::admin::Admin;
use super::client::Client;
use super::process::{PATIENCE, Running, postern};
use super::support::{Authority, Issued, Origin};
use super::world::World;

/// The agent as a process; ended when dropped.
pub(super) struct Agent {
    child: Child,
    lines: mpsc::UnboundedReceiver<Value>,
}

pub(super) fn config(folder: &Path, gateway: &str, authority: &Authority, certificate: &Issued) -> PathBuf {
    let path = folder.join("agent.yaml");
    let text = format!(
        "gateway: {gateway}\ncert_file: {}\nkey_file: {}\nca_file: {}\ninterval: 1h\n",
        certificate.certificate_file.display(),
        certificate.key_file.display(),
        authority.ca_file().display(),
    );
    fs::write(&path, text).unwrap();
    path
}

impl Agent {
    fn start(config: &Path) -> Agent {
        let mut command = postern();
        command.arg("agent");
        Agent::of(command, config)
    }

    /// What `command` is, told to run.
    pub(super) fn of(mut command: Command, config: &Path) -> Agent {
        command.args(["run", "--config"]).arg(config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                assert!(!line.contains("PRIVATE KEY"), "{line}");
                let line = serde_json::from_str(&line).unwrap_or_else(|_| Value::from(line));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Agent { child, lines }
    }

    /// Waits for the next line with this message.
    pub(super) async fn says(&mut self, message: &str) -> Value {
        let wait = async {
            loop {
                let line = self.lines.recv().await.unwrap_or_else(|| panic!("it ended before it said `{message}`"));
                if line["message"] == message {
                    return line;
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it did not say `{message}`"))
    }

    /// Tells it to end, and expects it to.
    pub(super) async fn stop(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it ended by itself");
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        self.says("stopped").await;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn once(command: &str, config: &Path, output: &str) -> Output {
    let mut once = postern();
    once.args(["agent", command, "--output", output, "--config"]).arg(config);
    tokio::task::spawn_blocking(move || once.output().unwrap()).await.unwrap()
}

pub(super) fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// A program of this test's own that runs until it is ended.
struct Program {
    path: PathBuf,
}

impl Program {
    fn install(folder: &Path) -> Program {
        let path = fs::canonicalize(folder).unwrap().join("watched-program");
        fs::copy("/bin/sleep", &path).unwrap();
        Program { path }
    }

    fn start(&self) -> Child {
        Command::new(&self.path).arg("1000").spawn().unwrap()
    }
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let numbers: String = release.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().unwrap_or(0)).chain([0, 0, 0]);
    let mut next = || parts.next().unwrap();
    format!("{}.{}.{}", next(), next(), next())
}

/// `app` asks for this machine's own system, its hardware if it has any, a running program, and a file; all of it signed.
fn policy(origin: &Origin, program: &Path, file: &Path) -> String {
    let macs = MacCollector.collect(&Machine::this());
    let macs: Vec<String> = macs.known().unwrap().clone();
    let hardware = if macs.is_empty() { "02:00:00:00:00:01".to_owned() } else { macs[0].clone() };
    format!(
        "\
identities:
  - {{ name: alice, subjects: [\"spiffe://postern.test/alice\"] }}
  - {{ name: bob, subjects: [\"spiffe://postern.test/bob\"] }}
services:
  - {{ name: app, hosts: [app.example.test], upstreams: [\"{upstream}\"] }}
  - {{ name: other, hosts: [other.example.test], upstreams: [\"{upstream}\"] }}
posture_checks:
  - {{ name: this-kernel, type: OS, evidence: signed, operating_systems: [{{ type: Linux, versions: [\"{kernel}\"] }}] }}
  - {{ name: this-hardware, type: MAC, mac_addresses: [\"{hardware}\"] }}
  - name: program-runs
    type: PROCESS
    evidence: signed
    process: {{ os_type: Linux, path: {program} }}
    remediation: Start the program.
  - {{ name: old-kernel, type: OS, operating_systems: [{{ type: Linux, versions: [\"<1.0.0\"] }}], remediation: Get an older kernel. }}
posture_rules:
  - {{ name: file-is-there, type: file, input: {{ operating_system: linux, path: {file}, exists: true }} }}
  - {{ name: disks, type: disk_encryption, input: {{ requireAll: true }} }}
  - {{ name: wall, type: firewall, input: {{ operating_system: linux, enabled: true }} }}
service_policies:
  - {{ name: p, identity_roles: [\"@alice\"], service_roles: [\"@app\"], semantic: AnyOf,
      posture_check_roles: [\"@this-kernel\", {mac} \"@program-runs\", \"@file-is-there\"] }}
  - {{ name: q, identity_roles: [\"@alice\"], service_roles: [\"@other\"], posture_check_roles: [\"@old-kernel\"] }}
  - {{ name: r, identity_roles: [\"@bob\"], service_roles: [\"@app\"], posture_check_roles: [\"@disks\", \"@this-hardware\", \"@wall\"], semantic: AnyOf }}
",
        upstream = origin.upstream(),
        kernel = kernel(),
        program = program.display(),
        file = file.display(),
        mac = if macs.is_empty() { "" } else { "\"@this-hardware\"," },
    )
}

/// Asks again and again until the answer has this status, and says how long that took.
async fn until(client: &Client, status: StatusCode) -> Duration {
    let began = Stopwatch::start();
    // A request that is under way when the door shuts may be cut.
    let ask = async || client.request("GET", "app.example.test", "/").send().await.ok().map(|answer| answer.status());
    let asked = async { while ask().await != Some(status) {} };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("it never was {status}"));
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_on_this_machine_opens_and_closes_the_door_within_a_second() {
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::install(folder.path());
    let file = fs::canonicalize(folder.path()).unwrap().join("watched-file");
    fs::write(&file, "x").unwrap();
    let world = World::new(&policy(&origin, &program.path, &file));
    let gateway = world.start().await;
    let alice = world.certificate("alice");
    let url = format!("https://localhost:{}", gateway.addresses.client_api.port());
    let client = Client::http1(&gateway, &world.authority, &alice);
    let mut agent = Agent::start(&config(folder.path(), &url, &world.authority, &alice));
    agent.says("reported").await;
    assert_eq!(client.get("app.example.test", "/").await.status(), StatusCode::FORBIDDEN);

    let mut flips = Vec::new();
    for _ in 0..4 {
        let mut running = program.start();
        flips.push(until(&client, StatusCode::OK).await);
        running.kill().unwrap();
        running.wait().unwrap();
        flips.push(until(&client, StatusCode::FORBIDDEN).await);
    }
    let mut running = program.start();
    until(&client, StatusCode::OK).await;
    fs::remove_file(&file).unwrap();
    flips.push(until(&client, StatusCode::FORBIDDEN).await);
    fs::write(&file, "y").unwrap();
    flips.push(until(&client, StatusCode::OK).await);
    running.kill().unwrap();
    running.wait().unwrap();
    println!("the door followed within {flips:?}");
    // On a machine that others use at the same time one or the other takes longer.
    flips.sort_unstable();
    assert!(flips[flips.len() / 2] < Duration::from_secs(1), "{flips:?}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_report_tells_what_is_asked_and_status_what_to_do() {
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::install(folder.path());
    let file = folder.path().join("watched-file");
    let world = World::new(&policy(&origin, &program.path, &file));
    let gateway = world.start().await;
    let url = format!("https://localhost:{}", gateway.addresses.client_api.port());
    let alice = config(folder.path(), &url, &world.authority, &world.certificate("alice"));

    let reported = once("report", &alice, "json").await;
    let report = &json(&reported)["report"];
    assert_eq!((&report["os"]["name"], &report["os"]["version"]), (&"Linux".into(), &kernel().into()));
    assert_eq!(report["processes"][0]["running"], false);
    assert_eq!(report["files"][0]["exists"], false);
    for unasked in ["volumes", "serialNumber", "domain", "antivirus", "certificates"] {
        assert!(report.get(unasked).is_none(), "{unasked} was not asked for: {report}");
    }
    let status = once("status", &alice, "json").await;
    assert_eq!(status.status.code(), Some(1));
    let told = json(&status);
    assert_eq!(told["signedInAt"], told["checkedInAt"]);
    let text = once("status", &alice, "text").await;
    let text = String::from_utf8(text.stdout).unwrap();
    for wanted in [
        "alice",
        "signed",
        "shut  app",
        "program-runs (process-not-running): Start the program.",
        "Get an older kernel.",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is not in:\n{text}");
    }

    // Another device of the same machine is asked other things: what it reports is this machine's own.
    let bob = config(folder.path(), &url, &world.authority, &world.certificate("bob"));
    let reported = json(&once("report", &bob, "json").await);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for volume in reported["report"]["volumes"].as_array().unwrap() {
        let name = volume["name"].as_str().unwrap();
        assert!(mounts.lines().any(|line| line.split(' ').nth(4) == Some(name)), "{name} is not mounted");
    }
    assert_eq!(reported["report"]["macAddresses"], serde_json::json!(MacCollector.collect(&Machine::this()).known()));
    assert!(reported["report"].get("processes").is_none());
    let unknown = &reported["report"]["unknown"];
    let known = Admin::new(&gateway, &world.authority).posture("bob").await;
    assert_eq!(&known["inventory"]["unknown"]["value"], unknown, "operators see what could not be told, and why");
    for fact in ["firewall", "product", "screenLocked"] {
        let why = unknown.as_array().unwrap().iter().find(|unknown| unknown["fact"] == fact);
        let told = reported["report"].get(fact);
        assert!(told.is_some() != why.is_some_and(|why| why["reason"].is_string()), "{fact}: {told:?}, {why:?}");
    }
}

/// Somebody who listens where a gateway should be, and counts.
struct Impostor {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Bytes that came inside TLS.
    told: Arc<AtomicUsize>,
}

impl Impostor {
    /// Shows `certificate`, and answers whatever is asked with `answer`.
    async fn listen(certificate: &Issued, answer: &'static str) -> Impostor {
        use rustls_pki_types::pem::PemObject;
        use rustls_pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_file_iter(&certificate.certificate_file).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&certificate.key_file).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let impostor =
            Impostor { address: listener.local_addr().unwrap(), connections: Arc::default(), told: Arc::default() };
        let (connections, told) = (Arc::clone(&impostor.connections), Arc::clone(&impostor.told));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut bytes = [0; 4096];
                    let read = stream.read(&mut bytes).await.unwrap_or(0);
                    told.fetch_add(read, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        impostor
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_to_somebody_whom_the_agents_ca_does_not_vouch_for() {
    let (own, foreign) = (Authority::new("Own CA"), Authority::new("Foreign CA"));
    let impostor = Impostor::listen(&foreign.server("gate", &["localhost"]), "").await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &impostor.url(), &own, &own.client("alice"));
    let mut agent = Agent::start(&config);
    for _ in 0..2 {
        let line = agent.says("not reported").await;
        assert!(line["error"].as_str().unwrap().contains("UnknownIssuer"), "{line}");
    }
    let (connections, told) = (impostor.connections.load(Ordering::SeqCst), impostor.told.load(Ordering::SeqCst));
    assert!((2..=4).contains(&connections), "{connections} connections");
    assert_eq!(told, 0, "bytes were sent to an impostor");
    agent.stop().await;
    for command in ["report", "status"] {
        let refused = once(command, &config, "text").await;
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("cannot be reached"), "{said}");
    }
    assert_eq!(impostor.told.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let own = Authority::new("Own CA");
    let server = own.server("gate", &["localhost"]);
    let elsewhere = Impostor::listen(&server, "").await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/api/v1/posture/wanted\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url()
    );
    let gateway = Impostor::listen(&server, answer.leak()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &gateway.url(), &own, &own.client("alice"));
    let mut agent = Agent::start(&config);
    let line = agent.says("not reported").await;
    assert!(line["error"].as_str().unwrap().contains("redirect"), "{line}");
    assert!(gateway.told.load(Ordering::SeqCst) > 0);
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
    agent.stop().await;
}

/// Passes connections on to a gateway, or holds them, or ends them at once; and counts them.
struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    way: watch::Sender<Way>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    To(SocketAddr),
    Shut,
    Silent,
}

impl Relay {
    async fn start(way: Way) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut receiver) = watch::channel(way);
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let way = *receiver.borrow_and_update();
                match way {
                    Way::Shut => {}
                    Way::Silent => held.push(stream),
                    Way::To(gateway) => drop(tokio::spawn(pass(stream, gateway, receiver.clone()))),
                }
            }
        });
        Relay { address, connections, way: sender }
    }
}

/// Until the way changes.
async fn pass(mut stream: TcpStream, gateway: SocketAddr, mut way: watch::Receiver<Way>) {
    let Ok(mut upstream) = TcpStream::connect(gateway).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream) => {}
        _ = way.changed() => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_goes_away_is_waited_for_and_told_everything_when_it_is_back() {
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::install(folder.path());
    let file = folder.path().join("watched-file");
    let world = World::new(&policy(&origin, &program.path, &file));
    let first = world.start().await;
    let relay = Relay::start(Way::To(first.addresses.client_api)).await;
    let url = format!("https://localhost:{}", relay.address.port());
    let mut agent = Agent::start(&config(folder.path(), &url, &world.authority, &world.certificate("alice")));
    agent.says("reported").await;
    let before = relay.connections.load(Ordering::SeqCst);

    // The gateway is killed; a change that nobody can be told of makes the agent notice.
    relay.way.send_replace(Way::Shut);
    drop(first);
    fs::write(&file, "x").unwrap();
    for _ in 0..3 {
        agent.says("not reported").await;
    }
    let tried = relay.connections.load(Ordering::SeqCst) - before;
    assert!(tried <= 8, "{tried} connections for three attempts");
    let second: Running = world.start().await;
    relay.way.send_replace(Way::To(second.addresses.client_api));
    agent.says("reported").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_never_answers_does_not_hold_the_agent() {
    let own = Authority::new("Own CA");
    let relay = Relay::start(Way::Silent).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("https://localhost:{}", relay.address.port());
    let mut agent = Agent::start(&config(folder.path(), &url, &own, &own.client("alice")));
    let said = agent.says("not reported").await;
    assert!(said["error"].as_str().unwrap().contains("in time"), "{said}");
    assert!(relay.connections.load(Ordering::SeqCst) <= 2);
    agent.stop().await;
}

#[test]
fn a_private_key_counts_as_held_only_when_it_is_the_certificates_own() {
    let authority = Authority::new("Own CA");
    let (one, two) = (authority.client("one"), authority.client("two"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let (certificate, key, other) = (read(&one.certificate_file), read(&one.key_file), read(&two.key_file));
    let both = format!("{key}{certificate}");
    for (files, held) in [
        (vec![("device.pem", &both)], vec![true]),
        (vec![("device.pem", &certificate), ("device.key", &key)], vec![true]),
        (vec![("device.pem", &certificate), ("device-key.pem", &other)], vec![false]),
        (vec![("device.pem", &certificate)], vec![false]),
        (vec![], vec![]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("etc").join(name), text).unwrap();
        }
        let machine = Machine::at(folder.path(), Platform::Linux);
        let found = held_certificates(&machine, &["/etc/device.pem".to_owned()], &[]);
        let found = found.known().unwrap();
        assert_eq!(found.iter().map(|found| found.private_key).collect::<Vec<_>>(), held);
        assert!(found.iter().all(|found| !found.pem.contains("PRIVATE")));
    }
}
