//! What is wrong with a configuration, all of it at once, with the place to go to.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::limits::{FINDING_EXCERPT_CHARS_MAX, FINDINGS_MAX};

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A whole file or folder.
    Path(Arc<str>),
    /// A position in a file.
    File {
        /// The file's path as it was given.
        path: Arc<str>,
        /// The line, from 1.
        line: u32,
        /// The character in the line, from 1.
        column: u32,
    },
    /// An environment variable.
    Variable(Arc<str>),
}

impl Place {
    /// The place that is a whole file or folder.
    pub fn path(path: &Path) -> Self {
        Place::Path(path.display().to_string().into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Path(path) => formatter.write_str(path),
            Place::File { path, line, column } => write!(formatter, "{path}:{line}:{column}"),
            Place::Variable(name) => write!(formatter, "{name}"),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is accepted but probably does not mean what it says.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// The key path, such as `listeners.gateway.address`; empty when the finding is about the whole file.
    pub key: String,
    /// What is wrong, in plain words.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Finding {
    /// A finding that refuses the configuration.
    pub fn error(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { place, severity: Severity::Error, key: key.into(), message: message.into(), suggestion: None }
    }

    /// A finding that only warns.
    pub fn warning(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { severity: Severity::Warning, ..Finding::error(place, key, message) }
    }

    /// The same finding with what was probably meant.
    #[must_use]
    pub fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}: ", self.place, self.severity)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(formatter, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (file, line, column, variable) = match &self.place {
            Place::Path(path) => (Some(path), None, None, None),
            Place::File { path, line, column } => (Some(path), Some(line), Some(column), None),
            Place::Variable(name) => (None, None, None, Some(name)),
        };
        let mut object = serializer.serialize_struct("Finding", 8)?;
        object.serialize_field("severity", &self.severity)?;
        object.serialize_field("file", &file)?;
        object.serialize_field("line", &line)?;
        object.serialize_field("column", &column)?;
        object.serialize_field("variable", &variable)?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("suggestion", &self.suggestion)?;
        object.end()
    }
}

/// Every finding of one load, in the order of their places. Displays one finding a line; serialises as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    omitted_errors: usize,
    omitted_warnings: usize,
}

impl Findings {
    /// No findings.
    pub fn new() -> Self {
        Findings::default()
    }

    /// Adds one finding; past the bound it is only counted.
    pub fn push(&mut self, finding: Finding) {
        match (self.list.len() < FINDINGS_MAX, finding.severity) {
            (true, _) => self.list.push(finding),
            (false, Severity::Error) => self.omitted_errors = self.omitted_errors.saturating_add(1),
            (false, Severity::Warning) => {
                self.omitted_warnings = self.omitted_warnings.saturating_add(1);
            }
        }
    }

    /// Adds all findings of another load.
    pub fn append(&mut self, other: Findings) {
        self.omitted_errors = self.omitted_errors.saturating_add(other.omitted_errors);
        self.omitted_warnings = self.omitted_warnings.saturating_add(other.omitted_warnings);
        other.list.into_iter().for_each(|finding| self.push(finding));
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many findings there are, the ones past the bound included.
    pub fn len(&self) -> usize {
        self.list.len().saturating_add(self.omitted_errors).saturating_add(self.omitted_warnings)
    }

    /// Whether at least one finding refuses the configuration.
    pub fn has_errors(&self) -> bool {
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        self.omitted_errors > 0 || self.list.iter().any(is_error)
    }

    /// Sorts by place, and errors before warnings at the same place.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.place, a.severity).cmp(&(&b.place, b.severity)));
    }

    /// `value` with these findings as warnings, or these findings as the refusal when one of them is an error.
    pub(super) fn settle<T>(mut self, value: Option<T>) -> Result<(T, Findings), Findings> {
        self.sort();
        match value {
            Some(value) if !self.has_errors() => Ok((value, self)),
            _ => Err(self),
        }
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        let mut findings = Findings::new();
        findings.push(finding);
        findings
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.list)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{finding}")?;
        }
        match self.omitted_errors.saturating_add(self.omitted_warnings) {
            0 => Ok(()),
            omitted => write!(formatter, "\nand {omitted} more findings"),
        }
    }
}

impl std::error::Error for Findings {}

/// A refused value in backticks, cut short and without control characters.
pub(super) fn excerpt(value: &str) -> String {
    let mut shown: String =
        value.chars().take(FINDING_EXCERPT_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().nth(FINDING_EXCERPT_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The candidate closest to a misspelled word, if one is close enough to be what was meant.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let folded = fold(word);
    let allowed = folded.chars().count().div_ceil(3).min(3);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// How many letters to insert, remove, replace or swap with their neighbour to get from one word to the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous_from = None;
    for (index, from_char) in from.chars().enumerate() {
        let mut row = vec![index.saturating_add(1)];
        let mut previous_to = None;
        for (column, to_char) in to.iter().copied().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let next = column.saturating_add(1);
            let replaced = at(&last, column).saturating_add(usize::from(from_char != to_char));
            let removed = at(&last, next).saturating_add(1);
            let inserted = at(&row, column).saturating_add(1);
            let is_swap = previous_from == Some(to_char) && previous_to == Some(from_char);
            let swapped = match column.checked_sub(1).filter(|_| is_swap) {
                Some(two_back) => at(&before_last, two_back).saturating_add(1),
                None => usize::MAX,
            };
            row.push(replaced.min(removed).min(inserted).min(swapped));
            previous_to = Some(to_char);
        }
        previous_from = Some(from_char);
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_word_finds_its_neighbour() {
        let keys = ["address", "certificates", "client_api"];
        assert_eq!(closest("adress", keys), Some("address"));
        assert_eq!(closest("clientApi", keys), Some("client_api"));
        assert_eq!(closest("certificate", keys), Some("certificates"));
        assert_eq!(closest("x", keys), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("lgo", "log"), 1);
        assert_eq!(edit_distance("abcd", "badc"), 2);
    }

    #[test]
    fn findings_past_the_bound_are_counted_and_still_refuse() {
        let place = || Place::Path("x.yaml".into());
        let mut findings = Findings::new();
        for _ in 0..FINDINGS_MAX {
            findings.push(Finding::warning(place(), "", "odd"));
        }
        assert!(!findings.has_errors());
        findings.push(Finding::error(place(), "", "wrong"));
        assert!(findings.has_errors());
        assert_eq!(findings.len(), FINDINGS_MAX + 1);
        assert!(findings.to_string().ends_with("and 1 more findings"));
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\u{1b}[31mb"), "`a\u{fffd}[31mb`");
        assert_eq!(excerpt(&"x".repeat(500)).chars().count(), 83);
    }
}
