//! The API listeners over real sockets: devices, operators, probes.

#![cfg(test)]

mod access;
mod audit;
#[path = "../support/authority.rs"]
mod authority;
mod configs;
mod described;
mod devices;
mod diagnostics;
mod durability;
mod enrollments;
mod evidence;
#[path = "../store/faulty.rs"]
#[expect(dead_code, reason = "shared with the store's tests, which use more of it")]
mod faulty;
mod fuzzed;
#[path = "../support/json_schema.rs"]
mod json_schema;
mod listener;
mod lists;
mod locks;
mod logs;
mod mfa;
mod native;
#[path = "../domain/objects.rs"]
mod objects;
mod operations;
mod ops;
mod own;
mod prompts;
mod refused;
mod relations;
mod reports;
mod sessions;
#[path = "../support/totp.rs"]
mod totp;
mod under_way;
mod world;
mod writes;
