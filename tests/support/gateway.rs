//! A gateway in this process, on a port of the system's choice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pingora_proxy::HttpProxy;
use postern::clock::ManualClock;
use postern::config::FrontDoor;
use postern::enforce::Enforcer;
use postern::policy::subject::SubjectKind;
use postern::posture::Posture;
use postern::proxy::{
    ConnectionGate, Ending, Enforced, Gate, GateOptions, GatedProxy, Listener, Patience, Pools, StreamGate,
    TcpServices, UpstreamRouter,
};
use postern::store::{Store, Table};
use postern::telemetry::Metrics;
use postern::tls::{
    CredentialFactory, ReloadableResolver, ReloadableVerifier, SilentObserver, TrustStore, gateway_settings,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::policy::Policy;
use super::{Authority, Issued, RawConnection, client, now};

/// Names the gateway's certificate is good for.
const NAMES: &[&str] = &["gate.postern.test", "*.example.test", "localhost"];

/// A running gateway and everything it stands on.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) pools: Arc<Pools>,
    store: Store,
    certificates: Mutex<HashMap<String, Issued>>,
    stop: watch::Sender<Option<Ending>>,
    grace: Duration,
    serving: JoinHandle<()>,
}

/// A gateway under construction.
pub(crate) struct GatewayBuilder {
    policy: Policy,
    options: GateOptions,
    grace: Duration,
    certificate_required: bool,
    bounds: FrontDoor,
}

impl GatewayBuilder {
    pub(crate) fn options(mut self, options: GateOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(crate) fn bounds(mut self, bounds: FrontDoor) -> Self {
        self.options.front_door = bounds.clone();
        self.bounds = bounds;
        self
    }

    pub(crate) fn certificate_optional(mut self) -> Self {
        self.certificate_required = false;
        self
    }

    /// Serves with our own proxy behind the gate.
    pub(crate) async fn start(self) -> Gateway {
        let pools = Pools::new();
        let patience = Patience { body: self.bounds.body_time, idle: self.bounds.idle_time };
        let router = UpstreamRouter::new(Arc::clone(&pools)).waiting(patience);
        self.start_with(router, pools, |_| {}).await
    }

    /// Serves with any proxy behind the gate.
    pub(crate) async fn start_with<P>(
        self,
        proxy: P,
        pools: Arc<Pools>,
        shape: impl FnOnce(&mut ConnectionGate<StreamGate<HttpProxy<Enforced<P>>>>),
    ) -> Gateway
    where
        P: GatedProxy + Send + Sync + 'static,
        P::CTX: Send + Sync,
    {
        let authority = Authority::new("Test CA");
        let server = authority.server("gate", NAMES);
        let clock = ManualClock::at(now());
        let trust = TrustStore::load(authority.trusted_with_crl(), now()).unwrap();
        let resolver = ReloadableResolver::load(vec![server.as_server()], now()).unwrap();
        let mut verifier = ReloadableVerifier::new(trust.clone(), clock.clone(), Arc::new(SilentObserver));
        if !self.certificate_required {
            verifier = verifier.certificate_optional();
        }
        let tls = gateway_settings(resolver, verifier).unwrap();
        let metrics = Metrics::new().unwrap();
        let store = Store::memory().unwrap();
        let enforcer = Enforcer::new(clock.clone(), metrics, store.clone());
        let credentials = CredentialFactory::new(trust.clone(), &[SubjectKind::Spiffe], None);
        let gate = Gate::new(Arc::clone(&enforcer), credentials, self.options);
        let app = gate.protect(proxy, &UpstreamRouter::configuration());
        let mut app = app.with_tcp(TcpServices::new(Arc::clone(&pools)));
        shape(&mut app);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), tls, app).await.unwrap();
        let listener = listener.bounded(&self.bounds).counted("gateway", enforcer.metrics().clone());
        let address = listener.address();
        let (stop, stopped) = watch::channel(None);
        let serving = tokio::spawn(listener.serve(stopped));
        let gateway = Gateway {
            address,
            authority,
            enforcer,
            clock,
            trust,
            pools,
            store,
            certificates: Mutex::default(),
            stop,
            grace: self.grace,
            serving,
        };
        gateway.publish(self.policy);
        gateway
    }
}

