//! Bodies that create, replace and change services.
//!
//! How requests are matched and where they go is said by `configs`, or by additions of ours, which go before them: `protocol`, `match`,
//! `upstreams`, `upstream`, `concealed` and `disclosure`.

use serde_json::{Map, Value};

use super::entity::{name, role_attributes, tags};
use super::error::{ApiError, FieldError};
use super::kept;
use super::members::{Members, json};
use super::service_transport;
use crate::clock::Timestamp;
use crate::id::ConfigId;
use crate::limits;
use crate::policy::address;
use crate::policy::objects::{Meta, Service};
use crate::policy::service::{Disclosure, Match, ServiceProtocol, Upstream};

/// Reads the body of a creation. `blank` is the service that says nothing of itself.
pub fn create_service(body: &[u8], blank: Service) -> Result<Service, ApiError> {
    read(body, blank, Write::Create)
}

/// Reads the body of a PUT: everything that OpenZiti knows is replaced. Where requests come from and go to stays unless the body
/// names it, for OpenZiti's clients cannot repeat it.
pub fn replace_service(body: &[u8], known: &Service, now: Timestamp) -> Result<Service, ApiError> {
    let meta = Meta { updated_at: now, tags: Map::new(), ..known.meta.clone() };
    // Set once, with the service.
    let encryption = known.kept.get_key_value("encryptionRequired");
    let kept = encryption.map(|(name, value)| (name.clone(), value.clone())).into_iter().collect();
    read(
        body,
        Service { role_attributes: Vec::new(), configs: Vec::new(), kept, meta, ..known.clone() },
        Write::Replace,
    )
}

/// Reads the body of a PATCH: only what it names changes.
pub fn patch_service(body: &[u8], known: &Service, now: Timestamp) -> Result<Service, ApiError> {
    let meta = Meta { updated_at: now, ..known.meta.clone() };
    read(body, Service { meta, ..known.clone() }, Write::Patch)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Create,
    Replace,
    Patch,
}

fn read(body: &[u8], mut service: Service, write: Write) -> Result<Service, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    if write != Write::Patch || members.names("name") {
        service.name = name(&members)?;
    }
    // Clients are always met with TLS; whether upstreams are is up to their transport.
    if members.flag("encryptionRequired")?.is_none() && write == Write::Create {
        return Err(members.missing("encryptionRequired").into());
    }
    kept::read(&members, kept::OF_SERVICES, &mut service.kept)?;
    if members.names("configs") {
        service.configs = configs(&members)?;
    }
    if members.names("roleAttributes") {
        service.role_attributes = role_attributes(&members)?;
    }
    if members.names("tags") {
        service.meta.tags = tags(&members)?;
    }
    if members.names("match") {
        service.matching = matching(&members)?;
    }
    if let Some(written) = members.text("protocol")? {
        let protocol = match written {
            "http" => ServiceProtocol::Http,
            "tcp" => ServiceProtocol::Tcp,
            _ => return Err(members.wrong("protocol", "must be http or tcp").into()),
        };
        if protocol == ServiceProtocol::Tcp && service.protocol != protocol {
            service.transport.idle_timeout = limits::TCP_IDLE_WAIT_DEFAULT;
        }
        service.protocol = protocol;
    }
    if members.names("upstreams") {
        service.upstreams = upstreams(&members)?;
    }
    if let Some(upstream) = members.object("upstream")? {
        service.transport = service_transport::read(&upstream, service.transport)?;
    }
    if let Some(concealed) = members.flag("concealed")? {
        service.concealed = concealed;
    }
    if let Some(written) = members.text("disclosure")? {
        service.disclosure = match written {
            "reason" => Disclosure::Reason,
            "checks" => Disclosure::Checks,
            "values" => Disclosure::Values,
            _ => return Err(members.wrong("disclosure", "must be reason, checks or values").into()),
        };
    }
    Ok(service)
}

/// The ids of configs, each once; none when they are left out.
fn configs(members: &Members<'_>) -> Result<Vec<ConfigId>, FieldError> {
    let mut configs: Vec<ConfigId> = Vec::new();
    for (index, id) in members.texts("configs")?.unwrap_or_default().into_iter().enumerate() {
        if configs.len() >= limits::CONFIGS_PER_SERVICE_MAX {
            return Err(members.wrong("configs", format!("has more than {} entries", limits::CONFIGS_PER_SERVICE_MAX)));
        }
        if configs.iter().any(|known| known.as_str() == id) {
            return Err(FieldError::new(members.item("configs", index), "is listed twice", &Value::from(id)));
        }
        configs.push(ConfigId::new(id));
    }
    Ok(configs)
}

/// The hosts and the path; `null` matches nothing.
fn matching(members: &Members<'_>) -> Result<Match, FieldError> {
    let nothing = Match { hosts: Vec::new(), path_prefix: "/".to_owned() };
    let Some(written) = members.object("match")? else {
        return Ok(nothing);
    };
    let mut hosts: Vec<String> = Vec::new();
    for (index, host) in written.texts("hosts")?.unwrap_or_default().into_iter().enumerate() {
        let wrong = |reason| FieldError::new(written.item("hosts", index), reason, &Value::from(host.as_str()));
        let read = address::host_pattern(&host).map_err(wrong)?;
        if hosts.contains(&read) {
            return Err(wrong("is listed twice".to_owned()));
        }
        hosts.push(read);
    }
    let path_prefix = match written.text("pathPrefix")? {
        Some(prefix) => address::path_prefix(prefix).map_err(|reason| written.wrong("pathPrefix", reason))?,
        None => nothing.path_prefix,
    };
    Ok(Match { hosts, path_prefix })
}

/// Upstreams: `host:port`, or an object with a weight.
fn upstreams(members: &Members<'_>) -> Result<Vec<Upstream>, FieldError> {
    let written = match members.get("upstreams") {
        None => return Ok(Vec::new()),
        Some(Value::Array(written)) if written.len() <= limits::LIST_ENTRIES_MAX => written,
        Some(_) => {
            let reason = format!("must be an array of at most {} entries", limits::LIST_ENTRIES_MAX);
            return Err(members.wrong("upstreams", reason));
        }
    };
    written.iter().enumerate().map(|(index, value)| upstream(value, &members.item("upstreams", index))).collect()
}

fn upstream(value: &Value, place: &str) -> Result<Upstream, FieldError> {
    if let Value::String(text) = value {
        let address = address::host_and_port(text).map_err(|reason| FieldError::new(place, reason, value))?;
        return Ok(Upstream { address, weight: 1 });
    }
    let members = Members::of(value, place)?;
    let address = members.required_text("address")?;
    let address = address::host_and_port(address).map_err(|reason| members.wrong("address", reason))?;
    let weight = match members.integer("weight")? {
        None => 1,
        Some(weight) => match u16::try_from(weight) {
            Ok(weight) if weight > 0 => weight,
            _ => return Err(members.wrong("weight", "must be from 1 to 65535")),
        },
    };
    Ok(Upstream { address, weight })
}
