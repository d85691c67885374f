//! One request from the gate's side: how it is judged, what an upstream is told about it, and what is told of it after.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, Uri, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorSource};
use pingora_proxy::Session;

use super::enforced::Admitted;
use super::gate::{Gate, GatedConnection};
use super::head;
use super::headers::{self, Claims, X_REQUEST_ID};
use super::hygiene::{self, Fault, HeadBounds, Target};
use super::me;
use super::pace;
use super::refusal::{Refusal, UpstreamFault};
use super::request_id::RequestId;
use super::respond::{self, Reply};
use super::standing;
use crate::clock::{Stopwatch, Timestamp};
use crate::decision::{Denial, DenialReason, FailedService, Failure, Permit, engine};
use crate::enforce::{Connection, Entry, Place, Protocol, Published};
use crate::policy::ServiceIndex;
use crate::policy::service::ServiceProtocol;
use crate::telemetry::metrics::{Live, UpstreamMetrics};

/// Where the line of each request goes.
const DECISION_LOG: &str = "postern::decision";

/// Whether anybody reads those lines.
fn logged() -> bool {
    tracing::enabled!(target: DECISION_LOG, tracing::Level::INFO)
}

/// The gate's state of one request.
#[derive(Debug)]
pub(super) struct Judged {
    request_id: RequestId,
    connection: Option<Arc<GatedConnection>>,
    pub(super) outcome: Outcome,
    /// The address of the upstream it went to.
    pub(super) upstream: Option<SocketAddr>,
    asked: Option<Asked>,
    previous: Option<Box<dyn Any + Send + Sync>>,
    /// When it began, by the clock that decisions go by.
    began: Timestamp,
    /// Its place among what is under way, from the moment it is judged.
    place: Option<Place>,
    clock: Stopwatch,
    /// How much of its body has come.
    body_bytes: u64,
    /// How long judging took, where somebody will read it.
    decided_in: Option<Duration>,
    _live: Live,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing yet: nothing may happen.
    Unjudged,
    /// It may pass.
    Permitted { permit: Arc<Permit>, upstream: Option<Arc<UpstreamMetrics>> },
    /// It is refused by the gate.
    Refused(Refusal),
    /// It asked for what the gate itself tells.
    Answered(Reply),
}

/// What the client asked for, in its own words.
#[derive(Debug)]
struct Asked {
    uri: Uri,
    authority: Option<HeaderValue>,
    /// Addresses a trusted proxy has seen.
    forwarded_for: Option<String>,
}

impl Judged {
    pub(super) fn begin(gate: &Gate) -> Self {
        let began = gate.enforcer().clock().now();
        Judged {
            request_id: RequestId::generate(began),
            connection: None,
            outcome: Outcome::Unjudged,
            upstream: None,
            asked: None,
            previous: None,
            began,
            place: None,
            clock: Stopwatch::start(),
            body_bytes: 0,
            decided_in: None,
            _live: gate.metrics().live_request(),
        }
    }

    pub(super) fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    pub(super) fn permit(&self) -> Option<&Arc<Permit>> {
        match &self.outcome {
            Outcome::Permitted { permit, .. } => Some(permit),
            Outcome::Unjudged | Outcome::Refused(_) | Outcome::Answered(_) => None,
        }
    }

    pub(super) fn admitted(&self) -> Option<Admitted<'_>> {
        let connection = &self.connection.as_ref()?.connection;
        Some(Admitted { permit: self.permit()?, connection, request_id: &self.request_id })
    }

    /// What the wrapped proxy kept from the request before on the same connection, until this one is judged.
    pub(super) fn keep_previous(&mut self, previous: Box<dyn Any + Send + Sync>) {
        self.previous = Some(previous);
    }

    pub(super) fn take_previous(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        self.previous.take()
    }
}

