//! What enrolment leaves with an identity: a token that waits to be redeemed, and the certificates that were issued for one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::Sealed;

/// A one-time token that waits to be redeemed for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingEnrolment {
    /// Its id.
    pub id: Arc<str>,
    /// The SHA-256 of the token, in lower-case hex: what a redeemed token is found by.
    pub digest: Arc<str>,
    /// The token, encrypted, to be shown to the operators who hand it over.
    pub token: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// A certificate that was issued for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolledCertificate {
    /// Its id.
    pub id: Arc<str>,
    /// The SHA-256 of the certificate, in lower-case hex.
    pub fingerprint: Arc<str>,
    /// When it was issued.
    pub enrolled_at: Timestamp,
    /// The last second in which it is valid.
    pub not_after: Timestamp,
}

impl PendingEnrolment {
    /// What the sealed token of the enrolment `id` is bound to.
    pub fn secret_context(id: &str) -> String {
        format!("enrolment/{id}/token")
    }
}
