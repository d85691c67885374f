//! What stands in for an object whose record cannot be read back. Left out, a check would be one question less, and a disabled
//! identity could enrol anew; standing in, both stay shut until an operator deletes them.

use std::sync::Arc;

use serde_json::Map;

use super::objects::Object;
use crate::clock::Timestamp;
use crate::id::{CheckId, IdentityId};
use crate::policy::objects::{Identity, Meta, Origin, PostureCheck};
use crate::posture::check::{Check, Predicate};

/// The stand-in for the object under a key of the store; `None` where its absence only takes something away.
pub(super) fn stand_in(key: &str, now: Timestamp) -> Option<Object> {
    let (kind, id) = key.split_once('/')?;
    let name: Arc<str> = format!("unreadable {id}").into();
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    match kind {
        // A list is a check as well.
        "check" | "list" => Some(Object::Check(Arc::new(PostureCheck {
            check: Arc::new(Check {
                id: CheckId::from(id),
                name,
                predicate: Predicate::Missing,
                applies_to: None,
                max_age: None,
                evidence: crate::posture::Evidence::Any,
                remediation: None,
            }),
            role_attributes: Vec::new(),
            meta,
            as_written: None,
        }))),
        "identity" => Some(Object::Identity(Arc::new(Identity {
            id: IdentityId::from(id),
            name,
            subjects: Vec::new(),
            role_attributes: Vec::new(),
            disabled: true,
            enrolment: None,
            certificates: Vec::new(),
            service_configs: Vec::new(),
            kept: Map::new(),
            meta,
        }))),
        _ => None,
    }
}
