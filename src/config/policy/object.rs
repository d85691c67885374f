//! What all policy objects have in common: a name, an id, tags, role attributes, and a place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

use crate::clock::{Timestamp, checkpoint};
use crate::config::document::{Field, NodeId, Session};
use crate::config::findings::Place;
use crate::config::values::{AttributeText, NameText};
use crate::policy::objects::{Meta, Origin};
use crate::policy::roles::Role;

/// The file that is being read.
pub(super) struct Source<'s> {
    pub(super) session: &'s Session,
    /// When the file was last written.
    pub(super) modified: Timestamp,
}

/// The head of an object.
pub(super) struct Head {
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) meta: Meta,
}

impl Source<'_> {
    /// Reads the head of the object at `node`, and sees to it that no other object of its kind has the same id or name.
    pub(super) fn head(
        &self,
        register: &mut Register,
        node: NodeId,
        name: Field<NameText>,
        id: Field<NameText>,
        tags: Field<Tags>,
    ) -> Option<Head> {
        checkpoint();
        let id_node = id.node();
        let given_id = id.located();
        let name = name.required(self.session, node, "name");
        // An id that was given and cannot be read must not be replaced by the name.
        if given_id.is_none() && id_node.is_some() {
            return None;
        }
        let name = name?;
        let id: Arc<str> = given_id.map_or_else(|| name.value.0.as_str().into(), |id| id.value.0.into());
        let head = Head { id, name: name.value.0.into(), meta: self.meta(node, tags.or_default().0) };
        register.claim(self.session, node, &head, id_node.unwrap_or(name.node), name.node).then_some(head)
    }

    fn meta(&self, node: NodeId, tags: Map<String, Value>) -> Meta {
        let document = self.session.document();
        Meta {
            created_at: self.modified,
            updated_at: self.modified,
            tags,
            origin: Origin::File { path: Arc::clone(document.path()), line: document.line(node) },
        }
    }

    pub(super) fn place(&self, node: NodeId) -> Place {
        self.session.document().place(node)
    }
}

/// The ids and names of one kind of object, over all files.
pub(super) struct Register {
    kind: &'static str,
    ids: BTreeMap<Arc<str>, Place>,
    names: BTreeMap<Arc<str>, (Arc<str>, Place)>,
}

impl Register {
    pub(super) fn new(kind: &'static str) -> Self {
        Register { kind, ids: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// Where the object of an id begins.
    pub(super) fn into_places(self) -> BTreeMap<Arc<str>, Place> {
        self.ids
    }

    /// Takes the head's id and name, unless an earlier object has them.
    fn claim(&mut self, session: &Session, node: NodeId, head: &Head, id_node: NodeId, name_node: NodeId) -> bool {
        let kind = self.kind;
        let place = session.document().place(node);
        if let Some((_, earlier)) = self.names.get(&head.name) {
            let message = format!("name `{}` is taken by the {kind} at {earlier}", head.name);
            session.error(name_node, message);
            return false;
        }
        if let Some(earlier) = self.ids.get(&head.id) {
            let message = format!("id `{}` is taken by the {kind} at {earlier}", head.id);
            session.error(id_node, message);
            return false;
        }
        let names_another = |text: &Arc<str>| match self.names.get(text) {
            Some((id, earlier)) if *id != head.id => Some(earlier.clone()),
            _ => None,
        };
        if let Some(earlier) = names_another(&head.id) {
            let id = &head.id;
            session.warn(id_node, format!("`@{id}` means this {kind}, not the one of that name at {earlier}"));
        }
        if let Some(earlier) = self.ids.get(&head.name).filter(|_| head.id != head.name) {
            let name = &head.name;
            session.warn(name_node, format!("`@{name}` means the {kind} of that id at {earlier}, not this one"));
        }
        self.ids.insert(Arc::clone(&head.id), place.clone());
        let named = (Arc::clone(&head.id), place);
        self.names.insert(Arc::clone(&head.name), named);
        true
    }
}

/// Role attributes, sorted, each once.
pub(super) fn attributes(session: &Session, list: Field<Vec<Field<AttributeText>>>) -> Vec<Arc<str>> {
    let mut attributes: Vec<Arc<str>> = Vec::new();
    for attribute in list.items() {
        if attribute.value.0 == "all" {
            session.warn(attribute.node, "`#all` selects everything, never this attribute alone");
        }
        attributes.push(attribute.value.0.into());
    }
    attributes.sort();
    attributes.dedup();
    attributes
}

/// Free-form tags: a mapping to texts, numbers, yes-or-no values and nulls.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags(Map<String, Value>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags: Map<String, Value> = Map::deserialize(deserializer)?;
        let nested = |value: &Value| value.is_array() || value.is_object();
        match tags.iter().find(|(_, value)| nested(value)) {
            Some((key, _)) => {
                Err(D::Error::custom(format!("tag `{key}` holds a list or mapping; tags hold single values")))
            }
            None => Ok(Tags(tags)),
        }
    }
}

impl JsonSchema for Tags {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        })
    }
}

/// One entry of a role list.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct RoleText(pub(super) Role);

impl JsonSchema for RoleText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Role".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[#@].",
            "examples": ["#all", "#web", "@wiki"],
        })
    }
}
