//! The whole of `postern run`: the gateway with our own proxy behind it, and the listeners beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Readiness;
use crate::enforce::Enforcer;
use crate::proxy::{Listener, Pools, UpstreamRouter};

use super::postern::{Postern, StartError};
use super::side_listeners::SideListeners;

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    postern: Postern,
    addresses: Addresses,
    readiness: Arc<Readiness>,
    front_stop: watch::Sender<bool>,
    front: JoinHandle<()>,
    side_stop: CancellationToken,
    sides: TaskTracker,
}

/// Where a gateway listens, the ports chosen by the system included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Clients on their way to services.
    pub gateway: SocketAddr,
    /// Devices that report posture.
    pub client_api: SocketAddr,
    /// Operators.
    pub admin: SocketAddr,
    /// Metrics and health.
    pub ops: SocketAddr,
}

impl Gateway {
    /// Binds every listener and serves inside the current Tokio runtime, which must be a multi-threaded one.
    ///
    /// When this returns, every listener accepts connections and the gateway is ready.
    pub async fn start(postern: Postern) -> Result<Self, StartError> {
        let readiness = Readiness::new();
        let sides = SideListeners::bind(postern.clone(), Arc::clone(&readiness)).await?;
        let pools = Pools::new();
        let router = UpstreamRouter::new(Arc::clone(&pools));
        let app = postern.gate().protect(router, &UpstreamRouter::configuration());
        let wanted = postern.settings().listeners.gateway.address;
        let front = Listener::bind(wanted, postern.tls_settings()?, app)
            .await
            .map_err(|source| StartError::BindGateway { address: wanted, source })?
            .bounded(&postern.settings().front_door)
            .counted("gateway", postern.enforcer().metrics().clone());

        let beside = sides.addresses();
        let addresses =
            Addresses { gateway: front.address(), client_api: beside.client_api, admin: beside.admin, ops: beside.ops };
        let (front_stop, front_shutdown) = watch::channel(false);
        let front = tokio::spawn(front.serve(front_shutdown, postern.settings().shutdown_grace));
        let side_stop = CancellationToken::new();
        let side_tasks = TaskTracker::new();
        side_tasks.spawn(sides.serve(side_stop.clone()));
        side_tasks.spawn(keep_pools(pools, Arc::clone(postern.enforcer()), side_stop.clone()));
        readiness.listeners_up();
        tracing::info!(
            gateway = %addresses.gateway,
            client_api = %addresses.client_api,
            admin = %addresses.admin,
            ops = %addresses.ops,
            "listening"
        );
        Ok(Gateway { postern, addresses, readiness, front_stop, front, side_stop, sides: side_tasks })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it was made of.
    pub fn postern(&self) -> &Postern {
        &self.postern
    }

    /// Stops: no new connections, requests in flight finish within the configured grace, then the store is closed.
    ///
    /// The listeners beside the gateway serve until it has drained, so that probes see it and reports are still taken.
    pub async fn stop(self) {
        self.readiness.shutting_down();
        self.front_stop.send_replace(true);
        if let Err(error) = self.front.await {
            tracing::error!(%error, "the gateway's listener ended badly");
        }
        self.side_stop.cancel();
        self.sides.close();
        self.sides.wait().await;
        if let Err(error) = self.postern.store().close().await {
            tracing::error!(%error, "the store could not be closed in order");
        }
    }
}

/// Opens and closes upstream pools as snapshots come into force, until `stop`.
async fn keep_pools(pools: Arc<Pools>, enforcer: Arc<Enforcer>, stop: CancellationToken) {
    let mut generations = enforcer.generations();
    loop {
        pools.adopt(enforcer.published().snapshot());
        let Some(Ok(())) = stop.run_until_cancelled(generations.changed()).await else { return };
    }
}
