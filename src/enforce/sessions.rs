//! The sessions under way, each with its device: bounded, and found by whoever must be asked again.
//!
//! A session is entered *before* it is decided. Whatever changes after that finds it here, and whatever changed before is seen
//! by its decision: nothing slips through between the two.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::Connection;
use super::device::Device;
use super::endings::Endings;
use super::enforcer::{Enforcer, unasked};
use super::news;
use super::published::Published;
use super::session::{Cause, Ended, Entry, Protocol, Session, Since};
use crate::clock::Timestamp;
use crate::decision::{Denial, DenialReason, Permit, engine};
use crate::id::IdentityId;
use crate::policy::objects::Service;
use crate::policy::snapshot::ServiceIndex;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Gauge;

/// How many sessions there are, and may be.
#[derive(Debug)]
pub(super) struct Sessions {
    most: usize,
    count: AtomicUsize,
    next: AtomicU64,
    live: Vec<Gauge>,
    pub(super) endings: Arc<Endings>,
}

impl Sessions {
    pub(super) fn new(most: usize, metrics: &Metrics) -> Self {
        let live = Protocol::ALL.iter().map(|protocol| metrics.live_sessions(protocol.code())).collect();
        Sessions { most, count: AtomicUsize::new(0), next: AtomicU64::new(1), live, endings: Endings::new() }
    }

    /// A number for a new session; `None` when there are as many as may be.
    pub(super) fn number(&self) -> Option<u64> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn begun(&self, protocol: Protocol) {
        self.gauge(protocol, Gauge::inc);
    }

    fn gone(&self, protocol: Protocol) {
        self.gauge(protocol, Gauge::dec);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn gauge(&self, protocol: Protocol, change: fn(&Gauge)) {
        if let Some(gauge) = self.live.get(protocol as usize) {
            change(gauge);
        }
    }
}

/// What one device has under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    places: Mutex<Places>,
    /// The earliest moment, in milliseconds, at which somebody looks at the device again by themselves.
    looked_at: AtomicI64,
    /// What of the device is news: bits of [`super::news`].
    pub(super) news: AtomicU8,
}

#[derive(Debug, Default)]
struct Places {
    taken: Vec<Option<Arc<Session>>>,
    free: Vec<usize>,
}

impl UnderWay {
    pub(super) fn new() -> Self {
        UnderWay { looked_at: AtomicI64::new(Timestamp::MAX.as_millis()), ..UnderWay::default() }
    }

    fn enter(&self, session: Arc<Session>) -> usize {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match places.free.pop() {
            Some(place) => {
                if let Some(slot) = places.taken.get_mut(place) {
                    *slot = Some(session);
                }
                place
            }
            None => {
                places.taken.push(Some(session));
                places.taken.len().saturating_sub(1)
            }
        }
    }

    fn leave(&self, place: usize) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = places.taken.get_mut(place) {
            *slot = None;
        }
        places.free.push(place);
        if places.free.len() == places.taken.len() {
            *places = Places::default();
        }
    }

    /// The sessions under way.
    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).taken.iter().flatten().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).taken.is_empty()
    }

    /// Has the device looked at by `moment`. Returns whether it would have been too late otherwise.
    pub(super) fn look_by(&self, moment: Timestamp) -> bool {
        let moment = moment.as_millis();
        // Most sessions of a device end with the same fact, so that the load is all there is to do.
        self.looked_at.load(Ordering::SeqCst) > moment && self.looked_at.fetch_min(moment, Ordering::SeqCst) > moment
    }

    /// When the device will be looked at.
    pub(super) fn looked_at(&self) -> Timestamp {
        Timestamp::from_millis(self.looked_at.load(Ordering::SeqCst))
    }

    /// The device is being looked at: from here on every deadline counts anew.
    pub(super) fn looking(&self) {
        self.looked_at.store(Timestamp::MAX.as_millis(), Ordering::SeqCst);
    }
}

/// A session's place. The session is over when it is dropped.
#[derive(Debug)]
pub struct Place {
    sessions: Arc<Sessions>,
    pub(super) device: Arc<Device>,
    pub(super) session: Arc<Session>,
    place: usize,
}

