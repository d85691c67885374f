//! The enforcer: the one object that knows what is in force and answers for it.

use std::mem;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;
use tokio::sync::{mpsc, watch};

use crate::clock::{SharedClock, Stopwatch, Timestamp};
use crate::decision::cache::{self, Basis};
use crate::decision::engine::Decision;
use crate::decision::{Asker, Denial, DenialReason, Failure, Verdict, engine};
use crate::id::IdentityId;
use crate::limits;
use crate::policy::compile::{CompileError, compile};
use crate::policy::objects::{Identity, Meta, Objects, Origin};
use crate::policy::snapshot::{ServiceIndex, Snapshot};
use crate::posture::Posture;
use crate::posture::report::{Report, ReportError};
use crate::store::{Store, StoreError, Table};
use crate::telemetry::Metrics;

use super::audit::{Author, Trail};
use super::connection::{Connection, Enrollment, Resolved};
use super::connections::ConnectionStates;
use super::device::Device;
use super::failures;
use super::kept::{Kept, Record, Restoring, SharedFacts};
use super::news::{self, News};
use super::objects::{Change, Object, merged};
use super::published::Published;
use super::revoker::Revoking;
use super::sessions::Sessions;
use super::settled::Grounds;
use super::waiting::Latest;

/// What is in force: policy, devices, failures. Shared by every listener of a gateway.
#[derive(Debug)]
pub struct Enforcer {
    clock: SharedClock,
    metrics: Metrics,
    pub(super) store: Store,
    published: ArcSwap<Published>,
    /// A guard of this map must never be held across an await or a second call.
    pub(super) devices: DashMap<IdentityId, Arc<Device>>,
    pub(super) shared_facts: SharedFacts,
    pub(super) sources: Mutex<Sources>,
    /// Held while an object made through the API changes, so that changes follow each other.
    pub(super) changing: tokio::sync::Mutex<()>,
    generations: watch::Sender<u64>,
    pub(super) news: Arc<News>,
    pub(super) revoking: Revoking,
    pub(super) sessions: Arc<Sessions>,
    pub(super) latest: Arc<Latest>,
    connections: ConnectionStates,
    pub(super) trail: Trail,
    /// Where failure records go once another process has the store.
    heir: OnceLock<mpsc::Sender<Failure>>,
}

/// Where the objects of the next snapshot come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) generation: u64,
    pub(super) files: Objects,
    pub(super) stored: Objects,
}

/// Why a posture report was not taken in. The earlier posture stays.
#[derive(Debug, thiserror::Error)]
pub enum ReportRefused {
    /// The report breaks a bound.
    #[error("posture report refused: {0}")]
    Invalid(#[from] ReportError),
    /// It could not be made durable.
    #[error("posture report not stored: {0}")]
    Unavailable(#[from] StoreError),
}

/// What a restart found in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Devices whose posture came back.
    pub postures: usize,
    /// Failure records that came back.
    pub failures: usize,
    /// Objects that came back.
    pub objects: usize,
    /// Records that could not be read and were left where they are.
    pub unreadable: usize,
}

impl Enforcer {
    /// An enforcer that denies everything until a policy is published.
    pub fn new(clock: SharedClock, metrics: Metrics, store: Store) -> Arc<Self> {
        let published = Published::new(Snapshot::deny_all(), &metrics);
        let sessions = Arc::new(Sessions::new(limits::SESSIONS_MAX, &metrics));
        Arc::new(Enforcer {
            clock,
            metrics,
            store,
            published: ArcSwap::new(published),
            devices: DashMap::new(),
            sources: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            generations: watch::channel(0).0,
            news: Arc::default(),
            revoking: Revoking::default(),
            sessions,
            latest: Arc::default(),
            shared_facts: SharedFacts::default(),
            connections: ConnectionStates::default(),
            trail: Trail::default(),
            heir: OnceLock::new(),
        })
    }

    /// The clock everything here goes by.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is in force now. Take it once for a request: positions of services belong to it.
    pub fn published(&self) -> Guard<Arc<Published>> {
        self.published.load()
    }

    /// The device of an identity, if it ever connected or reported.
    pub fn device(&self, identity: &IdentityId) -> Option<Arc<Device>> {
        self.devices.get(identity).map(|device| Arc::clone(&device))
    }

    /// Devices that have something under way.
    pub(super) fn devices_under_way(&self) -> Vec<Arc<Device>> {
        let busy = self.devices.iter().filter(|device| !device.under_way.is_empty());
        busy.map(|device| Arc::clone(&device)).collect()
    }

