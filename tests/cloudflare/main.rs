//! Cloudflare's posture language through the whole product: rules made over its API open and close services of the real
//! binary.

#![cfg(test)]

#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/admin.rs"]
mod admin;
mod certificates;
mod changes;
#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/client.rs"]
mod client;
mod connector;
mod durability;
mod expiration;
mod meeting;
mod native;
mod operator;
#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/posture.rs"]
mod posture;
#[path = "../system/process.rs"]
mod process;
mod provider;
mod reporter;
mod scene;
#[expect(unused_imports, reason = "the gateways here are processes")]
#[path = "../support/mod.rs"]
mod support;
mod types;
#[expect(dead_code, reason = "shared with the system tests, which use more of it")]
#[path = "../system/world.rs"]
mod world;
