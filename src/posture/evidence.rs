//! How well a fact must be vouched for: whether a report over the device's own connection suffices, or its key must have
//! signed it.
//!
//! A connection shows who reports. A signature over the report, with a number that the gateway gave out once and the time,
//! also shows that the holder of the key meant this very report, now.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::facts::{Fact, Posture, Source};
use super::inventory::Inventory;

/// What a check demands of the facts it looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Whatever the device, an operator or a provider reported.
    #[default]
    Any,
    /// What the device reported counts only when its key signed it. Facts that did not come from the device count as before.
    Signed,
}

impl Evidence {
    /// Every demand.
    pub const ALL: [Evidence; 2] = [Evidence::Any, Evidence::Signed];

    /// The one accepted spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Evidence::Any => "any",
            Evidence::Signed => "signed",
        }
    }

    /// Whether nothing is demanded, which is not written down.
    pub(super) fn is_any(&self) -> bool {
        *self == Evidence::Any
    }
}

impl Posture {
    /// What is left when everything is taken away that the device reported without signing it.
    pub(super) fn vouched_for(&self) -> Posture {
        Posture {
            os: vouched(self.os.as_ref()),
            domain: vouched(self.domain.as_ref()),
            macs: vouched(self.macs.as_ref()),
            processes: self.vouched_processes(),
            endpoint: self.endpoint,
            mfa: self.mfa,
            mfa_passes: self.mfa_passes.clone(),
            sdk: self.sdk.clone(),
            checked_in_at: self.signed_in_at,
            signed_in_at: self.signed_in_at,
            clock_skew_millis: self.clock_skew_millis,
            inventory: self.inventory.as_deref().map(|inventory| Box::new(inventory.vouched_for())),
        }
    }

    /// A signed fact does not outlive a later one about the same path, or for the same check, that is not signed: what the
    /// device said last counts, and that it did not sign.
    fn vouched_processes(&self) -> Vec<Fact<super::facts::Process>> {
        let (mut paths, mut checks) = (HashSet::new(), HashSet::new());
        let mut kept = Vec::new();
        for fact in self.processes.iter().rev() {
            if fact.source == Source::Device {
                paths.insert(&fact.value.path);
                checks.extend(&fact.asked_by);
            } else if !paths.contains(&fact.value.path)
                && fact.asked_by.as_ref().is_none_or(|own| !checks.contains(own))
            {
                kept.push(fact.clone());
            }
        }
        kept.reverse();
        kept
    }
}

impl Inventory {
    fn vouched_for(&self) -> Inventory {
        Inventory {
            hostname: vouched(self.hostname.as_ref()),
            product: vouched(self.product.as_ref()),
            serial_number: vouched(self.serial_number.as_ref()),
            unique_client_id: vouched(self.unique_client_id.as_ref()),
            environment: vouched(self.environment.as_ref()),
            files: vouched(self.files.as_ref()),
            volumes: vouched(self.volumes.as_ref()),
            firewall: vouched(self.firewall.as_ref()),
            antivirus: vouched(self.antivirus.as_ref()),
            certificates: vouched(self.certificates.as_ref()),
            tunnel: vouched(self.tunnel.as_ref()),
            screen_locked: vouched(self.screen_locked.as_ref()),
            unknown: vouched(self.unknown.as_ref()),
            providers: self.providers.clone(),
        }
    }
}

fn vouched<T: Clone>(fact: Option<&Fact<T>>) -> Option<Fact<T>> {
    fact.filter(|fact| fact.source != Source::Device).cloned()
}
