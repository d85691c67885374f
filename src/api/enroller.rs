//! Enrolment by one-time token: operators hand a token over, a device redeems it for a certificate.
//!
//! A token is kept as its digest, by which it is found, and encrypted, to be shown to operators again. It is worth nothing
//! once it was redeemed or its time is over, and what it buys is a certificate for the one identity it was made for.

use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::refusal::Refusal;
use super::writing::new_id;
use crate::clock::Timestamp;
use crate::decision::DenialReason;
use crate::dialect::openziti::{EnrollmentCerts, ErrorCode, TokenShown};
use crate::enforce::{Author, Change, ChangeRefused, Enforcer, Object, busy};
use crate::policy::Subject;
use crate::policy::enrolment::{EnrolledCertificate, PendingEnrolment};
use crate::policy::objects::{Identity, Meta};
use crate::policy::subject::SubjectKind;
use crate::secret::Secret;
use crate::store::Sealer;
use crate::tls::{Enrolled, EnrolmentCa, NotIssued, ReloadableResolver, TrustStore, pem_of};

/// What enrolment by one-time token needs.
#[derive(Clone, Debug)]
pub struct Enroller {
    /// Signs the certificates.
    pub ca: Arc<EnrolmentCa>,
    /// Where devices redeem tokens: the client API as they see it, such as `https://gateway.example:8444`.
    pub url: Arc<str>,
    /// How long a token is good for where nothing else is asked for.
    pub token_lifetime: Duration,
    /// The certificates of the client API; tokens are signed by their keys.
    pub shown: Arc<ReloadableResolver>,
    /// Encrypts tokens in the store.
    pub sealer: Arc<Sealer>,
    /// Whose certificates the gateway believes.
    pub trust: Arc<TrustStore>,
    /// The names by which it knows them.
    pub subjects: Arc<[SubjectKind]>,
}

impl Enroller {
    /// A token for nobody in particular yet.
    pub(super) fn begin(&self, expires_at: Option<Timestamp>, now: Timestamp) -> Result<PendingEnrolment, Refusal> {
        let (id, token) = (new_id(), new_id());
        let sealed = self.sealer.seal(&PendingEnrolment::secret_context(&id), &Secret::new(token.clone()));
        let sealed = sealed.map_err(|error| {
            tracing::error!(%error, "a one-time token cannot be encrypted");
            Refusal::store_unavailable()
        })?;
        Ok(PendingEnrolment {
            id: id.into(),
            digest: fingerprint(&token),
            token: sealed,
            created_at: now,
            updated_at: now,
            expires_at: expires_at.unwrap_or_else(|| now.after(self.token_lifetime)),
        })
    }

    /// The token an identity waits for, in the clear, and signed as OpenZiti's clients read it.
    pub(super) fn show(&self, identity: &Identity) -> Option<TokenShown> {
        let pending = identity.enrolment.as_ref()?;
        let opened = self.sealer.open(&PendingEnrolment::secret_context(&pending.id), &pending.token);
        let token = match opened {
            Ok(token) => token.expose().to_owned(),
            Err(error) => {
                tracing::error!(%error, identity = %identity.id, "a one-time token cannot be decrypted");
                return None;
            }
        };
        let claims = json!({
            "iss": self.url,
            "sub": identity.id.as_str(),
            "aud": [""],
            "exp": pending.expires_at.as_millis().div_euclid(1000),
            "jti": token,
            "em": "ott",
        });
        let jwt = self.shown.sign_token(self.host(), &claims).unwrap_or_else(|| {
            tracing::error!("the server certificate's key cannot sign one-time tokens");
            String::new()
        });
        Some(TokenShown { token, jwt })
    }

    fn host(&self) -> &str {
        let authority = self.url.strip_prefix("https://").unwrap_or(&self.url);
        authority.split([':', '/']).next().unwrap_or_default()
    }

