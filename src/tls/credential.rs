//! A verified certificate as the enforcement floor wants it: asked for trust again and again, and perhaps enrolled.

use std::fmt;
use std::sync::Arc;

use super::evidence;
use super::identity::VerifiedIdentity;
use super::trust::TrustStore;
use crate::clock::{SharedClock, Timestamp};
use crate::decision::DenialReason;
use crate::enforce::{Credential, Enrollment, SignatureRefused, Trust};
use crate::policy::Subject;
use crate::policy::subject::SubjectKind;

/// Turns verified certificates into [`Credential`]s by the gateway's rules.
#[derive(Clone, Debug)]
pub struct CredentialFactory {
    trust: Arc<TrustStore>,
    subjects: Arc<[SubjectKind]>,
    enrolment: Option<Arc<EnrolmentRule>>,
}

/// Who is enrolled without being written down.
#[derive(Debug)]
pub struct EnrolmentRule {
    /// The CAs whose clients are enrolled.
    pub authorities: Arc<TrustStore>,
    /// Role attributes of an enrolled identity.
    pub role_attributes: Vec<Arc<str>>,
    /// Which name of the certificate the identity is called by; the name that identifies it where there is none such.
    pub name_from: Option<SubjectKind>,
    /// The clock a certificate's validity is judged by.
    pub clock: SharedClock,
}

impl CredentialFactory {
    /// Certificates trusted by `trust` are known by the kinds of names in `subjects`, tried in that order.
    pub fn new(trust: Arc<TrustStore>, subjects: &[SubjectKind], enrolment: Option<EnrolmentRule>) -> Self {
        CredentialFactory { trust, subjects: subjects.into(), enrolment: enrolment.map(Arc::new) }
    }

    /// News of changes of what certificates are trusted.
    pub fn epochs(&self) -> tokio::sync::watch::Receiver<u64> {
        self.trust.subscribe()
    }

    /// The credential of a connection made with `identity`.
    pub fn credential(&self, identity: &Arc<VerifiedIdentity>) -> Arc<dyn Credential> {
        Arc::new(CertificateCredential {
            names: identity.subjects(&self.subjects),
            description: format!("subject `{}` serial {}", identity.subject(), identity.serial()),
            identity: Arc::clone(identity),
            trust: Arc::clone(&self.trust),
            enrolment: self.enrolment.clone(),
        })
    }
}

struct CertificateCredential {
    identity: Arc<VerifiedIdentity>,
    names: Vec<Subject>,
    description: String,
    trust: Arc<TrustStore>,
    enrolment: Option<Arc<EnrolmentRule>>,
}

impl Credential for CertificateCredential {
    fn recheck(&self, now: Timestamp) -> Result<(), DenialReason> {
        self.trust.recheck(&self.identity, now).map_err(DenialReason::from)
    }

    fn trust(&self, now: Timestamp) -> Result<Trust, DenialReason> {
        self.trust.trust(&self.identity, now).map_err(DenialReason::from)
    }

    fn trust_epoch(&self) -> u64 {
        self.trust.epoch()
    }

    fn trusted_until(&self, now: Timestamp) -> Result<Timestamp, DenialReason> {
        self.trust.trusted_until(&self.identity, now).map_err(DenialReason::from)
    }

    fn names(&self) -> &[Subject] {
        &self.names
    }

    fn fingerprint(&self) -> &str {
        self.identity.fingerprint()
    }

    fn describe(&self) -> &str {
        &self.description
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
        let leaf = self.identity.chain().first().ok_or(SignatureRefused::UnsupportedKey)?;
        evidence::verify(leaf, message, signature)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        let rule = self.enrolment.as_ref()?;
        rule.authorities.recheck(&self.identity, rule.clock.now()).ok()?;
        let subject = self.names.first()?;
        let named = rule.name_from.and_then(|kind| self.identity.subjects(&[kind]).into_iter().next());
        Some(Enrollment {
            id: enrolled_id(subject),
            name: named.as_ref().unwrap_or(subject).to_string(),
            subject: subject.clone(),
            role_attributes: rule.role_attributes.clone(),
        })
    }
}

/// The id of an identity enrolled by `subject`: the same name always gives the same id, so two enrolments at once make one
/// identity, and it can stand in a path as it is.
fn enrolled_id(subject: &Subject) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, subject.to_string().as_bytes());
    digest.as_ref().iter().take(ENROLLED_ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of the digest in an enrolled identity's id: enough that two names never meet.
const ENROLLED_ID_BYTES: usize = 16;

/// Shows the certificate in words; chain and keys stay out of logs.
impl fmt::Debug for CertificateCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CertificateCredential").field(&self.description).finish()
    }
}
