//! What taking in posture costs: devices that report a kilobyte over kept-alive mutual TLS, each report acknowledged once it is on
//! disk.
//!
//! The gateway is the real binary in a process of its own, with its store on disk and its log written to a file; the devices are in
//! this one. Both share the machine's processors, so the rate is what both can do together; the cost is the gateway's alone.
//! `cargo bench --bench intake`, or with `-- --seconds 30 --devices 64`.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use postern::clock::{Clock, Stopwatch, SystemClock};
use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::install_crypto_provider;
use postern::tls::pki::{self, ClientRequest, IssuedCertificate, ServerRequest};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The size of a report, in bytes.
const REPORT_BYTES: usize = 1024;
/// Longest wait for the gateway to start.
const START_WAIT_MAX: Duration = Duration::from_secs(30);
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// How much load for how long.
#[derive(Debug, Parser)]
struct Options {
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Devices that report at once, each over a connection of its own and as soon as it was answered.
    #[arg(long, default_value_t = 64)]
    devices: usize,
    /// One second only, to see that it runs.
    #[arg(long)]
    test: bool,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.test {
        options.seconds = 1;
    }
    install_crypto_provider();
    let world = World::build(options.devices)?;
    let gateway = Gateway::start(&world)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(load(&world, &gateway, &options))?;
    report(&outcome, &options)
}

/// A folder with certificates, configuration and policy. Goes away with the value.
struct World {
    folder: TempDir,
    devices: Vec<IssuedCertificate>,
}

impl World {
    fn build(devices: usize) -> Result<Self> {
        // Beside the build, which is on a disk; the system's folder for temporary files may be in memory.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let (pki, now) = (folder.path().join("pki"), SystemClock.now());
        pki::init(&pki, "Bench CA", now)?;
        let names = ["localhost".to_owned()];
        pki::issue_server(&pki, &ServerRequest { name: "server", dns_names: &names, ip_addresses: &[], days: 1 }, now)?;
        let issue = |number: usize| {
            let (name, uri) = (format!("device-{number}"), subject(number));
            let request = ClientRequest { name: &name, spiffe_uri: Some(&uri), emails: &[], dns_names: &[], days: 1 };
            pki::issue_client(&pki, &request, now)
        };
        let issued = (0..devices).map(issue).collect::<std::result::Result<_, _>>()?;
        fs::create_dir(folder.path().join("policy"))?;
        // JSON is YAML too.
        fs::write(folder.path().join("policy/all.yaml"), policy(devices).to_string())?;
        fs::write(folder.path().join("postern.yaml"), configuration().to_string())?;
        Ok(World { folder, devices: issued })
    }
}

fn subject(number: usize) -> String {
    format!("spiffe://bench.example/device/{number}")
}

fn configuration() -> Value {
    let anywhere = json!({ "address": "127.0.0.1:0" });
    json!({
        "listeners": { "gateway": anywhere, "client_api": anywhere, "admin": anywhere, "ops": anywhere },
        "tls": {
            "certificates": [{ "cert_file": "pki/server.pem", "key_file": "pki/server.key" }],
            "client_ca_files": ["pki/ca.pem"],
            "crl_files": ["pki/crl.pem"],
        },
    })
}

fn policy(devices: usize) -> Value {
    let identity = |number| json!({ "name": format!("device-{number}"), "subjects": [subject(number)], "role_attributes": ["all"] });
    json!({
        "identities": (0..devices).map(identity).collect::<Vec<_>>(),
        "services": [{ "name": "app", "hosts": ["app.bench.example"], "upstreams": ["127.0.0.1:1"] }],
        "service_policies": [{
            "name": "all", "identity_roles": ["#all"], "service_roles": ["@app"], "posture_check_roles": ["@domain"],
        }],
        "posture_checks": [{ "name": "domain", "type": "DOMAIN", "domains": ["corp.example"] }],
    })
}

/// One report of several facts, made up to its size with one more process.
fn body() -> String {
    let process = |path: &str| {
        json!({ "id": path, "typeId": "PROCESS", "path": path, "isRunning": true, "hash": "ab".repeat(64),
            "signerFingerprints": ["cd".repeat(20)] })
    };
    let of = |padding: usize| {
        json!([
            { "id": "os", "typeId": "OS", "type": "Linux", "version": "6.1.0", "build": "25" },
            { "id": "domain", "typeId": "DOMAIN", "domain": "corp.example" },
            { "id": "mac", "typeId": "MAC", "macAddresses": ["02:00:00:00:00:02", "02:00:00:00:00:09"] },
            process("/usr/bin/agent"),
            process(&format!("/usr/bin/{}", "x".repeat(padding))),
        ])
        .to_string()
    };
    // The path is in the report twice.
    let missing = REPORT_BYTES.saturating_sub(of(0).len());
    of(missing / 2)
}

