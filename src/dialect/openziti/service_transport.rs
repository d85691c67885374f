//! How a service's upstreams are reached: an addition of ours beside `upstreams`, with the members that policy files have.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::duration;
use super::error::FieldError;
use super::members::Members;
use crate::policy::address;
use crate::policy::service::{Balance, HealthCheck, Transport, UpstreamProtocol, UpstreamTls};

/// Reads what `upstream` names into a transport; the rest of it stays.
pub(super) fn read(members: &Members<'_>, mut transport: Transport) -> Result<Transport, FieldError> {
    members.only(&["tls", "protocol", "balance", "healthCheck", "timeouts", "retries"])?;
    if members.names("tls") {
        transport.tls = tls(members)?;
    }
    if let Some(written) = members.text("protocol")? {
        transport.protocol = match written {
            "auto" => UpstreamProtocol::Auto,
            "http1" => UpstreamProtocol::Http1,
            "http2" => UpstreamProtocol::Http2,
            _ => return Err(members.wrong("protocol", "must be auto, http1 or http2")),
        };
    }
    if let Some(written) = members.text("balance")? {
        transport.balance = match written {
            "round-robin" => Balance::RoundRobin,
            "least-loaded" => Balance::LeastLoaded,
            "hash" => Balance::Hash,
            _ => return Err(members.wrong("balance", "must be round-robin, least-loaded or hash")),
        };
    }
    if members.names("healthCheck") {
        transport.health_check = members.object("healthCheck")?.as_ref().map(health_check).transpose()?;
    }
    if let Some(timeouts) = members.object("timeouts")? {
        timeouts.only(&["connect", "read", "idle"])?;
        transport.connect_timeout = length(&timeouts, "connect", transport.connect_timeout)?;
        transport.read_timeout = length(&timeouts, "read", transport.read_timeout)?;
        transport.idle_timeout = length(&timeouts, "idle", transport.idle_timeout)?;
    }
    if let Some(retries) = count(members, "retries", 0..=16)? {
        transport.retries = u8::try_from(retries).unwrap_or(u8::MAX);
    }
    Ok(transport)
}

/// `true` or `false`, or an object with the name to verify and the CAs to trust.
fn tls(members: &Members<'_>) -> Result<Option<UpstreamTls>, FieldError> {
    match members.get("tls") {
        None | Some(Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => return Ok(Some(UpstreamTls { server_name: None, ca_file: None })),
        Some(_) => {}
    }
    let Some(written) = members.object("tls")? else {
        return Ok(None);
    };
    written.only(&["serverName", "caFile"])?;
    let exact = |name: &str| match address::host_pattern(name) {
        Ok(name) if name.starts_with('*') => Err(written.wrong("serverName", "has no `*`: it is one name")),
        Ok(name) => Ok(name),
        Err(reason) => Err(written.wrong("serverName", reason)),
    };
    let server_name = written.text("serverName")?.map(exact).transpose()?;
    let ca_file = written.text("caFile")?;
    if ca_file.is_some_and(|file| !file.starts_with('/')) {
        return Err(written.wrong("caFile", "must be a whole path, from `/`, on the gateway"));
    }
    Ok(Some(UpstreamTls { server_name, ca_file: ca_file.map(str::to_owned) }))
}

fn health_check(members: &Members<'_>) -> Result<HealthCheck, FieldError> {
    members.only(&["path", "interval", "timeout", "healthyAfter", "unhealthyAfter"])?;
    let path = members.text("path")?.map(address::request_path).transpose();
    Ok(HealthCheck {
        path: path.map_err(|reason| members.wrong("path", reason))?,
        interval: length(members, "interval", Duration::from_secs(10))?,
        timeout: length(members, "timeout", Duration::from_secs(2))?,
        healthy_after: count(members, "healthyAfter", 1..=100)?.unwrap_or(1),
        unhealthy_after: count(members, "unhealthyAfter", 1..=100)?.unwrap_or(3),
    })
}

fn length(members: &Members<'_>, name: &str, default: Duration) -> Result<Duration, FieldError> {
    let read = |text| duration::read(text).map_err(|reason| members.wrong(name, reason));
    members.text(name)?.map_or(Ok(default), read)
}

fn count(members: &Members<'_>, name: &str, bounds: core::ops::RangeInclusive<u32>) -> Result<Option<u32>, FieldError> {
    let Some(written) = members.integer(name)? else {
        return Ok(None);
    };
    match u32::try_from(written).ok().filter(|count| bounds.contains(count)) {
        Some(count) => Ok(Some(count)),
        None => Err(members.wrong(name, format!("must be from {} to {}", bounds.start(), bounds.end()))),
    }
}

/// A transport as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransportShown<'a> {
    tls: TlsShown<'a>,
    protocol: UpstreamProtocol,
    balance: Balance,
    health_check: Option<HealthCheckShown<'a>>,
    timeouts: Timeouts,
    retries: u8,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum TlsShown<'a> {
    Plain(bool),
    #[serde(rename_all = "camelCase")]
    To {
        #[serde(skip_serializing_if = "Option::is_none")]
        server_name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ca_file: Option<&'a str>,
    },
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthCheckShown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    interval: String,
    timeout: String,
    healthy_after: u32,
    unhealthy_after: u32,
}

#[derive(Clone, Debug, Serialize)]
struct Timeouts {
    connect: String,
    read: String,
    idle: String,
}

impl<'a> TransportShown<'a> {
    pub(super) fn of(transport: &'a Transport) -> Self {
        let check = |check: &'a HealthCheck| HealthCheckShown {
            path: check.path.as_deref(),
            interval: duration::write(check.interval),
            timeout: duration::write(check.timeout),
            healthy_after: check.healthy_after,
            unhealthy_after: check.unhealthy_after,
        };
        TransportShown {
            tls: match &transport.tls {
                None => TlsShown::Plain(false),
                Some(UpstreamTls { server_name: None, ca_file: None }) => TlsShown::Plain(true),
                Some(tls) => TlsShown::To { server_name: tls.server_name.as_deref(), ca_file: tls.ca_file.as_deref() },
            },
            protocol: transport.protocol,
            balance: transport.balance,
            health_check: transport.health_check.as_ref().map(check),
            timeouts: Timeouts {
                connect: duration::write(transport.connect_timeout),
                read: duration::write(transport.read_timeout),
                idle: duration::write(transport.idle_timeout),
            },
            retries: transport.retries,
        }
    }
}
