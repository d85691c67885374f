//! Posture queries: what a client is asked to report for a service, and how it stands (`openziti.md` 3.1).
//!
//! Digests, signers, versions, domains and addresses that would pass are never told.

use std::time::Duration;

use serde::Serialize;

use super::envelope::{Entity, Links};
use super::posture_check::{TypeId, timeout_seconds};
use crate::clock::Timestamp;
use crate::policy::objects::{PolicyType, PostureCheck, ServicePolicy};
use crate::posture::check::Predicate;
use crate::posture::check::mfa::MfaRule;
use crate::posture::check::process::ProcessRequirement;
use crate::posture::{Platform, Posture};

/// The queries of one policy that links the asking identity and a service.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureQueries<'a> {
    policy_id: &'a str,
    policy_type: PolicyType,
    is_passing: bool,
    posture_queries: Vec<PostureQuery<'a>>,
}

impl<'a> PostureQueries<'a> {
    /// The queries of a policy, which as a whole passes or does not.
    pub fn new(policy: &'a ServicePolicy, is_passing: bool, posture_queries: Vec<PostureQuery<'a>>) -> Self {
        PostureQueries { policy_id: policy.id.as_str(), policy_type: policy.policy_type, is_passing, posture_queries }
    }
}

/// One query.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureQuery<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    query_type: Option<TypeId>,
    is_passing: bool,
    timeout: i64,
    timeout_remaining: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<QueryProcess<'a>>,
    processes: Option<Vec<QueryProcess<'a>>>,
    #[serde(skip_serializing_if = "is_false")]
    prompt_on_wake: bool,
    #[serde(skip_serializing_if = "is_false")]
    prompt_on_unlock: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryProcess<'a> {
    os_type: Platform,
    path: &'a str,
}

impl<'a> QueryProcess<'a> {
    fn of(process: &'a ProcessRequirement) -> Self {
        QueryProcess { os_type: process.platform, path: &process.path }
    }
}

/// What a check asks of a device, and how the device stands at `now`.
pub fn posture_query<'a>(object: &'a PostureCheck, posture: &Posture, now: Timestamp) -> PostureQuery<'a> {
    let check = &object.check;
    let id = check.id.as_str();
    let mut query = PostureQuery {
        entity: Entity::new(id, &object.meta, Links::own("posture-checks", id)),
        query_type: TypeId::of(&check.predicate),
        is_passing: check.assess(posture, now).outcome.is_pass(),
        timeout: -1,
        timeout_remaining: -1,
        timeout_at: None,
        process: None,
        processes: None,
        prompt_on_wake: false,
        prompt_on_unlock: false,
    };
    match &check.predicate {
        Predicate::Process(rule) => query.process = Some(QueryProcess::of(&rule.process)),
        Predicate::Processes(rule) => query.processes = Some(rule.processes.iter().map(QueryProcess::of).collect()),
        Predicate::Mfa(rule) => query.ask_for_mfa(rule, object, posture, now),
        // Nothing more is told about the others.
        _ => {}
    }
    query
}

impl PostureQuery<'_> {
    fn ask_for_mfa(&mut self, rule: &MfaRule, object: &PostureCheck, posture: &Posture, now: Timestamp) {
        let Posture { mfa, endpoint, sdk, .. } = posture;
        self.timeout = timeout_seconds(rule.timeout);
        self.timeout_remaining = rule.timeout_remaining(mfa, endpoint, sdk.as_ref(), now);
        self.timeout_at =
            u64::try_from(self.timeout_remaining).ok().map(|remaining| now.after(Duration::from_secs(remaining)));
        self.prompt_on_wake = rule.prompt_on_wake;
        self.prompt_on_unlock = rule.prompt_on_unlock;
        let events =
            [endpoint.woken_at.filter(|_| rule.prompt_on_wake), endpoint.unlocked_at.filter(|_| rule.prompt_on_unlock)];
        let newest = events.into_iter().flatten().fold(object.meta.updated_at, Timestamp::max);
        self.entity.updated_at(newest);
    }
}
