//! Why a request was refused, with the evidence that records, logs and replies render.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::{IdentityId, PolicyId, ServiceId};
use crate::posture::check::{Check, Observed};
use crate::posture::outcome::{FailReason, NoResultReason, Outcome};

use super::lock::Lock;

/// A refusal and its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// Why, as a stable code.
    pub reason: DenialReason,
    /// Who asked, when known.
    pub identity: Option<IdentityId>,
    /// What was asked for, when known.
    pub service: Option<ServiceId>,
    /// Every policy that links identity and service, with the checks of it that did not pass.
    pub policies: Vec<FailedPolicy>,
    /// The lock that an operator put on the identity, when that is the reason.
    pub lock: Option<Arc<Lock>>,
    /// The snapshot that was asked.
    pub generation: u64,
    /// The answer holds while `now < valid_until`, the snapshot and the posture stay the same.
    pub valid_until: Timestamp,
}

/// A policy that links identity and service but did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPolicy {
    /// The policy's id.
    pub id: PolicyId,
    /// The policy's name.
    pub name: Arc<str>,
    /// The checks that stand in the way, each once.
    pub checks: Vec<FailedCheck>,
}

/// A check that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCheck {
    /// The check as it stood when it was asked.
    pub check: Arc<Check>,
    /// What it answered.
    pub verdict: FailedVerdict,
    /// What was seen where it looked.
    pub observed: Observed,
    /// When the oldest fact it looked at was observed.
    pub observed_at: Option<Timestamp>,
}

impl FailedCheck {
    /// What was wanted, as the engine has it: the rule's members, without a name for their kind.
    pub fn expected_value(&self) -> Value {
        contents(&self.check.predicate)
    }

    /// What was seen; `null` when nothing was.
    pub fn actual_value(&self) -> Value {
        contents(&self.observed)
    }
}

/// The contents of an enum's variant without the variant's name, which the check's kind says already.
fn contents(tagged: &impl Serialize) -> Value {
    match serde_json::to_value(tagged) {
        Ok(Value::Object(fields)) if fields.len() == 1 => {
            fields.into_iter().next().map_or(Value::Null, |(_, inner)| inner)
        }
        _ => Value::Null,
    }
}

/// An answer that is not a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailedVerdict {
    /// Shown to be wrong.
    Fail(FailReason),
    /// Not known.
    NoResult(NoResultReason),
    /// The check passed, but the policy's expression forbids that.
    Forbidden,
}

impl FailedVerdict {
    /// The verdict for an outcome inside an expression; a pass counts against the policy only where it is forbidden.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => FailedVerdict::Forbidden,
            Outcome::Fail(reason) => FailedVerdict::Fail(reason),
            Outcome::NoResult(reason) => FailedVerdict::NoResult(reason),
        }
    }

    /// The stable reason code.
    pub fn code(self) -> &'static str {
        match self {
            FailedVerdict::Fail(reason) => reason.code(),
            FailedVerdict::NoResult(reason) => reason.code(),
            FailedVerdict::Forbidden => FailReason::ForbiddenStatePresent.code(),
        }
    }
}

macro_rules! denial_reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $title:literal;)*) => {
        /// Why a request or connection was refused. Codes are stable and part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum DenialReason { $($(#[$doc])* #[serde(rename = $code)] $variant,)* }

        impl DenialReason {
            /// Every reason, for metrics, tables and tests.
            pub const ALL: &'static [DenialReason] = &[$(DenialReason::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(DenialReason::$variant => $code,)* }
            }

            /// One plain sentence a refused person can read.
            pub const fn title(self) -> &'static str {
                match self { $(DenialReason::$variant => $title,)* }
            }
        }
    };
}

denial_reasons! {
    /// No policy has been loaded.
    NoSnapshot = "no-policy-loaded", "The gateway has no policy loaded and refuses everything.";
    /// No certificate was presented or it yields no name.
    NoIdentity = "no-identity", "No client certificate identifies this device.";
    /// No certificate was presented, and what was asked for is not for everybody.
    CertificateRequired = "certificate-required", "This service asks for a client certificate.";
    /// The certificate names nobody who is enrolled.
    UnknownIdentity = "unknown-identity", "This certificate does not belong to an enrolled identity.";
    /// The identity is disabled.
    IdentityDisabled = "identity-disabled", "This identity is disabled.";
    /// An operator has locked the identity.
    IdentityLocked = "identity-locked", "This identity is locked.";
    /// The certificate has expired.
    CertificateExpired = "certificate-expired", "The client certificate has expired.";
    /// The certificate is not valid yet.
    CertificateNotYetValid = "certificate-not-yet-valid", "The client certificate is not valid yet.";
    /// The certificate is revoked.
    CertificateRevoked = "certificate-revoked", "The client certificate has been revoked.";
    /// No trusted CA issued the certificate.
    CertificateUntrusted = "certificate-untrusted-ca", "The client certificate was not issued by a trusted CA.";
    /// The CRL has expired, so revocation cannot be ruled out.
    CrlExpired = "crl-expired", "Revocation of the client certificate cannot be checked.";
    /// The identity has as many connections open as it may.
    TooManyConnections = "too-many-connections", "This identity has too many connections open.";
    /// No service matches the request.
    UnknownService = "unknown-service", "No service is known under this name.";
    /// No policy links identity and service.
    NoPolicy = "no-policy", "No policy lets this identity reach this service.";
    /// Policies link them, but none has all its checks passing.
    PostureFailed = "posture-failed", "This device is not in the posture the service asks for.";
    /// An operator ended it.
    EndedByOperator = "ended-by-operator", "An operator has ended this session.";
    /// As many requests and connections are under way as the gateway keeps watch over.
    TooManySessions = "too-many-sessions", "The gateway has too much under way to take on more.";
    /// The decision itself failed.
    EvaluationFailed = "evaluation-failed", "The request could not be judged and was refused.";
}
