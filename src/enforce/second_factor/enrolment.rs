//! One identity's enrolment, as it lies in the store.

use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::totp::{self, base32};
use super::{Accepts, Enrolled, FactorRefused, Provision};
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::limits;
use crate::secret::{Sealed, Secret};
use crate::store::{SealError, Sealer};

/// Bytes of a shared secret: as many as the digest has, which RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Recovery codes of an enrolment.
const RECOVERY_CODES: usize = 20;
/// Letters of a recovery code.
const RECOVERY_CODE_CHARS: usize = 6;

/// An enrolment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Enrolment {
    id: Arc<str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Whether a first right code has shown that the secret arrived.
    pub(super) verified: bool,
    /// The shared secret in hexadecimal.
    secret: Sealed,
    /// The recovery codes that are left, with blanks between them.
    recovery_codes: Sealed,
    /// The step of the last password that counted.
    used_step: Option<i64>,
    /// Wrong codes since the last right one.
    wrong: u32,
    locked_until: Timestamp,
}

impl Enrolment {
    /// A new one, with a new secret.
    pub(super) fn begin(sealer: &Sealer, identity: &IdentityId, now: Timestamp) -> Result<Self, FactorRefused> {
        let secret = random::<SECRET_BYTES>()?;
        let secret = Secret::new(hex(secret.as_slice()));
        let id = random::<16>()?;
        Ok(Enrolment {
            id: hex(id.as_slice()).into(),
            created_at: now,
            updated_at: now,
            verified: false,
            secret: sealer.seal(&secret_of(identity), &secret)?,
            recovery_codes: sealer.seal(&codes_of(identity), &fresh_codes()?)?,
            used_step: None,
            wrong: 0,
            locked_until: Timestamp::from_millis(0),
        })
    }

    /// What stands in for a record that cannot be read: it opens for no code.
    pub(super) fn unreadable() -> Self {
        Enrolment {
            id: "unreadable".into(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            verified: true,
            secret: Sealed::new(""),
            recovery_codes: Sealed::new(""),
            used_step: None,
            wrong: 0,
            locked_until: Timestamp::from_millis(0),
        }
    }

    pub(super) fn shown(&self) -> Enrolled {
        let Enrolment { id, created_at, updated_at, verified, .. } = self;
        Enrolled { id: Arc::clone(id), created_at: *created_at, updated_at: *updated_at, is_verified: *verified }
    }

    /// The secret and the codes in the clear.
    pub(super) fn open(&self, sealer: &Sealer, identity: &IdentityId) -> Result<Provision, SealError> {
        let codes = self.codes(sealer, identity)?;
        let secret = base32(&self.secret(sealer, identity)?);
        Ok(Provision { secret: Secret::new(secret), recovery_codes: codes })
    }

    pub(super) fn renew_recovery_codes(&mut self, sealer: &Sealer, identity: &IdentityId) -> Result<(), SealError> {
        self.recovery_codes = sealer.seal(&codes_of(identity), &fresh_codes()?)?;
        Ok(())
    }

    /// How much longer codes are not even looked at.
    pub(super) fn locked_out(&self, now: Timestamp) -> Option<Duration> {
        (now < self.locked_until).then(|| self.locked_until.since(now))
    }

    /// Counts a wrong code.
    pub(super) fn count_wrong(&mut self, now: Timestamp) {
        self.wrong = self.wrong.saturating_add(1);
        self.locked_until = now.after(lock_out(self.wrong));
    }

    /// Uses a code up, if it is right.
    pub(super) fn spend(
        &mut self,
        sealer: &Sealer,
        identity: &IdentityId,
        code: &str,
        accepts: Accepts,
        now: Timestamp,
    ) -> Result<bool, SealError> {
        let code = code.trim();
        let step = totp::matching_step(&self.secret(sealer, identity)?, code, self.used_step, now);
        if step.is_some() {
            self.used_step = step;
        } else if accepts == Accepts::Passwords || !self.spend_recovery_code(sealer, identity, code)? {
            return Ok(false);
        }
        self.wrong = 0;
        self.updated_at = now;
        Ok(true)
    }

    fn spend_recovery_code(&mut self, sealer: &Sealer, identity: &IdentityId, code: &str) -> Result<bool, SealError> {
        let wanted = code.to_ascii_uppercase();
        let mut codes = self.codes(sealer, identity)?;
        let before = codes.len();
        codes.retain(|known| !bool::from(known.expose().as_bytes().ct_eq(wanted.as_bytes())));
        if codes.len() == before {
            return Ok(false);
        }
        self.recovery_codes = sealer.seal(&codes_of(identity), &joined(&codes))?;
        Ok(true)
    }

    fn secret(&self, sealer: &Sealer, identity: &IdentityId) -> Result<zeroize::Zeroizing<Vec<u8>>, SealError> {
        let context = secret_of(identity);
        let text = sealer.open(&context, &self.secret)?;
        let bytes = text
            .expose()
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        let bytes: Option<Vec<u8>> = bytes.collect();
        bytes.map(zeroize::Zeroizing::new).ok_or(SealError::Unreadable { context })
    }

    fn codes(&self, sealer: &Sealer, identity: &IdentityId) -> Result<Vec<Secret>, SealError> {
        let text = sealer.open(&codes_of(identity), &self.recovery_codes)?;
        Ok(text.expose().split_ascii_whitespace().map(|code| Secret::new(code.to_owned())).collect())
    }
}

/// The wait after so many wrong codes: none at first, then doubled with each.
fn lock_out(wrong: u32) -> Duration {
    let Some(beyond) = wrong.checked_sub(limits::MFA_FREE_GUESSES.saturating_add(1)) else {
        return Duration::ZERO;
    };
    let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
    limits::API_LOCK_OUT_FIRST.saturating_mul(factor).min(limits::MFA_LOCK_OUT_MAX)
}

/// What the seal of an identity's secret is bound to.
fn secret_of(identity: &IdentityId) -> String {
    format!("second-factor/{identity}/secret")
}

fn codes_of(identity: &IdentityId) -> String {
    format!("second-factor/{identity}/recovery-codes")
}

fn fresh_codes() -> Result<Secret, SealError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let letters = base32(random::<RECOVERY_CODE_CHARS>()?.as_slice());
        codes.push(Secret::new(letters.chars().take(RECOVERY_CODE_CHARS).collect()));
    }
    Ok(joined(&codes))
}

