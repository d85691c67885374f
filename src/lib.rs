//! Postern: access that depends on the state of the device.

pub mod clock;
pub mod id;
pub mod limits;

pub mod posture;
pub mod policy;
pub mod decision;
pub mod dialect;

pub mod config;
pub mod telemetry;
pub mod store;
pub mod enforce;
pub mod tls;
pub mod agent;
pub mod proxy;
pub mod api;
pub mod app;
pub mod cli;
