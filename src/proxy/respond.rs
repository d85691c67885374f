//! From a refusal to an answer: the one place that decides what a refused client may learn.
//!
//! [`render`] is pure and does the deciding; `send` writes its result to the client.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora_proxy::Session;
use serde::Serialize;

use super::headers::X_REQUEST_ID;
use super::page;
use super::refusal::Refusal;
use super::request_id::RequestId;
use crate::clock::Timestamp;
use crate::decision::{Denial, DenialReason, Lock};
use crate::dialect::native::{ToldCheck, told_checks};
use crate::limits::{GRPC_MESSAGE_BYTES_MAX, REFUSED_BODY_DRAIN_WAIT_MAX};
use crate::policy::service::Disclosure;

/// How a refused request was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request's id.
    pub request_id: &'a RequestId,
    /// The method.
    pub method: &'a Method,
    /// The HTTP version.
    pub version: Version,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header fields, in order.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for gRPC.
    pub body: Bytes,
}

/// What a refusal tells: the same in every form it takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    pub(super) title: &'static str,
    pub(super) status: u16,
    pub(super) detail: Cow<'static, str>,
    instance: String,
    pub(super) reason: &'static str,
    pub(super) request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checks: Option<Vec<ToldCheck<'a>>>,
    /// When an operator's lock ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_until: Option<Timestamp>,
    /// Why an operator has locked the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_reason: Option<&'a str>,
}

/// The answer to a refused request.
pub fn render(refusal: &Refusal, asked: &Asked<'_>) -> Reply {
    let problem = problem(refusal, asked.request_id);
    let mut reply = if is_grpc(asked.version, asked.headers) {
        grpc_reply(&problem)
    } else if prefers_html(asked.headers) {
        html_reply(&problem)
    } else {
        json_reply(&problem)
    };
    reply.fields.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    reply.fields.push((X_REQUEST_ID, asked.request_id.to_header_value()));
    reply
}

/// What may be told. A service that must not be revealed reads exactly like one that does not exist.
fn problem<'a>(refusal: &'a Refusal, request_id: &'a RequestId) -> Problem<'a> {
    let (status, reason, detail) = match refusal {
        Refusal::Malformed(fault) => (StatusCode::BAD_REQUEST, fault.code(), fault.detail()),
        Refusal::Misdirected => {
            let detail = "This connection was made for another service; open a new one for this host.";
            (StatusCode::MISDIRECTED_REQUEST, refusal.code(), detail)
        }
        Refusal::Denied { denial, .. } if denial.reason == DenialReason::TooManySessions => {
            (StatusCode::SERVICE_UNAVAILABLE, denial.reason.code(), denial.reason.title())
        }
        Refusal::Denied { denial, service } => match service {
            Some(service) if !service.concealed => (StatusCode::FORBIDDEN, denial.reason.code(), denial.reason.title()),
            Some(_) => unknown_service(),
            None if denial.reason == DenialReason::UnknownService => unknown_service(),
            None => (StatusCode::FORBIDDEN, denial.reason.code(), denial.reason.title()),
        },
        Refusal::SlowBody => (StatusCode::REQUEST_TIMEOUT, refusal.code(), "The request's body did not come in time."),
        Refusal::TrickledBody => (StatusCode::REQUEST_TIMEOUT, refusal.code(), "The request's body comes too slowly."),
        Refusal::Upstream(fault) => (fault.status(), fault.code(), fault.detail()),
        Refusal::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, refusal.code(), "The gateway could not handle this request.")
        }
    };
    Problem {
        kind: format!("urn:postern:problem:{reason}"),
        title: title(status),
        status: status.as_u16(),
        detail: full_detail(refusal, detail),
        instance: instance(request_id),
        reason,
        request_id: request_id.as_str(),
        checks: checks(refusal),
        locked_until: lock(refusal, Disclosure::Checks).and_then(|lock| lock.until),
        lock_reason: lock(refusal, Disclosure::Values).map(|lock| &*lock.reason),
    }
}

fn unknown_service() -> (StatusCode, &'static str, &'static str) {
    (StatusCode::NOT_FOUND, DenialReason::UnknownService.code(), DenialReason::UnknownService.title())
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "Access denied",
        other => other.canonical_reason().unwrap_or("Request refused"),
    }
}

/// With several policies there are several ways in, which the flat list of checks does not show.
fn full_detail(refusal: &Refusal, detail: &'static str) -> Cow<'static, str> {
    match disclosed(refusal) {
        Some((denial, disclosure)) if disclosure >= Disclosure::Checks && denial.policies.len() > 1 => {
            Cow::Owned(format!("{detail} Not all of the checks may be needed: there is more than one way in."))
        }
        _ => Cow::Borrowed(detail),
    }
}

/// The denial of a service that may be revealed, and how much of it may be told.
fn disclosed(refusal: &Refusal) -> Option<(&Denial, Disclosure)> {
    match refusal {
        Refusal::Denied { denial, service: Some(service) } if !service.concealed => Some((denial, service.disclosure)),
        _ => None,
    }
}

/// The lock that stands in the way, where at least `disclosure` may be told.
fn lock(refusal: &Refusal, disclosure: Disclosure) -> Option<&Lock> {
    let (denial, _) = disclosed(refusal).filter(|(_, allowed)| *allowed >= disclosure)?;
    denial.lock.as_deref()
}

fn checks(refusal: &Refusal) -> Option<Vec<ToldCheck<'_>>> {
    let (denial, disclosure) = disclosed(refusal)?;
    told_checks(denial, disclosure)
}

