//! The listeners beside the gateway: client API, admin API and ops, and the watch over what is written in files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Admin, Authorities, Client, Cloudflare, Listener, Ops, Readiness, Security, credentials};
use crate::config::watch::{Change, Timing, Watched, Watcher};
use crate::policy::subject::SubjectKind;
use crate::provider::Connectors;
use crate::tls::{self, CredentialFactory, HandshakeInspector, ReloadableResolver, ReloadableVerifier};

use super::postern::{Postern, StartError};
use super::sockets::SideSockets;
use super::trust_files::TrustFiles;

/// Bound sockets that serve nobody yet.
#[derive(Debug)]
pub(super) struct SideListeners {
    client_api: (Listener, Security),
    admin: (Listener, Security),
    ops: Listener,
    postern: Postern,
    readiness: Arc<Readiness>,
}

/// Where the listeners beside the gateway were bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct SideAddresses {
    pub(super) client_api: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) ops: SocketAddr,
}

impl SideListeners {
    pub(super) fn on(sockets: SideSockets, postern: Postern, readiness: Arc<Readiness>) -> Result<Self, StartError> {
        let listener = |name, socket| Listener::on(name, socket).map_err(StartError::Sockets);
        let client_api = listener("client_api", sockets.client_api)?;
        let admin = listener("admin", sockets.admin)?;
        let ops = listener("ops", sockets.ops)?;
        let trust = postern.trust();
        // Without a certificate the TLS library would refuse a client before anybody could count it or tell it why.
        let devices = postern.verifier("client_api").certificate_optional();
        let operators = postern.verifier("admin").certificate_optional();
        Ok(SideListeners {
            client_api: (client_api, security(trust.client_api(), devices, postern.credentials().clone())?),
            admin: (admin, security(trust.admin(), operators, operator_credentials(trust))?),
            ops,
            readiness,
            postern,
        })
    }

    pub(super) fn addresses(&self) -> SideAddresses {
        SideAddresses {
            client_api: self.client_api.0.address(),
            admin: self.admin.0.address(),
            ops: self.ops.address(),
        }
    }

    /// Serves until `stop`; returns when the last connection has ended.
    pub(super) async fn serve(self, stop: CancellationToken) {
        let SideListeners { client_api, admin, ops, postern, readiness } = self;
        let enforcer = postern.enforcer();
        let tasks = TaskTracker::new();
        let serve = |listener: Listener, router, security| {
            let clock = Arc::clone(enforcer.clock());
            tasks.spawn(listener.serve(router, security, clock, enforcer.metrics().clone(), stop.clone()));
        };
        let authorities = |shown: &Arc<ReloadableResolver>| Authorities {
            shown: Arc::clone(shown),
            clients: Arc::clone(postern.trust().clients()),
        };
        let devices = Client::new(Arc::clone(enforcer), Arc::clone(postern.factors()))
            .with_limits(&postern.settings().limits)
            .with_enrolment(authorities(postern.trust().client_api()), postern.enroller().cloned());
        serve(client_api.0, devices.router(), client_api.1);
        let routes = Admin {
            enforcer: Arc::clone(enforcer),
            access: Arc::new(postern.settings().admin.clone()),
            status: Arc::clone(postern.policy().status()),
            reloader: Arc::clone(postern.policy()) as _,
            service_defaults: postern.settings().proxy.service_defaults.clone(),
            cloudflare: Cloudflare {
                settings: postern.settings().cloudflare.clone(),
                sealer: Arc::clone(postern.sealer()),
                providers: postern.providers().clone(),
            },
            factors: Arc::clone(postern.factors()),
            authorities: authorities(postern.trust().admin()),
            enroller: postern.enroller().cloned(),
        };
        serve(admin.0, routes.router(), admin.1);
        serve(ops, Ops { enforcer: Arc::clone(enforcer), readiness }.router(), Security::Plain);
        let connectors = Connectors {
            enforcer: Arc::clone(enforcer),
            sealer: Arc::clone(postern.sealer()),
            client: postern.providers().clone(),
        };
        tasks.spawn(connectors.run(stop.clone()));
        tasks.close();
        tasks.wait().await;
    }
}

/// Operators are written down by any name of their certificate, so every kind of name counts, and nobody is enrolled.
fn operator_credentials(trust: &TrustFiles) -> CredentialFactory {
    CredentialFactory::new(Arc::clone(trust.clients()), &SubjectKind::ALL, None)
}

fn security(
    certificates: &Arc<ReloadableResolver>,
    verifier: Arc<ReloadableVerifier>,
    factory: CredentialFactory,
) -> Result<Security, StartError> {
    let config = Arc::new(tls::server_config(Arc::clone(certificates), Arc::clone(&verifier))?);
    Ok(Security::Tls { config, credentials: credentials(HandshakeInspector::new(verifier), factory) })
}

/// Reloads what changes on disk, until `stop`.
pub(super) async fn watch_files(postern: Postern, stop: CancellationToken) {
    let config_file = postern.config_file().map_or_else(PathBuf::new, Into::into);
    let mut watcher = Watcher::start(Watched::of(&config_file, postern.settings()), Timing::default());
    // Something may have changed between loading and watching.
    postern.catch_up().await;
    while let Some(Some(change)) = stop.run_until_cancelled(watcher.changed()).await {
        match change {
            Change::Policy => postern.reload_policy().await,
            Change::Trust => postern.reload_trust().await,
            Change::ServerCertificates => postern.reload_server_certificates().await,
            Change::Config => {
                tracing::warn!("the configuration file has changed; a restart puts it into force");
            }
        }
    }
}

/// The listeners beside the gateway as a Pingora background service, for a process that Pingora runs.
#[derive(Debug)]
pub struct SideServices {
    pub(super) postern: Postern,
}

#[async_trait]
impl BackgroundService for SideServices {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let readiness = Readiness::new();
        let sockets = SideSockets::bind(&self.postern.settings().listeners).await;
        let listeners = match sockets
            .and_then(|sockets| SideListeners::on(sockets, self.postern.clone(), Arc::clone(&readiness)))
        {
            Ok(listeners) => listeners,
            Err(error) => return tracing::error!(%error, "client API, admin API and ops are not served"),
        };
        let addresses = listeners.addresses();
        tracing::info!(
            client_api = %addresses.client_api, admin = %addresses.admin, ops = %addresses.ops, "listening"
        );
        readiness.listeners_up();
        let stop = CancellationToken::new();
        let stopped = async {
            // An error means that the sender is gone, which is a shutdown as well.
            let _ = shutdown.wait_for(|stop| *stop).await;
            readiness.shutting_down();
            stop.cancel();
        };
        tokio::join!(listeners.serve(stop.clone()), watch_files(self.postern.clone(), stop.clone()), stopped);
        if let Err(error) = self.postern.store().flush().await {
            tracing::error!(%error, "the store could not be flushed at the end");
        }
    }
}
