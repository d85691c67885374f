//! What costs identities their access, and gives it back: reports of their devices, locks, and an edit of the policy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern::clock::Stopwatch;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::Result;
use super::conversation::connect;
use super::gateway::Addresses;
use super::world::{DOMAIN, TOKEN, World, crowd_name};

/// The domain of a device that left the company's.
const ELSEWHERE: &str = "elsewhere.example";

/// Where devices report.
const REPORT: &str = "/edge/client/v1/posture-response-bulk";

/// Devices that connect to the client API at once.
const CONNECTING: usize = 32;

/// A kind of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Each device reports another domain.
    Posture,
    /// An operator locks each identity.
    Lock,
    /// The policy wants another domain of everybody.
    Policy,
}

impl News {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            News::Posture => "posture report",
            News::Lock => "operator's lock",
            News::Policy => "policy edit",
        }
    }

    /// As the gateway's metrics call it.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            News::Posture => "posture",
            News::Lock => "operator",
            News::Policy => "policy",
        }
    }
}

/// When something was said to the gateway and when it acknowledged, by the bench's clock.
#[derive(Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) identity: usize,
    pub(crate) asked: Duration,
    pub(crate) acknowledged: Duration,
}

/// Those who tell.
pub(crate) struct Messengers {
    devices: Vec<(usize, Api)>,
    operator: Api,
    world: Arc<World>,
    clock: Stopwatch,
}

impl Messengers {
    /// The devices of `who`, and an operator, connected: what is measured begins with what they say.
    pub(crate) async fn of(
        who: &Arc<[usize]>,
        world: &Arc<World>,
        addresses: Addresses,
        clock: Stopwatch,
    ) -> Result<Self> {
        let mut devices = Vec::new();
        for some in who.chunks(CONNECTING) {
            let mut connecting = JoinSet::new();
            for &identity in some {
                let config = Arc::clone(world.crowd.get(identity).ok_or("no such identity")?);
                connecting
                    .spawn(async move { Result::Ok((identity, Api::open(&config, addresses.client_api).await?)) });
            }
            while let Some(connected) = connecting.join_next().await {
                devices.push(connected??);
            }
        }
        let operator = Api::open(&world.operator, addresses.admin).await?;
        Ok(Messengers { devices, operator, world: Arc::clone(world), clock })
    }

    /// Tells the gateway, of all of them at once as far as that can be, and waits until it has acknowledged.
    pub(crate) async fn tell(&mut self, news: News) -> Result<Vec<Accepted>> {
        self.say(news, true).await
    }

    /// Makes it good again.
    pub(crate) async fn take_back(&mut self, news: News) -> Result<()> {
        self.say(news, false).await.map(drop)
    }

    async fn say(&mut self, news: News, bad: bool) -> Result<Vec<Accepted>> {
        let domain = if bad { ELSEWHERE } else { DOMAIN };
        let clock = self.clock;
        let mut accepted = Vec::with_capacity(self.devices.len());
        match news {
            News::Posture => {
                let mut reports = JoinSet::new();
                for (identity, mut device) in self.devices.drain(..) {
                    reports.spawn(async move {
                        let asked = clock.elapsed();
                        device.call("POST", REPORT, "", &report("crowd", domain)).await?;
                        Result::Ok((Accepted { identity, asked, acknowledged: clock.elapsed() }, device))
                    });
                }
                while let Some(reported) = reports.join_next().await {
                    let (told, device) = reported??;
                    self.devices.push((told.identity, device));
                    accepted.push(told);
                }
            }
            News::Lock => {
                for (identity, _) in &self.devices {
                    let path = format!("/api/v1/identities/{}/lock", crowd_name(*identity));
                    let (method, body) = if bad { ("PUT", "{\"reason\":\"bench\"}") } else { ("DELETE", "") };
                    let asked = clock.elapsed();
                    self.operator.call(method, &path, &bearer(), body).await?;
                    accepted.push(Accepted { identity: *identity, asked, acknowledged: clock.elapsed() });
                }
            }
            News::Policy => {
                self.world.want(domain)?;
                let asked = clock.elapsed();
                self.operator.call("POST", "/api/v1/reload", &bearer(), "").await?;
                let acknowledged = clock.elapsed();
                let told = |(identity, _): &(usize, Api)| Accepted { identity: *identity, asked, acknowledged };
                accepted.extend(self.devices.iter().map(told));
            }
        }
        Ok(accepted)
    }
}

fn bearer() -> String {
    format!("authorization: Bearer {TOKEN}\r\n")
}

fn report(check: &str, domain: &str) -> String {
    serde_json::json!([{ "id": check, "typeId": "DOMAIN", "domain": domain }]).to_string()
}

/// Has the device of a bystander report that it is in the domain that is wanted.
pub(crate) async fn report_once(config: &Arc<ClientConfig>, client_api: SocketAddr, check: &str) -> Result<()> {
    Api::open(config, client_api).await?.call("POST", REPORT, "", &report(check, DOMAIN)).await
}

/// A kept-alive connection to one of the APIs.
struct Api {
    stream: TlsStream<TcpStream>,
}

impl Api {
    async fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<Self> {
        Ok(Api { stream: connect(config, address, "localhost", b"http/1.1").await? })
    }

    /// Fails unless the answer is a good one.
    async fn call(&mut self, method: &str, path: &str, fields: &str, body: &str) -> Result<()> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{fields}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut answer = Vec::with_capacity(1024);
        loop {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err("the gateway closed a connection to an API".into());
            }
            let text = std::str::from_utf8(&answer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() < length.ok_or("an answer without a length")? {
                continue;
            }
            let good = head.starts_with("HTTP/1.1 2");
            return if good { Ok(()) } else { Err(format!("{method} {path}: {text}").into()) };
        }
    }
}
