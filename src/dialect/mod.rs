//! The public languages of posture: wire types to and from the domain, loss-free.

pub mod cloudflare;
pub mod native;
pub mod openapi;
pub mod openziti;
