//! Members that OpenZiti's clients write and that say nothing to a gateway: kept, and shown to them again as they were.

use serde_json::{Map, Value};

use super::error::FieldError;
use super::members::Members;

/// What such a member may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// True or false.
    Flag,
    /// A text, or `null`.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number from 0 to this.
    Count(i64),
    /// An object.
    Object,
}

/// How hosts of a service are preferred.
const PRECEDENCES: &[&str] = &["default", "required", "failed"];

/// Of services.
pub(super) const OF_SERVICES: &[(&str, Shape)] = &[
    ("encryptionRequired", Shape::Flag),
    ("maxIdleTimeMillis", Shape::Count(i64::MAX)),
    ("terminatorStrategy", Shape::Text),
];

/// Of identities.
pub(super) const OF_IDENTITIES: &[(&str, Shape)] = &[
    ("appData", Shape::Object),
    ("defaultHostingCost", Shape::Count(65_535)),
    ("defaultHostingPrecedence", Shape::OneOf(PRECEDENCES)),
    ("externalId", Shape::Text),
    ("serviceHostingCosts", Shape::Object),
    ("serviceHostingPrecedences", Shape::Object),
];

/// Reads those that a body names into what is kept; `null` forgets one.
pub(super) fn read(
    members: &Members<'_>,
    shapes: &[(&str, Shape)],
    kept: &mut Map<String, Value>,
) -> Result<(), FieldError> {
    for (name, shape) in shapes {
        if !members.names(name) {
            continue;
        }
        match shape {
            Shape::Flag => drop(members.flag(name)?),
            Shape::Text => drop(members.text(name)?),
            Shape::OneOf(known) => {
                if members.text(name)?.is_some_and(|text| !known.contains(&text)) {
                    return Err(members.wrong(name, format!("must be one of {}", known.join(", "))));
                }
            }
            Shape::Count(max) => {
                if members.integer(name)?.is_some_and(|count| !(0..=*max).contains(&count)) {
                    return Err(members.wrong(name, format!("must be from 0 to {max}")));
                }
            }
            Shape::Object => drop(members.object(name)?),
        }
        match members.get(name) {
            Some(value) => drop(kept.insert((*name).to_owned(), value.clone())),
            None => drop(kept.remove(*name)),
        }
    }
    Ok(())
}