impl Gateway {
    pub(crate) fn with(policy: Policy) -> GatewayBuilder {
        GatewayBuilder {
            policy,
            options: GateOptions::default(),
            grace: Duration::from_secs(20),
            certificate_required: true,
            bounds: FrontDoor::default(),
        }
    }

    /// Puts another policy into force.
    pub(crate) fn publish(&self, policy: Policy) {
        self.enforcer.publish_files(policy.0).unwrap();
        self.pools.adopt(self.enforcer.published().snapshot());
    }

    /// Brings back what is known of devices, as after a restart. For before anybody has connected.
    pub(crate) async fn recall(&self, postures: &[(&str, Posture)]) {
        for (identity, posture) in postures {
            self.store.put(Table::Postures, identity, posture).await.unwrap();
        }
        self.enforcer.restore().unwrap();
    }

    /// The certificate of `name`, issued when first asked for.
    pub(crate) fn certificate(&self, name: &str) -> Issued {
        let mut certificates = self.certificates.lock().unwrap();
        certificates.entry(name.to_owned()).or_insert_with(|| self.authority.client(name)).clone()
    }

    /// An HTTP client with the certificate of `name`, which finds every `*.example.test` here.
    pub(crate) fn client(&self, name: &str) -> Client {
        self.client_as(&self.certificate(name))
    }

    pub(crate) fn client_as(&self, certificate: &Issued) -> Client {
        self.build(certificate, &[b"h2", b"http/1.1"])
    }

    /// The same, speaking HTTP/1.1 only.
    pub(crate) fn http1_client(&self, name: &str) -> Client {
        self.build(&self.certificate(name), &[b"http/1.1"])
    }

    fn build(&self, certificate: &Issued, protocols: &[&[u8]]) -> Client {
        let hosts = ["wiki", "files", "secret", "nothing", "app", "other"];
        let builder = hosts.iter().fold(reqwest::Client::builder(), |builder, host| {
            builder.resolve(&format!("{host}.example.test"), self.address)
        });
        let mut tls = client::tls(&self.authority, Some(certificate));
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let http = builder.tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Client { http, port: self.address.port() }
    }

    /// A connection for `name` on which anything can be said in HTTP/1.1.
    pub(crate) async fn connect(&self, name: &str, server_name: &str) -> RawConnection {
        self.connect_as(&self.certificate(name), server_name).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, certificate: &Issued, server_name: &str) -> std::io::Result<RawConnection> {
        let tls = client::tls(&self.authority, Some(certificate));
        RawConnection::open(self.address, tls, server_name, b"http/1.1").await
    }

    /// The metrics in Prometheus' text form.
    pub(crate) fn metrics(&self) -> String {
        self.enforcer.metrics().render().unwrap()
    }

    /// Tells it to stop; see [`Gateway::stopped`].
    pub(crate) fn stop(&self) {
        self.stop.send_replace(Some(Ending::within(self.grace)));
    }

    pub(crate) async fn stopped(self) {
        self.stop();
        self.serving.await.unwrap();
    }
}

/// An HTTP client of one gateway.
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    port: u16,
}

impl Client {
    /// A request to `https://{host_and_path}` at the gateway's port.
    pub(crate) fn request(&self, method: &str, host: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("https://{host}:{}{path}", self.port))
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> reqwest::Response {
        self.request("GET", host, path).send().await.unwrap()
    }

    /// What the origin says it saw.
    pub(crate) async fn described(&self, host: &str, path: &str) -> serde_json::Value {
        let response = self.get(host, path).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}
