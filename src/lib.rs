//! Postern: access that depends on the state of the device.

pub mod clock;
pub mod id;
pub mod limits;

pub mod decision;
pub mod dialect;
pub mod policy;
pub mod posture;

pub mod agent;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod enforce;
pub mod proxy;
pub mod store;
pub mod telemetry;
pub mod tls;
