//! The demo's origin: a small server that shows what reached it and behaves as real services do.
//!
//! It speaks HTTP/1.1 and HTTP/2 with prior knowledge on one plain port, and offers WebSocket, slow streams and a
//! gRPC-shaped call, so that every protocol the gateway carries has something at the other end. It trusts everybody: bind
//! it to a loopback address only.

mod routes;
mod ticks;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::limits;

/// The demo's origin server.
#[derive(Clone, Copy, Debug)]
pub struct Origin;

impl Origin {
    /// Listens on `address` and returns the address bound and the future that serves it.
    ///
    /// The future ends once `stop` is cancelled: it accepts nothing more, tells open connections to finish, and drops
    /// those that have not after [`limits::ORIGIN_DRAIN_WAIT_MAX`]. Dropping the future ends everything at once.
    pub async fn bind(
        address: SocketAddr,
        stop: CancellationToken,
    ) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((bound, serve(listener, stop.child_token())))
    }
}

async fn serve(listener: TcpListener, stop: CancellationToken) {
    let _stop_when_dropped = stop.clone().drop_guard();
    let router = routes::router(stop.clone());
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < limits::ORIGIN_CONNECTIONS_MAX;
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), stop.clone()));
                }
                // The peer went away, or descriptors ran out: neither is cured by trying again at once.
                Err(_) => tokio::time::sleep(limits::ORIGIN_ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits::ORIGIN_DRAIN_WAIT_MAX, drained).await.is_err() {
        connections.shutdown().await;
    }
}

/// Serves one connection to its end. How it ends is of interest to the peer only.
async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::ORIGIN_HEADER_WAIT_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::ORIGIN_STREAMS_MAX)
        .enable_connect_protocol();
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests;
