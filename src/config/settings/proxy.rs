//! How requests are passed on.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::config::document::{Field, Session};
use crate::config::network::Network;
use crate::config::values::{DurationText, NetworkText, Whole};
use crate::id::ServiceId;
use crate::policy::objects::{Meta, Origin, Service};
use crate::policy::service::{Balance, Disclosure, Match, ServiceProtocol, Transport, UpstreamProtocol};

/// How requests are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Forwarding headers.
    pub forwarded: Forwarded,
    /// Where request ids come from.
    pub request_ids: RequestIds,
    /// What services do when their policy file does not say otherwise.
    pub service_defaults: ServiceDefaults,
}

/// Forwarding headers towards upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Peers whose own `X-Forwarded-For` is kept and added to; from anyone else it is replaced.
    pub trusted: Vec<Network>,
    /// Whether `X-Forwarded-Client-Cert` is set.
    pub client_certificate: bool,
}

impl Forwarded {
    /// Whether the forwarding headers of `peer` are kept.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// Where the id of a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestIds {
    /// Always made here.
    #[default]
    Generate,
    /// Taken from `X-Request-Id` where the peer is in `forwarded.trusted` and the value is well-formed; else made here.
    AcceptFromTrusted,
}

/// What a service does when its policy file does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDefaults {
    /// Whether a refusal says 404, as if the service did not exist.
    pub concealed: bool,
    /// How much a refused client may learn.
    pub disclosure: Disclosure,
    /// Longest wait for a connection to an upstream.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of a response.
    pub read_timeout: Duration,
    /// How long an idle upstream connection is kept for reuse.
    pub idle_timeout: Duration,
    /// How many further upstreams are tried when a connection cannot be made.
    pub retries: u8,
}

impl ServiceDefaults {
    /// A service made over an API that says nothing of itself: no request is meant for it, and the rest is as it is here.
    pub fn blank(&self, id: ServiceId, now: Timestamp) -> Service {
        Service {
            id,
            name: "".into(),
            protocol: ServiceProtocol::default(),
            matching: Match { hosts: Vec::new(), path_prefix: "/".to_owned() },
            upstreams: Vec::new(),
            transport: Transport {
                tls: None,
                protocol: UpstreamProtocol::default(),
                balance: Balance::default(),
                health_check: None,
                connect_timeout: self.connect_timeout,
                read_timeout: self.read_timeout,
                idle_timeout: self.idle_timeout,
                retries: self.retries,
            },
            configs: Vec::new(),
            role_attributes: Vec::new(),
            concealed: self.concealed,
            disclosure: self.disclosure,
            kept: serde_json::Map::new(),
            meta: Meta { created_at: now, updated_at: now, tags: serde_json::Map::new(), origin: Origin::Api },
        }
    }
}

impl Default for ServiceDefaults {
    fn default() -> Self {
        ServiceDefaults {
            concealed: false,
            disclosure: Disclosure::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            retries: 1,
        }
    }
}

/// How requests are passed on, and what services do when they do not say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProxy {
    /// Forwarding headers.
    forwarded: Field<RawForwarded>,
    /// `generate` makes an id for every request; `accept-from-trusted` takes `X-Request-Id` from peers in
    /// `forwarded.trusted`. Default: generate.
    request_ids: Field<RequestIds>,
    /// Whether refusals say 404, as if the service did not exist, unless the service says otherwise. Default: false.
    concealed: Field<bool>,
    /// How much a refused client may learn, unless the service says otherwise: `reason`, `checks` or `values`.
    /// Default: checks.
    disclosure: Field<Disclosure>,
    /// Time-outs towards upstreams, unless the service says otherwise.
    timeouts: Field<RawTimeouts>,
    /// How many further upstreams are tried when a connection cannot be made, before any byte was sent. Default: 1.
    retries: Field<Whole<0, 16>>,
}

/// Forwarding headers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawForwarded {
    /// Networks of proxies in front of this one. Their `X-Forwarded-For` is kept and added to; from anyone else it is
    /// replaced. Default: none.
    trusted: Field<Vec<Field<NetworkText>>>,
    /// Whether `X-Forwarded-Client-Cert` tells upstreams about the client's certificate. Default: true.
    client_certificate: Field<bool>,
}

/// Time-outs towards upstreams.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawTimeouts {
    /// Longest wait for a connection. Built-in default: 5s.
    pub(in crate::config) connect: Field<DurationText>,
    /// Longest wait for the next bytes of a response. Built-in default: 60s.
    pub(in crate::config) read: Field<DurationText>,
    /// How long an idle connection is kept for reuse. Built-in default: 60s.
    pub(in crate::config) idle: Field<DurationText>,
}

impl RawProxy {
    pub(super) fn check(self, session: &Session) -> Proxy {
        let default = ServiceDefaults::default();
        let timeouts = self.timeouts.or_default();
        let forwarded = self.forwarded.or_default();
        let trusted = forwarded.trusted.items().into_iter();
        Proxy {
            forwarded: Forwarded {
                trusted: trusted.map(|network| network.value.0).collect(),
                client_certificate: forwarded.client_certificate.or(true),
            },
            request_ids: self.request_ids.or_default(),
            service_defaults: ServiceDefaults {
                concealed: self.concealed.or(default.concealed),
                disclosure: self.disclosure.or(default.disclosure),
                connect_timeout: positive(session, timeouts.connect, default.connect_timeout),
                read_timeout: positive(session, timeouts.read, default.read_timeout),
                idle_timeout: positive(session, timeouts.idle, default.idle_timeout),
                retries: self.retries.value().map_or(default.retries, Whole::to),
            },
        }
    }
}

/// A duration that must not be zero.
pub(in crate::config) fn positive(session: &Session, field: Field<DurationText>, default: Duration) -> Duration {
    let Some(duration) = field.located() else {
        return default;
    };
    if duration.value.0.is_zero() {
        session.error(duration.node, "must be longer than zero");
    }
    duration.value.0
}
