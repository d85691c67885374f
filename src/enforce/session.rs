//! One session: a request, a stream or a connection under way, and the signal by which it is told to end.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::connection::Connection;
use super::endings::Ending;
use crate::clock::{Stopwatch, Timestamp};
use crate::decision::{Denial, Permit};
use crate::id::IdentityId;
use crate::policy::objects::Service;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of their positions.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The stable code in metrics, logs and answers.
            pub const fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// What a session is and speaks.
    Protocol {
        /// A client's connection, whatever goes over it.
        Connection = "connection",
        /// A request over HTTP/1.1.
        Http1 = "http1",
        /// A stream of an HTTP/2 connection.
        Http2 = "http2",
        /// A gRPC call.
        Grpc = "grpc",
        /// A connection that was upgraded, to WebSocket or anything else.
        WebSocket = "websocket",
        /// A TCP connection.
        Tcp = "tcp",
    }
}

codes! {
    /// What kind of news ended a session.
    Cause {
        /// A device reported another posture.
        Posture = "posture",
        /// Policy changed.
        Policy = "policy",
        /// Time passed: a fact grew old, a grace ran out, a certificate expired.
        Deadline = "deadline",
        /// A CA or a revocation list changed.
        Trust = "trust",
        /// An operator locked an identity or ended a session.
        Operator = "operator",
    }
}

/// How long ago something was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    watch: Stopwatch,
    before: Duration,
}

impl Since {
    /// It is accepted now.
    pub fn now() -> Self {
        Since::ago(Duration::ZERO)
    }

    /// It happened some time before now.
    pub fn ago(before: Duration) -> Self {
        Since { watch: Stopwatch::start(), before }
    }

    /// The time since.
    pub fn elapsed(self) -> Duration {
        self.before.saturating_add(self.watch.elapsed())
    }
}

/// Why a session ends.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What kind of news it was.
    pub cause: Cause,
    /// The decision.
    pub denial: Arc<Denial>,
    /// Since when it is no longer allowed.
    pub since: Since,
}

/// The signal by which a session is told to end. Rung once; whoever comes late still hears it.
#[derive(Debug, Default)]
pub struct EndSignal {
    session: OnceLock<Arc<Session>>,
    ended: OnceLock<Ended>,
    /// Who waits to hear it.
    waiter: Mutex<Option<Waker>>,
}

impl EndSignal {
    /// Waits until the session must end. For one waiter.
    pub fn rung(&self) -> Rung<'_> {
        Rung { signal: self, waiter: None }
    }

    /// Why the session must end; `None` while it need not.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// The session it is for; `None` until one was let through.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.get()
    }

    pub(super) fn belongs_to(&self, session: &Arc<Session>) {
        // A signal is made for one session and handed over once.
        let _ = self.session.set(Arc::clone(session));
    }

    /// Only the first reason counts.
    fn ring(&self, ended: Ended) {
        if self.ended.set(ended).is_ok()
            && let Some(waiter) = self.waiter().take()
        {
            waiter.wake();
        }
    }

    fn waiter(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waiting for an [`EndSignal`]. Asking again in the same task takes one atomic load: it is asked whenever the work beside it is.
#[derive(Debug)]
pub struct Rung<'a> {
    signal: &'a EndSignal,
    /// Who was told to the signal.
    waiter: Option<Waker>,
}

impl<'a> Future for Rung<'a> {
    type Output = &'a Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'a Ended> {
        let signal = self.signal;
        if !self.waiter.as_ref().is_some_and(|waiter| waiter.will_wake(context.waker())) {
            self.waiter = Some(context.waker().clone());
            signal.waiter().clone_from(&self.waiter);
        }
        // Looked at after the waiter is known: whoever rings looks for a waiter after it is told why.
        signal.ended.get().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What is known of a session when it begins.
#[derive(Debug)]
pub struct Entry {
    /// The request's id; for a connection an id of its own.
    pub request_id: Arc<str>,
    /// When it began.
    pub began: Timestamp,
    /// What it speaks.
    pub protocol: Protocol,
    /// How it is told to end.
    pub signal: Arc<EndSignal>,
}

/// A request, a stream or a connection under way.
#[derive(Debug)]
pub struct Session {
    id: u64,
    request_id: Arc<str>,
    identity: IdentityId,
    service: Option<Arc<Service>>,
    pub(super) connection: Arc<Connection>,
    protocol: AtomicU8,
    started: Timestamp,
    permit: Mutex<Option<Arc<Permit>>>,
    /// The newest snapshot by which a connection came in; 0 until then. Of everything else its permit tells.
    came_in_by: AtomicU64,
    /// The signal's owner is the one who serves the session, and the signal keeps the session for them: held from here as well, neither
    /// would ever go.
    signal: Weak<EndSignal>,
    /// Held from the moment it is told to end until it is cut.
    ending: Mutex<Option<Ending>>,
}

impl Session {
    pub(super) fn new(
        id: u64,
        identity: IdentityId,
        service: Option<Arc<Service>>,
        connection: &Arc<Connection>,
        entry: Entry,
    ) -> Arc<Self> {
        let Entry { request_id, began, protocol, signal } = entry;
        let session = Arc::new(Session {
            id,
            request_id,
            identity,
            service,
            connection: Arc::clone(connection),
            protocol: AtomicU8::new(protocol as u8),
            started: began,
            permit: Mutex::default(),
            came_in_by: AtomicU64::new(0),
            signal: Arc::downgrade(&signal),
            ending: Mutex::default(),
        });
        signal.belongs_to(&session);
        session
    }

    /// The session's number, unique in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The request's id, as in the log.
    pub fn request_id(&self) -> &Arc<str> {
        &self.request_id
    }

    /// Whose it is.
    pub fn identity(&self) -> &IdentityId {
        &self.identity
    }

    /// What it is for; `None` for a client's connection.
    pub fn service(&self) -> Option<&Arc<Service>> {
        self.service.as_ref()
    }

    /// The connection it goes over.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What it speaks now.
    pub fn protocol(&self) -> Protocol {
        let position = usize::from(self.protocol.load(Ordering::Relaxed));
        Protocol::ALL.get(position).copied().unwrap_or(Protocol::Connection)
    }

    pub(super) fn speaks(&self, protocol: Protocol) -> Protocol {
        let before = self.protocol();
        self.protocol.store(protocol as u8, Ordering::Relaxed);
        before
    }

    /// When it began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What lets it go on; `None` for a connection, and while it is being decided for the first time.
    pub fn permit(&self) -> Option<Arc<Permit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep(&self, permit: &Arc<Permit>) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(permit));
    }

    /// The connection came in by the snapshot of `generation`.
    pub(super) fn came_in_by(&self, generation: u64) {
        self.came_in_by.fetch_max(generation, Ordering::SeqCst);
    }

    /// Whether it may have been let through by a snapshot after `old` and before `new`.
    pub(super) fn may_be_between(&self, old: u64, new: u64) -> bool {
        let by = match &self.service {
            Some(_) => self.permit().map_or(0, |permit| permit.generation()),
            None => self.came_in_by.load(Ordering::SeqCst),
        };
        by == 0 || (old < by && by < new)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.signal.upgrade().is_some_and(|signal| signal.ended().is_some())
    }

    pub(super) fn end(&self, ended: Ended, ending: Ending) {
        // Who no longer listens has ended by themselves.
        if let Some(signal) = self.signal.upgrade() {
            *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
            signal.ring(ended);
        }
    }

    /// Notes that it is cut: nothing more of it goes to the upstream, and what is left is its farewell.
    pub fn note_cut(&self) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
