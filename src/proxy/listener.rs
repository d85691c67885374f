//! A listening socket that serves a Pingora application inside the runtime it is started in.
//!
//! Pingora's own server takes over the process: it makes runtimes, handles signals, exits at the end, and does not tell
//! which port it was given. The gateway needs none of that and two of itself in one process, so it accepts by itself and
//! leaves the rest (TLS, HTTP) to Pingora.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::TlsStream as Encrypted;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::server::ShutdownWatch;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::proxy_header::{self, HeaderError};
use super::tally::{Place, Tally};
use crate::config::FrontDoor;
use crate::limits::ACCEPT_RETRY_PAUSE;
use crate::telemetry::Metrics;

/// A connection after its handshake.
type TlsStream = Encrypted<Stream>;

/// How serving ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How long requests under way may take; then they are cut.
    grace: Duration,
    /// How long a connection without a request may wait for one more, which is its last. A client that sends one just as its
    /// connection is closed sees it fail.
    idle: Duration,
}

impl Ending {
    /// Requests under way may finish within `grace`; connections without one end at once.
    pub fn within(grace: Duration) -> Self {
        Ending { grace, idle: Duration::ZERO }
    }

    /// The same, and connections without a request may wait for their last one for half of that time.
    pub fn lingering(grace: Duration) -> Self {
        Ending { grace, idle: grace / 2 }
    }
}

/// A bound socket with the application it will serve.
pub struct Listener<A> {
    socket: TcpListener,
    address: SocketAddr,
    door: Door,
    app: Arc<A>,
}

/// What a connection passes before the application sees it.
#[derive(Clone)]
struct Door {
    acceptor: Arc<Acceptor>,
    counted: Option<(&'static str, Metrics)>,
    bounds: Arc<FrontDoor>,
    handshakes: Arc<Semaphore>,
    addresses: Arc<Tally<IpAddr>>,
}

impl<A> Listener<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    /// Binds `address`; from here on clients can connect, and wait until [`Listener::serve`] runs. Port 0 lets the system
    /// choose, see [`Listener::address`].
    pub async fn bind(address: SocketAddr, tls: TlsSettings, app: A) -> io::Result<Self> {
        Listener::on(TcpListener::bind(address).await?.into_std()?, tls, app)
    }

