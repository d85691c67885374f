//! The types of configs: those that a gateway can read, each with the shape of its data, and those that operators made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::envelope::{Entity, Links};
use super::unmade;
use crate::id::ConfigTypeId;
use crate::policy::Objects;
use crate::policy::config_type::{ConfigTarget, OwnConfigType};
use crate::policy::objects::Meta;

/// A type of configs that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// Which addresses, ports and protocols clients ask for.
    InterceptV1,
    /// Where a service is served from.
    HostV1,
    /// The same of a service with several places.
    HostV2,
    /// The address and port that clients ask for, as first tunnelers had it.
    TunnelerClientV1,
    /// Where a service is served from, as first tunnelers had it.
    TunnelerServerV1,
}

impl ConfigType {
    /// Every type, by id.
    pub const ALL: [ConfigType; 5] = [
        ConfigType::HostV1,
        ConfigType::TunnelerServerV1,
        ConfigType::TunnelerClientV1,
        ConfigType::InterceptV1,
        ConfigType::HostV2,
    ];

    /// The type with an id.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// The type with a name, or with an id.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).or_else(|| Self::of_id(name))
    }

    /// The id, as OpenZiti's controllers have it.
    pub const fn id(self) -> &'static str {
        match self {
            ConfigType::InterceptV1 => "g7cIWbcGg",
            ConfigType::HostV1 => "NH5p4FpGR",
            ConfigType::HostV2 => "host.v2",
            ConfigType::TunnelerClientV1 => "f2dd2df0-9c04-4b84-a91e-71437ac229f1",
            ConfigType::TunnelerServerV1 => "cea49285-6c07-42cf-9f52-09a9b115c783",
        }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            ConfigType::InterceptV1 => "intercept.v1",
            ConfigType::HostV1 => "host.v1",
            ConfigType::HostV2 => "host.v2",
            ConfigType::TunnelerClientV1 => "ziti-tunneler-client.v1",
            ConfigType::TunnelerServerV1 => "ziti-tunneler-server.v1",
        }
    }

    /// The shape of the data, as a JSON Schema.
    pub fn schema(self) -> Value {
        let (required, properties) = match self {
            ConfigType::InterceptV1 => (json!(["protocols", "addresses", "portRanges"]), intercept_members()),
            ConfigType::HostV1 => return host_schema(),
            ConfigType::HostV2 => (
                json!(["terminators"]),
                json!({"terminators": {"type": "array", "minItems": 1, "items": host_schema()}}),
            ),
            ConfigType::TunnelerClientV1 => {
                (json!(["hostname", "port"]), json!({"hostname": {"type": "string"}, "port": port()}))
            }
            ConfigType::TunnelerServerV1 => (json!(["hostname", "port"]), server_members()),
        };
        json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
    }
}

fn port() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 65535})
}

fn protocol() -> Value {
    json!({"type": "string", "enum": ["tcp", "udp"]})
}

fn port_range() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["low", "high"],
        "properties": {"low": port(), "high": port()},
    })
}

fn set_of(item: &Value) -> Value {
    json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": item})
}

fn intercept_members() -> Value {
    let text = json!({"type": "string"});
    json!({
        "protocols": set_of(&protocol()),
        "addresses": set_of(&text),
        "portRanges": set_of(&port_range()),
        "dialOptions": {
            "type": "object",
            "additionalProperties": false,
            "properties": {"identity": text, "connectTimeoutSeconds": seconds()},
        },
        "sourceIp": text,
        "allowedSourceAddresses": set_of(&text),
    })
}

fn seconds() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 2_147_483_647})
}

fn host_schema() -> Value {
    let (text, truth) = (json!({"type": "string"}), json!({"type": "boolean", "enum": [true]}));
    let mut members = json!({
        "protocol": protocol(),
        "forwardProtocol": truth,
        "allowedProtocols": set_of(&protocol()),
        "address": text,
        "forwardAddress": truth,
        "allowedAddresses": set_of(&text),
        "port": port(),
        "forwardPort": truth,
        "allowedPortRanges": set_of(&port_range()),
        "allowedSourceAddresses": set_of(&text),
        "proxy": {"type": "object"},
        "listenOptions": {"type": "object"},
    });
    add_checks(&mut members);
    let either = |forwards: &str, allowed: &str, fixed: &str| {
        json!({
            "if": {"properties": {forwards: {"const": true}}, "required": [forwards]},
            "then": {"required": [allowed]},
            "else": {"required": [fixed]},
        })
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": members,
        "allOf": [
            either("forwardProtocol", "allowedProtocols", "protocol"),
            either("forwardAddress", "allowedAddresses", "address"),
            either("forwardPort", "allowedPortRanges", "port"),
        ],
    })
}

