//! YAML text to [`Document`].
//!
//! YAML 1.2's core schema, strictly: `yes` and `on` are texts, duplicate keys are findings, unknown tags are refused,
//! and the depth, the number of values and what aliases may repeat are bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Options};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::{Document, Entry, Mark, NodeId, Segment, Value};
use crate::clock::checkpoint;
use crate::config::findings::{Finding, Findings, Place};
use crate::limits::{YAML_ALIAS_EVENTS_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX};

/// Reads the text of the file at `path`. Returns what could be read, with a finding for each thing that could not.
pub(in crate::config) fn parse(path: &Path, content: &[u8]) -> (Document, Findings) {
    let mut findings = Findings::new();
    let mut document = Document::empty(path);
    match tree(path, content) {
        Ok(tree) => {
            Grower { document: &mut document, findings: &mut findings, mark: None }.grow(Document::ROOT, tree);
        }
        Err(finding) => findings.push(*finding),
    }
    (document, findings)
}

/// Reads a list or mapping written in one environment variable into the node `id`. Everything in it stands at `mark`.
pub(super) fn parse_into(
    document: &mut Document,
    findings: &mut Findings,
    id: NodeId,
    mark: &Mark,
    text: &str,
) -> Result<(), String> {
    let tree = serde_saphyr::from_str_with_options(text, options()).map_err(|error| describe(&error))?;
    Grower { document, findings, mark: Some(mark) }.grow(id, tree);
    Ok(())
}

fn tree(path: &Path, content: &[u8]) -> Result<Tree, Box<Finding>> {
    let at = |line, column, message: String| {
        let path = path.display().to_string().into();
        Box::new(Finding::error(Place::File { path, line, column }, "", message))
    };
    let text = std::str::from_utf8(content).map_err(|error| {
        let (line, column) = position(content, error.valid_up_to());
        at(line, column, "is not UTF-8 text".to_owned())
    })?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), line_and_column);
        at(line.max(1), column.max(1), describe(&error))
    })
}

fn options() -> Options {
    let bounds = serde_saphyr::budget! {
        max_depth: YAML_DEPTH_MAX,
        flow_nesting_limit: YAML_DEPTH_MAX,
        max_nodes: YAML_NODES_MAX,
        max_events: YAML_NODES_MAX.saturating_mul(3),
        max_aliases: YAML_ALIAS_EVENTS_MAX,
        max_anchors: YAML_ALIAS_EVENTS_MAX,
        max_merge_keys: YAML_ALIAS_EVENTS_MAX,
    };
    serde_saphyr::options! {
        budget: bounds,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: YAML_ALIAS_EVENTS_MAX,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

/// A parser's complaint in the house's words. Never the text of the file: it may be a key that was named by mistake.
fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error.without_snippet() {
        Error::AliasError { error, .. } => describe(error),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "is nested too deeply, too large, or repeats too much by `*alias`".to_owned()
        }
        Error::MultipleDocuments { .. } => "holds more than one YAML document; remove the `---`".to_owned(),
        Error::UnknownAnchor { .. } => "`*alias` names an anchor that does not exist".to_owned(),
        Error::UnsupportedTag { .. } => "YAML tags (`!name`) have no meaning here".to_owned(),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => "expected a plain key here".to_owned(),
        other => {
            let text = UserMessageFormatter.format_message(other).replace('\t', " ");
            let first_line = text.lines().next().unwrap_or_default();
            format!("is not valid YAML: {}", plain(first_line))
        }
    }
}

/// Lower case at the start unless it is an acronym, no full stop at the end.
fn plain(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next();
    if chars.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    let first = first.into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

/// Moves a parsed tree into a document.
struct Grower<'g> {
    document: &'g mut Document,
    findings: &'g mut Findings,
    /// Where everything stands, when it is not at its position in the text.
    mark: Option<&'g Mark>,
}

impl Grower<'_> {
    fn grow(&mut self, id: NodeId, tree: Tree) {
        checkpoint();
        let value = match tree {
            Tree::Scalar(value) => value,
            Tree::List(items) => {
                let items = items.into_iter().enumerate();
                Value::List(items.map(|(index, item)| self.child(id, Segment::Index(index), item)).collect())
            }
            Tree::Mapping(pairs) => self.mapping(id, pairs),
        };
        self.document.set(id, value);
    }

    fn child(&mut self, parent: NodeId, segment: Segment, item: Spanned<Tree>) -> NodeId {
        let mark = self.mark_of(&item);
        let child = self.document.add(mark, Some(parent), segment);
        self.grow(child, item.value);
        child
    }

    fn mapping(&mut self, id: NodeId, pairs: Vec<(Spanned<String>, Spanned<Tree>)>) -> Value {
        let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
        let mut seen: BTreeMap<Box<str>, Mark> = BTreeMap::new();
        for (key, item) in pairs {
            let mark = self.mark_of(&key);
            let key: Box<str> = key.value.into();
            if let Some(first) = seen.get(&key) {
                let message = format!("key is given twice, first at {}", self.document.place_of(first));
                let mut path = self.document.key_path(id);
                super::push_key(&mut path, &key);
                self.findings.push(Finding::error(self.document.place_of(&mark), path, message));
                continue;
            }
            seen.insert(key.clone(), mark.clone());
            let value = self.child(id, Segment::Key(key.clone()), item);
            entries.push(Entry { key, mark, value });
        }
        Value::Mapping(entries)
    }

    fn mark_of<T>(&self, spanned: &Spanned<T>) -> Mark {
        let (line, column) = line_and_column(spanned.defined);
        self.mark.cloned().unwrap_or(Mark::Position { line, column })
    }
}

fn line_and_column(location: Location) -> (u32, u32) {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    (narrow(location.line()), narrow(location.column()))
}

/// The line and column of a byte offset.
fn position(content: &[u8], offset: usize) -> (u32, u32) {
    let before = content.get(..offset).unwrap_or(content);
    let count = |bytes: &[u8], wanted: fn(&u8) -> bool| {
        let counted = bytes.iter().filter(|byte| wanted(byte)).count();
        u32::try_from(counted).unwrap_or(u32::MAX).saturating_add(1)
    };
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline.saturating_add(1));
    let line = count(before, |byte| *byte == b'\n');
    // Continuation bytes do not begin a character.
    let starts_char: fn(&u8) -> bool = |byte| byte & 0xc0 != 0x80;
    let column = count(before.get(line_start..).unwrap_or_default(), starts_char);
    (line, column)
}

/// What the YAML library hands over.
enum Tree {
    Scalar(Value),
    List(Vec<Spanned<Tree>>),
    Mapping(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Whole(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Whole(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Whole(value)))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        let whole = i128::try_from(value).unwrap_or(i128::MAX);
        Ok(Tree::Scalar(Value::Whole(whole)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Fraction(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Text(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            checkpoint();
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Tree, A::Error> {
        let mut mapping = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            checkpoint();
            mapping.push(pair);
        }
        Ok(Tree::Mapping(mapping))
    }
}
