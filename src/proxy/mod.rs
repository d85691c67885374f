//! The gate in front of a Pingora proxy, and a proxy of our own to stand behind it.
//!
//! Three layers, each usable without the next:
//!
//! * [`Gate`] is enforcement as a plug-in. [`Gate::protect`] takes any `ProxyHttp` and gives back a Pingora application
//!   ([`ConnectionGate`]) that admits connections and judges every request ([`Enforced`]) before the proxy sees it.
//! * [`UpstreamRouter`] is the proxy of the `postern` binary: it sends what was let through to the upstreams of the
//!   service it is for.
//! * [`Listener`] serves such an application on a socket inside the runtime it is started in.
//!
//! Request hygiene ([`hygiene`]), what upstreams are told ([`headers`]) and what a refused client is told ([`respond`])
//! are rooms of their own, so that each promise is kept in one place.

mod enforced;
mod gate;
pub mod headers;
pub mod hygiene;
mod judged;
mod listener;
mod page;
pub mod refusal;
mod request_id;
pub mod respond;
mod router;
mod upstream;

pub use enforced::{Admitted, Enforced, GatedProxy, RequestContext};
pub use gate::{ConnectionGate, Gate, GateOptions};
pub use headers::ForwardedCertificate;
pub use listener::Listener;
pub use refusal::{Refusal, UpstreamFault};
pub use request_id::RequestId;
pub use router::{Route, UpstreamRouter};
pub use upstream::Pools;
