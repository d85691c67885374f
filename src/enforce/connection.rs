//! One client connection: whose it is, and whether its certificate is still trusted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;
use crate::decision::DenialReason;
use crate::decision::permit::Permit;
use crate::policy::{ServiceIndex, Subject};

use super::device::Device;
use super::settled::{Grounds, Reading, Settled};

/// The certificate a connection was made with.
///
/// TLS resumption restores a certificate without asking the verifier, and a connection may outlive its certificate: trust is
/// therefore asked again for each connection and each request.
pub trait Credential: Send + Sync + std::fmt::Debug {
    /// Whether the certificate is trusted now. Costs an epoch compare while the trust anchors and CRLs stay the same.
    fn recheck(&self, now: Timestamp) -> Result<(), DenialReason>;

    /// The same with how long the answer lasts, so that it need not be asked for again until then.
    fn trust(&self, now: Timestamp) -> Result<Trust, DenialReason> {
        self.recheck(now).map(|()| Trust { epoch: self.trust_epoch(), from: now, until: now })
    }

    /// The number of the trust that is asked now. Costs one atomic load.
    fn trust_epoch(&self) -> u64 {
        0
    }

    /// Whether the certificate is trusted now, and until when that holds if nothing else changes.
    fn trusted_until(&self, now: Timestamp) -> Result<Timestamp, DenialReason> {
        self.recheck(now).map(|()| Timestamp::MAX)
    }

    /// The names that identify it, in the configured order.
    fn names(&self) -> &[Subject];

    /// The SHA-256 of the certificate in lower-case hex: what tells one certificate of an identity from another.
    fn fingerprint(&self) -> &str;

    /// The certificate in words for logs: subject and serial number.
    fn describe(&self) -> &str;

    /// Whether the certificate's key made `signature` over `message`.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused>;

    /// The identity to be made for this certificate when nobody has it; `None` unless its CA enrols automatically.
    fn enrollment(&self) -> Option<Enrollment>;
}

/// Why a signature is not taken for that of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    /// Another key made it, or over something else.
    #[error("the signature does not fit")]
    Mismatch,
    /// The key is of a kind that cannot be verified here.
    #[error("signatures by this kind of key cannot be verified")]
    UnsupportedKey,
}

/// How long a certificate is trusted: at `from <= now < until`, while the epoch stays what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The number of the trust that was asked.
    pub epoch: u64,
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after.
    pub until: Timestamp,
}

/// An identity to be made for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrollment {
    /// The identity's id.
    pub id: String,
    /// The identity's name.
    pub name: String,
    /// The certificate name it is recognised by.
    pub subject: Subject,
    /// Its role attributes.
    pub role_attributes: Vec<Arc<str>>,
}

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    id: Arc<str>,
    peer: Option<SocketAddr>,
    server_name: Option<Arc<str>>,
    /// Whether it may be without a credential.
    anonymous: bool,
    resolved: ArcSwapOption<Resolved>,
    hot: Hot,
}

/// What every request of the connection looks at, in neighbouring lines of the processor's cache.
#[derive(Debug)]
#[repr(align(128))]
struct Hot {
    credential: Option<Arc<dyn Credential>>,
    settled: Settled,
    /// How many requests are under way over it.
    requests: AtomicUsize,
}

/// Whose connection it is, as one snapshot has it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) generation: u64,
    pub(super) device: Result<Arc<Device>, DenialReason>,
}

impl Connection {
    /// A connection from `peer` that asked for `server_name` by SNI. Without a credential it can reach nothing.
    pub fn new(
        id: impl Into<Arc<str>>,
        peer: Option<SocketAddr>,
        server_name: Option<&str>,
        credential: Option<Arc<dyn Credential>>,
    ) -> Self {
        Connection {
            id: id.into(),
            peer,
            server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
            anonymous: false,
            resolved: ArcSwapOption::empty(),
            hot: Hot { credential, settled: Settled::default(), requests: AtomicUsize::new(0) },
        }
    }

