//! Environment variables laid over a document.

use std::sync::Arc;

use super::parse::parse_into;
use super::{Document, Entry, Mark, NodeId, Segment, Value};
use crate::config::environment::{Environment, Override};
use crate::config::findings::{Finding, Findings, Place};
use crate::limits::OVERRIDE_BYTES_MAX;

/// Puts every override in its place. An override of a key that does not exist adds it, for the reader to refuse by name.
pub(in crate::config) fn overlay(document: &mut Document, environment: &Environment, findings: &mut Findings) {
    // A shorter path sorts before the paths below it, so a whole list comes before its items.
    for (name, path, value) in environment.overrides() {
        let variable: Arc<str> = name.into();
        if let Err(message) = lay(document, findings, &variable, &path, value) {
            let key = path.join(".");
            findings.push(Finding::error(Place::Variable(variable), key, message));
        }
    }
}

fn lay(
    document: &mut Document,
    findings: &mut Findings,
    variable: &Arc<str>,
    path: &[String],
    value: &Override,
) -> Result<(), String> {
    let text = match value {
        Override::Text(text) if text.len() > OVERRIDE_BYTES_MAX => {
            return Err(format!("is longer than {OVERRIDE_BYTES_MAX} bytes"));
        }
        Override::Text(text) => text,
        Override::NotUnicode => return Err("is not UTF-8 text".to_owned()),
    };
    let mut node = Document::ROOT;
    for segment in path {
        node = match descend(document, variable, node, segment)? {
            Some(child) => child,
            None => return Ok(()),
        };
    }
    let mark = Mark::Variable(Arc::clone(variable));
    if let Some(target) = document.node_mut(node) {
        target.mark = mark.clone();
    }
    if text.trim_start().starts_with(['[', '{']) {
        return parse_into(document, findings, node, &mark, text).inspect_err(|_| document.set(node, Value::Refused));
    }
    document.set(node, Value::Loose(text.as_str().into()));
    Ok(())
}

/// The child of a node by key or number, made if it is not there. `None` where the file has a value that has no children:
/// the reader refuses that one by itself.
fn descend(
    document: &mut Document,
    variable: &Arc<str>,
    parent: NodeId,
    segment: &str,
) -> Result<Option<NodeId>, String> {
    let number: Option<usize> = segment.parse().ok();
    if let Value::Null = document.value(parent) {
        let container = match number {
            Some(_) => Value::List(Vec::new()),
            None => Value::Mapping(Vec::new()),
        };
        document.set(parent, container);
    }
    let existing = match (document.value(parent), number) {
        (Value::List(items), Some(index)) if index > items.len() => {
            return Err(format!("item {index} would leave a gap; the list has {} items", items.len()));
        }
        (Value::List(items), Some(index)) => items.get(index).copied(),
        (Value::List(_), None) => {
            return Err("names an item of a list, which takes a number from 0".to_owned());
        }
        (Value::Mapping(entries), _) => entries.iter().find(|entry| *entry.key == *segment).map(|entry| entry.value),
        _ => return Ok(None),
    };
    if existing.is_some() {
        return Ok(existing);
    }
    let mark = Mark::Variable(Arc::clone(variable));
    let last = match number {
        Some(index) if matches!(document.value(parent), Value::List(_)) => Segment::Index(index),
        _ => Segment::Key(segment.into()),
    };
    let child = document.add(mark.clone(), Some(parent), last);
    match document.node_mut(parent).map(|node| &mut node.value) {
        Some(Value::List(items)) => items.push(child),
        Some(Value::Mapping(entries)) => entries.push(Entry { key: segment.into(), mark, value: child }),
        _ => {}
    }
    Ok(Some(child))
}
