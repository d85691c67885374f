//! Pages of a list (`openziti.md` 5.1).

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use super::error::{ApiError, ErrorCode, FieldError};

const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 500;
const OFFSET_MAX: i64 = 100_000;
/// As clients ask for a list without pages.
pub(super) const UNLIMITED: i64 = -1;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    limit: i64,
    offset: i64,
}

impl Default for Paging {
    fn default() -> Self {
        Paging { limit: LIMIT_DEFAULT, offset: 0 }
    }
}

impl Paging {
    /// Everything, where nothing else is said.
    pub const WHOLE: Paging = Paging { limit: UNLIMITED, offset: 0 };

    /// Reads the query parameters `limit` and `offset`; what is not given is as in `default`.
    ///
    /// A limit above 500 becomes 500; 0 and negative ones become 10, but -1 asks for everything. Negative offsets become 0.
    pub fn parse(limit: Option<&str>, offset: Option<&str>, default: Paging) -> Result<Self, ApiError> {
        let limit = match number("limit", limit)? {
            None => default.limit,
            Some(UNLIMITED) => UNLIMITED,
            Some(limit) if limit <= 0 => LIMIT_DEFAULT,
            Some(limit) => limit.min(LIMIT_MAX),
        };
        let offset = number("offset", offset)?.unwrap_or(default.offset).clamp(0, OFFSET_MAX);
        Ok(Paging { limit, offset })
    }

    /// The same, but for what a filter says itself.
    #[must_use]
    pub(super) fn overridden(self, limit: Option<i64>, offset: Option<i64>) -> Self {
        Paging { limit: limit.unwrap_or(self.limit), offset: offset.unwrap_or(self.offset) }
    }

    /// The places in the list that the page shows.
    pub(super) fn places(self) -> Range<usize> {
        let begin = usize::try_from(self.offset).unwrap_or(0);
        let length = usize::try_from(self.limit).unwrap_or(usize::MAX);
        begin..begin.saturating_add(length)
    }

    /// Picks the page out of the whole list and says what was picked.
    pub fn page<T>(self, all: impl Iterator<Item = T>) -> Page<T> {
        let places = self.places();
        let mut items = Vec::new();
        let mut total_count = 0;
        for item in all {
            if places.contains(&total_count) {
                items.push(item);
            }
            total_count += 1;
        }
        self.picked(items, total_count)
    }

    /// The page that was picked out of so many.
    pub(super) fn picked<T>(self, items: Vec<T>, total_count: usize) -> Page<T> {
        Page { items, pagination: Pagination { limit: self.limit, offset: self.offset, total_count } }
    }
}

fn number(name: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| ApiError {
        code: ErrorCode::InvalidPagination,
        cause: Some(FieldError::new(name, "must be a whole number", &Value::from(text))),
    })
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where it stands in the list.
    pub pagination: Pagination,
}

impl<T> Page<T> {
    /// The same page with every item replaced by what `show` makes of it.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(show).collect(), pagination: self.pagination }
    }
}

/// The bounds of a page as they were applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    limit: i64,
    offset: i64,
    total_count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn applied(limit: Option<&str>, offset: Option<&str>) -> (i64, i64) {
        let paging = Paging::parse(limit, offset, Paging::default()).unwrap();
        (paging.limit, paging.offset)
    }

    #[test]
    fn parameters_are_brought_into_bounds() {
        assert_eq!(applied(None, None), (10, 0));
        assert_eq!(applied(Some("0"), Some("-5")), (10, 0));
        assert_eq!(applied(Some("-2"), Some("7")), (10, 7));
        assert_eq!(applied(Some("-1"), Some("100001")), (-1, 100_000));
        assert_eq!(applied(Some("501"), None), (500, 0));
    }

    #[test]
    fn anything_but_a_number_is_refused() {
        for (limit, offset, field) in
            [(Some("ten"), None, "limit"), (Some(""), None, "limit"), (None, Some("1.5"), "offset")]
        {
            let error = Paging::parse(limit, offset, Paging::default()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidPagination);
            assert_eq!(error.cause.unwrap().field, field);
        }
    }

    #[test]
    fn a_page_is_cut_out() {
        let page = Paging::parse(Some("2"), Some("3"), Paging::default()).unwrap().page(0..6);
        assert_eq!(page.items, [3, 4]);
        assert_eq!(page.pagination.total_count, 6);
        assert_eq!(Paging::parse(Some("-1"), None, Paging::default()).unwrap().page(0..600).items.len(), 600);
        assert!(Paging::parse(None, Some("9"), Paging::default()).unwrap().page(0..6).items.is_empty());
    }
}
