//! What replies are wrapped in (`openziti.md` 5.1), and what every entity in them has.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::paging::{Page, Pagination};
use super::query::Listed;
use crate::clock::Timestamp;
use crate::policy::objects::Meta;

/// A reply with one thing, or with a list that has no pages.
#[derive(Clone, Debug, Serialize)]
pub struct Detail<T> {
    data: T,
    meta: Map<String, Value>,
}

/// Wraps one thing.
pub fn detail<T: Serialize>(data: T) -> Detail<T> {
    Detail { data, meta: Map::new() }
}

/// The reply to a change: nothing to show.
pub fn empty() -> Detail<Map<String, Value>> {
    detail(Map::new())
}

/// A reply with one page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct List<T> {
    data: Vec<T>,
    meta: ListMeta,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    filterable_fields: Vec<&'static str>,
    pagination: Pagination,
}

/// Wraps a page of a list of `T`, as it is shown.
pub fn list<T: Listed, U: Serialize>(page: Page<U>) -> List<U> {
    let Page { items, pagination } = page;
    List { data: items, meta: ListMeta { filterable_fields: T::fields().names(), pagination } }
}

/// Wraps a page of a list that takes no filter.
pub fn unfiltered<T: Serialize>(page: Page<T>) -> List<T> {
    let Page { items, pagination } = page;
    List { data: items, meta: ListMeta { filterable_fields: Vec::new(), pagination } }
}

/// What a reply to a creation tells: the new id and where it is.
#[derive(Clone, Debug, Serialize)]
pub struct Created {
    #[serde(rename = "_links")]
    links: Links,
    id: String,
}

/// The reply to a creation in a collection such as `posture-checks`.
pub fn created(collection: &str, id: &str) -> Detail<Created> {
    detail(Created { links: Links::own(collection, id), id: id.to_owned() })
}

impl Created {
    /// Of what is in no collection.
    pub(super) fn at(href: &str, id: &str) -> Self {
        Created { links: Links::at(href), id: id.to_owned() }
    }
}

/// Where an entity and its neighbours are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Links(BTreeMap<&'static str, Link>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Link {
    href: String,
}

impl Links {
    /// Only the entity itself.
    pub(super) fn own(collection: &str, id: &str) -> Self {
        Links(BTreeMap::from([("self", Link { href: format!("./{collection}/{id}") })]))
    }

    /// Only the entity itself, where it is in no collection.
    pub(super) fn at(href: &str) -> Self {
        Links(BTreeMap::from([("self", Link { href: href.to_owned() })]))
    }

    /// Also something at a path of its own.
    #[must_use]
    pub(super) fn and_at(mut self, name: &'static str, href: &str) -> Self {
        self.0.insert(name, Link { href: href.to_owned() });
        self
    }

    /// Also a collection of the entity's own.
    #[must_use]
    pub(super) fn and(mut self, collection: &str, id: &str, name: &'static str) -> Self {
        self.0.insert(name, Link { href: format!("./{collection}/{id}/{name}") });
        self
    }
}

/// The members every entity has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entity<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "_links")]
    links: Links,
    tags: &'a Map<String, Value>,
}

impl<'a> Entity<'a> {
    pub(super) fn new(id: &'a str, meta: &'a Meta, links: Links) -> Self {
        Entity { id, created_at: meta.created_at, updated_at: meta.updated_at, links, tags: &meta.tags }
    }

    pub(super) fn updated_at(&mut self, at: Timestamp) {
        self.updated_at = at;
    }
}

/// A pointer to another entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct EntityRef<'a> {
    #[serde(rename = "_links")]
    links: Links,
    entity: &'static str,
    id: &'a str,
    name: &'a str,
}

impl<'a> EntityRef<'a> {
    pub(super) fn new(collection: &'static str, id: &'a str, name: &'a str) -> Self {
        EntityRef { links: Links::own(collection, id), entity: collection, id, name }
    }
}
