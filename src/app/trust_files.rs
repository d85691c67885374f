//! Certificates, CAs and revocation lists as files: loaded at start, again when they change, never loosened by a bad one.

use std::sync::Arc;

use crate::clock::{SharedClock, Stopwatch};
use crate::config::{ExpiredCrl, Settings, TlsListener};
use crate::telemetry::Metrics;
use crate::tls::{
    CrlPolicy, MaterialWarning, ReloadableResolver, ServerCertificateError, ServerCertificateFiles, TrustError,
    TrustSources, TrustStore,
};

/// Everything the gateway believes and shows, as it lies in files.
#[derive(Debug)]
pub struct TrustFiles {
    clients: Arc<TrustStore>,
    enrolling: Option<Arc<TrustStore>>,
    gateway: Arc<ReloadableResolver>,
    client_api: Arc<ReloadableResolver>,
    admin: Arc<ReloadableResolver>,
    clock: SharedClock,
    metrics: Metrics,
}

/// Why certificates could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustFilesError {
    /// Client CAs or revocation lists.
    #[error("client trust: {0}")]
    Clients(#[from] TrustError),
    /// The CAs whose clients are enrolled.
    #[error("identity.auto_enroll.ca_files: {0}")]
    Enrolling(#[source] TrustError),
    /// A listener's own certificates.
    #[error("certificates of the {listener} listener: {source}")]
    Server {
        /// Whose.
        listener: &'static str,
        /// What is wrong.
        source: ServerCertificateError,
    },
}

impl TrustFiles {
    /// Loads every file the settings name. Blocks.
    pub fn load(settings: &Settings, clock: SharedClock, metrics: Metrics) -> Result<Arc<Self>, TrustFilesError> {
        let now = clock.now();
        let clients = TrustStore::load(client_sources(settings), now)?;
        warn_all(clients.current().warnings());
        let enrolling = enrolling_sources(settings).map(|sources| TrustStore::load(sources, now)).transpose();
        let resolver = |name, listener: &TlsListener| {
            let loaded = ReloadableResolver::load(certificate_files(listener), now);
            let resolver = loaded.map_err(|source| TrustFilesError::Server { listener: name, source })?;
            warn_all(&resolver.warnings());
            Ok::<_, TrustFilesError>(resolver)
        };
        let listeners = &settings.listeners;
        Ok(Arc::new(TrustFiles {
            clients,
            enrolling: enrolling.map_err(TrustFilesError::Enrolling)?,
            gateway: resolver("gateway", &listeners.gateway)?,
            client_api: resolver("client_api", &listeners.client_api)?,
            admin: resolver("admin", &listeners.admin)?,
            clock,
            metrics,
        }))
    }

    /// Whose client certificates are believed.
    pub fn clients(&self) -> &Arc<TrustStore> {
        &self.clients
    }

    /// Whose clients are enrolled; `None` when nobody's are.
    pub fn enrolling(&self) -> Option<&Arc<TrustStore>> {
        self.enrolling.as_ref()
    }

    /// The certificates the gateway shows.
    pub fn gateway(&self) -> &Arc<ReloadableResolver> {
        &self.gateway
    }

    /// The certificates the client API shows.
    pub fn client_api(&self) -> &Arc<ReloadableResolver> {
        &self.client_api
    }

    /// The certificates the admin API shows.
    pub fn admin(&self) -> &Arc<ReloadableResolver> {
        &self.admin
    }

    /// Reads client CAs, revocation lists and enrolling CAs again; on an error what is believed stays as it was. Blocks.
    pub fn reload_clients(&self) {
        let took = Stopwatch::start();
        let now = self.clock.now();
        let reloaded = self.clients.reload(now);
        let enrolling = self.enrolling.as_ref().map(|enrolling| enrolling.reload(now)).transpose();
        let all_loaded = reloaded.is_ok() && enrolling.is_ok();
        self.metrics.reload("trust", took.seconds(), all_loaded.then_some(now.as_millis() / 1000));
        match reloaded {
            Ok(reloaded) => {
                warn_all(&reloaded.warnings);
                tracing::info!(epoch = reloaded.epoch, changed = reloaded.changed, "client trust loaded");
            }
            Err(error) => tracing::error!(%error, "client trust not loaded: what was believed stays"),
        }
        match enrolling {
            Ok(None) => {}
            Ok(Some(reloaded)) => tracing::info!(changed = reloaded.changed, "enrolling CAs loaded"),
            Err(error) => tracing::error!(%error, "enrolling CAs not loaded: the ones in use stay"),
        }
    }

    /// Reads the listeners' own certificates again; a listener whose files are bad keeps what it shows. Blocks.
    pub fn reload_server_certificates(&self) {
        let took = Stopwatch::start();
        let now = self.clock.now();
        let listeners = [("gateway", &self.gateway), ("client_api", &self.client_api), ("admin", &self.admin)];
        let mut all_loaded = true;
        for (listener, resolver) in listeners {
            match resolver.reload(now) {
                Ok(warnings) => {
                    warn_all(&warnings);
                    tracing::info!(listener, "server certificates loaded");
                }
                Err(error) => {
                    all_loaded = false;
                    tracing::error!(listener, %error, "server certificates not loaded: the ones shown stay");
                }
            }
        }
        let succeeded_at = all_loaded.then_some(now.as_millis() / 1000);
        self.metrics.reload("server-certificates", took.seconds(), succeeded_at);
    }
}

fn warn_all(warnings: &[MaterialWarning]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

fn client_sources(settings: &Settings) -> TrustSources {
    let tls = &settings.tls;
    TrustSources {
        ca_files: tls.client_ca_files.clone(),
        crl_files: tls.crl_files.clone(),
        crl_policy: CrlPolicy {
            accept_expired: tls.expired_crl == ExpiredCrl::DangerousTolerate,
            ..CrlPolicy::default()
        },
    }
}

fn enrolling_sources(settings: &Settings) -> Option<TrustSources> {
    let rule = &settings.identity.auto_enroll;
    rule.enabled.then(|| TrustSources { ca_files: rule.ca_files.clone(), ..TrustSources::default() })
}

fn certificate_files(listener: &TlsListener) -> Vec<ServerCertificateFiles> {
    let files = listener.certificates.iter().map(|certificate| ServerCertificateFiles {
        certificate_file: certificate.cert_file.clone(),
        key_file: certificate.key_file.clone(),
        ocsp_file: certificate.ocsp_file.clone(),
    });
    files.collect()
}
