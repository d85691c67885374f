//! Programs of others against the real binary: Cloudflare's own SDK, and a tester that goes by the published document.

#![cfg(test)]

mod exploration;
#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/process.rs"]
mod process;
mod python;
mod scripts;
#[expect(unused_imports, reason = "the gateways here are processes")]
#[path = "../support/mod.rs"]
mod support;
mod totp;
mod wire;
#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/world.rs"]
mod world;
