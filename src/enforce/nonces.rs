//! Numbers given to one device for its signed reports: each for one use, and for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

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
pub struct Nonces(Mutex<VecDeque<Nonce>>);

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
    pub fn give(&self, now: Timestamp) -> Option<Nonce> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let nonce =
            Nonce { text: URL_SAFE_NO_PAD.encode(bytes), expires_at: now.after(limits::EVIDENCE_NONCE_LIFETIME) };
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() >= limits::EVIDENCE_NONCES_PER_IDENTITY_MAX {
            out.pop_front();
        }
        out.push_back(nonce.clone());
        Some(nonce)
    }

    /// Uses a number up. Whether it counted: it was given to this device, was not used before, and is not too old.
    pub fn take(&self, text: &str, now: Timestamp) -> bool {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.retain(|nonce| now < nonce.expires_at);
        let found = out.iter().position(|nonce| nonce.text.as_bytes().ct_eq(text.as_bytes()).into());
        found.and_then(|position| out.remove(position)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_number_counts_once() {
        let nonces = Nonces::default();
        let nonce = nonces.give(NOW).unwrap();
        assert!(nonces.take(&nonce.text, NOW));
        assert!(!nonces.take(&nonce.text, NOW));
        assert!(!nonces.take("", NOW));
    }

    #[test]
    fn a_number_counts_for_a_while_and_for_its_own_device() {
        let (nonces, others) = (Nonces::default(), Nonces::default());
        let nonce = nonces.give(NOW).unwrap();
        assert!(!others.take(&nonce.text, NOW));
        assert!(!nonces.take(&nonce.text, nonce.expires_at));
        let nonce = nonces.give(NOW).unwrap();
        assert!(nonces.take(&nonce.text, nonce.expires_at.before(std::time::Duration::from_millis(1))));
    }

    #[test]
    fn few_are_out_at_a_time() {
        let nonces = Nonces::default();
        let first = nonces.give(NOW).unwrap();
        for _ in 0..limits::EVIDENCE_NONCES_PER_IDENTITY_MAX {
            nonces.give(NOW).unwrap();
        }
        assert!(!nonces.take(&first.text, NOW));
        assert_eq!(nonces.0.lock().unwrap().len(), limits::EVIDENCE_NONCES_PER_IDENTITY_MAX);
    }
}
