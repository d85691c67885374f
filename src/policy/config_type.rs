//! Types of configs that operators made. Their configs are kept for clients that know what to do with them, and say nothing here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::objects::Meta;
use crate::id::ConfigTypeId;

/// One type of configs, beside those that are read here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnConfigType {
    /// The id.
    pub id: ConfigTypeId,
    /// The name, unique over all types.
    pub name: Arc<str>,
    /// The shape of the data of its configs, as a JSON Schema; empty where any will do.
    pub schema: Arc<Map<String, Value>>,
    /// What its configs belong to.
    pub target: ConfigTarget,
    /// Times, tags and origin.
    pub meta: Meta,
}

/// What configs of a type belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConfigTarget {
    /// To services.
    #[default]
    Service,
    /// To routers, of which there are none here.
    Router,
}
