//! Everything but the gateway's own proxy, built from a configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::listeners::tls::TlsSettings;
use pingora::services::background::{GenBackgroundService, background_service};

use crate::api::Enroller;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Environment, Findings, NameFrom, Settings, Store as StoreKind};
use crate::enforce::{Enforcer, SecondFactors};
use crate::policy::subject::SubjectKind;
use crate::provider;
use crate::proxy::{Gate, GateOptions};
use crate::store::{SealError, Sealer, Store, StoreError};
use crate::telemetry::{Metrics, MetricsError};
use crate::tls::client::{ClientConfigError, outgoing_config};
use crate::tls::{self, CredentialFactory, EnrolmentCa, EnrolmentCaError, EnrolmentRule, ReloadableVerifier};

use super::apart::apart;
use super::observers::{HandshakeMetrics, StoreMetrics};
use super::policy_folder::PolicyFolder;
use super::side_listeners::SideServices;
use super::trust_files::{TrustFiles, TrustFilesError};

/// The enforcer with its policy, posture, trust and metrics: all a proxy needs to be guarded.
#[derive(Clone, Debug)]
pub struct Postern {
    config_file: Option<Arc<Path>>,
    settings: Arc<Settings>,
    enforcer: Arc<Enforcer>,
    store: Store,
    trust: Arc<TrustFiles>,
    credentials: CredentialFactory,
    policy: Arc<PolicyFolder>,
    sealer: Arc<Sealer>,
    factors: Arc<SecondFactors>,
    providers: reqwest::Client,
    enroller: Option<Arc<Enroller>>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error("the configuration is refused:\n{0}")]
    Configuration(Findings),
    /// The policy folder is refused. A gateway that never had a policy does not start without one.
    #[error("the policy is refused:\n{0}")]
    Policy(Findings),
    /// Certificates cannot be loaded.
    #[error(transparent)]
    Trust(#[from] TrustFilesError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory cannot be made.
    #[error("the data directory `{}` cannot be made: {source}", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key that encrypts secrets in the store cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The CA for one-time tokens cannot be used.
    #[error("identity.enrollment: {0}")]
    Enrolment(#[from] EnrolmentCaError),
    /// The client that asks posture providers cannot be made.
    #[error("cloudflare.ca_files: {0}")]
    ProviderTrust(#[from] ClientConfigError),
    /// The HTTP client that asks posture providers cannot be made.
    #[error(transparent)]
    ProviderClient(#[from] provider::ClientError),
    /// The metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] MetricsError),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The gateway's listener cannot be set up.
    #[error("gateway TLS: {0}")]
    Pingora(#[from] Box<pingora::Error>),
    /// The address of a listener cannot be taken.
    #[error("the {name} listener cannot listen on {address}: {source}")]
    Listen {
        /// Which listener.
        name: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The sockets cannot be served on.
    #[error("listening sockets: {0}")]
    Sockets(#[source] std::io::Error),
}

impl Postern {
    /// Builds everything from a configuration file and the process's environment, with the machine's clock. Blocks.
    pub fn from_config(path: &Path) -> Result<Self, StartError> {
        let (settings, _warnings) =
            config::load(path, &Environment::of_process()).map_err(StartError::Configuration)?;
        Ok(Postern::build(settings, Arc::new(SystemClock))?.written_in(path))
    }

    /// The same with the configuration file it was read from, which is then watched for changes.
    #[must_use]
    pub fn written_in(self, config_file: &Path) -> Self {
        Postern { config_file: Some(config_file.into()), ..self }
    }

    /// Builds everything from checked settings. Blocks: files are read, and what the store holds is brought back.
    pub fn build(settings: Settings, clock: SharedClock) -> Result<Self, StartError> {
        tls::install_crypto_provider();
        let metrics = Metrics::new()?;
        let trust = TrustFiles::load(&settings, Arc::clone(&clock), metrics.clone())?;
        let enrolment = enrolment_rule(&settings, &trust, &clock);
        let store = open_store(&settings, &clock, &metrics)?;
        let sealer = Arc::new(sealer(&settings)?);
        let providers = provider::http_client(outgoing_config(&settings.cloudflare.ca_files)?)?;
        let enforcer = Enforcer::new(clock, metrics, store.clone());
        let restored = enforcer.restore()?;
        let factors = SecondFactors::new(Arc::clone(&enforcer), Arc::clone(&sealer));
        let second_factors = restore_factors(&factors)?;
        tracing::info!(
            postures = restored.postures,
            failures = restored.failures,
            objects = restored.objects,
            second_factors,
            unreadable = restored.unreadable,
            "state restored"
        );
        let defaults = settings.proxy.service_defaults.clone();
        let policy = PolicyFolder::new(&settings.policy_directory, defaults, Arc::clone(&enforcer));
        policy.load().map_err(StartError::Policy)?;
        let credentials = CredentialFactory::new(Arc::clone(trust.clients()), &settings.identity.subjects, enrolment);
        let enroller = enroller(&settings, &trust, &sealer)?;
        let settings = Arc::new(settings);
        Ok(Postern {
            config_file: None,
            settings,
            enforcer,
            store,
            trust,
            credentials,
            policy,
            sealer,
            factors,
            providers,
            enroller,
        })
    }

    /// The file it was configured by, if there is one.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// The settings it was built from.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The enforcer.
    pub fn enforcer(&self) -> &Arc<Enforcer> {
        &self.enforcer
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Certificates and trust.
    pub fn trust(&self) -> &Arc<TrustFiles> {
        &self.trust
    }

    /// The policy folder.
    pub fn policy(&self) -> &Arc<PolicyFolder> {
        &self.policy
    }

    /// What encrypts the secrets in the store.
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// The second factors of identities.
    pub fn factors(&self) -> &Arc<SecondFactors> {
        &self.factors
    }

    /// The client that asks posture providers.
    pub fn providers(&self) -> &reqwest::Client {
        &self.providers
    }

    /// Enrolment by one-time token, where a CA for it is configured.
    pub fn enroller(&self) -> Option<&Arc<Enroller>> {
        self.enroller.as_ref()
    }

    /// How certificates become credentials.
    pub fn credentials(&self) -> &CredentialFactory {
        &self.credentials
    }

    /// The gate to put a proxy behind.
    pub fn gate(&self) -> Arc<Gate> {
        let client_auth = self.settings.tls.client_auth.clone();
        let front_door = self.settings.front_door.clone();
        let options = GateOptions { client_auth, front_door, ..GateOptions::from(&self.settings.proxy) };
        Gate::new(Arc::clone(&self.enforcer), self.credentials.clone(), options)
    }

    /// Client API, admin API, ops and the watch over files, for a process that is run by Pingora.
    ///
    /// Not needed beside [`super::Gateway`], which brings its own.
    pub fn side_services(&self) -> GenBackgroundService<SideServices> {
        background_service("postern", SideServices { postern: self.clone() })
    }

    /// Loads everything that is written in files again. What is bad stays as it was, with the reason in log and metric.
    pub async fn reload_all(&self) {
        self.reload_server_certificates().await;
        self.reload_trust().await;
        self.reload_policy().await;
    }

    /// Loads what has changed on disk since it was built.
    pub(super) async fn catch_up(&self) {
        let policy = Arc::clone(&self.policy);
        apart(move || policy.load_if_changed()).await;
        self.reload_trust().await;
        self.reload_server_certificates().await;
    }

    /// Loads the policy folder again.
    pub async fn reload_policy(&self) {
        let policy = Arc::clone(&self.policy);
        // The outcome is in the log, the metrics and the admin API already.
        apart(move || drop(policy.load())).await;
    }

    /// Loads client CAs and revocation lists again.
    pub async fn reload_trust(&self) {
        let trust = Arc::clone(&self.trust);
        apart(move || trust.reload_clients()).await;
    }

    /// Loads the listeners' certificates again.
    pub async fn reload_server_certificates(&self) {
        let trust = Arc::clone(&self.trust);
        apart(move || trust.reload_server_certificates()).await;
    }

    /// TLS settings for the listener of a guarded proxy: client certificates are asked for and judged, and each connection
    /// carries who it is.
    pub fn tls_settings(&self) -> Result<TlsSettings, StartError> {
        let mut verifier = self.verifier("gateway");
        if self.settings.tls.client_auth.is_optional_for_some() {
            // Who has to come with one under the name they ask for, the gate tells.
            verifier = verifier.certificate_optional();
        }
        Ok(tls::gateway_settings(Arc::clone(self.trust.gateway()), verifier)?)
    }

    /// A verifier of client certificates that counts handshakes under the listener's name.
    pub(super) fn verifier(&self, listener: &'static str) -> Arc<ReloadableVerifier> {
        let observer = HandshakeMetrics { listener, metrics: self.enforcer.metrics().clone() };
        ReloadableVerifier::new(Arc::clone(self.trust.clients()), Arc::clone(self.enforcer.clock()), Arc::new(observer))
    }
}

fn open_store(settings: &Settings, clock: &SharedClock, metrics: &Metrics) -> Result<Store, StartError> {
    let directory = &settings.data.directory;
    match settings.data.store {
        StoreKind::Memory => Ok(Store::memory()?),
        StoreKind::Redb => {
            std::fs::create_dir_all(directory)
                .map_err(|source| StartError::DataDirectory { path: directory.clone(), source })?;
            let observer = Arc::new(StoreMetrics(metrics.clone()));
            let (store, moved_aside) = Store::open_observed(directory, clock.now(), observer)?;
            if let Some(moved_aside) = moved_aside {
                tracing::error!("{moved_aside}");
            }
            Ok(store)
        }
    }
}

/// Brings second factors back, and says how many.
fn restore_factors(factors: &SecondFactors) -> Result<usize, StoreError> {
    let (count, unreadable) = factors.restore()?;
    for error in unreadable {
        tracing::error!(%error, "a stored second factor cannot be read; its identity passes no MFA check until it is removed");
    }
    Ok(count)
}

/// A store that forgets needs no key that outlives it.
fn sealer(settings: &Settings) -> Result<Sealer, SealError> {
    match settings.data.store {
        StoreKind::Memory => Sealer::ephemeral(),
        StoreKind::Redb => Sealer::load_or_create(&settings.data.secrets_key_file),
    }
}

fn enroller(
    settings: &Settings,
    trust: &TrustFiles,
    sealer: &Arc<Sealer>,
) -> Result<Option<Arc<Enroller>>, EnrolmentCaError> {
    let Some(enrollment) = &settings.identity.enrollment else {
        return Ok(None);
    };
    let ca = EnrolmentCa::load(&enrollment.cert_file, &enrollment.key_file, enrollment.certificate_days)?;
    Ok(Some(Arc::new(Enroller {
        ca,
        url: Arc::clone(&enrollment.url),
        token_lifetime: enrollment.token_lifetime,
        shown: Arc::clone(trust.client_api()),
        sealer: Arc::clone(sealer),
        trust: Arc::clone(trust.clients()),
        subjects: settings.identity.subjects.as_slice().into(),
    })))
}

fn enrolment_rule(settings: &Settings, trust: &TrustFiles, clock: &SharedClock) -> Option<EnrolmentRule> {
    let rule = &settings.identity.auto_enroll;
    Some(EnrolmentRule {
        authorities: Arc::clone(trust.enrolling()?),
        role_attributes: rule.role_attributes.clone(),
        name_from: match rule.name_from {
            NameFrom::Subject => None,
            NameFrom::Spiffe => Some(SubjectKind::Spiffe),
            NameFrom::Email => Some(SubjectKind::Email),
            NameFrom::Dns => Some(SubjectKind::Dns),
            NameFrom::CommonName => Some(SubjectKind::CommonName),
            NameFrom::Fingerprint => Some(SubjectKind::Fingerprint),
        },
        clock: Arc::clone(clock),
    })
}
