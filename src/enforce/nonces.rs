//! Numbers given to one device for its signed reports: each for one use, and for a while.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::limits;

/// Random bytes of one number: nobody guesses it, and no two are alike.
const NONCE_BYTES: usize = 24;

/// The numbers of one device that are out, oldest first.
#[derive(Debug, Default)]
pub(super) struct Nonces(VecDeque<Nonce>);

/// A number, and how long it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// The number as text.
    pub text: String,
    /// It counts until then.
    pub expires_at: Timestamp,
}

impl Nonces {
    /// Gives out a number; `None` when the system has no random bytes. When many are out the oldest stops counting.
    pub(super) fn give(&mut self, now: Timestamp) -> Option<Nonce> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let nonce =
            Nonce { text: URL_SAFE_NO_PAD.encode(bytes), expires_at: now.after(limits::EVIDENCE_NONCE_LIFETIME) };
        if self.0.len() >= limits::EVIDENCE_NONCES_PER_IDENTITY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(nonce.clone());
        Some(nonce)
    }

    /// Uses a number up. Whether it counted: it was given to this device, was not used before, and is not too old.
    pub(super) fn take(&mut self, text: &str, now: Timestamp) -> bool {
        self.0.retain(|nonce| now < nonce.expires_at);
        let found = self.0.iter().position(|nonce| nonce.text.as_bytes().ct_eq(text.as_bytes()).into());
        found.and_then(|position| self.0.remove(position)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_number_counts_once() {
        let mut nonces = Nonces::default();
        let nonce = nonces.give(NOW).unwrap();
        assert!(nonces.take(&nonce.text, NOW));
        assert!(!nonces.take(&nonce.text, NOW));
        assert!(!nonces.take("", NOW));
    }

    #[test]
    fn a_number_counts_for_a_while_and_for_its_own_device() {
        let (mut nonces, mut others) = (Nonces::default(), Nonces::default());
        let nonce = nonces.give(NOW).unwrap();
        assert!(!others.take(&nonce.text, NOW));
        assert!(!nonces.take(&nonce.text, nonce.expires_at));
        let nonce = nonces.give(NOW).unwrap();
        assert!(nonces.take(&nonce.text, nonce.expires_at.before(std::time::Duration::from_millis(1))));
    }

    #[test]
    fn few_are_out_at_a_time() {
        let mut nonces = Nonces::default();
        let first = nonces.give(NOW).unwrap();
        for _ in 0..limits::EVIDENCE_NONCES_PER_IDENTITY_MAX {
            nonces.give(NOW).unwrap();
        }
        assert!(!nonces.take(&first.text, NOW));
        assert_eq!(nonces.0.len(), limits::EVIDENCE_NONCES_PER_IDENTITY_MAX);
    }
}
