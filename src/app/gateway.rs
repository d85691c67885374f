//! The whole of `postern run`: the gateway with our own proxy behind it, and the listeners beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Readiness;
use crate::decision::Failure;
use crate::enforce::{Enforcer, busy};
use crate::proxy::{Ending, Listener, Patience, Pools, TcpServices, UpstreamRouter};

use super::postern::{Postern, StartError};
use super::side_listeners::{SideListeners, watch_files};
use super::sockets::Sockets;
use super::upgrade::{Handover, Heir};

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    postern: Postern,
    sockets: Sockets,
    addresses: Addresses,
    readiness: Arc<Readiness>,
    front_stop: watch::Sender<Option<Ending>>,
    front: JoinHandle<()>,
    side_stop: CancellationToken,
    sides: TaskTracker,
    /// What goes on as long as anything is served: files are watched, and pools follow the policy.
    upkeep_stop: CancellationToken,
    upkeep: TaskTracker,
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
        let sockets = Sockets::bind(&postern.settings().listeners).await?;
        Gateway::start_on(postern, sockets).await
    }

    /// The same on sockets that are there already.
    pub async fn start_on(postern: Postern, sockets: Sockets) -> Result<Self, StartError> {
        let readiness = Readiness::new();
        let served = sockets.try_clone().map_err(StartError::Sockets)?;
        let sides = SideListeners::on(served.sides, postern.clone(), Arc::clone(&readiness))?;
        let pools = Pools::new();
        let front_door = &postern.settings().front_door;
        let patience = Patience { body: front_door.body_time, idle: front_door.idle_time };
        let router = UpstreamRouter::new(Arc::clone(&pools)).waiting(patience);
        let app = postern.gate().protect(router, &UpstreamRouter::configuration());
        let app = app.with_tcp(TcpServices::new(Arc::clone(&pools)));
        let front = Listener::on(served.gateway, postern.tls_settings()?, app)
            .map_err(StartError::Sockets)?
            .bounded(&postern.settings().front_door)
            .counted("gateway", postern.enforcer().metrics().clone());

        let beside = sides.addresses();
        let addresses =
            Addresses { gateway: front.address(), client_api: beside.client_api, admin: beside.admin, ops: beside.ops };
        let (front_stop, front_stopped) = watch::channel(None);
        let front = tokio::spawn(front.serve(front_stopped));
        let (side_stop, upkeep_stop) = (CancellationToken::new(), CancellationToken::new());
        let (side_tasks, upkeep) = (TaskTracker::new(), TaskTracker::new());
        side_tasks.spawn(sides.serve(side_stop.clone()));
        upkeep.spawn(keep_pools(pools, Arc::clone(postern.enforcer()), upkeep_stop.clone()));
        upkeep.spawn(watch_files(postern.clone(), upkeep_stop.clone()));
        side_tasks.close();
        upkeep.close();
        readiness.listeners_up();
        tracing::info!(
            gateway = %addresses.gateway,
            client_api = %addresses.client_api,
            admin = %addresses.admin,
            ops = %addresses.ops,
            "listening"
        );
        Ok(Gateway {
            postern,
            sockets,
            addresses,
            readiness,
            front_stop,
            front,
            side_stop,
            sides: side_tasks,
            upkeep_stop,
            upkeep,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it was made of.
    pub fn postern(&self) -> &Postern {
        &self.postern
    }

    /// Its sockets once more, to be handed over.
    pub fn sockets(&self) -> std::io::Result<Sockets> {
        self.sockets.try_clone()
    }

    /// Stops: readiness turns, and after the configured delay no new connections are taken; requests in flight finish within
    /// the configured grace, then the store is closed.
    ///
    /// The listeners beside the gateway serve until it has drained, so that probes see it and reports are still taken.
    pub async fn stop(self) {
        let settings = self.postern.settings();
        self.readiness.shutting_down();
        tokio::time::sleep(settings.shutdown.delay).await;
        self.front_stop.send_replace(Some(Ending::within(settings.shutdown.grace)));
        drop(self.sockets);
        ended(self.front).await;
        self.side_stop.cancel();
        self.sides.wait().await;
        self.upkeep_stop.cancel();
        self.upkeep.wait().await;
        if let Err(error) = self.postern.store().close().await {
            tracing::error!(%error, "the store could not be closed in order");
        }
    }

    /// Lets a successor take over, and serves what is under way to its end. When the successor does not come to serve, the sockets
    /// are handed back, and a gateway must be started on them; this one's store is closed by then.
    ///
    /// The interfaces for devices and operators end first: what they acknowledge must be in the store the successor opens. Their
    /// new connections wait in the system's queue until it does. Services are reachable all the time.
    pub async fn hand_over(self, handover: Handover) -> Result<(), Interrupted> {
        self.side_stop.cancel();
        self.sides.wait().await;
        let mut failures = self.postern.enforcer().bequeath();
        if let Err(error) = self.postern.store().close().await {
            tracing::error!(%error, "the store could not be closed in order");
        }
        let heir = match handover.released().await {
            Ok(heir) => heir,
            Err(error) => {
                tracing::error!(%error, "the successor does not serve: this process goes on");
                self.front_stop.send_replace(Some(Ending::within(self.postern.settings().shutdown.grace)));
                self.upkeep_stop.cancel();
                return Err(Interrupted { sockets: self.sockets, failures });
            }
        };
        tracing::info!("the successor serves; what is under way here comes to its end");
        let grace = self.postern.settings().shutdown.grace;
        self.front_stop.send_replace(Some(Ending::lingering(grace)));
        drop(self.sockets);
        pass_on(&mut failures, heir, self.front).await;
        self.upkeep_stop.cancel();
        self.upkeep.wait().await;
        Ok(())
    }
}

/// A gateway whose successor did not come to serve. Its own store is closed, and it must be started anew.
#[derive(Debug)]
pub struct Interrupted {
    sockets: Sockets,
    /// What the old one still refuses.
    failures: mpsc::Receiver<Failure>,
}

impl Interrupted {
    /// Serves on, made anew from the same files and the same store.
    pub async fn resume(self, postern: Postern) -> Result<Gateway, StartError> {
        let Interrupted { sockets, mut failures } = self;
        let enforcer = Arc::clone(postern.enforcer());
        let gateway = Gateway::start_on(postern, sockets).await?;
        tokio::spawn(async move {
            while let Some(failure) = failures.recv().await {
                enforcer.record(failure);
            }
        });
        Ok(gateway)
    }
}

/// Passes refusals on to the successor until nothing is served here any more.
async fn pass_on(failures: &mut mpsc::Receiver<Failure>, mut heir: Heir, front: JoinHandle<()>) {
    let mut front = std::pin::pin!(ended(front));
    let mut drained = false;
    loop {
        let failure = tokio::select! {
            biased;
            Some(failure) = failures.recv() => failure,
            () = &mut front, if !drained => {
                drained = true;
                continue;
            }
            // Nothing is served, and nothing waits to be passed on.
            () = std::future::ready(()), if drained => break,
        };
        if let Err(error) = heir.keep(failure).await {
            tracing::error!(%error, "a refusal could not be passed on to the successor");
        }
    }
    heir.end().await;
}

async fn ended(front: JoinHandle<()>) {
    if let Err(error) = front.await {
        tracing::error!(%error, "the gateway's listener ended badly");
    }
}

/// Opens and closes upstream pools as snapshots come into force, until `stop`.
async fn keep_pools(pools: Arc<Pools>, enforcer: Arc<Enforcer>, stop: CancellationToken) {
    let mut generations = enforcer.generations();
    loop {
        busy(|| pools.adopt(enforcer.published().snapshot()));
        let Some(Ok(())) = stop.run_until_cancelled(generations.changed()).await else { return };
    }
}
