//! How failure rings lie in the store: one record a slot, so that a refusal writes one record and not fifty.

use std::collections::HashMap;

use crate::decision::Failure;
use crate::id::IdentityId;

/// The key of one slot of an identity's ring.
pub(super) fn key(identity: &IdentityId, slot: u64) -> String {
    format!("{identity}/{slot:02}")
}

/// Stored records by identity, each with its slot; keys that are not of this form are left out.
pub(super) fn rings(records: Vec<(String, Failure)>) -> HashMap<IdentityId, Vec<(u64, Failure)>> {
    let mut rings: HashMap<IdentityId, Vec<(u64, Failure)>> = HashMap::new();
    for (key, failure) in records {
        let Some((identity, slot)) = key.rsplit_once('/') else {
            continue;
        };
        let Ok(slot) = slot.parse() else { continue };
        rings.entry(IdentityId::from(identity)).or_default().push((slot, failure));
    }
    rings
}
