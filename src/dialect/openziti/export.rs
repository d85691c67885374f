//! Objects written as OpenZiti's own tool exports them: by name, without what only one installation knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::config_type::ConfigType;
use super::import::Kind;

/// Members that mean something only where they were read.
const LOCAL: &[&str] = &[
    "_links",
    "authPolicyId",
    "authenticators",
    "config",
    "configType",
    "configTypeId",
    "createdAt",
    "edgeRouterConnectionStatus",
    "effective",
    "enrollment",
    "envInfo",
    "hasApiSession",
    "hasEdgeRouterConnection",
    "id",
    "identityRolesDisplay",
    "isMfaEnabled",
    "isSystem",
    "leftOut",
    "permissions",
    "postureCheckRolesDisplay",
    "postureQueries",
    "sdkInfo",
    "serviceRolesDisplay",
    "type",
    "updatedAt",
];

/// Whether an object, as the management API shows it, is there without being made: it is in no file.
pub fn is_built_in(kind: Kind, shown: &Value) -> bool {
    let id = shown.get("id").and_then(Value::as_str).unwrap_or_default();
    kind == Kind::ConfigType && ConfigType::of_id(id).is_some()
}

/// An object as the management API shows it, written for a file. `configs` are the names of configs by id.
pub fn exported(kind: Kind, shown: &Value, configs: &BTreeMap<String, String>) -> Value {
    let Some(shown) = shown.as_object() else {
        return Value::Null;
    };
    let kept = shown.iter().filter(|(name, _)| !LOCAL.contains(&name.as_str()));
    let mut written: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let text = |pointer: &str| Value::Object(shown.clone()).pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match kind {
        Kind::PostureCheck | Kind::ConfigType => {}
        Kind::Config => {
            let named = text("/configType/name").unwrap_or_default();
            written.insert("configType".to_owned(), format!("@{named}").into());
        }
        Kind::Service => {
            let ids = shown.get("configs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let names = ids.iter().filter_map(Value::as_str).filter_map(|id| configs.get(id));
            let names: Vec<Value> = names.map(|name| format!("@{name}").into()).collect();
            written.insert("configs".to_owned(), names.into());
        }
        Kind::Identity => {
            let policy = text("/authPolicy/name").unwrap_or_default();
            written.insert("authPolicy".to_owned(), format!("@{policy}").into());
        }
        Kind::ServicePolicy => {
            written.insert("type".to_owned(), shown.get("type").cloned().unwrap_or_default());
            for list in ["identityRoles", "serviceRoles", "postureCheckRoles"] {
                written.insert(list.to_owned(), named_roles(shown, list));
            }
        }
    }
    Value::Object(written)
}

/// The roles of a list by name.
fn named_roles(shown: &Map<String, Value>, list: &str) -> Value {
    let displayed = shown.get(&format!("{list}Display")).and_then(Value::as_array);
    let named = displayed.map(Vec::as_slice).unwrap_or_default().iter().filter_map(|role| role.get("name"));
    Value::Array(named.cloned().collect())
}
