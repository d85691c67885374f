//! What the data of a config says here. What breaks the shape of its type is an error that names the member; what only a tunneler
//! could do is left out, and said.

mod checks;
mod served;

use std::sync::Arc;

use serde_json::Value;

use super::config_type::ConfigType;
use super::error::FieldError;
use super::members::Members;
use crate::limits;
use crate::policy::address;
use crate::policy::service_config::{AddressRange, Aim, PortRange, Says, Target};

/// What data says, and what of it is left out.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) says: Says,
    pub(super) left_out: Vec<Arc<str>>,
}

/// Reads the data of a config.
pub(super) fn read(kind: ConfigType, data: &Members<'_>) -> Result<Read, FieldError> {
    let mut left_out = LeftOut::default();
    let says = match kind {
        ConfigType::InterceptV1 => intercept(data, &mut left_out)?,
        ConfigType::HostV1 => served::host(data, &mut left_out)?,
        ConfigType::HostV2 => served::terminators(data, &mut left_out)?,
        ConfigType::TunnelerClientV1 => tunneler_client(data)?,
        ConfigType::TunnelerServerV1 => served::tunneler_server(data, &mut left_out)?,
    };
    Ok(Read { says, left_out: left_out.0 })
}

/// What is left out, each with the member it stands in.
#[derive(Debug, Default)]
struct LeftOut(Vec<Arc<str>>);

impl LeftOut {
    fn note(&mut self, field: &str, why: &str) {
        if self.0.len() < limits::CONFIG_NOTES_MAX {
            self.0.push(format!("{field}: {why}").into());
        }
    }
}

fn intercept(data: &Members<'_>, left_out: &mut LeftOut) -> Result<Says, FieldError> {
    data.only(&["protocols", "addresses", "portRanges", "dialOptions", "sourceIp", "allowedSourceAddresses"])?;
    let over_tcp = protocols(data, "protocols", left_out)?;
    let ports = ports(data, "portRanges")?;
    let mut hosts = Vec::new();
    for (index, written) in filled(data, "addresses")?.into_iter().enumerate() {
        match addresses(&written, &data.item("addresses", index))? {
            AddressRange::Hosts(host) => hosts.push(host),
            AddressRange::Network { .. } => {
                let why =
                    format!("`{written}` is a block of addresses, and requests are told apart by their host name");
                left_out.note(&data.item("addresses", index), &why);
            }
        }
    }
    data.object("dialOptions")?;
    data.text("sourceIp")?;
    if data.texts("allowedSourceAddresses")?.is_some() {
        left_out.note(&data.field("allowedSourceAddresses"), "who may ask is up to service policies");
    }
    if !over_tcp {
        hosts.clear();
    }
    Ok(Says::Asked { hosts, ports })
}

fn tunneler_client(data: &Members<'_>) -> Result<Says, FieldError> {
    data.only(&["hostname", "port"])?;
    let host = fixed_host(data, "hostname")?;
    let port = required_port(data, "port")?;
    Ok(Says::Asked { hosts: vec![host], ports: vec![PortRange { low: port, high: port }] })
}

/// Whether TCP is among the protocols of a list.
fn protocols(data: &Members<'_>, name: &str, left_out: &mut LeftOut) -> Result<bool, FieldError> {
    let mut over_tcp = false;
    for (index, written) in filled(data, name)?.into_iter().enumerate() {
        match written.as_str() {
            "tcp" => over_tcp = true,
            "udp" => left_out.note(&data.item(name, index), "UDP is not proxied"),
            _ => {
                let value = Value::from(written.as_str());
                return Err(FieldError::new(data.item(name, index), "must be tcp or udp", &value));
            }
        }
    }
    Ok(over_tcp)
}

/// A list of texts that must be there, with at least one entry, each once.
fn filled(data: &Members<'_>, name: &str) -> Result<Vec<String>, FieldError> {
    let texts = data.texts(name)?.ok_or_else(|| data.missing(name))?;
    if texts.is_empty() {
        return Err(data.wrong(name, "must have at least one entry"));
    }
    let twice = texts.iter().enumerate().find(|(index, text)| texts.iter().take(*index).any(|other| other == *text));
    match twice {
        Some((index, text)) => {
            Err(FieldError::new(data.item(name, index), "is listed twice", &Value::from(text.as_str())))
        }
        None => Ok(texts),
    }
}

/// Port ranges, at least one.
fn ports(data: &Members<'_>, name: &str) -> Result<Vec<PortRange>, FieldError> {
    let written = data.objects(name)?.ok_or_else(|| data.missing(name))?;
    if written.is_empty() {
        return Err(data.wrong(name, "must have at least one entry"));
    }
    let range = |range: &Members<'_>| {
        range.only(&["low", "high"])?;
        let (low, high) = (port(range, "low")?, port(range, "high")?);
        if low > high {
            return Err(range.wrong("high", "must not be below `low`"));
        }
        Ok(PortRange { low, high })
    };
    written.iter().map(range).collect()
}

fn port(data: &Members<'_>, name: &str) -> Result<u16, FieldError> {
    let written = data.integer(name)?.ok_or_else(|| data.missing(name))?;
    u16::try_from(written).map_err(|_| data.wrong(name, "must be from 0 to 65535"))
}

/// A port that something listens on.
fn required_port(data: &Members<'_>, name: &str) -> Result<u16, FieldError> {
    match port(data, name)? {
        0 => Err(data.wrong(name, "must be from 1 to 65535")),
        port => Ok(port),
    }
}

/// A host name, exact, or an address; IPv6 in brackets.
fn fixed_host(data: &Members<'_>, name: &str) -> Result<String, FieldError> {
    let written = data.required_text(name)?;
    match addresses(written, &data.field(name))? {
        AddressRange::Hosts(host) if !host.starts_with('*') => Ok(host),
        _ => Err(data.wrong(name, "must be one host name or address")),
    }
}

/// A host name, exact or `*.suffix`, an address, or a block of addresses.
fn addresses(written: &str, field: &str) -> Result<AddressRange, FieldError> {
    let wrong = |reason: String| FieldError::new(field, reason, &Value::from(written));
    if let Some((base, prefix)) = written.split_once('/') {
        let base: Option<core::net::IpAddr> = base.parse().ok();
        let bits = |base: &core::net::IpAddr| if base.is_ipv4() { 32 } else { 128 };
        let read = base.zip(prefix.parse::<u8>().ok()).filter(|(base, prefix)| *prefix <= bits(base));
        let (address, prefix) =
            read.ok_or_else(|| wrong("is not a block of addresses such as 10.0.0.0/8".to_owned()))?;
        return Ok(AddressRange::Network { address, prefix });
    }
    if written.parse::<core::net::Ipv6Addr>().is_ok() {
        return Ok(AddressRange::Hosts(format!("[{}]", written.to_ascii_lowercase())));
    }
    address::host_pattern(written).map(AddressRange::Hosts).map_err(wrong)
}
