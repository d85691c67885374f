//! The gate in front of a Pingora proxy, and a proxy of our own to stand behind it.
//!
//! Layers, each usable without the next:
//!
//! * [`Gate`] is enforcement as a plug-in. [`Gate::protect`] takes any `ProxyHttp` and gives back a Pingora application
//!   ([`ConnectionGate`]) that admits connections and judges every request ([`Enforced`]) before the proxy sees it.
//! * [`UpstreamRouter`] is the proxy of the `postern` binary: it sends what was let through to the upstreams of the
//!   service it is for.
//! * [`TcpServices`] passes connections for TCP services on to those upstreams, byte by byte.
//! * [`Listener`] serves such an application on a socket inside the runtime it is started in.
//!
//! Request hygiene ([`hygiene`]), what upstreams are told ([`headers`]) and what a refused client is told ([`respond`])
//! are rooms of their own, so that each promise is kept in one place.
//!
//! # Behind somebody else's proxy
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use pingora::server::Server;
//! use pingora::services::listening::Service;
//! use pingora_proxy::ProxyHttp;
//! use postern::enforce::Enforcer;
//! use postern::proxy::{Gate, GateOptions, GatedProxy};
//! use postern::tls::{CredentialFactory, ReloadableResolver, ReloadableVerifier, gateway_settings};
//!
//! # struct MyProxy;
//! # #[async_trait::async_trait]
//! # impl ProxyHttp for MyProxy {
//! #     type CTX = ();
//! #     fn new_ctx(&self) {}
//! #     async fn upstream_peer(
//! #         &self,
//! #         _: &mut pingora_proxy::Session,
//! #         _: &mut (),
//! #     ) -> pingora::Result<Box<pingora::upstreams::peer::HttpPeer>> {
//! #         Ok(Box::new(pingora::upstreams::peer::HttpPeer::new("127.0.0.1:8080", false, String::new())))
//! #     }
//! # }
//! // `MyProxy` is a `ProxyHttp` as it was; it hears of permits if it cares to.
//! impl GatedProxy for MyProxy {}
//!
//! fn serve(
//!     my_proxy: MyProxy,
//!     mut server: Server,
//!     enforcer: Arc<Enforcer>,
//!     credentials: CredentialFactory,
//!     certificates: Arc<ReloadableResolver>,
//!     verifier: Arc<ReloadableVerifier>,
//! ) -> pingora::Result<()> {
//!     let gate = Gate::new(enforcer, credentials, GateOptions::default());
//!     let app = gate.protect(my_proxy, &server.configuration);
//!     let mut service = Service::new("gateway".to_owned(), app);
//!     service.add_tls_with_settings("0.0.0.0:8443", None, gateway_settings(certificates, verifier)?);
//!     server.add_service(service);
//!     server.run_forever()
//! }
//! ```

mod beside;
mod conduct;
mod enforced;
mod farewell;
mod gate;
mod gathering;
mod head;
pub mod headers;
pub mod hygiene;
mod judged;
mod lent_stream;
mod listener;
mod loan;
mod me;
mod pace;
mod page;
mod progress;
mod proxy_header;
pub mod refusal;
mod request_id;
pub mod respond;
mod router;
mod serving;
mod standing;
mod tally;
mod tcp;
mod upstream;

pub use enforced::{Admitted, Enforced, GatedProxy, RequestContext};
pub use gate::{ConnectionGate, Gate, GateOptions};
pub use headers::ForwardedCertificate;
pub use listener::{Ending, Listener};
pub use refusal::{Refusal, UpstreamFault};
pub use request_id::RequestId;
pub use router::{Patience, Route, UpstreamRouter};
pub use standing::StreamGate;
pub use tcp::TcpServices;
pub use upstream::Pools;
