//! The gate: who may come in at all, decided once for each connection before any byte of HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};

use super::beside::{Seldom, unless};
use super::conduct::{Conduct, Misconduct};
use super::enforced::{Enforced, GatedProxy};
use super::headers::{ConnectionClaims, ForwardedCertificate};
use super::hygiene::HeadBounds;
use super::request_id::RequestId;
use super::serving::Serving;
use super::standing::StreamGate;
use super::tally::{self, Tally};
use super::tcp::TcpServices;
use crate::config::{self, ClientAuth, ClientAuthMode, FrontDoor, Network};
use crate::decision::{DenialReason, Failure};
use crate::enforce::{Connection, Device, EndSignal, Enforcer, Entry, Place, Protocol};
use crate::id::IdentityId;
use crate::policy::objects::Identity;
use crate::telemetry::Metrics;
use crate::tls::{CredentialFactory, NoIdentity, TlsPeer, VerifiedIdentity};

/// Enforcement for Pingora applications: wraps a proxy so that every connection and every request is decided first.
#[derive(Debug)]
pub struct Gate {
    enforcer: Arc<Enforcer>,
    credentials: CredentialFactory,
    options: GateOptions,
    /// The connections of each identity.
    seats: Arc<Tally<IdentityId>>,
}

/// What an operator may choose about the gate's dealings with header fields.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// Proxies in front of this one: their `X-Forwarded-For` is added to instead of replaced.
    pub trusted: Vec<Network>,
    /// Whether a plain and short `X-Request-Id` of a trusted proxy is taken over.
    pub accept_request_ids: bool,
    /// Which parts of the client's certificate upstreams are told; `None` tells nothing of it.
    pub client_certificate: Option<ForwardedCertificate>,
    /// Who may come without a certificate, where the listener's TLS lets them.
    pub client_auth: ClientAuth,
    /// Bounds on what a client may take, as far as they do not belong to the listener.
    pub front_door: FrontDoor,
}

impl Default for GateOptions {
    /// Trusts nobody, and tells upstreams the usual about certificates.
    fn default() -> Self {
        let client_certificate = Some(ForwardedCertificate::default());
        let client_auth = ClientAuth::default();
        GateOptions {
            trusted: Vec::new(),
            accept_request_ids: false,
            client_certificate,
            client_auth,
            front_door: FrontDoor::default(),
        }
    }
}

impl From<&config::Proxy> for GateOptions {
    fn from(settings: &config::Proxy) -> Self {
        GateOptions {
            trusted: settings.forwarded.trusted.clone(),
            accept_request_ids: settings.request_ids == config::RequestIds::AcceptFromTrusted,
            client_certificate: settings.forwarded.client_certificate.then(ForwardedCertificate::default),
            client_auth: ClientAuth::default(),
            front_door: FrontDoor::default(),
        }
    }
}

impl GateOptions {
    pub(super) fn head_bounds(&self) -> HeadBounds {
        let FrontDoor { head_bytes, header_fields: fields, target_bytes, .. } = self.front_door;
        HeadBounds { head_bytes, fields, target_bytes }
    }

    pub(super) fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted.iter().any(|network| network.contains(peer.ip())))
    }
}

impl Gate {
    /// A gate that decides by `enforcer` and reads client certificates by the rules of `credentials`.
    pub fn new(enforcer: Arc<Enforcer>, credentials: CredentialFactory, options: GateOptions) -> Arc<Self> {
        Arc::new(Gate { enforcer, credentials, options, seats: Tally::new() })
    }

    /// Puts an HTTP proxy behind the gate. The result is an application for a Pingora service whose listener uses the
    /// gateway's TLS settings; on any other listener nobody has an identity, and nobody comes in.
    pub fn protect<P>(
        self: &Arc<Self>,
        proxy: P,
        configuration: &Arc<ServerConf>,
    ) -> ConnectionGate<StreamGate<HttpProxy<Enforced<P>>>>
    where
        P: GatedProxy + Send + Sync + 'static,
        P::CTX: Send + Sync,
    {
        let mut app = http_proxy(configuration, Enforced::new(Arc::clone(self), proxy));
        let mut h2_options = default_h2_options();
        h2_options.max_concurrent_streams(self.options.front_door.streams_per_connection);
        app.h2_options = Some(h2_options);
        let mut server_options = HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(self.options.front_door.idle_time);
        app.server_options = Some(server_options);
        ConnectionGate { gate: Arc::clone(self), tcp: None, app: Arc::new(StreamGate::new(Arc::clone(self), app)) }
    }

