//! What the tests share: a throw-away CA, a gate on a real socket, and a client.

#[path = "../../support/authority.rs"]
mod authority;
mod client;
mod gate;
pub(crate) mod ocsp;

pub(crate) use authority::{Authority, Issued, now};
pub(crate) use client::{Client, Refusal, TLS12, TLS13};
pub(crate) use gate::Gate;
