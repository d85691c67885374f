//! Services: what is behind the gate, how a request is matched to it, and where it lives.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a service is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceProtocol {
    /// HTTP in any of its versions: requests are matched by host and path, each decided for itself.
    #[default]
    Http,
    /// Anything else over TLS: connections are matched by the server name they ask for (SNI), and passed on byte by byte.
    Tcp,
}

/// How a request is recognised as meant for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Host names, lower case, exact or `*.suffix` for exactly one or more labels before the suffix. An exact host wins
    /// over a wildcard, a longer suffix over a shorter one.
    pub hosts: Vec<String>,
    /// The path prefix, starting with `/`, matched on whole segments; the longest matching prefix of a host wins.
    pub path_prefix: String,
}

/// One place a service is served from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// `host:port`.
    pub address: String,
    /// Relative share of requests, at least 1.
    pub weight: u16,
}

/// How connections to a service's upstreams are made and shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transport {
    /// TLS towards the upstream; `None` is cleartext.
    pub tls: Option<UpstreamTls>,
    /// Which HTTP version is spoken to the upstream.
    pub protocol: UpstreamProtocol,
    /// How an upstream is chosen.
    pub balance: Balance,
    /// Active health checks; `None` trusts every upstream until a connection fails.
    pub health_check: Option<HealthCheck>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of a response.
    pub read_timeout: Duration,
    /// How long an idle connection is kept for reuse; for a TCP service, how long a connection may be silent in both directions.
    pub idle_timeout: Duration,
    /// How many further upstreams are tried when a connection cannot be made (before any byte was sent).
    pub retries: u8,
}

/// TLS towards an upstream. The upstream's certificate is always verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamTls {
    /// The name sent as SNI and verified; the address's host when absent.
    pub server_name: Option<String>,
    /// PEM file of accepted CAs; the system's when absent.
    pub ca_file: Option<String>,
}

/// HTTP version towards an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum UpstreamProtocol {
    /// HTTP/2 for requests that came over HTTP/2 and for gRPC when the upstream's TLS agrees on it, otherwise HTTP/1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "http1")]
    Http1,
    /// HTTP/2 only; without TLS this is h2c with prior knowledge.
    #[serde(rename = "http2")]
    Http2,
}

/// How an upstream is chosen among the healthy ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastLoaded,
    /// By consistent hash of the identity, so that one identity stays with one upstream.
    Hash,
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Request path; `None` checks that a TCP connection can be made.
    pub path: Option<String>,
    /// Time between checks.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Successes in a row that make an upstream healthy.
    pub healthy_after: u32,
    /// Failures in a row that make it unhealthy.
    pub unhealthy_after: u32,
}

/// How much a refused client may learn.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Disclosure {
    /// The request id and a reason code.
    Reason,
    /// Also the failing checks' names, kinds, reason codes and remediation.
    #[default]
    Checks,
    /// Also what was seen and what was expected.
    Values,
}
