//! What a device is told after it woke or was unlocked: which services will close unless MFA is passed again.

use crate::clock::Timestamp;
use crate::dialect::openziti::PromptedService;
use crate::enforce::{Device, Enforcer};
use crate::id::CheckId;
use crate::policy::objects::Service;
use crate::policy::snapshot::{CheckSlot, ServiceIndex, Snapshot};
use crate::posture::check::Predicate;
use crate::posture::facts::Mfa;
use crate::posture::report::{Report, Seen};

/// The services among those the device's own policies lead to.
///
/// Of a concealed service only those are told to whom it is open.
pub(super) fn prompts(
    enforcer: &Enforcer,
    device: &Device,
    certificate: &str,
    report: &Report,
) -> Vec<PromptedService> {
    let (mut woken, mut unlocked) = (false, false);
    for observation in &report.observations {
        if let Seen::Endpoint { woken: now_woken, unlocked: now_unlocked } = &observation.seen {
            woken |= now_woken;
            unlocked |= now_unlocked;
        }
    }
    let mfa = device.known().mfa_proven_by(certificate);
    if !(woken || unlocked) || mfa.passed_at.is_none() {
        return Vec::new();
    }
    let event = Event { woken, unlocked, mfa, at: report.received_at };
    let published = enforcer.published();
    let snapshot = published.snapshot();
    let shown = |service: &Service, index: ServiceIndex| {
        !service.concealed || enforcer.verdict(snapshot, device, certificate, index, event.at).is_ok()
    };
    event.prompts(snapshot, device, shown)
}

struct Event {
    woken: bool,
    unlocked: bool,
    mfa: Mfa,
    at: Timestamp,
}

impl Event {
    fn prompts(
        &self,
        snapshot: &Snapshot,
        device: &Device,
        shown: impl Fn(&Service, ServiceIndex) -> bool,
    ) -> Vec<PromptedService> {
        let Some(identity) = snapshot.find_identity(device.identity()) else {
            return Vec::new();
        };
        let mut prompted = Vec::new();
        for service in snapshot.services() {
            let Some(index) = snapshot.find_service(&service.id) else { continue };
            let mut told: Vec<&CheckId> = Vec::new();
            for check in snapshot.dial_policies(identity, index).flat_map(|(_, policy)| policy.slots()) {
                let CheckSlot::Known(check) = check else { continue };
                let Some(check) = snapshot.check(*check) else { continue };
                let Predicate::Mfa(rule) = &check.predicate else { continue };
                let due = rule.is_cut_short_by(self.woken, self.unlocked, &self.mfa, self.at);
                if due && !told.contains(&&check.id) && shown(service, index) {
                    told.push(&check.id);
                    prompted.push(PromptedService::new(service.id.as_str(), &*service.name, rule));
                }
            }
        }
        prompted
    }
}
