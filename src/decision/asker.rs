//! Who asks, and what is known of them at that moment.

use std::sync::Arc;

use super::lock::Lock;
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::posture::Posture;

/// The asking side of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Whose certificate it is.
    pub identity: &'a IdentityId,
    /// What is known of the device.
    pub posture: &'a Posture,
    /// The lock that was put on the identity last, whether or not it still holds.
    pub lock: Option<&'a Arc<Lock>>,
}

impl<'a> Asker<'a> {
    /// Somebody nobody has locked out.
    pub fn new(identity: &'a IdentityId, posture: &'a Posture) -> Self {
        Asker { identity, posture, lock: None }
    }

    /// The lock that shuts them out at `now`.
    pub(super) fn locked(&self, now: Timestamp) -> Option<&'a Arc<Lock>> {
        self.lock.filter(|lock| lock.holds(now))
    }
}