    /// The device of an identity of the policy in force, made if nothing was known of it; `None` for nobody's.
    pub fn device_of_known(&self, identity: &IdentityId) -> Option<Arc<Device>> {
        self.published().snapshot().find_identity(identity).map(|_| self.device_of(identity))
    }
}

/// Policy.
impl Enforcer {
    /// News of snapshots that came into force, by their generation.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    /// Puts the objects of the policy files into force beside those made through the API.
    ///
    /// Returns the new snapshot's generation. On error nothing changes: the snapshot in force stays.
    pub fn publish_files(&self, files: Objects) -> Result<u64, Vec<CompileError>> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = sources.generation.saturating_add(1);
        let changed = Sources { generation, files, stored: sources.stored.clone() };
        let snapshot = compile(merged(&changed), generation)?;
        let before = mem::replace(&mut *sources, changed);
        self.publish(snapshot);
        drop(sources);
        before.files.let_go();
        Ok(generation)
    }

    /// Swaps a snapshot in and tells of it. Call it while holding the sources it was compiled from.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        let generation = snapshot.generation();
        self.metrics.snapshot_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.metrics.snapshot_identities.set(i64::try_from(snapshot.objects().identities.len()).unwrap_or(i64::MAX));
        self.published.store(Published::new(snapshot, &self.metrics));
        let published = self.published();
        // Only now: whoever begins a session with a device that is let go of is decided by the new snapshot.
        self.forget_departed(published.snapshot());
        self.connections.forget_departed(published.snapshot());
        self.news.of_policy();
        self.generations.send_replace(generation);
    }

    /// How the connections to posture providers fare.
    pub fn connections(&self) -> &ConnectionStates {
        &self.connections
    }

    /// Lets go of devices whose identity left the policy, once there are many; their posture stays in the store.
    fn forget_departed(&self, snapshot: &Snapshot) {
        let kept = snapshot.objects().identities.len().saturating_add(limits::DEPARTED_DEVICES_MAX);
        if self.devices.len() > kept {
            let now = self.clock.now();
            let kept = |identity: &IdentityId, device: &Device| {
                snapshot.find_identity(identity).is_some()
                    || device.locked(now).is_some()
                    || !device.under_way.is_empty()
            };
            self.devices.retain(|identity, device| kept(identity, device));
        }
        self.metrics.devices.set(i64::try_from(self.devices.len()).unwrap_or(i64::MAX));
    }
}

/// Decisions.
impl Enforcer {
    /// Whose connection this is, trust included. Asked at admission and again with each request.
    pub fn identify(&self, published: &Published, connection: &Connection) -> Result<Arc<Device>, DenialReason> {
        trusted(connection, self.clock.now())?;
        self.whose(published, connection)
    }

    /// Whether the connection may come in at all: somebody known and trusted who can reach at least one service.
    pub async fn admit(&self, connection: &Connection) -> Result<Arc<Device>, DenialReason> {
        let first = self.admission(connection);
        let enrollable = connection.credential().and_then(|credential| credential.enrollment());
        match (first, enrollable) {
            (Err(DenialReason::UnknownIdentity), Some(enrollment)) => {
                self.enroll(enrollment).await?;
                self.admission(connection)
            }
            (answer, _) => answer,
        }
    }

    fn admission(&self, connection: &Connection) -> Result<Arc<Device>, DenialReason> {
        let published = self.published();
        let now = self.clock.now();
        trusted(connection, now)?;
        let device = self.whose(&published, connection)?;
        comes_in(&published, &device, now)?;
        Ok(device)
    }

    /// May this connection reach this service of `published` now?
    ///
    /// The certificate's trust, the identity it belongs to and the posture are looked at every time; a verdict is taken from
    /// the cache while all three and the time allow it. A hit takes no lock and allocates nothing.
    pub fn decide(&self, published: &Published, connection: &Connection, service: ServiceIndex) -> Verdict {
        self.decide_at(published, connection, service, self.clock.now())
    }

    /// [`Enforcer::decide`] for who knows already what time it is.
    pub fn decide_at(
        &self,
        published: &Published,
        connection: &Connection,
        service: ServiceIndex,
        now: Timestamp,
    ) -> Verdict {
        self.decide_until(published, connection, service, now).0
    }

