//! The load: clients that ask as soon as they were answered, and the origin that answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use h2::client::SendRequest;
use http::{HeaderName, HeaderValue};
use postern::clock::Stopwatch;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Result;
use super::world::{HOST, World};

/// Requests under way at once.
const LANES: usize = 16;
/// HTTP/2 connections they share.
const HTTP2_CONNECTIONS: usize = 2;
/// Fresh connections under way at once.
const CONNECTING_LANES: usize = 4;

pub(crate) const PATH: &str = "/api/items/42?fields=name,price";
/// Sessions a device keeps to resume.
const SESSIONS_KEPT: usize = 64;

/// What clients say beside the host.
const FIELDS: [(&str, &str); 5] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=5f0c9a7e41d24b6f8f7a3c2d1e0b9a88"),
];
const BODY: &str = "{\"id\":42,\"name\":\"a lamp with a long neck\",\"price\":\"19.90\"}\n";

/// Longest wait for the last answers of a round: nothing here takes longer than milliseconds.
const LAST_ANSWERS_WAIT_MAX: Duration = Duration::from_secs(10);

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Kept-alive HTTP/1.1 connections.
    Http1,
    /// Streams of few HTTP/2 connections.
    Http2,
    /// A connection with a full handshake for each request.
    Connect,
    /// A connection with a resumed session for each request.
    Resume,
}

impl Load {
    pub(crate) fn all() -> [Load; 4] {
        [Load::Http1, Load::Http2, Load::Connect, Load::Resume]
    }

    pub(crate) fn is_kept_alive(self) -> bool {
        matches!(self, Load::Http1 | Load::Http2)
    }

    pub(crate) fn describe(self) -> String {
        match self {
            Load::Http1 => format!("HTTP/1.1, {LANES} connections"),
            Load::Http2 => format!("h2, {LANES} streams on {HTTP2_CONNECTIONS} connections"),
            Load::Connect => format!("full handshake and one request, {CONNECTING_LANES} at once"),
            Load::Resume => format!("resumed handshake and one request, {CONNECTING_LANES} at once"),
        }
    }
}

/// The server behind the proxies. It runs while this thread's runtime does.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let length = BODY.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store";
        let response: Arc<str> = format!("{head}\r\nContent-Length: {length}\r\n\r\n{BODY}").into();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&response)));
            }
        });
        Ok(Origin { address })
    }
}

/// Answers requests without a body until the connection ends.
async fn answer(mut stream: TcpStream, response: Arc<str>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut asked = Vec::with_capacity(4096);
    while stream.read_buf(&mut asked).await? > 0 {
        if asked.ends_with(b"\r\n\r\n") {
            stream.write_all(response.as_bytes()).await?;
            asked.clear();
        }
    }
    Ok(())
}

/// The devices.
pub(crate) struct Client {
    http1: Vec<TlsConnector>,
    http2: Vec<TlsConnector>,
    /// Like the first, with sessions to resume.
    resuming: Vec<TlsConnector>,
}

impl Client {
    pub(crate) fn of(world: &World) -> Result<Self> {
        let configs = world.client_configs()?;
        let connectors = |protocol: &[u8], resumption: fn() -> Resumption| -> Vec<TlsConnector> {
            let connector = |config: &ClientConfig| {
                let mut config = config.clone();
                config.alpn_protocols = vec![protocol.to_vec()];
                config.resumption = resumption();
                TlsConnector::from(Arc::new(config))
            };
            configs.iter().map(connector).collect()
        };
        Ok(Client {
            http1: connectors(b"http/1.1", Resumption::disabled),
            http2: connectors(b"h2", Resumption::disabled),
            resuming: connectors(b"http/1.1", || Resumption::in_memory_sessions(SESSIONS_KEPT)),
        })
    }

    /// Everything that asks at once, connected where connections are kept.
    pub(crate) async fn open(&self, load: Load, address: SocketAddr) -> Result<Lanes> {
        let mut lanes = Vec::new();
        match load {
            Load::Http1 => {
                for connector in self.http1.iter().cycle().take(LANES) {
                    lanes.push(kept_alive(connector, address).await?);
                }
            }
            Load::Http2 => {
                for connector in self.http2.iter().cycle().take(HTTP2_CONNECTIONS) {
                    let (sender, connection) = h2::client::handshake(connect(connector, address).await?).await?;
                    tokio::spawn(connection);
                    let streams = LANES / HTTP2_CONNECTIONS;
                    lanes.extend(std::iter::repeat_n(sender, streams).map(Lane::Http2));
                }
            }
            Load::Connect | Load::Resume => {
                let connectors = if load == Load::Resume { &self.resuming } else { &self.http1 };
                let lane = |connector: &TlsConnector| Lane::Connect { connector: connector.clone(), address };
                lanes.extend(connectors.iter().cycle().take(CONNECTING_LANES).map(lane));
            }
        }
        Ok(Lanes(lanes))
    }

    /// Kept-alive HTTP/1.1 connections that have asked once each, to lie idle.
    pub(crate) async fn idle(&self, address: SocketAddr, count: usize) -> Result<Lanes> {
        let mut lanes = Vec::new();
        for connector in self.http1.iter().cycle().take(count) {
            let mut lane = kept_alive(connector, address).await?;
            lane.ask().await?;
            lanes.push(lane);
        }
        Ok(Lanes(lanes))
    }