fn instance(request_id: &RequestId) -> String {
    match uuid::Uuid::parse_str(request_id.as_str()) {
        Ok(uuid) => uuid.urn().to_string(),
        Err(_) => format!("urn:postern:request:{request_id}"),
    }
}

fn json_reply(problem: &Problem<'_>) -> Reply {
    // Serialising strings and numbers to memory cannot fail; an empty body would still refuse.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    reply(problem, "application/problem+json", body.into())
}

fn html_reply(problem: &Problem<'_>) -> Reply {
    let mut reply = reply(problem, "text/html; charset=utf-8", page::render(problem).into());
    let policy = HeaderValue::from_static(page::CONTENT_SECURITY_POLICY);
    reply.fields.push((header::CONTENT_SECURITY_POLICY, policy));
    reply.fields.push((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    reply
}

fn reply(problem: &Problem<'_>, content_type: &'static str, body: Bytes) -> Reply {
    let fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
        (header::VARY, HeaderValue::from_static("Accept")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Reply { status: StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN), fields, body }
}

/// gRPC has its own status, which takes the place of trailers when there is no body ("Trailers-Only").
pub(super) fn is_grpc(version: Version, headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    version == Version::HTTP_2 && content_type.starts_with(b"application/grpc")
}

fn grpc_reply(problem: &Problem<'_>) -> Reply {
    let fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (HeaderName::from_static("grpc-status"), HeaderValue::from(grpc_status(problem.status))),
        (HeaderName::from_static("grpc-message"), grpc_message(problem)),
    ];
    Reply { status: StatusCode::OK, fields, body: Bytes::new() }
}

/// gRPC's own mapping from HTTP statuses, where it has one.
fn grpc_status(status: u16) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const PERMISSION_DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    match status {
        400 => INVALID_ARGUMENT,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        421 | 502 | 503 | 504 => UNAVAILABLE,
        _ => INTERNAL,
    }
}

fn grpc_message(problem: &Problem<'_>) -> HeaderValue {
    let mut message = format!("{} ({}, request {})", problem.detail, problem.reason, problem.request_id);
    for check in problem.checks.iter().flatten() {
        let _ = write!(message, "; {}: {}", check.name, check.remediation.unwrap_or(check.reason));
    }
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes().take(GRPC_MESSAGE_BYTES_MAX) {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

/// Whether the client asks for a page by name, and no less than for JSON.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut html, mut json) = (0, 0);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => html = html.max(quality),
            "application/problem+json" | "application/json" => json = json.max(quality),
            _ => {}
        }
    }
    html > 0 && html >= json
}

/// A quality value between 0 and 1 in thousandths; 0 when it cannot be read.
fn thousandths(quality: &str) -> u16 {
    let quality: f32 = quality.parse().unwrap_or(0.0);
    // The cast saturates, and NaN becomes 0.
    (quality.clamp(0.0, 1.0) * 1000.0) as u16
}

/// Answers a refused request, unless an answer has begun already. Returns the status that was sent.
///
/// Failing to write is the client's business: there is nobody left to tell.
pub(super) async fn send(session: &mut Session, refusal: &Refusal, request_id: &RequestId) -> Option<StatusCode> {
    if session.response_written().is_some_and(is_final) {
        return None;
    }
    let request = session.req_header();
    let asked = Asked { request_id, method: &request.method, version: request.version, headers: &request.headers };
    let expects_continue = request.headers.contains_key(header::EXPECT);
    let body_wanted = request.method != Method::HEAD;
    let reply = render(refusal, &asked);
    if refusal.ends_connection() {
        session.set_keepalive(None);
    }
    let status = reply.status;
    let written = write(&mut session.downstream_session, reply, body_wanted).await;
    if written.is_ok() && !refusal.ends_connection() && !expects_continue {
        drain(session).await;
    }
    Some(status)
}

/// Sends an answer of the gate's own to a request that is no refusal. Returns the status that was sent.
pub(super) async fn answer(session: &mut Session, mut reply: Reply, request_id: &RequestId) -> StatusCode {
    reply.fields.push((X_REQUEST_ID, request_id.to_header_value()));
    let (status, body_wanted) = (reply.status, session.req_header().method != Method::HEAD);
    // Failing to write is the client's business: there is nobody left to tell.
    if write(&mut session.downstream_session, reply, body_wanted).await.is_ok() {
        drain(session).await;
    }
    status
}

fn is_final(response: &ResponseHeader) -> bool {
    !response.status.is_informational() || response.status == StatusCode::SWITCHING_PROTOCOLS
}

async fn write(session: &mut ServerSession, reply: Reply, body_wanted: bool) -> pingora::Result<()> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.fields.len()))?;
    for (name, value) in reply.fields {
        head.insert_header(name, value)?;
    }
    let body = if body_wanted { reply.body } else { Bytes::new() };
    match session {
        // The status of gRPC must end the stream in the frame it is in.
        ServerSession::H2(stream) if body.is_empty() => stream.write_response_header(Box::new(head), true),
        ServerSession::Custom(call) if body.is_empty() => call.write_response_header(Box::new(head), true).await,
        other => {
            other.write_response_header(Box::new(head)).await?;
            if !body.is_empty() {
                other.write_response_body(body, true).await?;
            }
            other.finish_body().await
        }
    }
}

/// Reads what the client is still sending: closing on top of unread bytes would reset the connection and could take the
/// answer with it.
async fn drain(session: &mut Session) {
    if session.as_downstream().as_http1().is_some() && !session.is_body_done() {
        session.set_total_drain_timeout(Some(REFUSED_BODY_DRAIN_WAIT_MAX));
        // Whether all of it came in time or not, the connection is closed afterwards.
        drop(session.drain_request_body().await);
    }
}

#[cfg(test)]
mod tests;
