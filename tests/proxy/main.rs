//! The gate and the proxy behind it, over real sockets.

#![cfg(test)]

mod admission;
mod anonymous;
mod bodies;
mod conduct;
mod foreign;
mod front_door;
mod gathering;
mod hygiene;
mod identity_headers;
mod listener;
mod me;
mod protocols;
mod refusal;
mod resumption;
mod revocation;
mod routing;
#[path = "../support/mod.rs"]
mod support;
mod tcp;
mod telemetry;
mod upstreams;

use support::policy::{Policy, identity, policy, service};
use support::{Gateway, GatewayBuilder, Origin};

/// `alice` may reach `wiki.example.test`, which is `origin`; `bob` may not, but has something else to reach.
fn wiki(origin: &Origin) -> GatewayBuilder {
    Gateway::with(wiki_policy(origin))
}

fn wiki_policy(origin: &Origin) -> Policy {
    Policy::default()
        .identity(identity("alice"))
        .identity(identity("bob"))
        .service(service("wiki", "wiki.example.test", &[origin.upstream()]))
        .service(service("files", "files.example.test", &[origin.upstream()]))
        .policy(policy("readers", &["@alice"], &["@wiki"], &[]))
        .policy(policy("everybody", &["#all"], &["@files"], &[]))
}
