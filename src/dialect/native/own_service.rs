//! How one device stands with the services that are meant for it, as it may be told itself.

use serde::Serialize;

use super::told_check::{ToldCheck, told_checks};
use crate::clock::Timestamp;
use crate::decision::Denial;
use crate::decision::engine::Decision;
use crate::policy::objects::Service;

/// A service that some policy leads the device to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnService<'a> {
    id: &'a str,
    name: &'a str,
    hosts: &'a [String],
    path_prefix: &'a str,
    /// Whether a request would be let through now.
    open: bool,
    /// `allowed`, or the stable code of the refusal.
    reason: &'static str,
    /// The refusal in a plain sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    /// When time alone may change the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    /// What stands in the way, as far as the service discloses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<ToldCheck<'a>>>,
}

/// Shows a service to the device that a decision is about; `None` for a concealed one that is shut, which must read like one that
/// does not exist.
pub fn own_service<'a>(service: &'a Service, decision: &'a Decision) -> Option<OwnService<'a>> {
    let denial: Option<&Denial> = decision.as_ref().err();
    if denial.is_some() && service.concealed {
        return None;
    }
    let valid_until = match decision {
        Ok(permit) => permit.valid_until(),
        Err(denial) => denial.valid_until,
    };
    Some(OwnService {
        id: service.id.as_str(),
        name: &service.name,
        hosts: &service.matching.hosts,
        path_prefix: &service.matching.path_prefix,
        open: denial.is_none(),
        reason: denial.map_or("allowed", |denial| denial.reason.code()),
        detail: denial.map(|denial| denial.reason.title()),
        valid_until: Some(valid_until).filter(|until| *until != Timestamp::MAX),
        checks: denial.and_then(|denial| told_checks(denial, service.disclosure)),
    })
}
