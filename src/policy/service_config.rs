//! Configs: where services are, said in objects of their own that several services may share.
//!
//! A public language writes them with members of its own ([`ServiceConfig::data`]); what they say here is read once, when they are
//! written. Compilation gives a service what its configs say and it does not say itself.

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::objects::Meta;
use super::service::HealthCheck;
use crate::id::ConfigId;

/// One config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConfig {
    /// The id.
    pub id: ConfigId,
    /// The name, unique over configs.
    pub name: Arc<str>,
    /// The id of its type in the language it is written in.
    pub type_id: Arc<str>,
    /// The members it was written with.
    pub data: Arc<Map<String, Value>>,
    /// What that says here.
    pub says: Says,
    /// What it says that a reverse proxy cannot do, each with its place and why.
    #[serde(default)]
    pub left_out: Vec<Arc<str>>,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// What a config says of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Says {
    /// Which requests are meant for it.
    Asked {
        /// Host patterns as in [`Match`](super::service::Match).
        hosts: Vec<String>,
        /// The ports that clients ask for. The gateway has its own; they tell where upstreams forward to.
        ports: Vec<PortRange>,
    },
    /// Where it is served from.
    Served {
        /// Its places.
        targets: Vec<Target>,
        /// How they are tried.
        health_check: Option<HealthCheck>,
        /// Longest wait for a connection.
        connect_timeout: Option<Duration>,
    },
    /// Nothing: it is for clients.
    Nothing,
}

/// A place a service is served from, as far as it is fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The host: fixed, or the one that was asked for, when it is among these.
    pub host: Aim<String, AddressRange>,
    /// The port, in the same way.
    pub port: Aim<u16, PortRange>,
}

/// Something that is fixed, or taken from what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Aim<T, R> {
    /// Always this.
    Fixed(T),
    /// What was asked for, when it lies in one of these.
    AsAsked(Vec<R>),
}

/// Ports from `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub low: u16,
    /// The last.
    pub high: u16,
}

/// Hosts that may be forwarded to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AddressRange {
    /// A host pattern.
    Hosts(String),
    /// A block of addresses.
    Network {
        /// Any of its addresses.
        address: IpAddr,
        /// How many leading bits they share.
        prefix: u8,
    },
}

impl PortRange {
    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }
}

impl AddressRange {
    /// Whether `host`, an exact host name or address in lower case, is one of them.
    pub fn contains(&self, host: &str) -> bool {
        match self {
            AddressRange::Hosts(pattern) => match pattern.strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => host == pattern,
            },
            AddressRange::Network { address, prefix } => {
                let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
                bare.parse().is_ok_and(|host| shares(*address, host, *prefix))
            }
        }
    }
}

/// Whether two addresses of one family begin with the same `prefix` bits.
fn shares(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let differing = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    differing.checked_shr(128u32.saturating_sub(u32::from(prefix))).unwrap_or(0) == 0
}
