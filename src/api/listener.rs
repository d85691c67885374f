//! A socket, its connections and their end: accept, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedClock;
use crate::enforce::Credential;
use crate::limits;
use crate::telemetry::Metrics;
use crate::tls::{CredentialFactory, HandshakeInspector};

use super::connection::{Door, Server};

/// Makes the credential of a finished handshake; `None` when the client showed no certificate, or none that is believed.
pub type Credentials = Arc<dyn Fn(&ServerConnection) -> Option<Arc<dyn Credential>> + Send + Sync>;

/// Credentials as the TLS floor makes them: the handshake is looked over once more, and its certificate becomes a credential.
pub fn credentials(inspector: HandshakeInspector, factory: CredentialFactory) -> Credentials {
    Arc::new(move |tls| {
        let peer = inspector.inspect(tls);
        peer.identity().ok().map(|identity| factory.credential(identity))
    })
}

/// What a listener speaks under HTTP.
#[derive(Clone)]
pub enum Security {
    /// Nothing: HTTP/1.1 in the clear, for a socket only the machine itself can reach.
    Plain,
    /// TLS; HTTP/2 where the client agrees on it, HTTP/1.1 otherwise.
    Tls {
        /// Certificates, client verification and ALPN.
        config: Arc<ServerConfig>,
        /// Who the peer is.
        credentials: Credentials,
    },
}

impl std::fmt::Debug for Security {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Security::Plain => "Plain",
            Security::Tls { .. } => "Tls",
        })
    }
}

/// The bounds of one listener. `Default` is what [`limits`] says.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections served at once; later ones wait to be accepted.
    pub connections: usize,
    /// Longest TLS handshake.
    pub handshake_time: Duration,
    /// Longest wait for the head of a request.
    pub head_time: Duration,
    /// How long a connection may stay without a request.
    pub idle_time: Duration,
    /// How long a connection may take to end once it was told to.
    pub drain_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: limits::API_CONNECTIONS_MAX,
            handshake_time: limits::API_HANDSHAKE_TIME_MAX,
            head_time: limits::API_HEAD_TIME_MAX,
            idle_time: limits::API_IDLE_TIME_MAX,
            drain_time: limits::API_DRAIN_TIME_MAX,
        }
    }
}

/// A listener that has its address but serves nobody yet.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    address: SocketAddr,
    socket: TcpListener,
    bounds: Bounds,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("the {name} listener cannot listen on {address}: {source}")]
pub struct BindError {
    name: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

impl Listener {
    /// Takes `address`; port 0 takes any free port. Connections wait in the system's queue until [`Listener::serve`].
    ///
    /// `name` is the listener's in logs and metrics.
    pub async fn bind(name: &'static str, address: SocketAddr) -> Result<Listener, BindError> {
        let refused = |source| BindError { name, address, source };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Listener { name, address, socket, bounds: Bounds::default() })
    }

    /// The same on a socket that listens already.
    pub fn on(name: &'static str, socket: std::net::TcpListener) -> std::io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Listener { name, address, socket: TcpListener::from_std(socket)?, bounds: Bounds::default() })
    }

    /// The same listener with other bounds.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Listener {
        Listener { bounds, ..self }
    }

    /// The address it has, the port included.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `stop`; returns when the last connection has ended, which has a bound.
    ///
    /// Handlers find the client's [`Connection`](crate::enforce::Connection) in the request's extensions, as an `Arc`.
    pub async fn serve(
        self,
        router: Router,
        security: Security,
        clock: SharedClock,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        let door = match security {
            Security::Plain => Door::Open,
            Security::Tls { config, credentials } => Door::Tls { acceptor: TlsAcceptor::from(config), credentials },
        };
        let server = Server { name: self.name, bounds: self.bounds, door, router, clock, metrics };
        accept(&self.socket, Arc::new(server), stop).await;
    }
}

async fn accept(socket: &TcpListener, server: Arc<Server>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(server.bounds.connections));
    let connections = TaskTracker::new();
    while let Some(place) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(socket.accept()).await else { break };
        match accepted {
            Ok((stream, peer)) => {
                let (server, stop) = (Arc::clone(&server), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    server.connection(stream, peer, stop).await;
                });
            }
            Err(error) => {
                tracing::warn!(listener = server.name, %error, "a connection could not be accepted");
                stop.run_until_cancelled(tokio::time::sleep(limits::API_ACCEPT_PAUSE)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}
