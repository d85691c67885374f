//! Live state: verdicts that follow posture, policy and time; reports that are durable; failures that are kept.

#![cfg(test)]

#[path = "../domain/objects.rs"]
mod objects;
#[path = "../support/totp.rs"]
mod totp;

mod failures;
mod intake;
mod locks;
mod model;
mod sessions;
mod verdicts;
mod world;