fn joined(codes: &[Secret]) -> Secret {
    Secret::new(codes.iter().map(Secret::expose).collect::<Vec<_>>().join(" "))
}

fn random<const BYTES: usize>() -> Result<zeroize::Zeroizing<[u8; BYTES]>, SealError> {
    let mut bytes = zeroize::Zeroizing::new([0; BYTES]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn laptop() -> IdentityId {
        IdentityId::from("laptop")
    }

    #[test]
    fn secrets_are_told_in_the_clear_only_by_the_sealer() {
        let sealer = Sealer::ephemeral().unwrap();
        let enrolment = Enrolment::begin(&sealer, &laptop(), NOW).unwrap();
        let open = enrolment.open(&sealer, &laptop()).unwrap();
        assert_eq!(open.secret.expose().len(), 32);
        assert_eq!(open.recovery_codes.len(), RECOVERY_CODES);
        assert!(open.recovery_codes.iter().all(|code| code.expose().len() == RECOVERY_CODE_CHARS));
        let stored = serde_json::to_string(&enrolment).unwrap() + &format!("{enrolment:?}");
        for secret in open.recovery_codes.iter().chain([&open.secret]) {
            assert!(!stored.contains(secret.expose()));
        }
        assert!(enrolment.open(&sealer, &IdentityId::from("phone")).is_err(), "sealed for its identity only");
    }

    #[test]
    fn a_recovery_code_counts_once_and_only_where_it_may() {
        let sealer = Sealer::ephemeral().unwrap();
        let mut enrolment = Enrolment::begin(&sealer, &laptop(), NOW).unwrap();
        let code = enrolment.open(&sealer, &laptop()).unwrap().recovery_codes.swap_remove(3);
        let mut spend = |accepts, code: &str| enrolment.spend(&sealer, &laptop(), code, accepts, NOW).unwrap();
        assert!(!spend(Accepts::Passwords, code.expose()));
        assert!(spend(Accepts::RecoveryCodesToo, &format!(" {} ", code.expose().to_ascii_lowercase())));
        assert!(!spend(Accepts::RecoveryCodesToo, code.expose()));
        assert!(!spend(Accepts::RecoveryCodesToo, ""));
        assert_eq!(enrolment.open(&sealer, &laptop()).unwrap().recovery_codes.len(), RECOVERY_CODES - 1);
    }

    #[test]
    fn wrong_codes_lock_out_longer_and_longer_up_to_a_bound() {
        let sealer = Sealer::ephemeral().unwrap();
        let mut enrolment = Enrolment::begin(&sealer, &laptop(), NOW).unwrap();
        (0..limits::MFA_FREE_GUESSES).for_each(|_| enrolment.count_wrong(NOW));
        assert_eq!(enrolment.locked_out(NOW), None);
        enrolment.count_wrong(NOW);
        assert_eq!(enrolment.locked_out(NOW), Some(Duration::from_secs(1)));
        enrolment.count_wrong(NOW);
        assert_eq!(enrolment.locked_out(NOW), Some(Duration::from_secs(2)));
        (0..100).for_each(|_| enrolment.count_wrong(NOW));
        assert_eq!(enrolment.locked_out(NOW), Some(limits::MFA_LOCK_OUT_MAX));
    }
}