    /// The enforcer that decides.
    pub fn enforcer(&self) -> &Arc<Enforcer> {
        &self.enforcer
    }

    pub(super) fn options(&self) -> &GateOptions {
        &self.options
    }

    pub(super) fn metrics(&self) -> &Metrics {
        self.enforcer.metrics()
    }

    /// Decides about a connection, and leaves with it what its requests will need.
    async fn admit(&self, stream: &Stream) -> Result<Entered, Turned> {
        let digest = stream.get_ssl_digest().ok_or(Turned::away(DenialReason::NoIdentity))?;
        let peer = digest.extension.get::<TlsPeer>().ok_or(Turned::away(DenialReason::NoIdentity))?;
        let identity = self.asking(peer)?;
        let address = client_address(stream);
        let gated = peer.attach(|| {
            let id = RequestId::generate(self.enforcer.clock().now()).shared();
            let server_name = peer.server_name().map(|name| &**name);
            let connection = Arc::new(match identity {
                Some(identity) => {
                    Connection::new(id, address, server_name, Some(self.credentials.credential(identity)))
                }
                None => Connection::anonymous(id, address, server_name),
            });
            let claims = match identity {
                Some(identity) => ConnectionClaims::new(self.options.client_certificate.as_ref(), identity, address),
                None => ConnectionClaims::anonymous(address),
            };
            Arc::new(GatedConnection { connection, claims, conduct: Conduct::default() })
        });
        let gated = gated.ok_or(Turned::away(DenialReason::NoIdentity))?;
        let turned = |reason| Turned { reason, connection: Some(Arc::clone(&gated)) };
        let device = self.enforcer.admit(&gated.connection).await.map_err(turned)?;
        let seat = self.seat(&device).map_err(turned)?;
        self.enforcer.keep_watch(|| self.credentials.epochs());
        let signal = Arc::new(EndSignal::default());
        let entry = Entry {
            request_id: Arc::clone(gated.connection.id()),
            began: self.enforcer.clock().now(),
            protocol: Protocol::Connection,
            signal: Arc::clone(&signal),
        };
        let place = self.enforcer.enter_connection(&gated.connection, entry).map_err(turned)?;
        Ok(Entered { gated, place, signal, _seat: seat })
    }

    /// A place among the identity's connections. Whoever comes without a certificate is nobody, who has no number of them.
    fn seat(&self, device: &Device) -> Result<Option<tally::Place<IdentityId>>, DenialReason> {
        let identity = device.identity();
        if identity.as_str() == Identity::ANONYMOUS {
            return Ok(None);
        }
        let seat = self.seats.enter(identity, self.options.front_door.connections_per_identity);
        seat.map(Some).ok_or(DenialReason::TooManyConnections)
    }

    /// Whose certificate was presented; `None` for nobody's, where that is allowed under the name that was asked for.
    fn asking<'a>(&self, peer: &'a TlsPeer) -> Result<Option<&'a Arc<VerifiedIdentity>>, Turned> {
        let server_name = peer.server_name().map(|name| &**name);
        match peer.identity() {
            Ok(identity) => Ok(Some(identity)),
            Err(NoIdentity::NoCertificate) if self.options.client_auth.of(server_name) == ClientAuthMode::Optional => {
                Ok(None)
            }
            Err(reason) => Err(Turned::away(reason.into())),
        }
    }

    /// Tells of a connection that was closed: the log names the certificate, the metric the reason only.
    fn report(&self, turned: &Turned, stream: &Stream) {
        self.metrics().connection_refused(turned.reason.code());
        let connection = turned.connection.as_ref().map(|gated| &gated.connection);
        let certificate =
            connection.and_then(|connection| connection.credential()).map(|credential| credential.describe());
        tracing::warn!(
            reason = turned.reason.code(),
            peer = client_address(stream).map(tracing::field::display),
            server_name = connection.and_then(|connection| connection.server_name()),
            certificate,
            "connection refused"
        );
        if let Some(connection) = connection {
            self.remember(connection, turned.reason);
        }
    }

    /// Tells of a connection that was closed because its client broke a bound.
    fn turn_out(&self, connection: &Connection, misconduct: Misconduct) {
        self.metrics().connection_refused(misconduct.code());
        tracing::warn!(
            reason = misconduct.code(),
            peer = connection.peer().map(tracing::field::display),
            server_name = connection.server_name(),
            certificate = connection.credential().map(|credential| credential.describe()),
            "connection closed on its client"
        );
    }

    /// Keeps the refusal in the history of the identity, where there is one.
    fn remember(&self, connection: &Connection, reason: DenialReason) {
        let published = self.enforcer.published();
        let Ok(device) = self.enforcer.identify(&published, connection) else {
            return;
        };
        let when = self.enforcer.clock().now();
        self.enforcer.record(Failure {
            when,
            request_id: RequestId::generate(when).shared(),
            connection_id: Arc::clone(connection.id()),
            identity: device.identity().clone(),
            service: None,
            reason,
            policies: Vec::new(),
            lock: device.locked(when),
            source_address: connection.peer().map(|peer| peer.to_string()),
            generation: published.snapshot().generation(),
        });
    }
}

