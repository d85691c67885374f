//! Postern: access that depends on the state of the device.
//!
//! Postern is a reverse proxy that lets a request through only while the device behind it is in the posture its policy asks
//! for. Clients are known by mutual TLS; what is known of their devices is cached; policy is compiled into immutable
//! snapshots; every request is decided by one pure function before an upstream is opened.
//!
//! # Guarding a proxy of your own
//!
//! Whoever runs a Pingora proxy already keeps their routing and their upstreams, and adds three things: the enforcer built
//! from a configuration, the gate around their proxy, and the listener's TLS settings.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use pingora::prelude::*;
//! use pingora::services::listening::Service;
//! use postern::app::Postern;
//! use postern::proxy::GatedProxy;
//!
//! struct MyProxy;
//!
//! #[async_trait]
//! impl ProxyHttp for MyProxy {
//!     type CTX = ();
//!     fn new_ctx(&self) {}
//!     async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
//!         Ok(Box::new(HttpPeer::new("127.0.0.1:8080", false, String::new())))
//!     }
//! }
//!
//! impl GatedProxy for MyProxy {}
//!
//! fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//!     let mut server = Server::new(None)?;
//!     server.bootstrap();
//!     let postern = Postern::from_config("postern.yaml".as_ref())?;
//!     let gate = postern.gate().protect(MyProxy, &server.configuration);
//!     let mut service = Service::new("guarded".to_owned(), gate);
//!     service.add_tls_with_settings("0.0.0.0:8443", None, postern.tls_settings()?);
//!     server.add_service(service);
//!     server.add_service(postern.side_services());
//!     server.run_forever()
//! }
//! ```
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | identity | who is asking: one enrolled certificate name; one certificate is one device |
//! | posture | what is known about a device now: facts, each with its source and the time it was observed |
//! | check | one question about posture, answered by pass, fail or no result; only a pass opens anything |
//! | service | something behind the gateway: how requests are matched to it and where it lives |
//! | policy | these identities may reach these services, provided these checks pass |
//! | snapshot | an immutable, compiled, numbered copy of all of them |
//! | decision | a permit or a denial for an identity and a service at one instant, with the evidence inside |
//! | dialect | a public posture language, translated to the same checks |
//!
//! # The floors
//!
//! A floor imports only floors below it, and rooms of one floor do not import each other; `tests/architecture.rs` holds that.
//! Floors 0 to 4 are pure: no runtime, no sockets, no files, no logging, and time comes in as an argument.
//!
//! | floor | rooms | own |
//! |---|---|---|
//! | 0 | [`clock`], [`id`], [`limits`], [`secret`] | the only reading of time, names, every bound, texts that are never shown |
//! | 1 | [`posture`] | facts, checks, three-valued answers |
//! | 2 | [`policy`] | objects, role selection, compilation to a snapshot, lint |
//! | 3 | [`decision`] | the one evaluator, permit and denial, the verdict cache |
//! | 4 | [`dialect`] | wire types of public posture languages, both ways |
//! | 5 | [`config`], [`telemetry`] | what operators wrote, checked; what operators see |
//! | 6 | [`store`] | what outlives the process |
//! | 7 | [`enforce`] | what is in force: published snapshot, devices, sessions under way, locks, failures; the trail of changes |
//! | 8 | [`tls`], [`agent`], [`provider`] | whose certificate is believed; this machine's own posture; what vendors say of devices |
//! | 9 | [`proxy`], [`api`] | the gateway on Pingora; the interfaces for devices, operators and probes |
//! | 10 | [`app`] | what is built from the configuration, in which order, and how it stops |
//! | 11 | [`cli`] | one file for each command |
//!
//! Where the system is no Unix, `proxy`, `app` and the commands that need them are left out, as sockets cannot be passed on
//! there; the rest, with it the agent, builds and is the same.
//!
//! # The walk of one request
//!
//! 1. rustls verifies the client's chain; the connection carries the verified leaf.
//! 2. The gate looks at the connection before any byte of HTTP: an unknown or disabled identity, a certificate no longer
//!    trusted, or somebody who can reach nothing goes no further.
//! 3. Host and path select a service of the snapshot, by one look-up.
//! 4. The enforcer asks the certificate's trust again, then takes the verdict kept with the connection, or the one cached
//!    beside the identity. It holds while the snapshot, the posture and the time it was made for are the same; otherwise the
//!    checks are evaluated and it is stored. A hit takes no lock and allocates nothing.
//! 5. Only a permit opens an upstream, and only the evaluator makes permits. A denial becomes a response in one place, one
//!    log line and one entry among the identity's last fifty failures.
//! 6. The request is entered among the sessions before it is decided, and stays there while it is under way. When posture,
//!    policy, trust, a lock or time changes, one task decides it again by the same evaluator, and what is no longer allowed
//!    ends in its protocol's own way.
//!
//! # Security
//!
//! **What fails closed.** No policy, no identity, no service, no policy for the pair, a check that is missing, stale,
//! unreadable or unsatisfiable, an expired revocation list, and a defect in the evaluator: each denies, under its own reason
//! code ([`decision::DenialReason`], [`posture::outcome::NoResultReason`]).
//!
//! **What is trusted when.** TLS resumption restores a certificate without asking the verifier, and connections outlive
//! certificates; trust is asked again with each connection and each request.
//!
//! **What is logged.** Every decision with request id, identity, service, policy, generation and reason; every refused
//! connection with the certificate's subject and serial number; every login and log-out of an operator, and every refused login.
//! **Never logged:** tokens, passwords, secrets, keys, bodies.
//!
//! **What a refused client learns** is the service's `disclosure`: a reason code, or also the failing checks and what to do, or
//! also the values.

pub mod clock;
pub mod id;
pub mod limits;
pub mod secret;

pub mod decision;
pub mod dialect;
pub mod policy;
pub mod posture;

pub mod agent;
pub mod api;
#[cfg(unix)]
pub mod app;
pub mod cli;
pub mod config;
pub mod enforce;
pub mod provider;
#[cfg(unix)]
pub mod proxy;
pub mod store;
pub mod telemetry;
pub mod tls;
