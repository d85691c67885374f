//! Tokens of sessions: random texts that are told once, and the digest by which they are known afterwards.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

use crate::secret::Secret;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// What finds a session: the SHA-256 of its token. It shows nothing of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of a token.
    pub(super) fn of(token: &[u8]) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token).as_ref());
        Key(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// A token that nobody has seen yet.
pub(super) fn fresh() -> Result<Secret, Unspecified> {
    let mut random = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut random)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(random)))
}
