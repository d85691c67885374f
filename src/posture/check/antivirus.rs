//! An antivirus product that is on and current.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::posture::facts::Posture;
use crate::posture::inventory::AntivirusProduct;
use crate::posture::outcome::{Assessment, FailReason, NoResultReason, Outcome};

/// Passes when at least one product is on, up to date and, where asked, has signatures that are young enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AntivirusRule {
    /// How old signatures may be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub update_window: Option<Duration>,
}

impl AntivirusRule {
    pub(super) fn assess(&self, posture: &Posture, max_age: Option<Duration>, now: Timestamp) -> Assessment {
        let Some(fact) = &posture.inventory().antivirus else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::NotReported));
        };
        let Some(end) = fact.counts_until(max_age, now) else {
            return Assessment::lasting(Outcome::NoResult(NoResultReason::Stale));
        };
        // The product that stays current longest decides.
        let current_until = fact.value.iter().filter_map(|product| self.current_until(product)).max();
        match current_until.filter(|until| now < *until) {
            Some(until) => Assessment::until(Outcome::Pass, until.min(end)),
            None if fact.value.iter().any(|product| self.is_of_unknown_age(product)) => {
                Assessment::until(Outcome::NoResult(NoResultReason::NotReported), end)
            }
            None if fact.value.iter().any(|product| product.on) => {
                Assessment::until(Outcome::Fail(FailReason::AntivirusOutdated), end)
            }
            None => Assessment::until(Outcome::Fail(FailReason::AntivirusOff), end),
        }
    }

    /// Whether only the age of its signatures stands between a product and a pass, and nobody told it.
    fn is_of_unknown_age(&self, product: &AntivirusProduct) -> bool {
        self.update_window.is_some() && product.on && product.up_to_date && product.signatures_at.is_none()
    }

    /// The first moment at which a product that is on and up to date is too old; `None` for any other product.
    fn current_until(&self, product: &AntivirusProduct) -> Option<Timestamp> {
        if !product.on || !product.up_to_date {
            return None;
        }
        match self.update_window {
            None => Some(Timestamp::MAX),
            // Signatures exactly as old as the window still count.
            Some(window) => Some(product.signatures_at?.after(window).after(Duration::from_millis(1))),
        }
    }
}