/// Judging.
impl Judged {
    /// Decides about the request; when it may pass, takes everything out of it by which the client could claim to be
    /// somebody else. Returns whether it may pass.
    pub(super) fn judge(&mut self, gate: &Gate, session: &mut Session) -> bool {
        self.connection = GatedConnection::of(session.digest());
        if let Some(gated) = &self.connection {
            gated.conduct.asked();
        }
        self.listen(gate, session.req_header());
        self.outcome = match self.verdict(gate, session) {
            Ok(permitted) => permitted,
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.decided_in = logged().then(|| self.clock.elapsed());
        if self.permit().is_some() && self.take_claims(session.req_header_mut()).is_err() {
            self.outcome = Outcome::Refused(Refusal::Internal);
        }
        self.permit().is_some()
    }

    /// Takes out what only the gate may say, and puts the request's id in for the proxy behind it.
    fn take_claims(&self, request: &mut RequestHeader) -> pingora::Result<()> {
        head::change_request(request, |fields| {
            headers::strip_claims(fields)?;
            headers::put(fields, X_REQUEST_ID, Some(self.request_id.to_header_value()))
        })
    }

    /// Keeps what the client asked for, and of what it says about itself only what a trusted proxy may say.
    fn listen(&mut self, gate: &Gate, request: &RequestHeader) {
        let peer = self.connection.as_ref().and_then(|gated| gated.connection.peer());
        let trusted = gate.options().trusts(peer);
        let claimed_id =
            (trusted && gate.options().accept_request_ids).then(|| RequestId::from_client(&request.headers));
        if let Some(id) = claimed_id.flatten() {
            self.request_id = id;
        }
        self.asked = Some(Asked {
            uri: request.uri.clone(),
            authority: authority(request),
            forwarded_for: if trusted { headers::forwarded_for(&request.headers) } else { None },
        });
    }

    fn verdict(&mut self, gate: &Gate, session: &Session) -> Result<Outcome, Refusal> {
        let target = inspect(session, gate.options().head_bounds()).map_err(Refusal::Malformed)?;
        let published = gate.enforcer().published();
        let Some(gated) = &self.connection else {
            return Err(denied(&published, DenialReason::NoIdentity));
        };
        let connection = &gated.connection;
        if target.path == me::PATH {
            return own_page(gate, &published, connection, session.req_header());
        }
        let service = route(&published, &target)?;
        let entry = Entry {
            request_id: self.request_id.shared(),
            began: self.began,
            protocol: protocol(session.req_header()),
            signal: standing::signal(),
        };
        let verdict = gate.enforcer().enter(&published, connection, service, entry);
        let object = published.snapshot().service(service);
        let denied = |denial| Refusal::Denied { denial, service: object.cloned() };
        let (permit, place) = match verdict {
            // Before anything else, a service that must not be revealed is answered like one that does not exist.
            Err(denial) if object.is_none_or(|service| service.concealed) => return Err(denied(denial)),
            _ if misdirected(gate, &published, connection, &target, service) => return Err(Refusal::Misdirected),
            Err(denial) => return Err(denied(denial)),
            Ok(entered) => entered,
        };
        self.place = Some(place);
        standing::note(session.req_header());
        Ok(Outcome::Permitted { permit, upstream: published.upstream(service).cloned() })
    }
}

/// The page that tells who somebody is here. Who it is for is asked like with any request; no service is.
fn own_page(
    gate: &Gate,
    published: &Published,
    connection: &Connection,
    request: &RequestHeader,
) -> Result<Outcome, Refusal> {
    let device = gate.enforcer().identify(published, connection).map_err(|reason| denied(published, reason))?;
    Ok(Outcome::Answered(me::answer(gate, published, connection, &device, &request.method, &request.headers)))
}

fn protocol(request: &RequestHeader) -> Protocol {
    match request.version {
        Version::HTTP_2 if respond::is_grpc(request.version, &request.headers) => Protocol::Grpc,
        Version::HTTP_2 => Protocol::Http2,
        _ => Protocol::Http1,
    }
}

/// Everything that would be read differently by somebody else is a fault.
fn inspect(session: &Session, bounds: HeadBounds) -> Result<Target<'_>, Fault> {
    if let Some(http1) = session.as_downstream().as_http1() {
        hygiene::inspect_head(&http1.get_headers_raw_bytes(), bounds)?;
    }
    let request = session.req_header();
    hygiene::inspect_fields(&request.headers, request.version, bounds)?;
    hygiene::target(&request.uri, &request.headers, bounds)
}

/// The service the request is for, under every reading of its path.
fn route(published: &Published, target: &Target<'_>) -> Result<ServiceIndex, Refusal> {
    let snapshot = published.snapshot();
    let decoded = hygiene::decoded_path(target.path).map_err(Refusal::Malformed)?;
    let service = snapshot.route(target.host, target.path);
    if *decoded != *target.path {
        let other = snapshot.route(target.host, &decoded);
        if other != service {
            let hidden = [service, other].into_iter().flatten().filter_map(|index| snapshot.service(index));
            // A fault would tell that there is something to be read differently.
            return Err(if hidden.into_iter().any(|service| service.concealed) {
                denied(published, DenialReason::UnknownService)
            } else {
                Refusal::Malformed(Fault::AmbiguousPath)
            });
        }
    }
    // A TCP service has connections of its own and takes no requests.
    let takes_requests = |index: &ServiceIndex| {
        snapshot.service(*index).is_some_and(|service| service.protocol == ServiceProtocol::Http)
    };
    service.filter(takes_requests).ok_or_else(|| denied(published, DenialReason::UnknownService))
}

