//! The device's side: what this machine can truthfully say about its own posture.
//!
//! One file for each fact, each behind the [`Collector`] trait; [`Collectors`] asks them all and makes an [`Inventory`],
//! which becomes posture observations or OpenZiti posture responses. What cannot be read is [`Collected::Unknown`] with
//! the [`Obstacle`] that stood in the way, and is then left out of every report: absence is never dressed up as a value,
//! and a process that cannot be inspected is never reported as not running.
//!
//! Every read is bounded. Linux is covered whole; elsewhere the facts that need a system call of their own are unknown
//! (`unsupported`) and the rest works.

mod digest;
mod domain;
mod hostname;
mod ini;
mod inventory;
mod mac;
mod machine;
mod obstacle;
mod os;
mod process;
mod response;

pub use digest::{Digests, HashAlgorithm};
pub use domain::DomainCollector;
pub use hostname::HostnameCollector;
pub use inventory::{Collectors, Inventory};
pub use mac::MacCollector;
pub use machine::Machine;
pub use obstacle::{Collected, Obstacle};
pub use os::{Distribution, OperatingSystem, OsCollector};
pub use process::{Process, Processes, RunningProcess, Survey};
pub use response::{Answer, Answers, Asks, PostureResponse, Query, QueryProcess, Unanswered};

/// Reads one fact from a machine.
pub trait Collector {
    /// What it reads.
    type Fact;

    /// Reads it now.
    fn collect(&self, machine: &Machine) -> Collected<Self::Fact>;
}
