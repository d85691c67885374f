//! A small gateway's API listeners on free ports, and the clients that talk to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use postern::api::{
    Admin, Authorities, Bounds, Client as ClientApi, Cloudflare, Credentials, Enroller, Listener, Ops, Readiness,
    ReloadStatus, Reloader, Security, credentials,
};
use postern::clock::{Clock, ManualClock, SharedClock, Timestamp};
use postern::config::{self, AdminCertificate, AdminRole, AdminToken, AdminUser, Findings, PasswordHash};
use postern::decision::DenialReason;
use postern::enforce::{Credential, Enforcer, Enrollment, SecondFactors, SignatureRefused};
use postern::policy::Subject;
use postern::policy::objects::Objects;
use postern::policy::roles::{Role, Semantic};
use postern::policy::subject::SubjectKind;
use postern::provider::http_client;
use postern::store::{Backend, MemoryBackend, Sealer, Store};
use postern::telemetry::Metrics;
use postern::tls::client::{ClientCertificateFiles, client_config, outgoing_config};
use postern::tls::{
    CredentialFactory, EnrolmentCa, EnrolmentRule, HandshakeInspector, ReloadableResolver, ReloadableVerifier,
    SilentObserver, TrustStore, install_crypto_provider, server_config,
};
use reqwest::Client;
use ring::digest::{SHA256, digest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Issued, now};
use crate::objects;

/// The name the server's certificate has.
pub(crate) const HOST: &str = "api.postern.test";

/// A token with the role `admin`.
pub(crate) const ADMIN_TOKEN: &str = "correct-horse-battery-staple";
/// A token with the role `read-only`.
pub(crate) const VIEWER_TOKEN: &str = "only-looking-around";

/// The password of every user: `grace` with the role `admin`, `alan` with the role `read-only`.
pub(crate) const PASSWORD: &str = "a nice long pass phrase";

/// The account that the gateway is for Cloudflare's clients.
pub(crate) const ACCOUNT: &str = "699d98642c564d2e855e9661899b7252";

/// What the listeners work on.
pub(crate) struct World {
    pub(crate) ca: Authority,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) status: Arc<ReloadStatus>,
    /// What the next reload finds.
    pub(crate) next_load: Arc<Mutex<Result<Objects, Findings>>>,
    pub(crate) trust: Arc<TrustStore>,
    /// Whether unknown certificates of the CA get an identity.
    pub(crate) enrols: bool,
    /// Whether certificates are issued for one-time tokens.
    pub(crate) issues: bool,
    /// Encrypts the secrets of integrations.
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) factors: Arc<SecondFactors>,
    server: Issued,
}

