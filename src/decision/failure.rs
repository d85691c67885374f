//! One entry of an identity's failure history.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{IdentityId, ServiceId};

use super::denial::{DenialReason, FailedPolicy};
use super::lock::Lock;

/// A refused request as it is kept: the denial's evidence and the request it was given to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When it was refused.
    pub when: Timestamp,
    /// The request's id, as in the log and in the reply.
    pub request_id: Arc<str>,
    /// The connection it came on (OpenZiti's `apiSessionId`).
    pub connection_id: Arc<str>,
    /// Who asked.
    pub identity: IdentityId,
    /// What was asked for; `None` when no service matched.
    pub service: Option<FailedService>,
    /// Why.
    pub reason: DenialReason,
    /// Policies that link identity and service, with what stood in the way.
    pub policies: Vec<FailedPolicy>,
    /// The lock that was on the identity, when that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Arc<Lock>>,
    /// The peer's address.
    pub source_address: Option<String>,
    /// The snapshot's generation.
    pub generation: u64,
}

/// The service a refused request was for, with its name at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedService {
    /// The service's id.
    pub id: ServiceId,
    /// The service's name.
    pub name: Arc<str>,
}
