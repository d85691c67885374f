//! What a service gets from its configs. Its own hosts and upstreams go before theirs.

use std::sync::Arc;

use super::objects::Service;
use super::service::Upstream;
use super::service_config::{AddressRange, Aim, PortRange, Says, ServiceConfig, Target};
use crate::limits;

/// Why a service cannot be what a config says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another config of the service is of the same type.
    #[error("is of the same type as `{0}`; a service has one config of a type")]
    SameType(Arc<str>),
    /// Nothing of it can be done.
    #[error("says nothing that a reverse proxy can do: {0}")]
    Nothing(String),
    /// It forwards to the host that was asked for, and that could be many.
    #[error(
        "forwards to the address that was asked for, which must be one exact host here, not {0}; give an address, or a \
         service of its own to each host"
    )]
    Address(String),
    /// It forwards to the host that was asked for, which it does not allow.
    #[error("does not allow to forward to `{0}`, which is what would be asked for")]
    AddressNotAllowed(String),
    /// It forwards to the port that was asked for, and that could be many.
    #[error(
        "forwards to the port that was asked for, which must be one port here (that of an intercept config, if allowed), \
         not {0}; give a port"
    )]
    Port(String),
}

/// The service with what its configs say, or the first of them that does not fit. `None` where the service says all by itself.
pub(super) fn located(service: &Service, configs: &[&ServiceConfig]) -> Option<Result<Service, (Arc<str>, Misfit)>> {
    (!configs.is_empty()).then(|| locate(service.clone(), configs))
}

fn locate(mut service: Service, configs: &[&ServiceConfig]) -> Result<Service, (Arc<str>, Misfit)> {
    for (position, config) in configs.iter().enumerate() {
        let wrong = |misfit| Err((Arc::clone(&config.name), misfit));
        if let Some(other) = configs.iter().take(position).find(|other| other.type_id == config.type_id) {
            return wrong(Misfit::SameType(Arc::clone(&other.name)));
        }
        let nothing = match &config.says {
            Says::Asked { hosts, .. } => hosts.is_empty(),
            Says::Served { targets, .. } => targets.is_empty(),
            Says::Nothing => false,
        };
        if nothing {
            return wrong(Misfit::Nothing(config.left_out.join("; ")));
        }
    }
    let asked = Asked::of(configs);
    if service.matching.hosts.is_empty() {
        service.matching.hosts.clone_from(&asked.hosts);
    }
    if service.upstreams.is_empty() {
        serve(&mut service, configs, &asked)?;
    }
    Ok(service)
}

/// What intercepting configs say, together.
struct Asked {
    hosts: Vec<String>,
    ports: Vec<PortRange>,
}

impl Asked {
    fn of(configs: &[&ServiceConfig]) -> Self {
        let mut asked = Asked { hosts: Vec::new(), ports: Vec::new() };
        for config in configs {
            if let Says::Asked { hosts, ports } = &config.says {
                let new: Vec<_> = hosts.iter().filter(|host| !asked.hosts.contains(host)).cloned().collect();
                asked.hosts.extend(new);
                asked.ports.extend(ports);
            }
        }
        asked
    }
}

fn serve(service: &mut Service, configs: &[&ServiceConfig], asked: &Asked) -> Result<(), (Arc<str>, Misfit)> {
    for config in configs {
        let Says::Served { targets, health_check, connect_timeout } = &config.says else {
            continue;
        };
        let hosts = &service.matching.hosts;
        for target in targets {
            let address = aimed(target, hosts, &asked.ports).map_err(|misfit| (Arc::clone(&config.name), misfit))?;
            if service.upstreams.iter().all(|known| known.address != address) {
                service.upstreams.push(Upstream { address, weight: 1 });
            }
        }
        if service.transport.health_check.is_none() {
            service.transport.health_check.clone_from(health_check);
        }
        if let Some(timeout) = connect_timeout {
            service.transport.connect_timeout = *timeout;
        }
    }
    Ok(())
}

/// `host:port` of a target, for requests to these hosts and ports.
fn aimed(target: &Target, hosts: &[String], ports: &[PortRange]) -> Result<String, Misfit> {
    let host = match &target.host {
        Aim::Fixed(host) => host,
        Aim::AsAsked(allowed) => forwarded_host(hosts, allowed)?,
    };
    let port = match &target.port {
        Aim::Fixed(port) => *port,
        Aim::AsAsked(allowed) => forwarded_port(ports, allowed)?,
    };
    Ok(format!("{host}:{port}"))
}

fn forwarded_host<'a>(hosts: &'a [String], allowed: &[AddressRange]) -> Result<&'a String, Misfit> {
    match hosts {
        [host] if !host.starts_with('*') => {
            let may = allowed.iter().any(|range| range.contains(host));
            may.then_some(host).ok_or_else(|| Misfit::AddressNotAllowed(host.clone()))
        }
        [] => Err(Misfit::Address("none".to_owned())),
        many => {
            let shown: Vec<_> = many.iter().take(limits::IN_USE_NAMES_MAX).map(|host| format!("`{host}`")).collect();
            Err(Misfit::Address(shown.join(", ")))
        }
    }
}

fn forwarded_port(ports: &[PortRange], allowed: &[PortRange]) -> Result<u16, Misfit> {
    let overlaps = ports.iter().flat_map(|asked| {
        allowed.iter().map(|may| PortRange { low: asked.low.max(may.low), high: asked.high.min(may.high) })
    });
    let mut overlaps = overlaps.filter(|range| range.low <= range.high);
    let Some(first) = overlaps.next() else {
        return Err(Misfit::Port("none".to_owned()));
    };
    if first.low != first.high || overlaps.any(|range| range != first) {
        return Err(Misfit::Port("several".to_owned()));
    }
    Ok(first.low)
}