/// The gateway's process. It ends when this is dropped.
struct Gateway {
    process: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(world: &World) -> Result<Self> {
        let log = world.folder.path().join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.arg("run").arg("--config").arg(world.folder.path().join("postern.yaml"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
        let mut gateway = Gateway { process, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        gateway.address = gateway.listening(&log)?;
        Ok(gateway)
    }

    /// Where it says that its client API listens.
    fn listening(&mut self, log: &Path) -> Result<SocketAddr> {
        let waited = Stopwatch::start();
        while waited.elapsed() < START_WAIT_MAX {
            for line in fs::read_to_string(log)?.lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_default();
                let told = line.pointer("/fields/client_api").or_else(|| line.get("client_api"));
                if let Some(address) = told.and_then(Value::as_str) {
                    return Ok(address.parse()?);
                }
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the gateway ended ({status}):\n{}", fs::read_to_string(log)?).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the gateway did not start in time".into())
    }

    /// Processor time it used so far, user and system, of all its threads.
    fn processor_time(&self) -> Result<Duration> {
        let mut stat = String::new();
        File::open(format!("/proc/{}/stat", self.process.id()))?.read_to_string(&mut stat)?;
        let after_name = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
        // utime and stime are the 14th and 15th field; the first after the name is the third.
        let ticks: Vec<u64> =
            after_name.split_whitespace().skip(11).take(2).filter_map(|tick| tick.parse().ok()).collect();
        // Linux counts them in hundredths of a second, whatever the kernel's own clock.
        Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // There is nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What was measured.
struct Outcome {
    seconds: f64,
    /// How long each report took from its first byte to the whole acknowledgement.
    latencies: Vec<Duration>,
    /// Of the gateway.
    processor_time: Duration,
}

/// All devices report for a moment that is not measured, and then for the one that is.
async fn load(world: &World, gateway: &Gateway, options: &Options) -> Result<Outcome> {
    let request: Arc<[u8]> = request(&body()).into();
    let mut devices = Vec::new();
    for certificate in &world.devices {
        devices.push(Device::connect(certificate, gateway.address, Arc::clone(&request)).await?);
    }
    let (devices, _) = reports(devices, WARM_UP).await?;
    let (before, clock) = (gateway.processor_time()?, Stopwatch::start());
    let (_, latencies) = reports(devices, Duration::from_secs(options.seconds)).await?;
    let (seconds, after) = (clock.seconds(), gateway.processor_time()?);
    Ok(Outcome { seconds, latencies, processor_time: after.saturating_sub(before) })
}

/// Every device reports again and again for so long.
async fn reports(devices: Vec<Device>, time: Duration) -> Result<(Vec<Device>, Vec<Duration>)> {
    let clock = Stopwatch::start();
    let mut lanes = JoinSet::new();
    for mut device in devices {
        lanes.spawn(async move {
            let mut latencies = Vec::new();
            while clock.elapsed() < time {
                latencies.push(device.report().await?);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>((device, latencies))
        });
    }
    let (mut devices, mut latencies) = (Vec::new(), Vec::new());
    while let Some(lane) = lanes.join_next().await {
        let (device, taken) = lane??;
        devices.push(device);
        latencies.extend(taken);
    }
    Ok((devices, latencies))
}

fn request(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /edge/client/v1/posture-response-bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A device with its connection.
struct Device {
    stream: TlsStream<TcpStream>,
    request: Arc<[u8]>,
    answer: Vec<u8>,
}

impl Device {
    async fn connect(certificate: &IssuedCertificate, address: SocketAddr, request: Arc<[u8]>) -> Result<Self> {
        let files =
            ClientCertificateFiles { certificate_file: &certificate.certificate_file, key_file: &certificate.key_file };
        let mut config = client_config(&certificate.ca_file, Some(files))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        Ok(Device { stream, request, answer: Vec::with_capacity(4096) })
    }

    /// Reports once; the acknowledgement must be one.
    async fn report(&mut self) -> Result<Duration> {
        let clock = Stopwatch::start();
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the gateway closed a connection".into());
            }
            let text = std::str::from_utf8(&self.answer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() < length.ok_or("an answer without a length")? {
                continue;
            }
            if !head.starts_with("HTTP/1.1 201") {
                return Err(format!("a report was refused: {text}").into());
            }
            return Ok(clock.elapsed());
        }
    }
}

fn report(outcome: &Outcome, options: &Options) -> Result<()> {
    let mut sorted = outcome.latencies.clone();
    sorted.sort_unstable();
    let at = |share: f64| {
        let place = (sorted.len() as f64 * share) as usize;
        sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    let count = sorted.len() as f64;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} devices, reports of {} bytes, {:.0} s", options.devices, body().len(), outcome.seconds)?;
    writeln!(out, "reports per second        {:>9.0}", count / outcome.seconds)?;
    writeln!(out, "p50 / p99 / p99.9 in ms   {:>9.2} {:>9.2} {:>9.2}", at(0.5), at(0.99), at(0.999))?;
    writeln!(out, "gateway's CPU per report  {:>9.1} µs", outcome.processor_time.as_secs_f64() * 1e6 / count.max(1.0))?;
    Ok(())
}
