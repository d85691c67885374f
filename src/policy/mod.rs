//! Policy: who may reach what, under which checks.
//!
//! This floor owns the editable set of objects ([`objects::Objects`]) and the immutable compiled form of it
//! ([`snapshot::Snapshot`]). It is pure. A snapshot is made whole by [`compile::compile`] or not at all; a broken set of
//! objects never replaces a working snapshot, and a missing snapshot is a value that denies everything.

pub mod address;
pub mod compile;
pub mod config_type;
pub mod device_list;
pub mod diff;
pub mod enrolment;
pub mod expression;
pub mod integration;
pub mod lint;
mod locate;
pub mod objects;
pub mod roles;
mod routes;
mod selection;
pub mod service;
pub mod service_config;
pub mod signing_certificate;
pub mod snapshot;
pub mod subject;

pub use objects::Objects;

pub use snapshot::{ServiceIndex, Snapshot};
pub use subject::Subject;
