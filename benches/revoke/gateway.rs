//! The gateway: the real binary in a process of its own, its log in a file, and what it tells of itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postern::clock::Stopwatch;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::Result;
use super::world::World;

/// Longest wait for the gateway to start, and for what it counts to become what is expected.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// The gateway's process. It ends when this is dropped.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) addresses: Addresses,
}

/// Where it listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) client_api: SocketAddr,
    pub(crate) admin: SocketAddr,
    ops: SocketAddr,
}

impl Gateway {
    pub(crate) fn start(world: &World) -> Result<Self> {
        let log = world.path("log/gateway");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.arg("run").arg("--config").arg(world.path("postern.yaml"));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
        match listening(&mut process, &log) {
            Ok(addresses) => Ok(Gateway { process, addresses }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it counts now.
    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let mut stream = TcpStream::connect(self.addresses.ops).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, text) = answer.split_once("\r\n\r\n").ok_or("no metrics")?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = lines.filter_map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse())));
        Ok(Metrics(read.filter_map(|(name, value)| Some((name, value.ok()?))).collect()))
    }

    /// Waits until it counts so many requests, streams and TCP connections under way.
    pub(crate) async fn has_under_way(&self, count: usize) -> Result<()> {
        let waited = Stopwatch::start();
        loop {
            let now = self.metrics().await?.under_way();
            if now == count {
                return Ok(());
            }
            if waited.elapsed() > WAIT_MAX {
                return Err(format!("{now} are under way where {count} should be").into());
            }
            sleep(LOOK).await;
        }
    }
}

/// Where it says that it listens.
fn listening(process: &mut Child, log: &Path) -> Result<Addresses> {
    let waited = Stopwatch::start();
    while waited.elapsed() < WAIT_MAX {
        for line in fs::read_to_string(log)?.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let address = |name: &str| line.get(name)?.as_str()?.parse::<SocketAddr>().ok();
            let told = address("gateway").zip(address("client_api")).zip(address("admin")).zip(address("ops"));
            if let Some((((gateway, client_api), admin), ops)) = told {
                return Ok(Addresses { gateway, client_api, admin, ops });
            }
        }
        if let Some(status) = process.try_wait()? {
            return Err(format!("the gateway ended ({status}):\n{}", fs::read_to_string(log)?).into());
        }
        std::thread::sleep(LOOK);
    }
    Err("the gateway did not start in time".into())
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // There is nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Metrics at one moment, by name with labels.
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Requests, streams and TCP connections under way, the clients' connections not counted.
    fn under_way(&self) -> usize {
        let live = |protocol| self.of(&format!("postern_live_sessions{{protocol=\"{protocol}\"}}"));
        ["http1", "http2", "grpc", "websocket", "tcp"].into_iter().map(live).sum::<f64>() as usize
    }

    /// What the gateway itself says, since `before`, of how long ends took that this cause had.
    pub(crate) fn revocations_since(&self, before: &Metrics, cause: &str) -> Told {
        let prefix = format!("postern_revocation_seconds_bucket{{cause=\"{cause}\",le=\"");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (name, value) in &self.0 {
            let bound = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix("\"}"));
            if let Some(bound) = bound.and_then(|bound| bound.replace("+Inf", "inf").parse().ok()) {
                buckets.push((bound, value - before.of(name)));
            }
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let count = buckets.last().map_or(0.0, |(_, count)| *count);
        let within = |share: f64| {
            buckets.iter().find(|(_, below)| *below >= count * share).map_or(f64::NAN, |(bound, _)| *bound * 1000.0)
        };
        Told { count: count as usize, p50: within(0.5), p99: within(0.99) }
    }
}

/// What a histogram says: counts, and the bucket's upper bound in milliseconds.
pub(crate) struct Told {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}
