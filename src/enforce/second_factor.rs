//! The second factor of identities: one-time passwords and recovery codes, who enrolled, and what a right code proves.
//!
//! A pass belongs to the identity and to the certificate it was shown with. A code counts once: the step of a password is
//! remembered, and a recovery code is gone, before anybody is told that it was right, also over a restart. Wrong codes are
//! counted for the identity, however many connections they come over, and slow down whoever guesses.
//!
//! The secret and the recovery codes lie encrypted in the store. The codes are not hashed, because clients may have them shown
//! again for a right password, and because a hash of thirty bits hides nothing.

mod enrolment;
mod totp;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device::Device;
use super::enforcer::Enforcer;
use super::kept::Kept;
use crate::clock::Timestamp;
use crate::id::IdentityId;
use crate::posture::facts::Posture;
use crate::secret::Secret;
use crate::store::{RecordError, SealError, Sealer, Store, StoreError, Table, Write};

use enrolment::Enrolment;

/// The second factors of a gateway's identities.
#[derive(Debug)]
pub struct SecondFactors {
    enforcer: Arc<Enforcer>,
    sealer: Arc<Sealer>,
    enrolled: Mutex<HashMap<IdentityId, Arc<Enrolment>>>,
}

/// An enrolment as it may be told.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Its id.
    pub id: Arc<str>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Whether a first right code has shown that the secret arrived.
    pub is_verified: bool,
}

/// What an identity is told until it has verified its enrolment.
#[derive(Clone, Debug)]
pub struct Provision {
    /// The shared secret in base32.
    pub secret: Secret,
    /// Recovery codes.
    pub recovery_codes: Vec<Secret>,
}

/// Which codes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// One-time passwords.
    Passwords,
    /// Recovery codes as well.
    RecoveryCodesToo,
}