/// A listener that serves until the value is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::over(Arc::new(MemoryBackend::new()))
    }

    pub(crate) fn over(backend: Arc<dyn Backend>) -> World {
        install_crypto_provider();
        let ca = Authority::new("Test CA");
        // TLS clients go by the real time, so the manual clock starts there.
        let clock = ManualClock::at(now());
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let store = Store::over(backend, Arc::new(())).unwrap();
        let enforcer = Enforcer::new(shared, Metrics::new().unwrap(), store);
        let trust = TrustStore::load(ca.trusted_with_crl(), now()).unwrap();
        let server = ca.server("api", &[HOST]);
        let status = ReloadStatus::new();
        let next_load = Arc::new(Mutex::new(Ok(policy())));
        let (readiness, sealer) = (Readiness::new(), Arc::new(Sealer::ephemeral().unwrap()));
        let factors = SecondFactors::new(Arc::clone(&enforcer), Arc::clone(&sealer));
        World {
            factors,
            ca,
            clock,
            enforcer,
            readiness,
            status,
            next_load,
            trust,
            enrols: false,
            issues: false,
            sealer,
            server,
        }
    }

    /// The same world after the process began anew over what `backend` holds.
    pub(crate) fn restarted(self, backend: Arc<dyn Backend>) -> World {
        let store = Store::over(backend, Arc::new(())).unwrap();
        let enforcer = Enforcer::new(self.shared_clock(), Metrics::new().unwrap(), store);
        let factors = SecondFactors::new(Arc::clone(&enforcer), Arc::clone(&self.sealer));
        World { enforcer, factors, ..self }
    }

    /// With a policy in force: see [`policy`].
    pub(crate) fn in_force() -> World {
        let world = World::new();
        world.enforcer.publish_files(policy()).unwrap();
        world
    }

    pub(crate) fn shared_clock(&self) -> SharedClock {
        Arc::<ManualClock>::clone(&self.clock)
    }

    /// TLS as the listeners have it: a client certificate is asked for, and `required` or not.
    pub(crate) fn security(&self, required: bool) -> Security {
        let resolver = ReloadableResolver::load(vec![self.server.as_server()], now()).unwrap();
        let mut verifier =
            ReloadableVerifier::new(Arc::clone(&self.trust), self.shared_clock(), Arc::new(SilentObserver));
        if !required {
            verifier = verifier.certificate_optional();
        }
        let enrolment = self.enrols.then(|| EnrolmentRule {
            authorities: Arc::clone(&self.trust),
            role_attributes: vec!["staff".into()],
            name_from: None,
            clock: self.shared_clock(),
        });
        // A certificate that was issued for a token is known by its fingerprint alone.
        let kinds: &[SubjectKind] =
            if self.issues { &[SubjectKind::Spiffe, SubjectKind::Fingerprint] } else { &[SubjectKind::Spiffe] };
        let factory = CredentialFactory::new(Arc::clone(&self.trust), kinds, enrolment);
        let made = credentials(HandshakeInspector::new(Arc::clone(&verifier)), factory);
        let credentials: Credentials = Arc::new(move |tls| Some(Arc::new(Card(made(tls)?))));
        Security::Tls { config: Arc::new(server_config(resolver, verifier).unwrap()), credentials }
    }

    pub(crate) async fn serve(&self, router: axum::Router, security: Security, bounds: Bounds) -> Served {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind("test", anywhere).await.unwrap().with_bounds(bounds);
        let address = listener.address();
        let stop = CancellationToken::new();
        let metrics = self.enforcer.metrics().clone();
        let task = tokio::spawn(listener.serve(router, security, self.shared_clock(), metrics, stop.clone()));
        Served { address, stop, task }
    }

    pub(crate) async fn ops(&self) -> Served {
        let ops = Ops { enforcer: Arc::clone(&self.enforcer), readiness: Arc::clone(&self.readiness) };
        self.serve(ops.router(), Security::Plain, Bounds::default()).await
    }

    pub(crate) async fn client(&self) -> Served {
        let authorities = Authorities {
            shown: ReloadableResolver::load(vec![self.server.as_server()], now()).unwrap(),
            clients: Arc::clone(&self.trust),
        };
        let api = ClientApi::new(Arc::clone(&self.enforcer), Arc::clone(&self.factors))
            .with_enrolment(authorities, self.enroller());
        self.serve(api.router(), self.security(!self.issues), Bounds::default()).await
    }

    /// A client API that waits only so long for a body.
    pub(crate) async fn client_waiting(&self, body_time: Duration) -> Served {
        let api = ClientApi::new(Arc::clone(&self.enforcer), Arc::clone(&self.factors)).with_body_time(body_time);
        self.serve(api.router(), self.security(true), Bounds::default()).await
    }

    pub(crate) async fn admin(&self) -> Served {
        let reload = Reload {
            enforcer: Arc::clone(&self.enforcer),
            status: Arc::clone(&self.status),
            next: Arc::clone(&self.next_load),
        };
        let admin = Admin {
            enforcer: Arc::clone(&self.enforcer),
            access: Arc::new(access()),
            status: Arc::clone(&self.status),
            reloader: Arc::new(reload),
            service_defaults: config::ServiceDefaults::default(),
            cloudflare: self.cloudflare(),
            factors: Arc::clone(&self.factors),
            authorities: Authorities {
                shown: ReloadableResolver::load(vec![self.server.as_server()], now()).unwrap(),
                clients: Arc::clone(&self.trust),
            },
            enroller: self.enroller(),
        };
        self.serve(admin.router(), self.security(false), Bounds::default()).await
    }

    /// Enrolment by one-time token, where the test wants it.
    fn enroller(&self) -> Option<Arc<Enroller>> {
        let key_file = self.ca.path().join("ca.key");
        self.issues.then(|| {
            Arc::new(Enroller {
                ca: EnrolmentCa::load(&self.ca.ca_file(), &key_file, 30).unwrap(),
                url: format!("https://{HOST}:8444").into(),
                token_lifetime: Duration::from_secs(3600),
                shown: ReloadableResolver::load(vec![self.server.as_server()], now()).unwrap(),
                sealer: Arc::clone(&self.sealer),
                trust: Arc::clone(&self.trust),
                subjects: [SubjectKind::Spiffe, SubjectKind::Fingerprint].into(),
            })
        })
    }

    /// Cloudflare's API for one account, with providers that are tried by plain HTTP.
    pub(crate) fn cloudflare(&self) -> Cloudflare {
        Cloudflare {
            settings: config::Cloudflare {
                account_id: Some(ACCOUNT.into()),
                test_integrations: true,
                ca_files: Vec::new(),
            },
            sealer: Arc::clone(&self.sealer),
            providers: http_client(outgoing_config(&[]).unwrap()).unwrap(),
        }
    }

    /// The public key of a P-256 certificate, as a point.
    pub(crate) fn public_key(&self, certificate: &[u8]) -> Vec<u8> {
        let prefix = [0x03, 0x42, 0x00, 0x04];
        let begin = certificate.windows(4).position(|window| window == prefix).unwrap() + 3;
        certificate[begin..begin + 65].to_vec()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A client of `served` with this certificate, or without one.
    pub(crate) fn http(&self, served: &Served, certificate: Option<&Issued>) -> Client {
        let identity = certificate.map(|issued| ClientCertificateFiles {
            certificate_file: &issued.certificate_file,
            key_file: &issued.key_file,
        });
        let tls = client_config(&self.ca.ca_file(), identity).unwrap();
        Client::builder().tls_backend_preconfigured(tls).resolve(HOST, served.address).no_proxy().build().unwrap()
    }
}

