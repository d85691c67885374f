//! Services in policy files.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::{Register, Source, Tags, attributes};
use crate::config::document::{Field, Located, OrMapping, Session};
use crate::config::settings::{RawTimeouts, ServiceDefaults, positive};
use crate::config::values::{
    AttributeText, DurationText, HostAndPort, HostPattern, NameText, PathPrefix, PathText, RequestPath, Whole,
};
use crate::id::ServiceId;
use crate::limits::TCP_IDLE_WAIT_DEFAULT;
use crate::policy::objects::Service;
use crate::policy::service::{
    Balance, Disclosure, HealthCheck, Match, ServiceProtocol, Transport, Upstream, UpstreamProtocol, UpstreamTls,
};

/// What is behind the gate: how requests for it are recognised, and where it is served from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "hosts"]))]
pub(super) struct RawService {
    /// Its name, unique over services.
    name: Field<NameText>,
    /// Its id, unique over services. Default: the name.
    id: Field<NameText>,
    /// What it is spoken to in: `http`, or `tcp` for anything else over TLS, chosen by the server name (SNI). Default: http.
    protocol: Field<ServiceProtocol>,
    /// Host names requests for it carry: exact, or `*.suffix` for any names below the suffix.
    hosts: Field<Vec<Field<HostPattern>>>,
    /// The beginning of the paths that belong to it, in whole segments; the longest match wins. Default: /.
    path_prefix: Field<PathPrefix>,
    /// Where it is served from: `host:port`, or a mapping with a weight. Default: none, for a proxy that routes by itself.
    upstreams: Field<Vec<Field<OrMapping<HostAndPort, RawUpstream>>>>,
    /// How its upstreams are reached.
    upstream: Field<RawTransport>,
    /// Attributes by which policies select it (`#attribute`), written without the `#`.
    role_attributes: Field<Vec<Field<AttributeText>>>,
    /// Whether a refusal says 404, as if the service did not exist. Default: `proxy.concealed` of the configuration.
    concealed: Field<bool>,
    /// How much a refused client may learn: `reason`, `checks` or `values`. Default: `proxy.disclosure` of the
    /// configuration.
    disclosure: Field<Disclosure>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// One place a service is served from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["address"]))]
struct RawUpstream {
    /// `host:port`.
    address: Field<HostAndPort>,
    /// Its share of requests, relative to the others. Default: 1.
    weight: Field<Whole<1, 65535>>,
}

/// How upstreams are reached.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawTransport {
    /// TLS: `true`, or a mapping with the name to verify and the CAs to trust. Default: false.
    tls: Field<OrMapping<bool, RawUpstreamTls>>,
    /// HTTP version: `auto`, `http1` or `http2`. Default: auto.
    protocol: Field<UpstreamProtocol>,
    /// How one is chosen: `round-robin`, `least-loaded` or `hash` (one identity stays with one upstream).
    /// Default: round-robin.
    balance: Field<Balance>,
    /// Active health checks. Default: none; an upstream is avoided when a connection to it fails.
    health_check: Field<RawHealthCheck>,
    /// Time-outs. Default: `proxy.timeouts` of the configuration; a TCP service's connections may be idle for an hour.
    timeouts: Field<RawTimeouts>,
    /// How many further upstreams are tried when a connection cannot be made. Default: `proxy.retries` of the
    /// configuration.
    retries: Field<Whole<0, 16>>,
}

/// TLS towards upstreams; their certificate is always verified.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawUpstreamTls {
    /// The name sent as SNI and verified. Default: the host of the address.
    server_name: Field<HostPattern>,
    /// PEM file of the CAs to trust, relative to this policy file. Default: the system's.
    ca_file: Field<PathText>,
}

/// An active health check.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawHealthCheck {
    /// Path to request; any answer below 400 is healthy. Default: none, only a connection is made.
    path: Field<RequestPath>,
    /// Time between checks. Default: 10s.
    interval: Field<DurationText>,
    /// Longest wait for an answer. Default: 2s.
    timeout: Field<DurationText>,
    /// Successes in a row that make an upstream healthy. Default: 1.
    healthy_after: Field<Whole<1, 100>>,
    /// Failures in a row that make it unhealthy. Default: 3.
    unhealthy_after: Field<Whole<1, 100>>,
}

