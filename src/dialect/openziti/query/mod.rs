//! What clients ask of a list: `filter`, `sort`, `limit`, `offset`, `roleFilter` and `roleSemantic` (`openziti.md` 5.1, 5.2).
//!
//! As in OpenZiti, an order, a `skip` or a `limit` inside the filter goes before the parameter of its own, and a limit inside the
//! filter has no maximum. Comparisons are of exact texts; what is missing comes first in an order. Beyond OpenZiti's grammar,
//! names may hold digits, blanks around words may be left out, and `'tags.cost centre'` in single quotes is one name.

mod field;
mod filter;
mod lexer;
mod order;
mod parser;
mod refused;
mod roles;
mod rows;
#[cfg(test)]
mod selection;
mod syntax;
#[cfg(test)]
mod tests;
mod typing;

use serde_json::Value;

use super::error::{ApiError, ErrorCode, FieldError};
use super::paging::{Page, Paging};
use filter::Filter;
use typing::SortKey;

pub use field::{Field, Fields, Listed, Texts};
pub use rows::{Foreign, ListedPolicy, RoleAttribute};

/// What the name of a tag begins with.
const TAGS: &str = "tags.";

/// A question to lists of `T`, read and checked.
#[derive(Debug)]
pub struct ListQuery<T> {
    filter: Filter<T>,
    sort: Vec<SortKey<T>>,
    paging: Paging,
}

impl<T: Listed> ListQuery<T> {
    /// Reads the parameters of a request; those it does not know are others' business.
    pub fn read(parameters: &[(String, String)]) -> Result<Self, ApiError> {
        Self::read_over(parameters, Paging::default())
    }

    /// Reads the parameters; where neither they nor the filter say which part is wanted, it is `default`.
    pub fn read_over(parameters: &[(String, String)], default: Paging) -> Result<Self, ApiError> {
        let roles: Vec<_> = all(parameters, "roleFilter").collect();
        let (filter, sort) = (one(parameters, "filter")?, one(parameters, "sort")?);
        let (limit, offset) = (all(parameters, "limit").last(), all(parameters, "offset").last());
        let selected = roles::read::<T>(&roles, all(parameters, "roleSemantic").last())?;
        let fields = T::fields();
        let query = read_filter(filter.unwrap_or_default(), &fields)?;
        let sort = sort.filter(|sort| !sort.is_empty()).map(|sort| read_sort(sort, &fields)).transpose()?;
        Ok(ListQuery {
            filter: match selected {
                Some(selected) => Filter::And(vec![selected, query.filter]),
                None => query.filter,
            },
            sort: if query.sort.is_empty() { sort.unwrap_or_default() } else { query.sort },
            paging: Paging::parse(limit, offset, default)?.overridden(query.limit, query.skip),
        })
    }

    /// The page that was asked for; the total counts what the filters left. `all` comes in the order that holds where no other
    /// is asked for, and decides among equals.
    pub fn page<'a>(&self, all: impl Iterator<Item = &'a T>) -> Page<&'a T> {
        if self.filter.is_open() && self.sort.is_empty() {
            return self.paging.page(all);
        }
        let kept = self.filter.passing(all);
        if self.sort.is_empty() {
            return self.paging.page(kept.into_iter());
        }
        self.paging.picked(order::places(&kept, &self.sort, self.paging.places()), kept.len())
    }
}

/// What a text says of a list, its fields known.
struct ReadFilter<T> {
    filter: Filter<T>,
    sort: Vec<SortKey<T>>,
    skip: Option<i64>,
    limit: Option<i64>,
}

fn all<'a>(parameters: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    parameters.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Of two filters, no client can know which one holds.
fn one<'a>(parameters: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, ApiError> {
    let mut given = all(parameters, name);
    match (given.next(), given.next()) {
        (value, None) => Ok(value),
        (_, Some(second)) => {
            let code = if name == "sort" { ErrorCode::InvalidSortIdentifier } else { ErrorCode::InvalidFilter };
            let cause = FieldError::new(name, "is given more than once", &Value::from(second));
            Err(ApiError { code, cause: Some(cause) })
        }
    }
}

fn read_filter<T>(text: &str, fields: &Fields<T>) -> Result<ReadFilter<T>, ApiError> {
    let read = parser::query(text).and_then(|query| {
        let (filter, sort) = (typing::filter(query.filter, fields)?, typing::sort_keys(&query.sort, fields)?);
        Ok(ReadFilter { filter, sort, skip: query.skip, limit: query.limit })
    });
    read.map_err(|refused| refused.in_parameter(ErrorCode::InvalidFilter, "filter", text))
}

fn read_sort<T>(text: &str, fields: &Fields<T>) -> Result<Vec<SortKey<T>>, ApiError> {
    let read = parser::sort(text).and_then(|written| typing::sort_keys(&written, fields));
    read.map_err(|refused| refused.in_parameter(ErrorCode::InvalidSortIdentifier, "sort", text))
}