    /// The same, and until when time alone does not change it: neither the verdict nor the certificate's trust.
    ///
    /// Part of whoever asks, as [`Connection::settled`] is.
    #[inline(always)]
    pub(super) fn decide_until(
        &self,
        published: &Published,
        connection: &Connection,
        service: ServiceIndex,
        now: Timestamp,
    ) -> (Verdict, Timestamp) {
        let (verdict, until) = match connection.settled(published.snapshot().generation(), service, now) {
            Some((permit, until)) => {
                self.metrics.verdict_cache_hits.inc();
                (Ok(permit), until)
            }
            None => self.judge(published, connection, service, now),
        };
        if let Some(counters) = published.counters(service) {
            match &verdict {
                Ok(_) => counters.allow(),
                Err(denial) => counters.deny(denial.reason),
            }
        }
        (verdict, until)
    }

    /// Kept apart from [`Enforcer::decide_until`], so that a hit passes through little code.
    #[inline(never)]
    fn judge(
        &self,
        published: &Published,
        connection: &Connection,
        service: ServiceIndex,
        now: Timestamp,
    ) -> (Verdict, Timestamp) {
        self.latest.note(now);
        let asked = connection.trust(now).and_then(|trust| Ok((trust, self.whose(published, connection)?)));
        let (trust, device) = match asked {
            Ok(asked) => asked,
            Err(reason) => return (Err(unasked(published, reason, service)), now),
        };
        let certificate = connection.fingerprint();
        let (basis, verdict) = self.verdict_and_basis(published.snapshot(), &device, certificate, service, now);
        let until = trust.until.min(cache::valid_until(&verdict));
        if let Ok(permit) = &verdict {
            let grounds = Grounds {
                generation: basis.generation,
                revision: basis.revision,
                trust_epoch: trust.epoch,
                service: service.position(),
                from: trust.from.max(now),
                until,
            };
            connection.settle(&grounds, &device, permit, now);
        }
        (verdict, until)
    }

    /// Whose connection it is, trust not asked.
    pub(super) fn whose(&self, published: &Published, connection: &Connection) -> Result<Arc<Device>, DenialReason> {
        match connection.resolved().as_ref() {
            Some(resolved) if resolved.generation == published.snapshot().generation() => resolved.device.clone(),
            _ => self.resolve(published, connection),
        }
    }

    /// The verdict for a device that comes with this certificate, from the cache or by evaluation. Re-decisions of live work ask
    /// this too.
    pub fn verdict(
        &self,
        snapshot: &Snapshot,
        device: &Device,
        certificate: &str,
        service: ServiceIndex,
        now: Timestamp,
    ) -> Verdict {
        self.verdict_and_basis(snapshot, device, certificate, service, now).1
    }

    fn verdict_and_basis(
        &self,
        snapshot: &Snapshot,
        device: &Device,
        certificate: &str,
        service: ServiceIndex,
        now: Timestamp,
    ) -> (Basis, Verdict) {
        let known = device.known();
        let mfa = known.mfa_proven_by(certificate);
        let basis = Basis { generation: snapshot.generation(), revision: known.revision, mfa };
        if let Some(verdict) = device.verdicts.find(basis, service, now) {
            self.metrics.verdict_cache_hits.inc();
            return (basis, verdict);
        }
        self.metrics.verdict_cache_misses.inc();
        let posture = known.posture();
        if let Some(newest) = posture.newest_fact() {
            self.metrics.posture_age_seconds.observe(now.since(newest).as_secs_f64());
        }
        let took = Stopwatch::start();
        let posture = posture.as_proven_by(certificate);
        let decision = engine::decide(snapshot, &known.asker(device.identity(), &posture), service, now);
        self.metrics.decision_seconds.observe(took.seconds());
        let verdict: Verdict = decision.map(Arc::new).map_err(Arc::new);
        device.verdicts.store(basis, service, now, verdict.clone());
        (basis, verdict)
    }

    /// What the answer would be if this identity asked now. Nothing is cached, counted or recorded.
    pub fn explain(&self, snapshot: &Snapshot, identity: &IdentityId, service: ServiceIndex) -> Decision {
        let now = self.clock.now();
        match self.device(identity) {
            Some(device) => {
                let known = device.known();
                engine::decide(snapshot, &known.asker(identity, &known.posture()), service, now)
            }
            None => engine::decide(snapshot, &Asker::new(identity, &Posture::default()), service, now),
        }
    }

    /// The same over a connection with this certificate, whose MFA pass alone counts then.
    pub fn explain_over(
        &self,
        snapshot: &Snapshot,
        device: &Device,
        certificate: &str,
        service: ServiceIndex,
    ) -> Decision {
        let known = device.known();
        let posture = known.posture();
        let posture = posture.as_proven_by(certificate);
        engine::decide(snapshot, &known.asker(device.identity(), &posture), service, self.clock.now())
    }