fn client_address(stream: &Stream) -> Option<SocketAddr> {
    stream.get_socket_digest()?.peer_addr()?.as_inet().copied()
}

/// A connection that came in, in its places.
struct Entered {
    gated: Arc<GatedConnection>,
    place: Place,
    signal: Arc<EndSignal>,
    _seat: Option<tally::Place<IdentityId>>,
}

/// A connection that does not come in.
struct Turned {
    reason: DenialReason,
    connection: Option<Arc<GatedConnection>>,
}

impl Turned {
    fn away(reason: DenialReason) -> Self {
        Turned { reason, connection: None }
    }
}

/// A connection that came in, kept with it for its requests.
#[derive(Debug)]
pub(super) struct GatedConnection {
    pub(super) connection: Arc<Connection>,
    pub(super) claims: ConnectionClaims,
    pub(super) conduct: Conduct,
}

impl GatedConnection {
    /// The gated connection a request came over; `None` when it did not pass through a [`ConnectionGate`].
    pub(super) fn of(digest: Option<&pingora::protocols::Digest>) -> Option<Arc<Self>> {
        digest?.ssl_digest.as_ref()?.extension.get::<TlsPeer>()?.attached()
    }
}

/// A Pingora application that lets connections through to another one only when somebody known, trusted and allowed
/// somewhere is at the other end.
#[derive(Debug)]
pub struct ConnectionGate<A> {
    gate: Arc<Gate>,
    tcp: Option<TcpServices>,
    app: Arc<A>,
}

impl<A> ConnectionGate<A> {
    /// The same application, passing connections for TCP services on. Without this they come in and find nothing.
    #[must_use]
    pub fn with_tcp(mut self, services: TcpServices) -> Self {
        self.tcp = Some(services);
        self
    }

    /// Who passes the connection on, where a TCP service has the server name that it asks for.
    fn tcp_services(&self, connection: &Connection) -> Option<&TcpServices> {
        let (services, name) = self.tcp.as_ref().zip(connection.server_name())?;
        self.gate.enforcer.published().snapshot().tcp_service(name).map(|_| services)
    }
}

impl<A> ConnectionGate<StreamGate<A>> {
    /// The application behind the gate, to set Pingora's own options; `None` once it serves.
    pub fn app_mut(&mut self) -> Option<&mut A> {
        Arc::get_mut(&mut Arc::get_mut(&mut self.app)?.app)
    }
}

#[async_trait]
impl<A> ServerApp for ConnectionGate<A>
where
    A: ServerApp + Send + Sync + 'static,
{
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _live = self.gate.metrics().live_connection();
        match self.gate.admit(&stream).await {
            Ok(Entered { gated, place, signal, _seat }) => {
                if let Some(services) = self.tcp_services(&gated.connection) {
                    // What is under way is the connection to the service; it is entered as that.
                    drop(place);
                    // Apart, so that connections for HTTP, which are most of them, have no room for it.
                    Box::pin(services.serve(&self.gate, &gated.connection, stream)).await;
                    return None;
                }
                let broken = Seldom::new(gated.conduct.broken(self.gate.options.front_door.head_time));
                let serving = Serving { gate: &self.gate, place, signal, shutdown };
                // Dropping the application drops the connection with all that is under way on it.
                if let Err(misconduct) = unless(serving.http(&self.app, stream), broken).await {
                    self.gate.turn_out(&gated.connection, misconduct);
                }
            }
            Err(turned) => {
                self.gate.report(&turned, &stream);
                stream.shutdown().await;
            }
        }
        None
    }

    async fn cleanup(&self) {
        self.app.cleanup().await;
    }
}