impl Served {
    /// Where `path` is under TLS.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.address.port())
    }

    /// Where `path` is without TLS.
    pub(crate) fn plain_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Identities `laptop`, `phone` and the disabled `lost`, recognised by SPIFFE URI; services `wiki` (domain `corp.example`) and
/// `status` (no checks).
pub(crate) fn policy() -> Objects {
    let mut world = objects::World::default();
    for name in ["laptop", "phone", "lost"] {
        let mut identity = objects::identity(&format!("{name}-id"), name, &["staff".to_owned()]);
        identity.subjects = vec![format!("spiffe://postern.test/{name}").parse().unwrap()];
        identity.disabled = name == "lost";
        world.add_identity(identity);
    }
    for name in ["wiki", "status"] {
        let mut service = objects::service(&format!("{name}-id"), name, &[]);
        service.matching.hosts = vec![format!("{name}.postern.test")];
        world.add_service(service);
    }
    world.add_check(objects::check("domain-id", "joined to the company domain", &[]));
    let role = |text: &str| Role::try_from(text.to_owned()).unwrap();
    let staff = || vec![role("#staff")];
    let policies = [("wiki-policy", "@wiki", vec![role("@domain-id")]), ("status-policy", "@status", vec![])];
    for (id, service, checks) in policies {
        world.add_policy(objects::policy(id, Semantic::AnyOf, staff(), vec![role(service)], checks));
    }
    world.objects
}

fn access() -> config::Admin {
    let token = |name: &str, token: &str, role| {
        let hex: String = digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        AdminToken { name: name.into(), digest: serde_json::from_value(hex.into()).unwrap(), email: None, role }
    };
    let certificate = |name: &str| AdminCertificate {
        subject: format!("spiffe://postern.test/{name}").parse().unwrap(),
        role: AdminRole::Admin,
    };
    config::Admin {
        tokens: vec![token("ops", ADMIN_TOKEN, AdminRole::Admin), token("viewer", VIEWER_TOKEN, AdminRole::ReadOnly)],
        client_certificates: vec![certificate("operator")],
        users: vec![user("grace", AdminRole::Admin), user("alan", AdminRole::ReadOnly)],
        ..config::Admin::default()
    }
}

/// A user whose hash is as cheap as one may be.
fn user(name: &str, role: AdminRole) -> AdminUser {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    let password_hash = HASH.get_or_init(|| {
        let params = Params::new(7168, 5, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"salt of the test").unwrap();
        PasswordHash::parse(&hash.to_string()).unwrap()
    });
    AdminUser { name: name.into(), password_hash: password_hash.clone(), role }
}

/// Loads what the test prepared.
#[derive(Debug)]
struct Reload {
    enforcer: Arc<Enforcer>,
    status: Arc<ReloadStatus>,
    next: Arc<Mutex<Result<Objects, Findings>>>,
}

#[async_trait]
impl Reloader for Reload {
    async fn reload(self: Arc<Self>) -> Option<Result<u64, Findings>> {
        let now = self.enforcer.clock().now();
        let next = self.next.lock().unwrap().clone();
        Some(match next {
            Ok(objects) => {
                let generation = self.enforcer.publish_files(objects).unwrap();
                self.status.succeeded(now, Findings::new());
                Ok(generation)
            }
            Err(findings) => {
                self.status.refused(now, findings.clone());
                Err(findings)
            }
        })
    }
}

/// A credential whose asker panics when the certificate is called `defective`: a defect in a handler.
#[derive(Debug)]
struct Card(Arc<dyn Credential>);

impl Credential for Card {
    fn recheck(&self, now: Timestamp) -> Result<(), DenialReason> {
        self.0.recheck(now)
    }

    fn names(&self) -> &[Subject] {
        assert!(!self.describe().contains("CN=defective"), "as the test wants it");
        self.0.names()
    }

    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    fn describe(&self) -> &str {
        self.0.describe()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
        self.0.verify(message, signature)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        self.0.enrollment()
    }
}
