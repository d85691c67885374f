//! What has changed since what is under way was last decided: gathered, never lost, each device once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::device::Device;
use super::session::Since;

/// A device has another posture.
pub(super) const POSTURE: u8 = 1;
/// An operator changed what counts for a device.
pub(super) const OPERATOR: u8 = 2;
/// A device must be looked at earlier than was planned.
pub(super) const DEADLINE: u8 = 4;

/// News on its way to the one who decides again.
#[derive(Debug, Default)]
pub(super) struct News {
    gathered: Mutex<Gathered>,
    bell: Notify,
}

/// What was gathered. Bounded by the number of devices.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Devices of which something is new, with the moment the first of it was accepted.
    pub(super) devices: Vec<(Arc<Device>, Since)>,
    /// A snapshot came into force.
    pub(super) policy: Option<Since>,
    /// Other certificates are believed.
    pub(super) trust: Option<Since>,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.policy.is_none() && self.trust.is_none()
    }
}

impl News {
    /// Something about a device is new. It must be in force already.
    pub(super) fn of_device(&self, device: &Arc<Device>, what: u8) {
        if device.under_way.news.fetch_or(what, Ordering::SeqCst) == 0 {
            self.gather(|gathered| gathered.devices.push((Arc::clone(device), Since::now())));
        }
    }

    /// A snapshot came into force.
    pub(super) fn of_policy(&self) {
        self.gather(|gathered| gathered.policy = gathered.policy.or(Some(Since::now())));
    }

    /// Other certificates are believed.
    pub(super) fn of_trust(&self) {
        self.gather(|gathered| gathered.trust = gathered.trust.or(Some(Since::now())));
    }

    fn gather(&self, add: impl FnOnce(&mut Gathered)) {
        add(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Waits until there is something; at once when there is already.
    pub(super) async fn there(&self) {
        while self.gathered.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.bell.notified().await;
        }
    }

    /// Everything gathered so far.
    pub(super) fn take(&self) -> Gathered {
        std::mem::take(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