    /// Issues a certificate for the device that has the token, and forgets the token. The certificate is known on the gateway
    /// when this returns; one that was issued for an earlier token of the identity is not any more.
    pub(super) async fn redeem(
        &self,
        enforcer: &Enforcer,
        token: &str,
        request: &[u8],
    ) -> Result<EnrollmentCerts, Refusal> {
        let turn = enforcer.turn().await;
        let now = enforcer.clock().now();
        let (enrolled, identity) = {
            let published = enforcer.published();
            let snapshot = published.snapshot();
            let known = snapshot.enrolling(&fingerprint(token)).ok_or(ErrorCode::InvalidEnrollmentToken)?;
            may_enrol(known, now)?;
            let issued = busy(|| self.ca.issue(request, known.id.as_str(), &self.trust.current(), now));
            let enrolled = issued.map_err(|error| not_issued(known, &error))?;
            let names = enrolled.certificate.subjects(&self.subjects);
            if snapshot.identify(&names).is_some_and(|other| other.id != known.id) {
                let reason = "would be the certificate of another identity";
                return Err(Refusal::because(ErrorCode::CouldNotProcessCsr, "clientCsr", reason, ""));
            }
            let identity = with_certificate(known, &enrolled, now);
            (enrolled, identity)
        };
        let id = identity.id.clone();
        let change = Change::Put(Object::Identity(Arc::new(identity)));
        match enforcer.change(&turn, change, &Author::enrolment()).await {
            Ok(generation) => {
                tracing::info!(identity = %id, serial = %enrolled.certificate.serial(), generation, "identity enrolled");
                let mut authorities = self.ca.chain().to_vec();
                authorities.extend(self.shown.issuers());
                Ok(EnrollmentCerts { ca: pem_of(&authorities), cert: enrolled.chain_pem })
            }
            Err(ChangeRefused::Unavailable(error)) => {
                tracing::error!(%error, identity = %id, "identity not enrolled");
                Err(Refusal::store_unavailable())
            }
            Err(ChangeRefused::Policy(errors)) => {
                let error = errors.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(error, identity = %id, "identity not enrolled");
                Err(Refusal::because(ErrorCode::CouldNotProcessCsr, "clientCsr", error, ""))
            }
        }
    }
}

fn may_enrol(identity: &Identity, now: Timestamp) -> Result<(), Refusal> {
    if identity.disabled {
        return Err(Refusal::nobody(DenialReason::IdentityDisabled));
    }
    match &identity.enrolment {
        Some(pending) if now < pending.expires_at => Ok(()),
        Some(_) => Err(ErrorCode::EnrollmentExpired.into()),
        None => Err(ErrorCode::InvalidEnrollmentToken.into()),
    }
}

fn not_issued(identity: &Identity, error: &NotIssued) -> Refusal {
    tracing::warn!(%error, identity = %identity.id, "certificate not issued");
    match error {
        NotIssued::Request(reason) => Refusal::because(ErrorCode::CouldNotProcessCsr, "clientCsr", reason, ""),
        NotIssued::Signing(_) | NotIssued::NotBelieved(_) => ErrorCode::Unavailable.into(),
    }
}

/// The identity with its new certificate in place of the token and of earlier certificates of the kind.
fn with_certificate(identity: &Identity, enrolled: &Enrolled, now: Timestamp) -> Identity {
    let mut identity = without_certificates(identity, |_| true, now);
    let fingerprint = enrolled.certificate.fingerprint();
    identity.subjects.push(Subject::Fingerprint(Arc::clone(fingerprint)));
    identity.certificates.push(EnrolledCertificate {
        id: new_id().into(),
        fingerprint: Arc::clone(fingerprint),
        enrolled_at: now,
        not_after: enrolled.certificate.not_after(),
    });
    identity.enrolment = None;
    identity
}

/// The identity without some of the certificates that were issued to it.
pub(super) fn without_certificates(
    identity: &Identity,
    leaves: impl Fn(&EnrolledCertificate) -> bool,
    now: Timestamp,
) -> Identity {
    let gone: Vec<_> = identity.certificates.iter().filter(|certificate| leaves(certificate)).collect();
    let is_gone = |subject: &Subject| matches!(subject, Subject::Fingerprint(name) if gone.iter().any(|certificate| certificate.fingerprint == *name));
    let mut left = Identity { meta: Meta { updated_at: now, ..identity.meta.clone() }, ..identity.clone() };
    left.subjects.retain(|subject| !is_gone(subject));
    left.certificates.retain(|certificate| !leaves(certificate));
    left
}

/// What a token is found by.
fn fingerprint(token: &str) -> Arc<str> {
    let digest = digest(&SHA256, token.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