    /// A connection of somebody without a certificate, to a listener that lets them come.
    pub fn anonymous(id: impl Into<Arc<str>>, peer: Option<SocketAddr>, server_name: Option<&str>) -> Self {
        Connection { anonymous: true, ..Connection::new(id, peer, server_name, None) }
    }

    /// Whether somebody without a certificate may be at the other end.
    pub(super) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The connection's id, unique in this process.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The client's address.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The server name the client asked for, lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The certificate.
    pub fn credential(&self) -> Option<&Arc<dyn Credential>> {
        self.hot.credential.as_ref()
    }

    /// The SHA-256 of the certificate in lower-case hex; empty where there is none, which is nobody's.
    pub fn fingerprint(&self) -> &str {
        self.hot.credential.as_ref().map_or("", |credential| credential.fingerprint())
    }

    /// Whether whoever is at the other end is trusted now, by their certificate or because they may be without one.
    pub(super) fn trust(&self, now: Timestamp) -> Result<Trust, DenialReason> {
        match &self.hot.credential {
            Some(credential) => credential.trust(now),
            None if self.anonymous => Ok(Trust { epoch: self.trust_epoch(), from: now, until: Timestamp::MAX }),
            None => Err(DenialReason::NoIdentity),
        }
    }

    pub(super) fn trusted_until(&self, now: Timestamp) -> Result<Timestamp, DenialReason> {
        match &self.hot.credential {
            Some(credential) => credential.trusted_until(now),
            None if self.anonymous => Ok(Timestamp::MAX),
            None => Err(DenialReason::NoIdentity),
        }
    }

    pub(super) fn resolved(&self) -> arc_swap::Guard<Option<Arc<Resolved>>> {
        self.resolved.load()
    }

    /// The permit that was settled for `service` of the snapshot of `generation`, if nothing it rests on has changed, and until
    /// when time alone does not change it.
    ///
    /// Takes no lock: atomic loads tell whether posture and trust are what they were. Part of whoever asks: handed back through
    /// memory, a permit has to be waited for.
    #[inline(always)]
    pub(super) fn settled(
        &self,
        generation: u64,
        service: ServiceIndex,
        now: Timestamp,
    ) -> Option<(Arc<Permit>, Timestamp)> {
        let Reading { grounds, device, permit } = self.hot.settled.read()?;
        let permit = permit.as_ref()?;
        // Held it is, of course. Looking at it before the device is looked at has the memory of both fetched at once; taking hold of
        // it would wait until all that was asked before has arrived.
        let asked = grounds.service == service.position()
            && Arc::strong_count(permit) > 0
            && self.stand(&grounds, device, generation, now);
        asked.then(|| (Arc::clone(permit), grounds.until))
    }

    /// Keeps a permit with the connection, unless one stands there already: a connection that is used for several services keeps
    /// the first one's, and finds the others with the device.
    pub(super) fn settle(&self, grounds: &Grounds, device: &Arc<Device>, permit: &Arc<Permit>, now: Timestamp) {
        let known = self.hot.settled.read();
        let stands = known.is_some_and(|known| self.stand(&known.grounds, known.device, grounds.generation, now));
        if grounds.until > now && !stands {
            self.hot.settled.write(grounds, device, permit);
        }
    }

    #[inline(always)]
    fn stand(&self, grounds: &Grounds, device: &Device, generation: u64, now: Timestamp) -> bool {
        grounds.generation == generation
            && grounds.from <= now
            && now < grounds.until
            && grounds.trust_epoch == self.trust_epoch()
            && grounds.revision == device.revision()
    }

    pub(super) fn begin_request(&self) {
        self.hot.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_request(&self) {
        self.hot.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_requests(&self) -> bool {
        self.hot.requests.load(Ordering::Relaxed) > 0
    }

    fn trust_epoch(&self) -> u64 {
        self.hot.credential.as_ref().map_or(0, |credential| credential.trust_epoch())
    }

    pub(super) fn resolve(&self, resolved: Resolved) {
        self.resolved.store(Some(Arc::new(resolved)));
    }
}
