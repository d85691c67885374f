//! The HTTP interfaces beside the gateway: the client API for devices, the admin API for operators, the ops endpoints
//! for probes and Prometheus.
//!
//! This room owns sockets, routes, admission to the routes and the order of things in a request. What replies look
//! like belongs to [`crate::dialect`]; what is true belongs to [`crate::enforce::Enforcer`]. Nothing here
//! decides access to a service.
//!
//! # What must always hold
//!
//! * A device writes and reads posture under the identity of its own verified certificate, asked again with each request.
//! * A report is answered with success only after the store has made it durable; any other leaves the
//!   earlier posture in force.
//! * No token, no password and no body is ever logged. Tokens are compared by digest, in constant time, and only the answer to
//!   a login, and to its holder's question, has one in it; one-time tokens are shown to operators who may hand them over.
//! * Every request is answered, with a request id, whatever a handler does.

mod access;
pub mod admin;
mod authorities;
mod body;
pub mod client;
pub mod cloudflare;
mod connection;
mod documents;
mod edge;
mod enroller;
mod foreign;
mod guard;
mod guessing;
mod language;
pub mod listener;
pub mod ops;
mod passwords;
mod places;
mod prompts;
mod refusal;
pub mod reload;
mod sessions;
mod token;
mod version;
mod writing;

pub use admin::Admin;
pub use authorities::Authorities;
pub use client::Client;
pub use cloudflare::Cloudflare;
pub use enroller::Enroller;
pub use listener::{BindError, Bounds, Credentials, Listener, Security, credentials};
pub use ops::{Ops, Readiness};
pub use reload::{ReloadStatus, Reloader};