    /// The same on a socket that listens already. Needs a runtime.
    pub fn on(socket: std::net::TcpListener, tls: TlsSettings, app: A) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let door = Door::new(tls, FrontDoor::default());
        Ok(Listener { socket: TcpListener::from_std(socket)?, address, door, app: Arc::new(app) })
    }

    /// The same listener with other bounds.
    #[must_use]
    pub fn bounded(mut self, bounds: &FrontDoor) -> Self {
        self.door.handshakes = Arc::new(Semaphore::new(bounds.handshakes));
        self.door.bounds = Arc::new(bounds.clone());
        self
    }

    /// The same listener, counting under `name` the handshakes that end before a certificate can be judged. All others are
    /// counted by the verifier.
    #[must_use]
    pub fn counted(mut self, name: &'static str, metrics: Metrics) -> Self {
        self.door.counted = Some((name, metrics));
        self
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` says how to end, then takes no more connections and lets those that are open come to their end.
    pub async fn serve(self, mut stop: watch::Receiver<Option<Ending>>) {
        let Listener { socket, door, app, .. } = self;
        let (tell, shutdown) = watch::channel(false);
        let mut connections = JoinSet::new();
        let room = Arc::new(Semaphore::new(door.bounds.connections));
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&socket, &room) => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let (door, app, shutdown) = (door.clone(), Arc::clone(&app), shutdown.clone());
                    connections.spawn(async move {
                        connection(stream, peer, &door, &app, &shutdown).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "no connection accepted");
                    sleep(ACCEPT_RETRY_PAUSE).await;
                }
            }
        }
        drop(socket);
        // A sender that went away has no patience.
        let ending = stop.borrow().unwrap_or(Ending::within(Duration::ZERO));
        tell.send_replace(true);
        let finished = timeout(ending.grace, async {
            if timeout(ending.idle, drained(&mut connections)).await.is_err() {
                app.cleanup().await;
                drained(&mut connections).await;
            }
        });
        if finished.await.is_err() {
            tracing::warn!(connections = connections.len(), "connections cut at the end of the grace period");
        }
        connections.shutdown().await;
    }
}

async fn drained(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

async fn accept(
    socket: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, impl Send + 'static)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    Ok((stream, peer, place))
}

/// One connection from its first byte to its end.
async fn connection<A>(stream: TcpStream, peer: SocketAddr, door: &Door, app: &Arc<A>, shutdown: &ShutdownWatch)
where
    A: ServerApp + Send + Sync + 'static,
{
    // Apart, because a handshake needs eight times the room of what comes after it, which lasts.
    let entering = Box::pin(door.enter(stream, peer));
    let Ok(entered) = timeout(door.bounds.handshake_time, entering).await else {
        door.count(Some("timed-out"));
        return tracing::info!(%peer, "handshake not finished in time");
    };
    let Some((stream, _place)) = entered else { return };
    let mut next: Option<pingora::protocols::Stream> = Some(Box::new(stream));
    while let Some(stream) = next {
        next = app.process_new(stream, shutdown).await;
    }
}

/// The socket as Pingora wants it, with the address of whoever is at the other end beside it.
fn described(stream: TcpStream, peer: SocketAddr) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    // A cell that was just made is empty.
    let _ = digest.peer_addr.set(Some(peer.into()));
    let mut stream = Stream::from(stream);
    stream.set_socket_digest(digest);
    Ok(stream)
}

/// Whom connections are counted for. A household with IPv6 has a whole network, and may use every address of it.
fn source(address: IpAddr) -> IpAddr {
    const INTERFACE: u128 = u64::MAX as u128;
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !INTERFACE).into()),
        v4 => v4,
    }
}

impl Door {
    fn new(tls: TlsSettings, bounds: FrontDoor) -> Self {
        Door {
            acceptor: Arc::new(tls.build()),
            counted: None,
            handshakes: Arc::new(Semaphore::new(bounds.handshakes)),
            bounds: Arc::new(bounds),
            addresses: Tally::new(),
        }
    }

    /// Takes a connection as far as the application; `None` when it does not get there, which is told.
    async fn enter(&self, mut stream: TcpStream, peer: SocketAddr) -> Option<(TlsStream, Place<IpAddr>)> {
        let client = match self.client(&mut stream, peer).await {
            Ok(client) => client,
            Err(error) => return self.refuse("proxy-header-invalid", peer, &error),
        };
        let Some(place) = self.addresses.enter(&source(client.ip()), self.bounds.connections_per_address) else {
            return self.refuse("too-many-connections-from-address", client, &"the address has too many");
        };
        let turn = self.handshakes.acquire().await.ok()?;
        let described = described(stream, client)
            .map_err(|error| tracing::info!(peer = %client, %error, "connection lost"))
            .ok()?;
        let shaken = self.acceptor.tls_handshake(described).await;
        drop(turn);
        match shaken {
            Ok(stream) => Some((stream, place)),
            Err(error) => {
                self.count(result_of(&error));
                tracing::info!(peer = %client, %error, "handshake failed");
                None
            }
        }
    }

    /// Who is at the other end: the peer, or whom a trusted balancer speaks for.
    async fn client(&self, stream: &mut TcpStream, peer: SocketAddr) -> Result<SocketAddr, HeaderError> {
        if !self.bounds.proxy_protocol.iter().any(|network| network.contains(peer.ip())) {
            return Ok(peer);
        }
        Ok(proxy_header::read(stream).await?.unwrap_or(peer))
    }

    fn refuse<T>(&self, reason: &'static str, peer: SocketAddr, why: &dyn std::fmt::Display) -> Option<T> {
        if let Some((_, metrics)) = &self.counted {
            metrics.connection_refused(reason);
        }
        tracing::warn!(reason, %peer, %why, "connection refused");
        None
    }

    fn count(&self, result: Option<&'static str>) {
        if let (Some((name, metrics)), Some(result)) = (&self.counted, result) {
            metrics.handshake(name, result);
        }
    }
}

/// How a failed handshake is counted; `None` when the verifier has counted it. Of the TLS library's error Pingora hands on
/// the words only.
fn result_of(error: &pingora::Error) -> Option<&'static str> {
    let said = error.to_string();
    if said.contains("invalid peer certificate") || said.contains("invalid certificate revocation list") {
        None
    } else if said.contains(&rustls::Error::NoCertificatesPresented.to_string()) {
        Some("no-certificate")
    } else {
        Some("failed")
    }
}

impl<A> std::fmt::Debug for Listener<A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}
