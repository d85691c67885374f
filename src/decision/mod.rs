//! The decision: may this identity reach this service now?
//!
//! One pure function, [`engine::decide`], answers for the gateway, for re-decisions of live work, for the admin API and for
//! the command line. Its answer is a [`Permit`], which only it can make, or a [`Denial`] that carries its evidence.

pub mod denial;
pub mod failure;

pub use denial::{Denial, DenialReason, FailedCheck, FailedPolicy, FailedVerdict};
pub use failure::{FailedService, Failure};