    /// Whether no operator has locked the device's identity out.
    pub fn not_locked(&self, device: &Device) -> Result<(), DenialReason> {
        not_locked(device, self.clock.now())
    }

    /// Looks up whose the connection is, and leaves that with it for the requests to come.
    fn resolve(&self, published: &Published, connection: &Connection) -> Result<Arc<Device>, DenialReason> {
        let snapshot = published.snapshot();
        let device = if !snapshot.is_loaded() {
            Err(DenialReason::NoSnapshot)
        } else {
            let names = connection.credential().map(|credential| credential.names());
            match names.map(|names| snapshot.identify(names)) {
                None if connection.is_anonymous() => Ok(self.device_of(&IdentityId::from(Identity::ANONYMOUS))),
                None => Err(DenialReason::NoIdentity),
                Some(None) => Err(DenialReason::UnknownIdentity),
                Some(Some(identity)) if identity.disabled => Err(DenialReason::IdentityDisabled),
                Some(Some(identity)) => Ok(self.device_of(&identity.id)),
            }
        };
        connection.resolve(Resolved { generation: snapshot.generation(), device: device.clone() });
        device
    }

    /// The device of an identity of the snapshot; made when first seen.
    pub(super) fn device_of(&self, identity: &IdentityId) -> Arc<Device> {
        if let Some(device) = self.device(identity) {
            return device;
        }
        let device = self
            .devices
            .entry(identity.clone())
            .or_insert_with(|| Arc::new(Device::new(identity.clone(), Kept::default())));
        Arc::clone(&device)
    }
}

/// Whether there is anything at all that a device's identity may reach.
pub(super) fn comes_in(published: &Published, device: &Device, now: Timestamp) -> Result<(), DenialReason> {
    let snapshot = published.snapshot();
    let position = snapshot.find_identity(device.identity()).ok_or(DenialReason::UnknownIdentity)?;
    not_locked(device, now)?;
    match snapshot.reaches_anything(position) {
        true => Ok(()),
        false if device.identity().as_str() == Identity::ANONYMOUS => Err(DenialReason::CertificateRequired),
        false => Err(DenialReason::NoPolicy),
    }
}

fn not_locked(device: &Device, now: Timestamp) -> Result<(), DenialReason> {
    device.locked(now).map_or(Ok(()), |_| Err(DenialReason::IdentityLocked))
}

/// Whether the connection has a certificate that is trusted now, or may be without one.
fn trusted(connection: &Connection, now: Timestamp) -> Result<(), DenialReason> {
    match connection.credential() {
        Some(credential) => credential.recheck(now),
        None if connection.is_anonymous() => Ok(()),
        None => Err(DenialReason::NoIdentity),
    }
}

/// A denial for which no posture was asked.
pub(super) fn unasked(published: &Published, reason: DenialReason, service: ServiceIndex) -> Arc<Denial> {
    let service = published.snapshot().service(service).map(|service| service.id.clone());
    Arc::new(engine::refusal(published.snapshot(), reason, None, service))
}

/// Posture and failures.
impl Enforcer {
    /// Takes a posture report in: all of it, durable before this returns, and in force at once.
    ///
    /// `device` must be the reporter's own. Let it run to its end: a caller that drops it half-way may leave a report on disk
    /// that comes into force only after a restart.
    pub async fn report(&self, device: &Device, report: &Report) -> Result<(), ReportRefused> {
        let _in_turn = device.intake.lock().await;
        let posture = device.known().posture().apply(report)?;
        let mut keeping = self.shared_facts.keeping(device.identity(), posture)?;
        self.store.write(mem::take(&mut keeping.writes)).await?;
        self.learn(device, &keeping.confirmed(&self.shared_facts));
        Ok(())
    }

    /// Puts what is known of a device into force, and tells whoever decides again.
    pub(super) fn learn(&self, device: &Device, kept: &Kept) {
        device.learn(kept);
        if let Some(device) = self.device(device.identity()).filter(|device| !device.under_way.is_empty()) {
            self.news.of_device(&device, news::POSTURE);
        }
    }

    /// From now on failure records go to the receiver instead of the store, which is about to be closed here and opened by
    /// another process.
    pub fn bequeath(&self) -> mpsc::Receiver<Failure> {
        let (heir, failures) = mpsc::channel(limits::HANDOVER_FAILURES_MAX);
        // There is one successor: whoever asks again gets a receiver that stays empty.
        let _ = self.heir.set(heir);
        failures
    }

