//! The page at `/.postern/me`: who a person is here, which services they could reach, and what stands in the way.
//!
//! It is answered by the gate itself, under every host, to whoever came in; no service is asked, and nothing here is a decision
//! about one. Of each service it tells as much as a refusal would: a concealed one is told of only while it is open, and checks and
//! values as far as the service's disclosure goes.

mod page;

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::gate::Gate;
use super::respond::{Reply, prefers_html};
use crate::clock::Timestamp;
use crate::decision::FailedVerdict;
use crate::decision::engine::{CheckStanding, standings};
use crate::enforce::{Connection, Device, Published};
use crate::limits::{ME_SERVICES_MAX, ME_UNKNOWN_MAX, REFUSAL_CHECKS_MAX};
use crate::policy::objects::{PolicyType, Service};
use crate::policy::service::Disclosure;
use crate::policy::snapshot::IdentityIndex;
use crate::policy::{ServiceIndex, Snapshot};
use crate::posture::Posture;
use crate::posture::inventory::{Inventory, UnknownFact};
use crate::posture::outcome::{FailReason, NoResultReason, Outcome};

/// Where it is.
pub(super) const PATH: &str = "/.postern/me";

/// What a person is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Me<'a> {
    identity: &'a str,
    certificate: &'a str,
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_report_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_passed_at: Option<Timestamp>,
    device: MyDevice,
    services: Vec<MyService<'a>>,
    /// Whether there are more services than are listed.
    more: bool,
}

/// What a person's device told of itself that no check asks for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct MyDevice {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_locked: Option<bool>,
    /// What it could not tell, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<UnknownFact>,
}

/// One service a person could reach.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MyService<'a> {
    name: &'a str,
    hosts: &'a [String],
    open: bool,
    /// Until when that holds if nothing is reported anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The ways in, each with its checks: one whose checks all pass is enough. Left out where only the state may be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    ways: Option<Vec<Way>>,
}

/// One way in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Way {
    passes: bool,
    checks: Vec<MyCheck>,
}

/// One check of a way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MyCheck {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Age of the oldest fact the check looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_to_do: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<Value>,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It passes.
    Pass,
    /// It fails.
    Fail,
    /// Nothing that counts is known.
    Unknown,
}

/// The answer to a request for the page.
pub(super) fn answer(
    gate: &Gate,
    published: &Published,
    connection: &Connection,
    device: &Device,
    method: &Method,
    headers: &HeaderMap,
) -> Reply {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return wrong_method();
    }
    let told = Me::of(gate, published, connection, device);
    if prefers_html(headers) { html(&told) } else { json(&told) }
}

impl<'a> Me<'a> {
    fn of(gate: &Gate, published: &'a Published, connection: &'a Connection, device: &'a Device) -> Self {
        let (snapshot, now) = (published.snapshot(), gate.enforcer().clock().now());
        let certificate = connection.fingerprint();
        let posture = device.known().posture();
        let posture = posture.as_proven_by(certificate);
        let asker = snapshot.find_identity(device.identity());
        let name = asker.and_then(|index| snapshot.identity(index)).map_or("", |identity| &*identity.name);
        let view = View { gate, snapshot, device, certificate, posture: &posture, now };
        let mut services: Vec<_> = asker.into_iter().flat_map(|asker| view.services(asker)).collect();
        let more = services.len() > ME_SERVICES_MAX;
        services.truncate(ME_SERVICES_MAX);
        Me {
            identity: name,
            certificate: connection.credential().map_or("", |credential| credential.describe()),
            now,
            last_report_at: posture.checked_in_at,
            mfa_passed_at: posture.mfa.passed_at,
            device: MyDevice::of(posture.inventory()),
            services,
            more,
        }
    }
}

impl MyDevice {
    fn of(inventory: &Inventory) -> Self {
        MyDevice {
            hostname: inventory.hostname.as_ref().map(|fact| fact.value.clone()),
            product: inventory.product.as_ref().map(|fact| fact.value.clone()),
            screen_locked: inventory.screen_locked.as_ref().map(|fact| fact.value),
            unknown: inventory.unknown.iter().flat_map(|fact| &fact.value).take(ME_UNKNOWN_MAX).cloned().collect(),
        }
    }
}

/// What one person sees at one moment.
struct View<'a, 'p> {
    gate: &'p Gate,
    snapshot: &'a Snapshot,
    device: &'p Device,
    certificate: &'p str,
    posture: &'p Posture,
    now: Timestamp,
}

