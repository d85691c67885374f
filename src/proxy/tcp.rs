//! TCP services: connections that are chosen by the server name they ask for, and passed on byte by byte.
//!
//! The client still speaks TLS with the gateway: that is how it is known who it is. So the bytes pass through this process, and
//! the kernel cannot be told to pass them on by itself.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::upstreams::peer::{HttpPeer, Peer, PeerOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};

use super::farewell;
use super::gate::Gate;
use super::judged;
use super::refusal::UpstreamFault;
use super::request_id::RequestId;
use super::router::Route;
use super::upstream::{Pools, Wanted};
use crate::clock::Stopwatch;
use crate::decision::{Denial, FailedService, Failure, Permit};
use crate::enforce::{Connection, EndSignal, Entry, Protocol};
use crate::limits::{FAREWELL_WRITE_WAIT_MAX, TCP_BUFFER_BYTES, TCP_IDLE_LOOKS};
use crate::telemetry::metrics::Counter;

/// Passes connections on to the upstreams of TCP services.
pub struct TcpServices {
    pools: Arc<Pools>,
    connector: TransportConnector,
}

/// What became of a connection that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Both sides have said everything.
    Closed,
    /// One of them broke off.
    Broken,
    /// Both were silent for too long.
    Idle,
    /// No upstream could be reached.
    Unreached(UpstreamFault),
}

impl Outcome {
    /// The label under which it is counted.
    fn code(self) -> &'static str {
        match self {
            Outcome::Closed => "closed",
            Outcome::Broken => "broken-off",
            Outcome::Idle => "idle-timeout",
            Outcome::Unreached(fault) => fault.code(),
        }
    }
}

impl TcpServices {
    /// Services over `pools`.
    pub fn new(pools: Arc<Pools>) -> Self {
        TcpServices { pools, connector: TransportConnector::new(None) }
    }

    /// Decides about a connection for the TCP service of its server name, and passes it on until its end.
    pub(super) async fn serve(&self, gate: &Gate, connection: &Arc<Connection>, mut client: Stream) {
        let request_id = RequestId::generate(gate.enforcer().clock().now());
        let signal = Arc::new(EndSignal::default());
        let began = gate.enforcer().clock().now();
        let entry =
            Entry { request_id: request_id.shared(), protocol: Protocol::Tcp, signal: Arc::clone(&signal), began };
        let published = Arc::clone(&gate.enforcer().published());
        let service = connection.server_name().and_then(|name| published.snapshot().tcp_service(name));
        let Some(service) = service else {
            return close(&mut client).await;
        };
        let (permit, _place) = match gate.enforcer().enter(&published, connection, service, entry) {
            Ok(entered) => entered,
            Err(denial) => {
                gate.tell_of_refusal(connection, &request_id, &denial);
                return close(&mut client).await;
            }
        };
        let account = Account::of(&permit, published.upstream(service).map(|metrics| metrics.bytes()));
        let outcome = tokio::select! {
            biased;
            ended = signal.rung() => {
                if let Some(session) = signal.session() {
                    gate.tell_of_end(session, ended);
                }
                farewell::say(&mut client, &[]).await;
                gate.metrics().revoked(ended.cause.code(), ended.since.elapsed().as_secs_f64());
                return farewell::linger(client).await;
            }
            outcome = self.pass_on(&permit, &request_id, &mut client, &account) => outcome,
        };
        close(&mut client).await;
        if let Some(metrics) = published.upstream(service) {
            metrics.count(outcome.code());
        }
        account.tell(connection, &request_id, outcome);
    }

    async fn pass_on(
        &self,
        permit: &Arc<Permit>,
        request_id: &RequestId,
        client: &mut Stream,
        account: &Account<'_>,
    ) -> Outcome {
        let mut upstream = match self.reach(permit, request_id).await {
            Ok(upstream) => upstream,
            Err(fault) => return Outcome::Unreached(fault),
        };
        let outcome = relay(client, &mut upstream, account).await;
        close(&mut upstream).await;
        outcome
    }

    /// A connection to one of the service's upstreams.
    async fn reach(&self, permit: &Arc<Permit>, request_id: &RequestId) -> Result<Stream, UpstreamFault> {
        let mut route = Route::of(permit, request_id);
        loop {
            let peer = RawPeer(route.next_peer(&self.pools, Wanted::Tcp).await?);
            match self.connector.new_stream(&peer).await {
                Ok(stream) => {
                    route.connected();
                    return Ok(stream);
                }
                Err(_) if route.can_go_on() => {}
                Err(error) => return Err(UpstreamFault::of(&error.into_up()).unwrap_or(UpstreamFault::Unreachable)),
            }
        }
    }
}

impl fmt::Debug for TcpServices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TcpServices").field("pools", &self.pools).finish_non_exhaustive()
    }
}

/// What is known of a connection while it is passed on.
struct Account<'a> {
    permit: &'a Permit,
    bytes: Option<(Counter, Counter)>,
    up: AtomicU64,
    down: AtomicU64,
    clock: Stopwatch,
}

