//! A configuration text as a tree of values that know where they stand.
//!
//! Reading goes in three steps, so that one load can report everything that is wrong: [`parse`] turns YAML text into a
//! [`Document`], [`overlay`](overlay::overlay) lays environment variables over it, and [`decode`] reads typed values
//! out of it, collecting a finding for each value that does not fit instead of stopping at the first.

use std::path::Path;
use std::sync::Arc;

use crate::clock::let_go;

use super::findings::Place;

pub(super) mod decode;
pub(super) mod field;
pub(super) mod file;
pub(super) mod overlay;
pub(super) mod parse;
pub(super) mod session;

pub(super) use field::{Field, Located, OrMapping};
pub(super) use session::Session;

/// The number of a node in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) u32);

/// A tree of values in one arena; the root is node 0.
#[derive(Debug)]
pub(super) struct Document {
    path: Arc<str>,
    /// In groups of [`NODES_TOGETHER`], because a list of millions is copied for too long whenever it grows.
    groups: Vec<Vec<Node>>,
}

/// Nodes that lie together.
const NODES_TOGETHER: usize = 1024;

#[derive(Debug)]
struct Node {
    mark: Mark,
    parent: Option<NodeId>,
    segment: Segment,
    value: Value,
}

/// Where a node was written.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// In the document's file; line 0 stands for the whole file.
    Position { line: u32, column: u32 },
    /// In an environment variable.
    Variable(Arc<str>),
}

/// The last step of a node's key path.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Root,
    Key(Box<str>),
    Index(usize),
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Fraction(f64),
    Text(Box<str>),
    /// A scalar from an environment variable, which has no quotes to tell text from numbers: whatever its reader asks for.
    Loose(Box<str>),
    List(Vec<NodeId>),
    Mapping(Vec<Entry>),
    /// Something that could not be read and is already a finding.
    Refused,
}

/// One key of a mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<str>,
    pub(super) mark: Mark,
    pub(super) value: NodeId,
}

/// The value of a node that does not exist.
static NOTHING: Value = Value::Null;

impl Document {
    /// Lets go of a document node by node; there may be millions.
    pub(super) fn let_go(self) {
        let_go(self.groups);
    }

    /// A document that holds nothing, for the file at `path`.
    pub(super) fn empty(path: &Path) -> Self {
        let mut document = Document { path: path.display().to_string().into(), groups: Vec::new() };
        let whole_file = Mark::Position { line: 0, column: 0 };
        document.add(whole_file, None, Segment::Root);
        document
    }

    pub(super) const ROOT: NodeId = NodeId(0);

    /// Whether the document holds nothing at all.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.value(Document::ROOT), Value::Null)
    }

    /// The value that a JSON pointer leads to from `node`, or the nearest above it that is there.
    pub(super) fn descend(&self, node: NodeId, pointer: &str) -> NodeId {
        let mut place = node;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match self.value(place) {
                Value::Mapping(entries) => entries.iter().find(|entry| *entry.key == *step).map(|entry| entry.value),
                Value::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)).copied(),
                _ => None,
            };
            match next {
                Some(next) => place = next,
                None => break,
            }
        }
        place
    }

    /// The file's path as it was given.
    pub(super) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Adds a node that holds nothing yet.
    fn add(&mut self, mark: Mark, parent: Option<NodeId>, segment: Segment) -> NodeId {
        let node = Node { mark, parent, segment, value: Value::Null };
        let full = self.groups.len().saturating_sub(1);
        let number = match self.groups.last_mut().filter(|group| group.len() < NODES_TOGETHER) {
            Some(group) => {
                group.push(node);
                full * NODES_TOGETHER + group.len() - 1
            }
            None => {
                self.groups.push(vec![node]);
                (self.groups.len() - 1) * NODES_TOGETHER
            }
        };
        NodeId(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        let number = usize::try_from(id.0).ok()?;
        self.groups.get(number / NODES_TOGETHER)?.get(number % NODES_TOGETHER)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        let number = usize::try_from(id.0).ok()?;
        self.groups.get_mut(number / NODES_TOGETHER)?.get_mut(number % NODES_TOGETHER)
    }

    fn set(&mut self, id: NodeId, value: Value) {
        if let Some(node) = self.node_mut(id) {
            node.value = value;
        }
    }

    pub(super) fn value(&self, id: NodeId) -> &Value {
        self.node(id).map_or(&NOTHING, |node| &node.value)
    }

    /// Where a node stands.
    pub(super) fn place(&self, id: NodeId) -> Place {
        match self.node(id) {
            Some(node) => self.place_of(&node.mark),
            None => Place::Path(Arc::clone(&self.path)),
        }
    }

    pub(super) fn place_of(&self, mark: &Mark) -> Place {
        match mark {
            Mark::Position { line: 0, .. } => Place::Path(Arc::clone(&self.path)),
            Mark::Position { line, column } => {
                Place::File { path: Arc::clone(&self.path), line: *line, column: *column }
            }
            Mark::Variable(name) => Place::Variable(Arc::clone(name)),
        }
    }

    /// The line a node begins on; 1 when it is not in the file.
    pub(super) fn line(&self, id: NodeId) -> u32 {
        match self.node(id).map(|node| &node.mark) {
            Some(Mark::Position { line, .. }) => (*line).max(1),
            _ => 1,
        }
    }

    /// A node's key path, such as `tls.certificates[0].key_file`.
    pub(super) fn key_path(&self, id: NodeId) -> String {
        let mut segments = Vec::new();
        let mut next = self.node(id);
        while let Some(node) = next {
            segments.push(&node.segment);
            next = node.parent.and_then(|parent| self.node(parent));
        }
        let mut path = String::new();
        for segment in segments.into_iter().rev() {
            match segment {
                Segment::Root => {}
                Segment::Key(key) => push_key(&mut path, key),
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// Every node that is part of the tree, parents before children.
    pub(super) fn ids(&self) -> Vec<NodeId> {
        let mut ids = Vec::new();
        let mut waiting = vec![Document::ROOT];
        while let Some(id) = waiting.pop() {
            ids.push(id);
            match self.value(id) {
                Value::List(items) => waiting.extend(items.iter().rev()),
                Value::Mapping(entries) => waiting.extend(entries.iter().rev().map(|entry| entry.value)),
                _ => {}
            }
        }
        ids
    }
}

/// Appends a key to a key path.
pub(super) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_a_large_document_is_found_where_it_was_put() {
        let mut document = Document::empty(Path::new("large.yaml"));
        let count = NODES_TOGETHER * 3;
        let items: Vec<_> = (0..count)
            .map(|index| {
                let mark = Mark::Position { line: index as u32 + 1, column: 1 };
                let item = document.add(mark, Some(Document::ROOT), Segment::Index(index));
                document.set(item, Value::Whole(index as i128));
                item
            })
            .collect();
        document.set(Document::ROOT, Value::List(items));
        for index in [0, NODES_TOGETHER - 2, NODES_TOGETHER - 1, NODES_TOGETHER, count - 1] {
            let node = document.descend(Document::ROOT, &format!("/{index}"));
            assert!(matches!(document.value(node), Value::Whole(value) if *value == index as i128));
            assert_eq!((document.line(node), document.key_path(node)), (index as u32 + 1, format!("[{index}]")));
        }
        document.let_go();
    }
}