impl<'a> View<'a, '_> {
    /// Services that a Dial policy leads to; one more than are shown, so that it can be told that there are more.
    fn services(&self, asker: IdentityIndex) -> Vec<MyService<'a>> {
        let all =
            self.snapshot.services().filter_map(|service| Some((self.snapshot.find_service(&service.id)?, service)));
        let own = all.filter(|(index, _)| self.snapshot.dial_policies(asker, *index).next().is_some());
        own.filter_map(|(index, service)| self.service(asker, index, service)).take(ME_SERVICES_MAX + 1).collect()
    }

    fn service(&self, asker: IdentityIndex, index: ServiceIndex, service: &'a Service) -> Option<MyService<'a>> {
        let verdict = self.gate.enforcer().verdict(self.snapshot, self.device, self.certificate, index, self.now);
        let (open, until) = match &verdict {
            Ok(permit) => (true, permit.valid_until()),
            Err(_) if service.concealed => return None,
            Err(denial) => (false, denial.valid_until),
        };
        let ways = (service.disclosure >= Disclosure::Checks).then(|| self.ways(asker, index, service, open));
        Some(MyService {
            name: &service.name,
            hosts: &service.matching.hosts,
            open,
            until: Some(until).filter(|until| *until != Timestamp::MAX && open),
            ways,
        })
    }

    /// Whether there is anything the device could not tell.
    fn has_gaps(&self) -> bool {
        self.posture.inventory().unknown.as_ref().is_some_and(|unknown| !unknown.value.is_empty())
    }

    /// Of an open service the ways that let in; of a shut one all of them.
    fn ways(&self, asker: IdentityIndex, index: ServiceIndex, service: &Service, open: bool) -> Vec<Way> {
        let values = service.disclosure >= Disclosure::Values;
        let mut left = REFUSAL_CHECKS_MAX;
        let mut ways = Vec::new();
        for standing in standings(self.snapshot, asker, index, self.posture, self.now) {
            if standing.policy.policy_type != PolicyType::Dial || (open && !standing.is_passing) {
                continue;
            }
            let checks = standing.checks.iter().take(left).map(|check| my_check(check, values, self.has_gaps()));
            let checks: Vec<_> = checks.collect();
            left = left.saturating_sub(checks.len());
            ways.push(Way { passes: standing.is_passing, checks });
            if left == 0 {
                break;
            }
        }
        ways
    }
}

fn my_check(standing: &CheckStanding, values: bool, has_gaps: bool) -> MyCheck {
    let CheckStanding { check, outcome, observed_at, in_the_way } = standing;
    let state = match (outcome, in_the_way) {
        // Inside an expression a pass may be what stands in the way, and a fail what is wanted.
        (Outcome::Pass, Some(_)) | (Outcome::Fail(_), _) => State::Fail,
        (Outcome::Pass, None) => State::Pass,
        (Outcome::NoResult(_), _) => State::Unknown,
    };
    let verdict = in_the_way.as_ref().map(|failed| failed.verdict);
    let what_to_do =
        verdict.map(|verdict| check.remediation.as_deref().unwrap_or(advice(verdict, has_gaps)).to_owned());
    let shown = in_the_way.as_ref().filter(|_| values);
    MyCheck {
        name: check.name.to_string(),
        kind: check.predicate.kind(),
        state,
        reason: verdict.map(FailedVerdict::code),
        observed_at: *observed_at,
        what_to_do,
        expected: shown.map(|failed| failed.expected_value()),
        actual: shown.map(|failed| failed.actual_value()),
    }
}

/// What to do where the operator wrote nothing. `has_gaps` is whether there are things the device could not tell.
fn advice(verdict: FailedVerdict, has_gaps: bool) -> &'static str {
    match verdict {
        FailedVerdict::NoResult(NoResultReason::MfaNotPassed)
        | FailedVerdict::Fail(
            FailReason::MfaTimedOut | FailReason::MfaRequiredAfterWake | FailReason::MfaRequiredAfterUnlock,
        ) => "Enter a new code of your authenticator app in the client of this device.",
        FailedVerdict::NoResult(NoResultReason::NotReported) | FailedVerdict::Fail(FailReason::FactMissing)
            if has_gaps =>
        {
            "This device did not tell it. What it could not tell, and why, stands at the end of this page."
        }
        FailedVerdict::NoResult(NoResultReason::NotReported | NoResultReason::Stale | NoResultReason::Unreadable)
        | FailedVerdict::Fail(FailReason::FactMissing | FailReason::FactUnreadable | FailReason::NoClientSession) => {
            "Have this device report again: is its agent running?"
        }
        FailedVerdict::Fail(_) => "Change this on the device, and have it report again.",
        FailedVerdict::NoResult(_) | FailedVerdict::Forbidden => "Ask whoever looks after this gateway.",
    }
}

fn html(told: &Me<'_>) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/html; charset=utf-8", page::render(told).into());
    reply.fields.push((header::CONTENT_SECURITY_POLICY, page::security_policy()));
    reply
}

fn json(told: &Me<'_>) -> Reply {
    // Serialising strings and numbers to memory cannot fail; an empty body would still tell nothing wrong.
    reply(StatusCode::OK, "application/json", serde_json::to_vec(told).unwrap_or_default().into())
}

fn wrong_method() -> Reply {
    let mut reply =
        reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", Bytes::from_static(b"GET only\n"));
    reply.fields.push((header::ALLOW, HeaderValue::from_static("GET, HEAD")));
    reply
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    const FIXED: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let mut fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
    ];
    fields.extend(FIXED.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Reply { status, fields, body }
}

/// How long ago something was, in the one unit that says most.
fn age(now: Timestamp, then: Timestamp) -> String {
    words(now.since(then), "ago")
}

/// How long until something will be.
fn remaining(now: Timestamp, then: Timestamp) -> String {
    words(then.since(now), "from now")
}

fn words(duration: Duration, direction: &str) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0 => return format!("less than a second {direction}"),
        1..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} {direction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for (seconds, text) in
            [(0, "less than a second ago"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago")]
        {
            assert_eq!(age(now, now.before(Duration::from_secs(seconds))), text);
        }
        assert_eq!(age(now, now.before(Duration::from_secs(172_800))), "2 days ago");
        assert_eq!(remaining(now, now.after(Duration::from_secs(7200))), "2 hours from now");
    }
}