/// Whether the connection was made for one service and the request is for another.
///
/// A concealed service counts for those only who may reach it; for everybody else its name is one like any other.
fn misdirected(
    gate: &Gate,
    published: &Published,
    connection: &Connection,
    target: &Target<'_>,
    service: ServiceIndex,
) -> bool {
    let Some(server_name) = connection.server_name().filter(|name| !name.eq_ignore_ascii_case(target.host)) else {
        return false;
    };
    match published.snapshot().route(server_name, target.path) {
        Some(other) if other != service => {
            let concealed = published.snapshot().service(other).is_none_or(|service| service.concealed);
            !concealed || gate.enforcer().decide(published, connection, other).is_ok()
        }
        _ => false,
    }
}

/// A denial for which no service could be asked.
fn denied(published: &Published, reason: DenialReason) -> Refusal {
    let snapshot = published.snapshot();
    let reason = if snapshot.is_loaded() { reason } else { DenialReason::NoSnapshot };
    Refusal::Denied { denial: Arc::new(engine::refusal(snapshot, reason, None, None)), service: None }
}

/// The host as the client wrote it, for those behind the gate.
fn authority(request: &RequestHeader) -> Option<HeaderValue> {
    match request.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => request.headers.get(http::header::HOST).cloned(),
    }
}

/// Speaking for the client.
impl Judged {
    /// Tells an upstream who is asking. False when nobody was let through, or when it cannot be told.
    pub(super) fn claim(&self, request: &mut RequestHeader) -> bool {
        let (Some(permit), Some(gated)) = (self.permit(), &self.connection) else {
            return false;
        };
        let claims = Claims {
            connection: &gated.claims,
            identity: permit.identity_id(),
            forwarded_for: self.asked.as_ref().and_then(|asked| asked.forwarded_for.as_deref()),
            authority: self.asked.as_ref().and_then(|asked| asked.authority.as_ref()),
            request_id: &self.request_id.to_header_value(),
        };
        head::change_request(request, |fields| claims.add_to(fields)).is_ok()
    }

    /// Puts the request's id on a response, and notes what the connection becomes by it.
    pub(super) fn sign(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        if let Some(place) = &self.place
            && response.status == StatusCode::SWITCHING_PROTOCOLS
        {
            place.speaks(Protocol::WebSocket);
        }
        let id = self.request_id.to_header_value();
        head::change_response(response, |fields| headers::put(fields, X_REQUEST_ID, Some(id)))
    }
}

/// Its body.
impl Judged {
    /// Some of it came; `all` when that was the last. Returns whether it comes fast enough: messages of gRPC and what was upgraded
    /// may come when they like.
    pub(super) fn body_came(&mut self, gate: &Gate, bytes: usize, all: bool) -> bool {
        standing::note_body(all);
        self.body_bytes = self.body_bytes.saturating_add(bytes as u64);
        let protocol = self.place.as_ref().map(|place| place.session().protocol());
        all || matches!(protocol, Some(Protocol::Grpc | Protocol::WebSocket))
            || !pace::is_too_slow(self.body_bytes, self.clock.elapsed(), &gate.options().front_door)
    }
}

/// Telling of it.
impl Judged {
    /// Notes against the client that it gave a request up, when that is how it ended.
    pub(super) fn note_conduct(&self, gate: &Gate, session: &Session, error: Option<&Error>) {
        let broken_off = error.is_some_and(|error| *error.esource() == ErrorSource::Downstream);
        // What the gate answers itself ends in an error of that kind as well; its client may have waited for the answer.
        let given_up = broken_off && (self.permit().is_some() || session.response_written().is_none());
        if let Some(gated) = self.connection.as_ref().filter(|_| given_up)
            && session.req_header().version == Version::HTTP_2
        {
            gated.conduct.gave_up(gate.options().front_door.resets);
        }
    }

    /// The one line, the counters and the failure record of a finished request.
    pub(super) fn report(&self, gate: &Gate, session: &Session, error: Option<&Error>) {
        let status = session.response_written().map(|response| response.status);
        match &self.outcome {
            Outcome::Permitted { upstream, .. } => {
                if let Some(metrics) = upstream {
                    metrics.seconds.observe(self.clock.seconds());
                    metrics.count(result(error, status));
                }
            }
            Outcome::Refused(Refusal::Denied { denial, .. }) => {
                if denial.service.is_none() {
                    gate.metrics().deny_unrouted(denial.reason);
                }
                self.remember(gate, denial);
            }
            Outcome::Refused(refusal) => gate.metrics().request_refused(refusal.code()),
            Outcome::Unjudged | Outcome::Answered(_) => {}
        }
        if logged() {
            self.log(session, error, status);
        }
    }

