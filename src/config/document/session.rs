//! One reading of one document: typed values out, findings aside.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::decode::{Decoder, Problem};
use super::{Document, NodeId, Value, push_key};
use crate::config::findings::{Finding, Findings, Place, Severity};

/// How the keys of a document are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Spelling {
    /// `snake_case` only.
    Snake,
    /// `snake_case`, or OpenZiti's `camelCase`.
    SnakeOrCamel,
}

/// A document and what was found in it so far.
pub(in crate::config) struct Session {
    document: Document,
    findings: RefCell<Findings>,
    pub(super) spelling: Spelling,
}

impl Session {
    pub(in crate::config) fn new(document: Document, findings: Findings, spelling: Spelling) -> Self {
        Session { document, findings: RefCell::new(findings), spelling }
    }

    pub(in crate::config) fn document(&self) -> &Document {
        &self.document
    }

    pub(in crate::config) fn into_findings(self) -> Findings {
        self.document.let_go();
        self.findings.into_inner()
    }

    /// Reads the whole document. Values in it that cannot be read are findings; `None` when it is not of the kind at all.
    pub(in crate::config) fn decode<T: DeserializeOwned>(&self) -> Option<T> {
        let root = Document::ROOT;
        let read = T::deserialize(Decoder::new(self, root));
        read.map_err(|problem| self.record(root, problem)).ok()
    }

    /// Records what was wrong with a value.
    pub(super) fn record(&self, node: NodeId, problem: Problem) {
        let node = problem.node.unwrap_or(node);
        let finding = self.finding(Severity::Error, node, problem.message);
        self.push(finding.suggesting(problem.suggestion));
    }

    /// Refuses the value at `node`.
    pub(in crate::config) fn error(&self, node: NodeId, message: impl Into<String>) {
        self.push(self.finding(Severity::Error, node, message.into()));
    }

    /// Warns of the value at `node`.
    pub(in crate::config) fn warn(&self, node: NodeId, message: impl Into<String>) {
        self.push(self.finding(Severity::Warning, node, message.into()));
    }

    /// Refuses the mapping at `parent` for a key it does not have, or has in vain.
    pub(in crate::config) fn error_at_key(&self, parent: NodeId, key: &str, message: impl Into<String>) {
        let mut path = self.document.key_path(parent);
        push_key(&mut path, key);
        self.push(Finding::error(self.key_place(parent, key), path, message));
    }

    /// Refuses the mapping at `parent` for a required key it does not have.
    pub(in crate::config) fn missing(&self, parent: NodeId, key: &str) {
        self.error_at_key(parent, key, "required key is missing");
    }

    pub(super) fn push(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    fn finding(&self, severity: Severity, node: NodeId, message: String) -> Finding {
        Finding { severity, ..Finding::error(self.document.place(node), self.document.key_path(node), message) }
    }

    /// Where a key stands, or else the mapping that lacks it.
    fn key_place(&self, parent: NodeId, key: &str) -> Place {
        let entry = match self.document.value(parent) {
            Value::Mapping(entries) => entries.iter().find(|entry| *entry.key == *key),
            _ => None,
        };
        match entry {
            Some(entry) => self.document.place_of(&entry.mark),
            None => self.document.place(parent),
        }
    }
}