/// Why a second factor was not changed, or proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum FactorRefused {
    /// There is an enrolment already, verified or not.
    #[error("the identity is already enrolled")]
    Exists,
    /// There is none, or not one in the state the request is for.
    #[error("the identity has no such enrolment")]
    NotEnrolled,
    /// The code is not right, was used before, or is too old.
    #[error("the code does not count")]
    WrongCode,
    /// Too many codes were wrong.
    #[error("too many wrong codes: the next one counts in {} seconds", .0.as_secs())]
    LockedOut(Duration),
    /// It could not be made durable.
    #[error("not stored: {0}")]
    Unavailable(#[from] StoreError),
    /// What is stored cannot be opened, or nothing can be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl SecondFactors {
    /// The second factors of the identities of `enforcer`, their secrets sealed by `sealer`.
    pub fn new(enforcer: Arc<Enforcer>, sealer: Arc<Sealer>) -> Arc<Self> {
        Arc::new(SecondFactors { enforcer, sealer, enrolled: Mutex::default() })
    }

    /// Brings enrolments back after a restart: how many, and the records that cannot be read. Blocks.
    ///
    /// An identity whose record cannot be read counts as enrolled and proves nothing until an operator removes it: it must not be
    /// able to enrol a new factor because the old one was damaged.
    pub fn restore(&self) -> Result<(usize, Vec<RecordError>), StoreError> {
        let loaded = self.enforcer.store.load_all::<Enrolment>(Table::SecondFactors)?;
        let mut enrolled = self.enrolled();
        let count = loaded.records.len();
        for (identity, enrolment) in loaded.records {
            enrolled.insert(IdentityId::from(identity.as_str()), Arc::new(enrolment));
        }
        for error in &loaded.skipped {
            enrolled.insert(IdentityId::from(error.key.as_str()), Arc::new(Enrolment::unreadable()));
        }
        Ok((count, loaded.skipped))
    }

    /// The enrolment of an identity.
    pub fn find(&self, identity: &IdentityId) -> Option<Enrolled> {
        self.enrolled().get(identity).map(|enrolment| enrolment.shown())
    }

    /// Whether an identity has a verified enrolment.
    pub fn is_enabled(&self, identity: &IdentityId) -> bool {
        self.enrolled().get(identity).is_some_and(|enrolment| enrolment.verified)
    }

    /// What an identity needs to set its authenticator up; `None` once it has shown that it did.
    pub fn provision(&self, identity: &IdentityId) -> Result<Option<Provision>, FactorRefused> {
        let enrolment = self.enrolled().get(identity).cloned().ok_or(FactorRefused::NotEnrolled)?;
        if enrolment.verified { Ok(None) } else { Ok(Some(enrolment.open(&self.sealer, identity)?)) }
    }

    /// Begins an enrolment.
    pub async fn enrol(&self, device: &Device) -> Result<Enrolled, FactorRefused> {
        let _in_turn = device.intake.lock().await;
        if self.enrolled().contains_key(device.identity()) {
            return Err(FactorRefused::Exists);
        }
        let enrolment = Enrolment::begin(&self.sealer, device.identity(), self.now())?;
        let shown = enrolment.shown();
        self.keep(device, enrolment, None).await?;
        Ok(shown)
    }

    /// Ends an enrolment's first part: the code shows that the secret arrived. It is a pass as well.
    pub async fn verify(&self, device: &Device, certificate: &str, code: &str) -> Result<(), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        let mut enrolment = self.in_state(device, false)?;
        self.prove(device, &mut enrolment, code, Accepts::Passwords).await?;
        enrolment.verified = true;
        let passed = device.known().posture().with_mfa_pass(certificate, self.now());
        self.keep(device, enrolment, Some(passed)).await
    }

    /// A pass with the certificate it is shown with.
    pub async fn pass(&self, device: &Device, certificate: &str, code: &str) -> Result<(), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        let mut enrolment = self.in_state(device, true)?;
        self.prove(device, &mut enrolment, code, Accepts::RecoveryCodesToo).await?;
        let passed = device.known().posture().with_mfa_pass(certificate, self.now());
        self.keep(device, enrolment, Some(passed)).await
    }

    /// The recovery codes that are left, for a right password.
    pub async fn recovery_codes(&self, device: &Device, code: &str) -> Result<(Enrolled, Vec<Secret>), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        let mut enrolment = self.in_state(device, true)?;
        self.prove(device, &mut enrolment, code, Accepts::Passwords).await?;
        let codes = enrolment.open(&self.sealer, device.identity())?.recovery_codes;
        let shown = enrolment.shown();
        self.keep(device, enrolment, None).await?;
        Ok((shown, codes))
    }

    /// New recovery codes in the place of the old ones.
    pub async fn renew_recovery_codes(&self, device: &Device, code: &str) -> Result<(), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        let mut enrolment = self.in_state(device, true)?;
        self.prove(device, &mut enrolment, code, Accepts::RecoveryCodesToo).await?;
        enrolment.renew_recovery_codes(&self.sealer, device.identity())?;
        self.keep(device, enrolment, None).await
    }

    /// Ends an enrolment, and with it every pass of the identity. One that was never verified needs no code.
    pub async fn remove(&self, device: &Device, code: Option<&str>) -> Result<(), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        let mut enrolment = self.find_own(device)?;
        if enrolment.verified {
            let code = code.ok_or(FactorRefused::WrongCode)?;
            self.prove(device, &mut enrolment, code, Accepts::RecoveryCodesToo).await?;
        }
        self.forget(device).await
    }

    /// The same on an operator's word.
    pub async fn withdraw(&self, device: &Device) -> Result<(), FactorRefused> {
        let _in_turn = device.intake.lock().await;
        self.find_own(device)?;
        self.forget(device).await
    }

    /// Forgets the device of an identity that was deleted: its enrolment, its passes, and what it reported. Until this returns well, all
    /// of it stays, and says nothing for anybody.
    pub async fn forget_deleted(&self, identity: &IdentityId) -> Result<(), StoreError> {
        let device = self.enforcer.device_of(identity);
        let _in_turn = device.intake.lock().await;
        let writes = [Table::SecondFactors, Table::Postures].map(|table| Write::delete(table, identity.as_str()));
        self.enforcer.store.write(writes.into_iter().collect::<Result<_, _>>()?).await?;
        self.enrolled().remove(identity);
        self.enforcer.learn(&device, &Kept::default());
        Ok(())
    }

    /// Counts a code for or against the identity. A wrong one is durable before this returns; a right one together with what it
    /// was for.
    async fn prove(
        &self,
        device: &Device,
        enrolment: &mut Enrolment,
        code: &str,
        accepts: Accepts,
    ) -> Result<(), FactorRefused> {
        let now = self.now();
        if let Some(wait) = enrolment.locked_out(now) {
            return Err(FactorRefused::LockedOut(wait));
        }
        if enrolment.spend(&self.sealer, device.identity(), code, accepts, now)? {
            return Ok(());
        }
        enrolment.count_wrong(now);
        self.keep(device, enrolment.clone(), None).await?;
        Err(FactorRefused::WrongCode)
    }

    fn in_state(&self, device: &Device, verified: bool) -> Result<Enrolment, FactorRefused> {
        let enrolment = self.find_own(device)?;
        if enrolment.verified == verified { Ok(enrolment) } else { Err(FactorRefused::NotEnrolled) }
    }

    fn find_own(&self, device: &Device) -> Result<Enrolment, FactorRefused> {
        let found = self.enrolled().get(device.identity()).map(|enrolment| Enrolment::clone(enrolment));
        found.ok_or(FactorRefused::NotEnrolled)
    }

    /// Makes an enrolment durable, together with the posture it has led to, and puts both into force.
    async fn keep(&self, device: &Device, enrolment: Enrolment, posture: Option<Posture>) -> Result<(), FactorRefused> {
        let key = device.identity().as_str();
        let mut writes = vec![Store::put_of(Table::SecondFactors, key, &enrolment)?];
        let shared = &self.enforcer.shared_facts;
        let mut keeping = posture.map(|posture| shared.keeping(device.identity(), posture)).transpose()?;
        if let Some(keeping) = &mut keeping {
            writes.append(&mut keeping.writes);
        }
        self.enforcer.store.write(writes).await?;
        self.enrolled().insert(device.identity().clone(), Arc::new(enrolment));
        if let Some(keeping) = keeping {
            self.enforcer.learn(device, &keeping.confirmed(&self.enforcer.shared_facts));
        }
        Ok(())
    }

    async fn forget(&self, device: &Device) -> Result<(), FactorRefused> {
        let key = device.identity().as_str();
        let posture = device.known().posture().without_mfa_passes();
        let mut keeping = self.enforcer.shared_facts.keeping(device.identity(), posture)?;
        keeping.writes.push(Write::delete(Table::SecondFactors, key)?);
        self.enforcer.store.write(std::mem::take(&mut keeping.writes)).await?;
        self.enrolled().remove(device.identity());
        self.enforcer.learn(device, &keeping.confirmed(&self.enforcer.shared_facts));
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.enforcer.clock().now()
    }

    fn enrolled(&self) -> MutexGuard<'_, HashMap<IdentityId, Arc<Enrolment>>> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
