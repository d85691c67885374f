//! Lists of texts in a rule's input.

use super::super::error::ApiError;
use super::super::members::Members;
use crate::limits;

/// Says what is wrong with one entry of a list.
pub(super) fn wrong(members: &Members<'_>, name: &str, index: usize, reason: impl std::fmt::Display) -> ApiError {
    ApiError::invalid(format!("{}/{index}", members.pointer(name)), reason)
}

/// A list of texts none of which is empty; empty when it is left out.
pub(super) fn texts<'a>(members: &Members<'a>, name: &str) -> Result<Vec<&'a str>, ApiError> {
    let texts = members.texts(name, limits::RULE_ENTRIES_MAX)?.unwrap_or_default();
    match texts.iter().position(|text| text.trim().is_empty()) {
        Some(index) => Err(wrong(members, name, index, "must not be empty")),
        None => Ok(texts),
    }
}

/// A list of texts each of which is one of a few; empty when it is left out.
pub(super) fn several_of<T: Copy>(
    members: &Members<'_>,
    name: &str,
    known: &[T],
    spelling: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, ApiError> {
    let texts = members.texts(name, limits::RULE_ENTRIES_MAX)?.unwrap_or_default();
    let found = texts.into_iter().enumerate().map(|(index, text)| {
        let found = known.iter().copied().find(|known| spelling(*known) == text);
        found.ok_or_else(|| {
            let spellings: Vec<&str> = known.iter().map(|known| spelling(*known)).collect();
            wrong(members, name, index, format!("must be one of {}", spellings.join(", ")))
        })
    });
    found.collect()
}
