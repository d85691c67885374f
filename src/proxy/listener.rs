//! A listening socket that serves a Pingora application inside the runtime it is started in.
//!
//! Pingora's own server takes over the process: it makes runtimes, handles signals, exits at the end, and does not tell
//! which port it was given. The gateway needs none of that and two of itself in one process, so it accepts by itself and
//! leaves the rest (TLS, HTTP) to Pingora.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::server::ShutdownWatch;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::limits::{ACCEPT_RETRY_PAUSE, GATEWAY_CONNECTIONS_MAX, HANDSHAKE_WAIT_MAX};
use crate::telemetry::Metrics;

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
}

impl<A> Listener<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    /// Binds `address`; from here on clients can connect, and wait until [`Listener::serve`] runs. Port 0 lets the system
    /// choose, see [`Listener::address`].
    pub async fn bind(address: SocketAddr, tls: TlsSettings, app: A) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let door = Door { acceptor: Arc::new(tls.build()), counted: None };
        Ok(Listener { socket, address, door, app: Arc::new(app) })
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

    /// Serves until `shutdown` becomes true, then lets connections finish what they are doing for at most `grace`.
    pub async fn serve(self, mut shutdown: ShutdownWatch, grace: Duration) {
        let Listener { socket, door, app, .. } = self;
        let mut connections = JoinSet::new();
        let room = Arc::new(Semaphore::new(GATEWAY_CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&socket, &room) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let (door, app, shutdown) = (door.clone(), Arc::clone(&app), shutdown.clone());
                    connections.spawn(async move {
                        connection(stream, &door, &app, &shutdown).await;
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
        app.cleanup().await;
        let finished = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
        if finished.is_err() {
            tracing::warn!(connections = connections.len(), "connections cut at the end of the grace period");
        }
        connections.shutdown().await;
    }
}

async fn accept(socket: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(Stream, impl Send + 'static)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    Ok((described(stream, peer)?, place))
}

/// The socket as Pingora wants it, with the peer's address beside it.
fn described(stream: TcpStream, peer: SocketAddr) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    // A cell that was just made is empty.
    let _ = digest.peer_addr.set(Some(peer.into()));
    let mut stream = Stream::from(stream);
    stream.set_socket_digest(digest);
    Ok(stream)
}

/// One connection from its handshake to its end.
async fn connection<A>(stream: Stream, door: &Door, app: &Arc<A>, shutdown: &ShutdownWatch)
where
    A: ServerApp + Send + Sync + 'static,
{
    let peer = stream.get_socket_digest().and_then(|digest| digest.peer_addr().cloned());
    let peer = peer.as_ref().map(tracing::field::debug);
    let stream = match timeout(HANDSHAKE_WAIT_MAX, door.acceptor.tls_handshake(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            door.count(result_of(&error));
            return tracing::info!(peer, %error, "handshake failed");
        }
        Err(_) => {
            door.count(Some("timed-out"));
            return tracing::info!(peer, "handshake not finished in time");
        }
    };
    let mut next: Option<pingora::protocols::Stream> = Some(Box::new(stream));
    while let Some(stream) = next {
        next = app.process_new(stream, shutdown).await;
    }
}

impl Door {
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
