//! The certificates of the model's town, and who believes them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern::clock::Timestamp;
use postern::decision::DenialReason;
use postern::enforce::{Credential, Enrollment, SignatureRefused, Trust};
use postern::policy::Subject;
use tokio::sync::watch;

use super::edits::subject;
use super::interruption::Interruption;
use crate::world::THEN;

/// A certificate as it was issued.
#[derive(Debug)]
pub(crate) struct Issued {
    names: &'static [u8],
    pub(crate) fingerprint: &'static str,
    pub(crate) ca: u8,
    /// Seconds before and after the beginning of everything.
    valid: (u64, Option<u64>),
}

/// Two of one identity, which differ in what their MFA passes prove; one of two names; one that is young and one that is old.
pub(crate) static CERTIFICATES: [&Issued; 5] = [
    &Issued { names: &[0], fingerprint: "c0", ca: 0, valid: (3600, None) },
    &Issued { names: &[0], fingerprint: "c1", ca: 1, valid: (5, Some(600)) },
    &Issued { names: &[1], fingerprint: "c2", ca: 1, valid: (3600, None) },
    &Issued { names: &[2, 1], fingerprint: "c3", ca: 0, valid: (3600, None) },
    &Issued { names: &[2], fingerprint: "c4", ca: 0, valid: (3600, Some(45)) },
];

impl Issued {
    pub(crate) fn names(&self) -> Vec<Subject> {
        self.names.iter().map(|name| subject(*name).parse().unwrap()).collect()
    }
}

/// What is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trusted {
    pub(crate) revoked: BTreeSet<u8>,
    pub(crate) distrusted: BTreeSet<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Dates {
    pub(crate) begins: Timestamp,
    pub(crate) ends: Timestamp,
}

impl Trusted {
    pub(crate) fn dates(&self, certificate: u8) -> Dates {
        let (before, after) = CERTIFICATES[usize::from(certificate)].valid;
        let ends = after.map_or(Timestamp::MAX, |after| THEN.after(Duration::from_secs(after)));
        Dates { begins: THEN.before(Duration::from_secs(before)), ends }
    }
}

/// What certificates are judged by: swapped whole under a new number, which is told.
#[derive(Debug)]
pub(crate) struct Bundle {
    trusted: Mutex<(u64, Trusted)>,
    epoch: AtomicU64,
    told: watch::Sender<u64>,
}

impl Bundle {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Bundle {
            trusted: Mutex::new((1, Trusted::default())),
            epoch: AtomicU64::new(1),
            told: watch::Sender::new(1),
        })
    }

    pub(crate) fn epochs(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    pub(crate) fn replace(&self, trusted: Trusted) {
        let mut current = self.trusted.lock().unwrap();
        let epoch = current.0 + 1;
        *current = (epoch, trusted);
        self.epoch.store(epoch, Ordering::Release);
        drop(current);
        self.told.send_replace(epoch);
    }

    fn judge(&self, certificate: u8, now: Timestamp) -> Result<Trust, DenialReason> {
        let (epoch, trusted) = self.trusted.lock().unwrap().clone();
        let Dates { begins, ends } = trusted.dates(certificate);
        if trusted.revoked.contains(&certificate) {
            return Err(DenialReason::CertificateRevoked);
        }
        if trusted.distrusted.contains(&CERTIFICATES[usize::from(certificate)].ca) {
            return Err(DenialReason::CertificateUntrusted);
        }
        if now < begins {
            return Err(DenialReason::CertificateNotYetValid);
        }
        if now >= ends {
            return Err(DenialReason::CertificateExpired);
        }
        Ok(Trust { epoch, from: begins, until: ends })
    }
}

/// A certificate as a connection has it. Each question to it is a place where the enforcer can be interrupted.
#[derive(Debug)]
pub(crate) struct Held {
    certificate: u8,
    names: Vec<Subject>,
    bundle: Arc<Bundle>,
    interruption: Arc<Interruption>,
}

impl Held {
    pub(crate) fn new(certificate: u8, bundle: &Arc<Bundle>, interruption: &Arc<Interruption>) -> Arc<Self> {
        Arc::new(Held {
            certificate,
            names: CERTIFICATES[usize::from(certificate)].names(),
            bundle: Arc::clone(bundle),
            interruption: Arc::clone(interruption),
        })
    }
}

impl Credential for Held {
    fn recheck(&self, now: Timestamp) -> Result<(), DenialReason> {
        self.trust(now).map(drop)
    }

    fn trust(&self, now: Timestamp) -> Result<Trust, DenialReason> {
        let trust = self.bundle.judge(self.certificate, now);
        self.interruption.possible();
        trust
    }

    fn trust_epoch(&self) -> u64 {
        let epoch = self.bundle.epoch.load(Ordering::Acquire);
        self.interruption.possible();
        epoch
    }

    fn trusted_until(&self, now: Timestamp) -> Result<Timestamp, DenialReason> {
        self.trust(now).map(|trust| trust.until)
    }

    fn names(&self) -> &[Subject] {
        self.interruption.possible();
        &self.names
    }

    fn fingerprint(&self) -> &str {
        self.interruption.possible();
        CERTIFICATES[usize::from(self.certificate)].fingerprint
    }

    fn describe(&self) -> &str {
        "a certificate of the model"
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), SignatureRefused> {
        Err(SignatureRefused::UnsupportedKey)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        None
    }
}