    /// One kept-alive HTTP/1.1 connection.
    pub(crate) async fn open_one(&self, address: SocketAddr) -> Result<Lanes> {
        let connector = self.http1.first().ok_or("there is a device")?;
        Ok(Lanes(vec![kept_alive(connector, address).await?]))
    }
}

async fn kept_alive(connector: &TlsConnector, address: SocketAddr) -> Result<Lane> {
    Ok(Lane::Http1(Box::new(Http1::connect(connector, address).await?)))
}

/// The head of an HTTP/1.1 request.
pub(crate) fn head() -> String {
    let fields: String = FIELDS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {PATH} HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n")
}

/// The fields of that head.
pub(crate) fn fields() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    [("host", HOST)]
        .into_iter()
        .chain(FIELDS)
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
}

/// What asks at once.
pub(crate) struct Lanes(Vec<Lane>);

/// Something that asks again and again.
enum Lane {
    Http1(Box<Http1>),
    Http2(SendRequest<Bytes>),
    Connect { connector: TlsConnector, address: SocketAddr },
}

/// A lane that has asked, and how long its answers took.
type Asked = (Lane, Vec<Duration>);

/// What was seen in one round.
pub(crate) struct Round {
    /// How long each answer took.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

impl Lanes {
    /// Asks at the instants of a timetable, `per_second` for `length`, whether or not earlier questions were answered. How long
    /// an answer took is counted from the instant at which it should have been asked, so that a proxy that falls behind is not
    /// excused by clients that wait.
    pub(crate) async fn timetable(&mut self, per_second: u32, length: Duration) -> Result<Round> {
        let started = Stopwatch::start();
        let gap = Duration::from_secs(1) / per_second;
        let next = Arc::new(AtomicU32::new(0));
        let busy: Vec<_> = self
            .0
            .drain(..)
            .map(|mut lane| {
                let next = Arc::clone(&next);
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    loop {
                        let due = gap * next.fetch_add(1, Ordering::Relaxed);
                        if due >= length {
                            return Result::Ok((lane, latencies));
                        }
                        let early = due.saturating_sub(started.elapsed());
                        // A lane that is there in time waits; that timers are late is not the proxy's fault.
                        let asked = if early.is_zero() {
                            due
                        } else {
                            sleep(early).await;
                            started.elapsed()
                        };
                        lane.ask().await?;
                        latencies.push(started.elapsed().saturating_sub(asked));
                    }
                })
            })
            .collect();
        self.collect(busy, started, length).await
    }

    /// Asks `count` times, one after the other.
    pub(crate) async fn times(&mut self, count: u32) -> Result<()> {
        let lane = self.0.first_mut().ok_or("nothing is open")?;
        for _ in 0..count {
            lane.ask().await?;
        }
        Ok(())
    }

    /// Asks for `length`, and waits for the last answers.
    pub(crate) async fn round(&mut self, length: Duration) -> Result<Round> {
        let started = Stopwatch::start();
        let busy: Vec<_> = self
            .0
            .drain(..)
            .map(|mut lane| {
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while started.elapsed() < length {
                        let asked = Stopwatch::start();
                        lane.ask().await?;
                        latencies.push(asked.elapsed());
                    }
                    Result::Ok((lane, latencies))
                })
            })
            .collect();
        self.collect(busy, started, length).await
    }

    async fn collect(
        &mut self,
        busy: Vec<JoinHandle<Result<Asked>>>,
        started: Stopwatch,
        length: Duration,
    ) -> Result<Round> {
        let mut latencies = Vec::new();
        for task in busy {
            let (lane, of_lane) = timeout(length + LAST_ANSWERS_WAIT_MAX, task).await???;
            self.0.push(lane);
            latencies.extend(of_lane);
        }
        Ok(Round { latencies, elapsed: started.elapsed() })
    }
}

impl Lane {
    /// One request and its whole answer, which must be the origin's.
    async fn ask(&mut self) -> Result<()> {
        match self {
            Lane::Http1(connection) => connection.ask().await,
            Lane::Http2(sender) => {
                let fields =
                    FIELDS.iter().fold(http::Request::get(format!("https://{HOST}{PATH}")), |request, field| {
                        request.header(field.0, field.1)
                    });
                let mut streams = sender.clone().ready().await?;
                let (response, _) = streams.send_request(fields.body(())?, true)?;
                let response = response.await?;
                let status = response.status();
                let mut body = response.into_body();
                while let Some(data) = body.data().await {
                    body.flow_control().release_capacity(data?.len())?;
                }
                if status == http::StatusCode::OK { Ok(()) } else { Err(format!("answered with {status}").into()) }
            }
            Lane::Connect { connector, address } => {
                let mut connection = Http1::connect(connector, *address).await?;
                connection.ask().await?;
                Ok(connection.stream.shutdown().await?)
            }
        }
    }
}

async fn connect(connector: &TlsConnector, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from(HOST)?, stream).await?)
}

/// A kept-alive HTTP/1.1 connection.
struct Http1 {
    stream: TlsStream<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Http1 {
    async fn connect(connector: &TlsConnector, address: SocketAddr) -> Result<Self> {
        let request = head().into_bytes();
        Ok(Http1 { stream: connect(connector, address).await?, request, answer: Vec::with_capacity(4096) })
    }

    async fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        self.stream.flush().await?;
        self.answer.clear();
        while !self.answer.ends_with(BODY.as_bytes()) {
            let ended = self.stream.read_buf(&mut self.answer).await? == 0;
            if ended || !self.answer.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("answered with {:?}", String::from_utf8_lossy(&self.answer)).into());
            }
        }
        Ok(())
    }
}
