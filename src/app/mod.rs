//! Wiring: what is built from the configuration, in which order, and how it stops.
//!
//! [`Postern`] is everything but the gateway's own proxy: whoever runs a Pingora proxy of their own takes it as it is and wraps
//! their proxy with it. [`Gateway`] is the whole of `postern run`, built on the same public calls.

mod apart;
mod channel;
mod gateway;
mod observers;
pub mod policy_folder;
mod postern;
mod side_listeners;
mod sockets;
mod trust_files;
mod upgrade;

pub use channel::ChannelError;
pub use gateway::{Addresses, Gateway, Interrupted};
pub use policy_folder::PolicyFolder;
pub use postern::{Postern, StartError};
pub use side_listeners::SideServices;
pub use sockets::Sockets;
pub use trust_files::{TrustFiles, TrustFilesError};
pub use upgrade::{Handover, Inheritance, Predecessor, UpgradeDoor, UpgradeError};
