//! The audit trail: who changed which object through the API, when, from where, and what it was before and after.
//!
//! An entry is written together with its change, so that there is neither a change without an entry nor the other way round.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::objects::Change;
use crate::clock::Timestamp;
use crate::limits;
use crate::policy::Objects;
use crate::store::{Store, StoreError, Table, Write};

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// The operator's name, as in the log.
    pub name: Arc<str>,
    /// The peer's address.
    pub source_address: Option<SocketAddr>,
    /// The id of the request, as in the log and in the reply.
    pub request_id: Option<Arc<str>>,
}

impl Author {
    /// This gateway itself, enrolling a client of a trusted CA.
    pub fn enrolment() -> Self {
        Author { name: "automatic enrolment".into(), source_address: None, request_id: None }
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The entry's number; a later one is higher.
    pub number: u64,
    /// When the change was made.
    pub at: Timestamp,
    /// Who made it.
    pub author: Author,
    /// `create`, `update` or `delete`.
    pub action: Action,
    /// What kind of object it is.
    pub kind: Arc<str>,
    /// The object's id.
    pub id: Arc<str>,
    /// The object before, without secrets; `None` for a creation. Of one too large for an entry only its size is told.
    pub before: Option<Value>,
    /// The object after, in the same way; `None` for a deletion.
    pub after: Option<Value>,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// It was removed.
    Delete,
}

/// The latest entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct Trail {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    oldest_first: VecDeque<Arc<AuditEntry>>,
    next: u64,
}

impl Trail {
    /// The entry for a change of `objects` that is about to be made.
    pub(super) fn entry(&self, change: &Change, objects: &Objects, author: &Author, at: Timestamp) -> AuditEntry {
        let (before, after) = (change.before(objects), change.after());
        self.entry_of((change.kind(), &change.id()), before, after, author, at)
    }

    /// The entry for a change of something that has a kind and an id, from `before` to `after`.
    pub(super) fn entry_of(
        &self,
        (kind, id): (&str, &str),
        before: Option<Value>,
        after: Option<Value>,
        author: &Author,
        at: Timestamp,
    ) -> AuditEntry {
        let (before, after) = (before.map(bounded), after.map(bounded));
        let action = match (&before, &after) {
            (None, _) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        };
        let number = self.kept.lock().unwrap_or_else(PoisonError::into_inner).next;
        AuditEntry { number, at, author: author.clone(), action, kind: kind.into(), id: id.into(), before, after }
    }

    /// The record of an entry. It takes the place of the oldest once there are enough.
    pub(super) fn write(entry: &AuditEntry) -> Result<Write, StoreError> {
        let slot = entry.number % limits::AUDIT_ENTRIES_MAX as u64;
        Store::put_of(Table::Audit, &format!("{slot:06}"), entry)
    }

    /// Keeps an entry whose change was made.
    pub(super) fn keep(&self, entry: AuditEntry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.next = entry.number.saturating_add(1);
        kept.oldest_first.push_back(Arc::new(entry));
        let surplus = kept.oldest_first.len().saturating_sub(limits::AUDIT_ENTRIES_MAX);
        kept.oldest_first.drain(..surplus);
    }

    /// Puts entries from before a restart back, in any order.
    pub(super) fn restore(&self, mut entries: Vec<AuditEntry>) {
        entries.sort_by_key(|entry| entry.number);
        entries.into_iter().for_each(|entry| self.keep(entry));
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> Vec<Arc<AuditEntry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).oldest_first.iter().cloned().collect()
    }
}

/// An object, or its size where an entry has no room for it: lists of thousands of devices change often.
fn bounded(object: Value) -> Value {
    let bytes = object.to_string().len();
    if bytes <= limits::AUDIT_OBJECT_BYTES_MAX { object } else { json!({ "omittedBytes": bytes }) }
}
