//! The whole product: the real binary as a process of its own, on real sockets, with real files.

#![cfg(test)]

mod admin;
#[cfg(target_os = "linux")]
mod agent;
#[cfg(all(target_os = "linux", feature = "agent-alone"))]
mod agent_alone;
mod certificates;
mod client;
mod configs;
mod crash;
mod enrolment;
mod exchange;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
mod leaks;
mod locks;
mod mfa;
mod posture;
mod process;
mod protocols;
mod refusals;
mod reload;
mod restart;
mod sessions;
mod settings;
#[expect(unused_imports, reason = "the gateways here are processes")]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/totp.rs"]
mod totp;
mod upgrade;
mod upstreams;
mod world;
mod ziti;