fn server_members() -> Value {
    let mut members = json!({
        "protocol": {"type": ["string", "null"], "enum": ["tcp", "udp", null]},
        "hostname": {"type": "string"},
        "port": port(),
    });
    add_checks(&mut members);
    members
}

/// The members for health checks, which all types that say where a service is share.
fn add_checks(members: &mut Value) {
    let duration = json!({"type": "string", "pattern": "^([0-9]+(h|m|s|ms))+$"});
    let action = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["trigger", "action"],
        "properties": {
            "trigger": {"type": "string", "enum": ["fail", "pass", "change"]},
            "consecutiveEvents": port(),
            "duration": duration,
            "action": {"type": "string"},
        },
    });
    let actions = json!({"type": "array", "minItems": 1, "maxItems": 20, "items": action});
    let check = |required: &str, own: Value| {
        let mut properties = json!({"interval": duration, "timeout": duration, "actions": actions});
        extend(&mut properties, own);
        json!({
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["interval", "timeout", required],
                "properties": properties,
            },
        })
    };
    let of_ports = check("address", json!({"address": {"type": "string"}}));
    let of_http = check(
        "url",
        json!({
            "url": {"type": "string"},
            "method": {"type": "string", "enum": ["GET", "POST", "PUT", "PATCH"]},
            "body": {"type": "string"},
            "expectStatus": {"type": "integer", "minimum": 100, "maximum": 599},
            "expectInBody": {"type": "string"},
        }),
    );
    extend(members, json!({"portChecks": of_ports, "httpChecks": of_http}));
}

fn extend(members: &mut Value, more: Value) {
    if let (Value::Object(members), Value::Object(more)) = (members, more) {
        members.extend(more);
    }
}

/// A type of either kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyConfigType<'a> {
    /// One that is always there.
    BuiltIn(ConfigType),
    /// One that operators made.
    Own(&'a OwnConfigType),
}

impl<'a> AnyConfigType<'a> {
    /// The id.
    pub fn id(&self) -> &'a str {
        match self {
            AnyConfigType::BuiltIn(kind) => kind.id(),
            AnyConfigType::Own(kind) => kind.id.as_str(),
        }
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        match self {
            AnyConfigType::BuiltIn(kind) => kind.name(),
            AnyConfigType::Own(kind) => &kind.name,
        }
    }

    pub(super) fn meta(&self) -> &'a Meta {
        match self {
            AnyConfigType::BuiltIn(_) => unmade(),
            AnyConfigType::Own(kind) => &kind.meta,
        }
    }
}

/// The types of configs there are.
#[derive(Clone, Copy, Debug)]
pub struct ConfigTypes<'a>(&'a BTreeMap<ConfigTypeId, Arc<OwnConfigType>>);

impl<'a> ConfigTypes<'a> {
    /// Those that are always there, and those among these objects.
    pub fn of(objects: &'a Objects) -> Self {
        ConfigTypes(&objects.config_types)
    }

    /// Every type, those that are always there first.
    pub fn all(self) -> impl Iterator<Item = AnyConfigType<'a>> {
        let own = self.0.values().map(|kind| AnyConfigType::Own(kind));
        ConfigType::ALL.into_iter().map(AnyConfigType::BuiltIn).chain(own)
    }

    /// The type with an id.
    pub fn of_id(self, id: &str) -> Option<AnyConfigType<'a>> {
        let own = || self.0.get(id).map(|kind| AnyConfigType::Own(kind));
        ConfigType::of_id(id).map(AnyConfigType::BuiltIn).or_else(own)
    }

    /// The type with an id, or with a name.
    pub fn called(self, written: &str) -> Option<AnyConfigType<'a>> {
        self.of_id(written).or_else(|| self.all().find(|kind| kind.name() == written))
    }

    /// The name of the type with an id. A type that is gone has no other name than that.
    pub(super) fn name_of(self, id: &'a str) -> &'a str {
        self.of_id(id).map_or(id, |kind| kind.name())
    }
}

/// A type as lists and details show it.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigTypeDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    name: &'a str,
    schema: Cow<'a, Map<String, Value>>,
    target: ConfigTarget,
}

/// Shows a type.
pub fn config_type<'a>(kind: &AnyConfigType<'a>) -> ConfigTypeDetail<'a> {
    let (schema, target) = match kind {
        AnyConfigType::BuiltIn(built_in) => {
            let schema = built_in.schema().as_object().cloned().unwrap_or_default();
            (Cow::Owned(schema), ConfigTarget::Service)
        }
        AnyConfigType::Own(own) => (Cow::Borrowed(&*own.schema), own.target),
    };
    let links = Links::own("config-types", kind.id()).and("config-types", kind.id(), "configs");
    ConfigTypeDetail { entity: Entity::new(kind.id(), kind.meta(), links), name: kind.name(), schema, target }
}