    /// Waits until the failures recorded so far are on disk, or it is known that they are not.
    pub async fn records_are_kept(&self) -> Result<(), StoreError> {
        self.store.flush().await
    }

    /// Keeps a failure in its identity's ring, and on disk as soon as the store gets to it.
    pub fn record(&self, failure: Failure) {
        let device = self.device_of(&failure.identity);
        let published = self.published();
        for failed in failure.policies.iter().flat_map(|policy| &policy.checks) {
            let position =
                published.snapshot().find_check(&failed.check.id).map_or(usize::MAX, |found| found.position());
            let kind = failed.check.predicate.kind();
            self.metrics.check_failed(position, &failed.check.name, kind, failed.verdict.code());
        }
        let failure = Arc::new(failure);
        let slot = device.record(Arc::clone(&failure));
        if let Some(heir) = self.heir.get() {
            if heir.try_send(Failure::clone(&failure)).is_err() {
                self.metrics.failures_dropped.inc();
                tracing::warn!(request_id = &*failure.request_id, "a failure record could not be passed on");
            }
            return;
        }
        let key = failures::key(device.identity(), slot);
        if let Err(error) = self.store.put_later(Table::Failures, &key, &*failure) {
            self.metrics.failures_dropped.inc();
            tracing::warn!(%error, "a failure record is kept in memory only");
        }
    }
}

/// Enrolment and restart.
impl Enforcer {
    /// Makes an identity for a certificate of a CA that enrols automatically.
    async fn enroll(&self, enrollment: Enrollment) -> Result<(), DenialReason> {
        let now = self.clock.now();
        let identity = Arc::new(Identity {
            id: IdentityId::new(enrollment.id),
            name: enrollment.name.into(),
            subjects: vec![enrollment.subject],
            role_attributes: enrollment.role_attributes,
            disabled: false,
            enrolment: None,
            certificates: Vec::new(),
            service_configs: Vec::new(),
            kept: serde_json::Map::new(),
            meta: Meta { created_at: now, updated_at: now, tags: serde_json::Map::new(), origin: Origin::Enrolled },
        });
        let turn = self.turn().await;
        if self.published().snapshot().find_identity(&identity.id).is_some() {
            // Another connection of the same device was first.
            return Ok(());
        }
        let enrolment = Change::Put(Object::Identity(Arc::clone(&identity)));
        match self.change(&turn, enrolment, &Author::enrolment()).await {
            Ok(generation) => {
                tracing::info!(identity = %identity.id, name = %identity.name, generation, "identity enrolled");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, identity = %identity.id, "identity not enrolled");
                Err(DenialReason::UnknownIdentity)
            }
        }
    }

    /// Brings back postures, failures and stored objects. Blocks; call it before serving.
    ///
    /// Records that cannot be read are skipped and logged: an unknown posture passes nothing.
    pub fn restore(&self) -> Result<Restored, StoreError> {
        let mut restored = Restored::default();
        let restoring = Restoring::begin(&self.shared_facts, &self.store)?;
        let dangling = Mutex::new(Vec::new());
        let take = |identity: String, record: Record| match restoring.keep(&identity, record) {
            Ok(kept) => {
                let identity = IdentityId::from(identity.as_str());
                self.devices.insert(identity.clone(), Arc::new(Device::new(identity, kept)));
            }
            Err(error) => dangling.lock().unwrap_or_else(PoisonError::into_inner).push(error),
        };
        let mut skipped = self.store.load_each(Table::Postures, take)?;
        skipped.extend(dangling.into_inner().unwrap_or_else(PoisonError::into_inner));
        let all_were_read = skipped.is_empty();
        skipped.extend(restoring.finish(&self.store, all_were_read));
        restored.postures = self.devices.len();
        let stored = self.store.load_all::<Failure>(Table::Failures)?;
        skipped.extend(stored.skipped);
        for (identity, ring) in failures::rings(stored.records) {
            restored.failures += ring.len();
            self.device_of(&identity).restore_failures(ring);
        }
        skipped.extend(self.restore_locks()?);
        let (objects, count, unreadable) = self.stored_objects()?;
        skipped.extend(unreadable);
        restored.objects = count;
        let audited = self.store.load_all(Table::Audit)?;
        skipped.extend(audited.skipped);
        self.trail.restore(audited.records.into_iter().map(|(_, entry)| entry).collect());
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).stored = objects;
        restored.unreadable = skipped.len();
        for error in skipped {
            tracing::error!(%error, "a stored record cannot be read and is left out");
        }
        Ok(restored)
    }
}
