//! Where a service is served from.

use std::time::Duration;

use super::checks::health_check;
use super::{
    AddressRange, Aim, LeftOut, PortRange, Says, Target, addresses, filled, fixed_host, ports, protocols, required_port,
};
use crate::dialect::openziti::error::FieldError;
use crate::dialect::openziti::members::Members;
use crate::policy::service::HealthCheck;

const HOST_MEMBERS: &[&str] = &[
    "protocol",
    "forwardProtocol",
    "allowedProtocols",
    "address",
    "forwardAddress",
    "allowedAddresses",
    "port",
    "forwardPort",
    "allowedPortRanges",
    "allowedSourceAddresses",
    "proxy",
    "listenOptions",
    "portChecks",
    "httpChecks",
];

/// One place.
#[derive(Debug)]
struct Place {
    target: Option<Target>,
    health_check: Option<HealthCheck>,
    connect_timeout: Option<Duration>,
}

pub(super) fn host(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Says, FieldError> {
    let Place { target, health_check, connect_timeout } = place(data, left_out)?;
    Ok(Says::Served { targets: target.into_iter().collect(), health_check, connect_timeout })
}

pub(super) fn terminators(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Says, FieldError> {
    data.only(&["terminators"])?;
    let written = data.objects("terminators")?.ok_or_else(|| data.missing("terminators"))?;
    if written.is_empty() {
        return Err(data.wrong("terminators", "must have at least one entry"));
    }
    let (mut targets, mut check, mut timeout) = (Vec::new(), None, None);
    for terminator in &written {
        let Place { target, health_check, connect_timeout } = place(terminator, left_out)?;
        targets.extend(target);
        match (&check, health_check) {
            (None, found) => check = found,
            (Some(known), Some(other)) if *known != other => {
                left_out.note(&terminator.field("httpChecks"), "all places of a service are tried in the same way");
            }
            (Some(_), _) => {}
        }
        timeout = timeout.or(connect_timeout);
    }
    Ok(Says::Served { targets, health_check: check, connect_timeout: timeout })
}

pub(super) fn tunneler_server(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Says, FieldError> {
    data.only(&["protocol", "hostname", "port", "portChecks", "httpChecks"])?;
    let over_tcp = data.text("protocol")?.is_none() || protocol(data, left_out)?;
    let target =
        Target { host: Aim::Fixed(fixed_host(data, "hostname")?), port: Aim::Fixed(required_port(data, "port")?) };
    let health_check = health_check(data, &target, left_out)?;
    Ok(Says::Served { targets: over_tcp.then_some(target).into_iter().collect(), health_check, connect_timeout: None })
}

fn place(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Place, FieldError> {
    data.only(HOST_MEMBERS)?;
    let over_tcp = match data.forwards("forwardProtocol", "protocol")? {
        true => protocols(data, "allowedProtocols", left_out)?,
        false => protocol(data, left_out)?,
    };
    let target = Target { host: aimed_host(data)?, port: aimed_port(data)? };
    if data.texts("allowedSourceAddresses")?.is_some() {
        left_out.note(&data.field("allowedSourceAddresses"), "upstreams see the gateway's own address");
    }
    let proxied = data.object("proxy")?.is_some();
    if proxied {
        left_out.note(&data.field("proxy"), "upstreams are reached directly, not through another proxy");
    }
    let health_check = health_check(data, &target, left_out)?;
    let connect_timeout = connect_timeout(data, left_out)?;
    Ok(Place { target: (over_tcp && !proxied).then_some(target), health_check, connect_timeout })
}

fn protocol(data: &Members<'_>, left_out: &mut LeftOut) -> Result<bool, FieldError> {
    match data.required_text("protocol")? {
        "tcp" => Ok(true),
        "udp" => {
            left_out.note(&data.field("protocol"), "UDP is not proxied");
            Ok(false)
        }
        _ => Err(data.wrong("protocol", "must be tcp or udp")),
    }
}

fn aimed_host(data: &Members<'_>) -> Result<Aim<String, AddressRange>, FieldError> {
    if !data.forwards("forwardAddress", "address")? {
        return fixed_host(data, "address").map(Aim::Fixed);
    }
    let allowed = filled(data, "allowedAddresses")?;
    let read = |(index, written): (usize, &String)| addresses(written, &data.item("allowedAddresses", index));
    allowed.iter().enumerate().map(read).collect::<Result<_, _>>().map(Aim::AsAsked)
}

fn aimed_port(data: &Members<'_>) -> Result<Aim<u16, PortRange>, FieldError> {
    if data.forwards("forwardPort", "port")? {
        ports(data, "allowedPortRanges").map(Aim::AsAsked)
    } else {
        required_port(data, "port").map(Aim::Fixed)
    }
}

fn connect_timeout(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Option<Duration>, FieldError> {
    let Some(options) = data.object("listenOptions")? else {
        return Ok(None);
    };
    for name in ["cost", "precedence", "maxConnections"] {
        if options.get(name).is_some() {
            left_out.note(&options.field(name), "upstreams share requests evenly");
        }
    }
    match options.integer("connectTimeoutSeconds")? {
        None | Some(0) => Ok(None),
        Some(seconds) => match u32::try_from(seconds) {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
            Err(_) => Err(options.wrong("connectTimeoutSeconds", "must be from 0 to 2147483647")),
        },
    }
}

impl Members<'_> {
    /// Whether something is taken from what was asked for, rather than from the member `fixed`. Only one of them can be.
    fn forwards(&self, forward: &str, fixed: &str) -> Result<bool, FieldError> {
        match (self.flag(forward)?, self.get(fixed)) {
            (None, _) => Ok(false),
            (Some(true), None) => Ok(true),
            (Some(true), Some(_)) => Err(self.wrong(fixed, format!("must be left out beside `{forward}`"))),
            (Some(false), _) => Err(self.wrong(forward, "must be true, or left out")),
        }
    }
}