    fn log(&self, session: &Session, error: Option<&Error>, status: Option<StatusCode>) {
        let connection = self.connection.as_ref().map(|gated| &gated.connection);
        let described = self.described();
        tracing::info!(
            target: DECISION_LOG,
            request_id = %self.request_id,
            connection_id = connection.map(|connection| &**connection.id()),
            peer = connection.and_then(|connection| connection.peer()).map(tracing::field::display),
            identity = described.identity,
            service = described.service,
            decision = described.decision,
            reason = described.reason,
            policy = described.policy,
            checks = described.checks,
            generation = described.generation,
            method = session.req_header().method.as_str(),
            host = self.asked.as_ref().and_then(|asked| asked.authority.as_ref()?.to_str().ok()),
            path = self.asked.as_ref().map(|asked| asked.uri.path()),
            status = status.map(|status| status.as_u16()),
            upstream = self.upstream.as_ref().map(tracing::field::display),
            error = error.filter(|_| self.permit().is_some()).map(tracing::field::display),
            decision_us = self.decided_in.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            duration_ms = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
    }

    fn described(&self) -> Described<'_> {
        match &self.outcome {
            Outcome::Unjudged => Described { decision: "none", ..Described::default() },
            Outcome::Answered(_) => Described { decision: "page", ..Described::default() },
            Outcome::Permitted { permit, .. } => Described {
                decision: "allow",
                identity: Some(permit.identity_id().as_str()),
                service: Some(&permit.service().name),
                policy: Some(&permit.policy().name),
                generation: Some(permit.generation()),
                ..Described::default()
            },
            Outcome::Refused(Refusal::Denied { denial, service }) => Described {
                decision: "deny",
                reason: Some(denial.reason.code()),
                identity: denial.identity.as_ref().map(|identity| identity.as_str()),
                service: service.as_ref().map(|service| &*service.name),
                policy: denial.policies.first().map(|policy| &*policy.name),
                checks: checks(denial),
                generation: Some(denial.generation),
            },
            Outcome::Refused(refusal) => {
                Described { decision: "refuse", reason: Some(refusal.code()), ..Described::default() }
            }
        }
    }

    /// Keeps a denial in the history of its identity, where there is one.
    fn remember(&self, gate: &Gate, denial: &Denial) {
        let Some(connection) = self.connection.as_ref().map(|gated| &gated.connection) else {
            return;
        };
        let published = gate.enforcer().published();
        let identity = match &denial.identity {
            Some(identity) => identity.clone(),
            None => match gate.enforcer().identify(&published, connection) {
                Ok(device) => device.identity().clone(),
                Err(_) => return,
            },
        };
        let service = match &self.outcome {
            Outcome::Refused(Refusal::Denied { service: Some(service), .. }) => {
                Some(FailedService { id: service.id.clone(), name: Arc::clone(&service.name) })
            }
            _ => None,
        };
        gate.enforcer().record(Failure {
            when: gate.enforcer().clock().now(),
            request_id: self.request_id.shared(),
            connection_id: Arc::clone(connection.id()),
            identity,
            service,
            reason: denial.reason,
            policies: denial.policies.clone(),
            lock: denial.lock.clone(),
            source_address: connection.peer().map(|peer| peer.to_string()),
            generation: denial.generation,
        });
    }
}

/// The fields of a decision's log line.
#[derive(Default)]
struct Described<'a> {
    decision: &'static str,
    reason: Option<&'static str>,
    identity: Option<&'a str>,
    service: Option<&'a str>,
    policy: Option<&'a str>,
    checks: Option<String>,
    generation: Option<u64>,
}

/// Every check that stood in the way, as `name=reason`.
pub(super) fn checks(denial: &Denial) -> Option<String> {
    let failed = denial.policies.iter().flat_map(|policy| &policy.checks);
    let listed: Vec<_> = failed.map(|failed| format!("{}={}", failed.check.name, failed.verdict.code())).collect();
    (!listed.is_empty()).then(|| listed.join(" "))
}

/// The label under which a permitted request is counted.
fn result(error: Option<&Error>, status: Option<StatusCode>) -> &'static str {
    match (error.and_then(UpstreamFault::of), status.map(|status| status.as_u16() / 100)) {
        (Some(fault), _) => fault.code(),
        (None, Some(1)) => "1xx",
        (None, Some(2)) => "2xx",
        (None, Some(3)) => "3xx",
        (None, Some(4)) => "4xx",
        (None, Some(5)) => "5xx",
        (None, _) => "no-response",
    }
}
