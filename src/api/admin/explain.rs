//! Why one identity may reach one service now, or why not: the gateway's own decision, asked without a request.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::decision::Lock;
use crate::dialect::openziti::{self, ErrorCode, PolicyFailure};
use crate::policy::objects::{Identity, Objects, Service};

use super::Admin;
use crate::api::refusal::Refusal;

/// Who asks for what; each by id, or else by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Question {
    identity: String,
    service: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation<'a> {
    allowed: bool,
    /// `allowed`, or the code a refused request would be recorded with.
    reason_code: &'static str,
    reason: &'a str,
    identity: Named<'a>,
    service: Named<'a>,
    /// The policy that opens.
    policy: Option<Named<'a>>,
    /// Every policy that links the two, with what stands in its way.
    policy_failures: Vec<PolicyFailure<'a>>,
    /// The lock that an operator put on the identity, when that is why.
    lock: Option<&'a Lock>,
    generation: u64,
    asked_at: Timestamp,
    /// Until when time alone changes nothing; `null` for ever.
    valid_until: Option<Timestamp>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

pub(super) async fn explain(State(admin): State<Admin>, Query(question): Query<Question>) -> Result<Response, Refusal> {
    let published = admin.enforcer.published();
    let snapshot = published.snapshot();
    let nobody = Identity::anonymous();
    let identity = find_caller(snapshot.objects(), &nobody, &question.identity)?;
    let service = find_service(snapshot.objects(), &question.service)?;
    let index = snapshot.find_service(&service.id).ok_or(ErrorCode::NotFound)?;
    let decision = admin.enforcer.explain(snapshot, &identity.id, index);
    let asked = Explanation {
        allowed: false,
        reason_code: "allowed",
        reason: "A policy lets this identity reach this service.",
        identity: Named { id: identity.id.as_str(), name: &identity.name },
        service: Named { id: service.id.as_str(), name: &service.name },
        policy: None,
        policy_failures: Vec::new(),
        lock: None,
        generation: snapshot.generation(),
        asked_at: admin.enforcer.clock().now(),
        valid_until: None,
    };
    let explanation = match &decision {
        Ok(permit) => Explanation {
            allowed: true,
            policy: Some(Named { id: permit.policy().id.as_str(), name: &permit.policy().name }),
            valid_until: ends(permit.valid_until()),
            ..asked
        },
        Err(denial) => Explanation {
            reason_code: denial.reason.code(),
            reason: denial.reason.title(),
            policy_failures: openziti::policy_failures(&denial.policies),
            lock: denial.lock.as_deref(),
            valid_until: ends(denial.valid_until),
            ..asked
        },
    };
    Ok(Json(openziti::detail(explanation)).into_response())
}

fn ends(valid_until: Timestamp) -> Option<Timestamp> {
    (valid_until != Timestamp::MAX).then_some(valid_until)
}

/// An identity, or `nobody` where whoever comes without a certificate is meant.
pub(super) fn find_caller<'a>(
    objects: &'a Objects,
    nobody: &'a Identity,
    wanted: &str,
) -> Result<&'a Identity, Refusal> {
    if wanted == Identity::ANONYMOUS { Ok(nobody) } else { find_identity(objects, wanted) }
}

pub(super) fn find_identity<'a>(objects: &'a Objects, wanted: &str) -> Result<&'a Identity, Refusal> {
    let by_id = objects.identities.get(wanted);
    let found = by_id.or_else(|| objects.identities.values().find(|identity| *identity.name == *wanted));
    found.map(AsRef::as_ref).ok_or_else(|| unknown("identity", wanted))
}

pub(super) fn find_service<'a>(objects: &'a Objects, wanted: &str) -> Result<&'a Service, Refusal> {
    let by_id = objects.services.get(wanted);
    let found = by_id.or_else(|| objects.services.values().find(|service| *service.name == *wanted));
    found.map(AsRef::as_ref).ok_or_else(|| unknown("service", wanted))
}

fn unknown(parameter: &str, wanted: &str) -> Refusal {
    if wanted.is_empty() {
        return Refusal::because(ErrorCode::CouldNotValidate, parameter, "is required: an id or a name", "");
    }
    Refusal::because(ErrorCode::NotFound, parameter, "is neither an id nor a name", wanted)
}