impl<'a> Account<'a> {
    fn of(permit: &'a Permit, bytes: Option<(Counter, Counter)>) -> Self {
        Account { permit, bytes, up: AtomicU64::new(0), down: AtomicU64::new(0), clock: Stopwatch::start() }
    }

    fn passed(&self) -> u64 {
        self.up.load(Ordering::Relaxed).wrapping_add(self.down.load(Ordering::Relaxed))
    }

    fn tell(&self, connection: &Connection, request_id: &RequestId, outcome: Outcome) {
        tracing::info!(
            target: "postern::decision",
            request_id = %request_id,
            connection_id = &**connection.id(),
            peer = connection.peer().map(tracing::field::display),
            identity = self.permit.identity_id().as_str(),
            service = &*self.permit.service().name,
            protocol = Protocol::Tcp.code(),
            decision = "allow",
            policy = &*self.permit.policy().name,
            generation = self.permit.generation(),
            result = outcome.code(),
            bytes_up = self.up.load(Ordering::Relaxed),
            bytes_down = self.down.load(Ordering::Relaxed),
            duration_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            "connection"
        );
    }
}

/// Passes bytes on in both directions. When one side has said everything, the other may still go on.
async fn relay(client: &mut Stream, upstream: &mut Stream, account: &Account<'_>) -> Outcome {
    let (from_client, to_client) = split(client);
    let (from_upstream, to_upstream) = split(upstream);
    let counters = account.bytes.as_ref();
    let up = pump(from_client, to_upstream, &account.up, counters.map(|(up, _)| up));
    let down = pump(from_upstream, to_client, &account.down, counters.map(|(_, down)| down));
    tokio::select! {
        done = async { tokio::try_join!(up, down) } => match done {
            Ok(_) => Outcome::Closed,
            Err(_) => Outcome::Broken,
        },
        () = silence(account, account.permit.service().transport.idle_timeout) => Outcome::Idle,
    }
}

/// Says that nothing more comes. A side that is gone already need not hear it.
async fn close(stream: &mut Stream) {
    let _ = timeout(FAREWELL_WRITE_WAIT_MAX, AsyncWriteExt::shutdown(stream)).await;
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    passed: &AtomicU64,
    counter: Option<&Counter>,
) -> io::Result<()> {
    let mut buffer = vec![0; TCP_BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        let Some(bytes @ [_, ..]) = buffer.get(..read) else {
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
        to.flush().await?;
        passed.fetch_add(read as u64, Ordering::Relaxed);
        if let Some(counter) = counter {
            counter.inc_by(read as u64);
        }
    }
}

/// Returns when nothing was passed on for as long as `patience`, or a little longer.
async fn silence(account: &Account<'_>, patience: Duration) {
    let (mut passed, mut quiet) = (account.passed(), 0);
    while quiet < TCP_IDLE_LOOKS {
        sleep(patience / TCP_IDLE_LOOKS).await;
        let now = account.passed();
        quiet = if now == passed { quiet + 1 } else { 0 };
        passed = now;
    }
}

/// An upstream of which nothing is known but where it is: no protocol is offered to it.
#[derive(Clone, Debug)]
struct RawPeer(HttpPeer);

impl fmt::Display for RawPeer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Peer for RawPeer {
    fn address(&self) -> &SocketAddr {
        self.0.address()
    }

    fn tls(&self) -> bool {
        self.0.tls()
    }

    fn sni(&self) -> &str {
        self.0.sni()
    }

    fn reuse_hash(&self) -> u64 {
        self.0.reuse_hash()
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        self.0.get_peer_options()
    }

    fn get_alpn(&self) -> Option<&pingora::upstreams::peer::ALPN> {
        None
    }
}

impl Gate {
    /// The log line and the failure record of a connection to a TCP service that is refused.
    fn tell_of_refusal(&self, connection: &Connection, request_id: &RequestId, denial: &Denial) {
        let published = self.enforcer().published();
        let service = denial.service.as_ref().and_then(|id| {
            let index = published.snapshot().find_service(id)?;
            published.snapshot().service(index)
        });
        tracing::info!(
            target: "postern::decision",
            request_id = %request_id,
            connection_id = &**connection.id(),
            peer = connection.peer().map(tracing::field::display),
            identity = denial.identity.as_ref().map(|identity| identity.as_str()),
            service = service.map(|service| &*service.name),
            protocol = Protocol::Tcp.code(),
            decision = "deny",
            reason = denial.reason.code(),
            checks = judged::checks(denial),
            generation = denial.generation,
            "connection"
        );
        let Some(identity) = denial.identity.clone() else { return };
        self.enforcer().record(Failure {
            when: self.enforcer().clock().now(),
            request_id: request_id.shared(),
            connection_id: Arc::clone(connection.id()),
            identity,
            service: service.map(|service| FailedService { id: service.id.clone(), name: Arc::clone(&service.name) }),
            reason: denial.reason,
            policies: denial.policies.clone(),
            lock: denial.lock.clone(),
            source_address: connection.peer().map(|peer| peer.to_string()),
            generation: denial.generation,
        });
    }
}
