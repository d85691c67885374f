//! The decision: may this identity reach this service now?
//!
//! One pure function, [`engine::decide`], answers for the gateway, for re-decisions of live work, for the admin API and for
//! the command line. Its answer is a [`Permit`], which only it can make, or a [`Denial`] that carries its evidence.

mod asker;
pub mod cache;
pub mod denial;
pub mod engine;
pub mod failure;
pub mod lock;
pub mod permit;

pub use asker::Asker;
pub use cache::Verdict;
pub use denial::{Denial, DenialReason, FailedCheck, FailedPolicy, FailedVerdict};
pub use engine::decide;
pub use failure::{FailedService, Failure};
pub use lock::Lock;
pub use permit::Permit;