/// Reads one service. Relative paths in it start at `folder`.
pub(super) fn read(
    source: &Source<'_>,
    register: &mut Register,
    defaults: &ServiceDefaults,
    folder: &Path,
    raw: Located<RawService>,
) -> Option<Service> {
    let Located { node, value: raw } = raw;
    let session = source.session;
    let hosts = raw.hosts.required(session, node, "hosts").map(|list| {
        if list.value.is_empty() {
            session.error(list.node, "needs at least one host name");
        }
        hosts(session, list.value)
    });
    let upstreams = raw.upstreams.items().into_iter();
    let upstreams = upstreams.filter_map(|upstream| self::upstream(session, upstream)).collect();
    let protocol = raw.protocol.or_default();
    if let (ServiceProtocol::Tcp, Some(node)) = (protocol, raw.path_prefix.node()) {
        session.error(node, "a TCP service has no paths");
    }
    let transport = transport(session, defaults, folder, protocol, raw.upstream.or_default());
    let role_attributes = attributes(session, raw.role_attributes);
    let head = source.head(register, node, raw.name, raw.id, raw.tags)?;
    let path_prefix = raw.path_prefix.value();
    Some(Service {
        id: ServiceId::new(head.id),
        name: head.name,
        protocol,
        matching: Match { hosts: hosts?, path_prefix: path_prefix.map_or_else(|| "/".to_owned(), |prefix| prefix.0) },
        upstreams,
        transport,
        configs: Vec::new(),
        role_attributes,
        concealed: raw.concealed.or(defaults.concealed),
        disclosure: raw.disclosure.or(defaults.disclosure),
        kept: serde_json::Map::new(),
        meta: head.meta,
    })
}

fn hosts(session: &Session, list: Vec<Field<HostPattern>>) -> Vec<String> {
    let mut hosts = Vec::new();
    for host in list.into_iter().filter_map(Field::located) {
        if hosts.contains(&host.value.0) {
            session.error(host.node, format!("`{}` is listed twice", host.value.0));
        }
        hosts.push(host.value.0);
    }
    hosts
}

fn upstream(session: &Session, raw: Located<OrMapping<HostAndPort, RawUpstream>>) -> Option<Upstream> {
    match raw.value {
        OrMapping::Short(address) => Some(Upstream { address: address.0, weight: 1 }),
        OrMapping::Mapping(upstream) => {
            let address = upstream.address.required(session, raw.node, "address")?;
            Some(Upstream { address: address.value.0, weight: upstream.weight.value().map_or(1, Whole::to) })
        }
    }
}

fn transport(
    session: &Session,
    defaults: &ServiceDefaults,
    folder: &Path,
    protocol: ServiceProtocol,
    raw: RawTransport,
) -> Transport {
    let idle_timeout = match protocol {
        ServiceProtocol::Http => defaults.idle_timeout,
        ServiceProtocol::Tcp => TCP_IDLE_WAIT_DEFAULT,
    };
    let timeouts = raw.timeouts.or_default();
    let tls = match raw.tls.value() {
        None | Some(OrMapping::Short(false)) => None,
        Some(OrMapping::Short(true)) => Some(UpstreamTls { server_name: None, ca_file: None }),
        Some(OrMapping::Mapping(tls)) => Some(upstream_tls(session, folder, tls)),
    };
    Transport {
        tls,
        protocol: raw.protocol.or_default(),
        balance: raw.balance.or_default(),
        health_check: raw.health_check.located().map(|check| health_check(session, check.value)),
        connect_timeout: positive(session, timeouts.connect, defaults.connect_timeout),
        read_timeout: positive(session, timeouts.read, defaults.read_timeout),
        idle_timeout: positive(session, timeouts.idle, idle_timeout),
        retries: raw.retries.value().map_or(defaults.retries, Whole::to),
    }
}

fn upstream_tls(session: &Session, folder: &Path, raw: RawUpstreamTls) -> UpstreamTls {
    if let (Some(node), Some(name)) = (raw.server_name.node(), raw.server_name.as_ref())
        && name.0.starts_with("*.")
    {
        session.error(node, "a server name has no `*`");
    }
    let ca_file = raw.ca_file.value();
    UpstreamTls {
        server_name: raw.server_name.value().map(|name| name.0),
        ca_file: ca_file.map(|file| folder.join(file.0).display().to_string()),
    }
}

fn health_check(session: &Session, raw: RawHealthCheck) -> HealthCheck {
    use std::time::Duration;

    HealthCheck {
        path: raw.path.value().map(|path| path.0),
        interval: positive(session, raw.interval, Duration::from_secs(10)),
        timeout: positive(session, raw.timeout, Duration::from_secs(2)),
        healthy_after: raw.healthy_after.value().map_or(1, Whole::to),
        unhealthy_after: raw.unhealthy_after.value().map_or(3, Whole::to),
    }
}