impl Place {
    /// Enters a session that has its number from [`Sessions::number`].
    pub(super) fn take(sessions: &Arc<Sessions>, device: &Arc<Device>, session: Arc<Session>) -> Self {
        sessions.begun(session.protocol());
        if session.service().is_some() {
            session.connection().begin_request();
        }
        let place = device.under_way.enter(Arc::clone(&session));
        Place { sessions: Arc::clone(sessions), device: Arc::clone(device), session, place }
    }

    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether requests are under way over this connection.
    pub fn has_requests(&self) -> bool {
        self.session.connection().has_requests()
    }

    /// It speaks something else from now on.
    pub fn speaks(&self, protocol: Protocol) {
        let before = self.session.speaks(protocol);
        self.sessions.gauge(before, Gauge::dec);
        self.sessions.gauge(protocol, Gauge::inc);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.device.under_way.leave(self.place);
        if self.session.service().is_some() {
            self.session.connection().end_request();
        }
        self.sessions.gone(self.session.protocol());
    }
}

/// Sessions.
impl Enforcer {
    /// Begins a request or stream for a service of `published`, and decides whether it may. The signal of its entry is rung as
    /// soon as it may no longer.
    ///
    /// It is entered first and decided then, so that no news comes between.
    pub fn enter(
        &self,
        published: &Published,
        connection: &Arc<Connection>,
        service: ServiceIndex,
        entry: Entry,
    ) -> Result<(Arc<Permit>, Place), Arc<Denial>> {
        let refuse = |reason| unasked(published, reason, service);
        let began = entry.began;
        let object = published.snapshot().service(service).cloned();
        let entered =
            self.whose(published, connection).and_then(|device| self.place(&device, connection, object, entry));
        let place = match entered {
            Ok(place) => place,
            Err(reason) => {
                if let Some(counters) = published.counters(service) {
                    counters.deny(reason);
                }
                return Err(refuse(reason));
            }
        };
        let current = self.published();
        let (permit, until) = if current.snapshot().generation() == published.snapshot().generation() {
            let (verdict, until) = self.decide_until(&current, connection, service, began);
            (verdict?, until)
        } else {
            let until = self.reconsider(&current, &place.device, &place.session, began)?;
            (place.session.permit().ok_or_else(|| refuse(DenialReason::EvaluationFailed))?, until)
        };
        place.session.keep(&permit);
        self.look_again(&place.device, until);
        Ok((permit, place))
    }

    /// Begins a client's connection that was admitted. The signal of its entry is rung when nothing is allowed on it any more.
    pub fn enter_connection(&self, connection: &Arc<Connection>, entry: Entry) -> Result<Place, DenialReason> {
        let device = self.identify(&self.published(), connection)?;
        let place = self.place(&device, connection, None, entry)?;
        let until = self.reconsider(&self.published(), &device, &place.session, self.clock().now());
        self.look_again(&device, until.map_err(|denial| denial.reason)?);
        Ok(place)
    }

    fn place(
        &self,
        device: &Arc<Device>,
        connection: &Arc<Connection>,
        service: Option<Arc<Service>>,
        entry: Entry,
    ) -> Result<Place, DenialReason> {
        let number = self.sessions.number().ok_or(DenialReason::TooManySessions)?;
        let session = Session::new(number, device.identity().clone(), service, connection, entry);
        Ok(Place::take(&self.sessions, device, session))
    }

    /// Every session under way, in the order in which they began. One that was ended is not, though its farewell may last.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> =
            self.devices_under_way().iter().flat_map(|device| device.under_way.sessions()).collect();
        sessions.retain(|session| !session.is_ended());
        sessions.sort_unstable_by_key(|session| session.id());
        sessions
    }

    /// Ends a session because an operator says so. False when there is no such session.
    pub fn end_session(&self, id: u64) -> bool {
        let since = Since::now();
        let Some(session) = self.sessions().into_iter().find(|session| session.id() == id) else {
            return false;
        };
        let published = self.published();
        let service = session.service().map(|service| service.id.clone());
        let identity = Some(session.identity().clone());
        let denial = Arc::new(engine::refusal(published.snapshot(), DenialReason::EndedByOperator, identity, service));
        session.end(Ended { cause: Cause::Operator, denial, since }, self.sessions.endings.begin());
        true
    }

    /// Has what an identity has under way decided again, because an operator changed something that decisions go by. It must be
    /// in force already.
    pub fn decide_again_for(&self, identity: &IdentityId) {
        if let Some(device) = self.device(identity) {
            self.news.of_device(&device, news::OPERATOR);
        }
    }
}
