//! What clients ask of a list: `filter`, `sort`, `limit`, `offset`, `roleFilter` and `roleSemantic` (`openziti.md` 5.1, 5.2).
//!
//! As in OpenZiti, an order, a `skip` or a `limit` inside the filter goes before the parameter of its own, and a limit inside the
//! filter has no maximum. Comparisons are of exact texts; what is missing comes first in an order. Beyond OpenZiti's grammar,
//! names may hold digits, blanks around words may be left out, and `'tags.cost centre'` in single quotes is one name.

mod evaluate;
mod field;
mod lexer;
mod order;
mod parser;
mod refused;
mod roles;
mod rows;
mod syntax;
#[cfg(test)]
mod tests;
mod typing;

use std::marker::PhantomData;

use serde_json::Value;

use super::error::{ApiError, ErrorCode, FieldError};
use super::paging::{Page, Paging};
use roles::RoleFilter;
use syntax::{Expression, SortField};

pub use field::{Field, FieldType, Listed, Scalar, Texts};
pub use rows::{ListedPolicy, RoleAttribute};
pub use syntax::Number;

/// What the name of a tag begins with.
const TAGS: &str = "tags.";

/// A question to lists of `T`, read and checked.
#[derive(Clone, Debug)]
pub struct ListQuery<T> {
    filter: Expression,
    roles: Option<RoleFilter>,
    sort: Vec<SortField>,
    paging: Paging,
    of: PhantomData<fn(&T)>,
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
        let roles = RoleFilter::read::<T>(&roles, all(parameters, "roleSemantic").last())?;
        let query = read_filter::<T>(filter.unwrap_or_default())?;
        let sort = sort.filter(|sort| !sort.is_empty()).map(read_sort::<T>).transpose()?.unwrap_or_default();
        Ok(ListQuery {
            filter: query.filter,
            roles,
            sort: if query.sort.is_empty() { sort } else { query.sort },
            paging: Paging::parse(limit, offset, default)?.overridden(query.limit, query.skip),
            of: PhantomData,
        })
    }

    /// The page that was asked for; the total counts what the filters left. `all` comes in the order that holds where no other
    /// is asked for, and decides among equals.
    pub fn page<'a>(&self, all: impl Iterator<Item = &'a T>) -> Page<&'a T> {
        let kept = all
            .filter(|thing| self.roles.as_ref().is_none_or(|roles| roles.selects(*thing)) && self.filter.holds(*thing));
        if self.sort.is_empty() {
            return self.paging.page(kept);
        }
        let kept: Vec<&T> = kept.collect();
        self.paging.picked(order::places(&kept, &self.sort, self.paging.places()), kept.len())
    }
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

fn read_filter<T: Listed>(text: &str) -> Result<syntax::Query, ApiError> {
    let read = parser::query(text).and_then(|mut query| typing::check::<T>(&mut query).map(|()| query));
    read.map_err(|refused| refused.in_parameter(ErrorCode::InvalidFilter, "filter", text))
}

fn read_sort<T: Listed>(text: &str) -> Result<Vec<SortField>, ApiError> {
    let read = parser::sort(text).and_then(|fields| typing::check_sort::<T>(&fields).map(|()| fields));
    read.map_err(|refused| refused.in_parameter(ErrorCode::InvalidSortIdentifier, "sort", text))
}
