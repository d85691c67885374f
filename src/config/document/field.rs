//! Typed slots for values of a document.
//!
//! A [`Field`] never fails to be read: what does not fit is already a finding when the field comes back empty. That is what
//! lets ordinary `derive(Deserialize)` structs report everything that is wrong with them, and what keeps one definition
//! for the reader and for the JSON Schema.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::{NodeId, Session};

/// The newtype name by which the decoder recognises a [`Field`].
pub(super) const FIELD: &str = "$field";
/// The enum name by which the decoder recognises an [`OrMapping`].
pub(super) const OR_MAPPING: &str = "$or-mapping";

/// A value that may be absent, and knows where it stands when it is not.
#[derive(Clone, Debug)]
pub(in crate::config) struct Field<T> {
    node: Option<NodeId>,
    value: Option<T>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Field { node: None, value: None }
    }
}

impl<T> Field<T> {
    /// Where the value stands, when the key was given.
    pub(in crate::config) fn node(&self) -> Option<NodeId> {
        self.node
    }

    /// Whether the key was given, readable or not.
    pub(in crate::config) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// The value, when it was given and could be read.
    pub(in crate::config) fn value(self) -> Option<T> {
        self.value
    }

    pub(in crate::config) fn as_ref(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value, or `default` when it was not given.
    pub(in crate::config) fn or(self, default: T) -> T {
        self.value.unwrap_or(default)
    }

    /// The value, or `default` when it was not given; with its place.
    pub(in crate::config) fn located(self) -> Option<Located<T>> {
        match (self.node, self.value) {
            (Some(node), Some(value)) => Some(Located { node, value }),
            _ => None,
        }
    }

    /// The value; its absence from the mapping at `parent` is a finding.
    pub(in crate::config) fn required(self, session: &Session, parent: NodeId, key: &str) -> Option<Located<T>> {
        if self.node.is_none() {
            session.missing(parent, key);
        }
        self.located()
    }
}

impl<T: Default> Field<T> {
    /// The value, or its type's default when it was not given.
    pub(in crate::config) fn or_default(self) -> T {
        self.value.unwrap_or_default()
    }
}

impl<T> Field<Vec<Field<T>>> {
    /// The list's readable items; none when it was not given.
    pub(in crate::config) fn items(self) -> Vec<Located<T>> {
        let fields = self.value.unwrap_or_default();
        fields.into_iter().filter_map(Field::located).collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, FieldVisitor(PhantomData))
    }
}

/// Takes the node's number, then its value; a value that could not be read does not come.
struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Field<T>, A::Error> {
        let node = parts.next_element()?.map(NodeId);
        let value = parts.next_element()?;
        Ok(Field { node, value })
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(in crate::config) struct Located<T> {
    pub(in crate::config) node: NodeId,
    pub(in crate::config) value: T,
}

/// A short form, or a mapping that says more.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename = "$or-mapping")]
pub(in crate::config) enum OrMapping<S, M> {
    Short(S),
    Mapping(M),
}

impl<S: JsonSchema, M: JsonSchema> JsonSchema for OrMapping<S, M> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), M::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<S>();
        let mapping = generator.subschema_for::<M>();
        schemars::json_schema!({ "anyOf": [short, mapping] })
    }
}
