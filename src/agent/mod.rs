//! The device's side: what this machine can truthfully say about its own posture.
//!
//! One file for each fact, most behind the [`Collector`] trait. A [`Gatherer`] asks those that a gateway wants to hear of and makes a
//! native report; a [`Watch`] notices changes, and a [`Schedule`] says when to report. What cannot be read is
//! [`Collected::Unknown`] with the [`Obstacle`] that stood in the way, and is reported as unknown with that reason: absence is
//! never dressed up as a value, and a process that cannot be inspected is never reported as not running.
//!
//! Every read is bounded. Linux is covered whole; elsewhere the system's version, host name, files and PEM files are, and the
//! rest is unknown (`unsupported`).

mod antivirus;
mod certificate;
mod digest;
mod domain;
mod file;
mod firewall;
mod gather;
mod hardware;
mod hostname;
mod ini;
mod mac;
mod machine;
mod obstacle;
mod os;
mod process;
mod program;
mod schedule;
mod screen;
mod volume;
mod watch;

pub use antivirus::Antivirus;
pub use certificate::{HeldCertificate, held_certificates};
pub use digest::Digests;
pub use domain::DomainCollector;
pub use file::{Files, FoundFile};
pub use firewall::FirewallCollector;
pub use gather::{Gathered, Gatherer};
pub use hardware::{ProductCollector, SerialNumberCollector};
pub use hostname::HostnameCollector;
pub use mac::MacCollector;
pub use machine::Machine;
pub use obstacle::{Collected, Obstacle};
pub use os::{Distribution, OperatingSystem, OsCollector};
pub use process::{Process, Processes, RunningProcess, Survey};
pub use schedule::{Chance, Schedule};
pub use screen::ScreenCollector;
pub use volume::{Volume, VolumeCollector};
pub use watch::{Changes, Watch};

/// Reads one fact from a machine.
pub trait Collector {
    /// What it reads.
    type Fact;

    /// Reads it now.
    fn collect(&self, machine: &Machine) -> Collected<Self::Fact>;
}
