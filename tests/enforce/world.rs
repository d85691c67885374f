//! An enforcer over a movable clock, with one identity, one service and a check for the domain `corp.example`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern::clock::{ManualClock, Timestamp};
use postern::decision::{DenialReason, Verdict};
use postern::enforce::{Connection, Credential, Device, Enforcer, Enrollment, Trust};
use postern::id::ServiceId;
use postern::policy::Subject;
use postern::policy::objects::Objects;
use postern::policy::roles::{Role, Semantic};
use postern::posture::check::Check;
use postern::posture::facts::Source;
use postern::posture::report::{Observation, Report, Seen};
use postern::store::{Backend, MemoryBackend, Store, StoreError, StoredRecord, Table, Write};
use postern::telemetry::Metrics;

use crate::objects::{World, check, identity, policy, service};

pub(crate) const THEN: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// A certificate whose trust the test decides.
#[derive(Debug)]
pub(crate) struct TestCredential {
    names: Vec<Subject>,
    trust: Mutex<Result<(), DenialReason>>,
    epoch: AtomicU64,
    expires: Mutex<Timestamp>,
    enrollment: Option<Enrollment>,
    fingerprint: String,
}

impl TestCredential {
    pub(crate) fn named(name: &str) -> Arc<Self> {
        TestCredential::enrolling(name, None)
    }

    /// A certificate of several names.
    pub(crate) fn of_names(names: &[&str]) -> Arc<Self> {
        TestCredential::new(names, "ab".repeat(32), None)
    }

    pub(crate) fn enrolling(name: &str, enrollment: Option<Enrollment>) -> Arc<Self> {
        TestCredential::new(&[name], "ab".repeat(32), enrollment)
    }

    fn new(names: &[&str], fingerprint: String, enrollment: Option<Enrollment>) -> Arc<Self> {
        Arc::new(TestCredential {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            trust: Mutex::new(Ok(())),
            epoch: AtomicU64::new(1),
            expires: Mutex::new(Timestamp::MAX),
            enrollment,
            fingerprint,
        })
    }

    pub(crate) fn expire_at(&self, moment: Timestamp) {
        *self.expires.lock().unwrap() = moment;
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Another certificate of the same name.
    pub(crate) fn renewed(name: &str, fingerprint: &str) -> Arc<Self> {
        TestCredential::new(&[name], fingerprint.to_owned(), None)
    }

    pub(crate) fn distrust(&self, reason: DenialReason) {
        *self.trust.lock().unwrap() = Err(reason);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

impl Credential for TestCredential {
    fn recheck(&self, now: Timestamp) -> Result<(), DenialReason> {
        self.trusted_until(now).map(drop)
    }

    fn trusted_until(&self, now: Timestamp) -> Result<Timestamp, DenialReason> {
        (*self.trust.lock().unwrap())?;
        let expires = *self.expires.lock().unwrap();
        if now < expires { Ok(expires) } else { Err(DenialReason::CertificateExpired) }
    }

    fn trust(&self, now: Timestamp) -> Result<Trust, DenialReason> {
        let epoch = self.trust_epoch();
        self.trusted_until(now).map(|until| Trust { epoch, from: Timestamp::default(), until })
    }

    fn trust_epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn names(&self) -> &[Subject] {
        &self.names
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn describe(&self) -> &str {
        "a test certificate"
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), postern::enforce::SignatureRefused> {
        Err(postern::enforce::SignatureRefused::UnsupportedKey)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        self.enrollment.clone()
    }
}

/// One identity `u` with the certificate name `cn:u`, one service `s`, one policy `p` that asks for the domain.
pub(crate) fn objects(max_age: Option<Duration>) -> Objects {
    let mut world = World::default();
    let mut user = identity("u", "u", &[]);
    user.subjects = vec!["cn:u".parse().unwrap()];
    world.add_identity(user);
    world.add_service(service("s", "s", &[]));
    let mut domain = check("domain", "domain", &[]);
    domain.check = Arc::new(Check { max_age, ..Check::clone(&domain.check) });
    world.add_check(domain);
    let all = || vec![Role::All];
    world.add_policy(policy("p", Semantic::AnyOf, all(), all(), all()));
    world.objects
}

pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) credential: Arc<TestCredential>,
    pub(crate) connection: Connection,
}

impl House {
    pub(crate) fn new(objects: Objects) -> Self {
        House::over(Store::memory().unwrap(), objects)
    }

    pub(crate) fn over(store: Store, objects: Objects) -> Self {
        let clock = ManualClock::at(THEN);
        let enforcer = Enforcer::new(clock.clone(), Metrics::new().unwrap(), store);
        enforcer.publish_files(objects).unwrap();
        let credential = TestCredential::named("cn:u");
        let connection = Connection::new("connection", None, None, Some(credential.clone()));
        House { clock, enforcer, credential, connection }
    }

    pub(crate) fn now(&self) -> Timestamp {
        use postern::clock::Clock as _;
        self.clock.now()
    }

    pub(crate) fn device(&self) -> Arc<Device> {
        self.enforcer.identify(&self.enforcer.published(), &self.connection).unwrap()
    }

    pub(crate) fn ask(&self) -> Verdict {
        self.ask_for(&self.connection)
    }

    pub(crate) fn ask_for(&self, connection: &Connection) -> Verdict {
        let published = self.enforcer.published();
        let service = published.snapshot().find_service(&ServiceId::from("s")).unwrap();
        self.enforcer.decide(&published, connection, service)
    }

    pub(crate) fn report(&self, domain: &str) -> Report {
        use postern::clock::Clock as _;
        let observations = vec![Observation { asked_by: None, seen: Seen::Domain(domain.to_owned()) }];
        Report { received_at: self.clock.now(), source: Source::Device, observations }
    }
}

/// A store whose disk can be filled.
#[derive(Default)]
pub(crate) struct FillingDisk {
    inner: MemoryBackend,
    full: AtomicBool,
}

impl FillingDisk {
    pub(crate) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }
}

impl Backend for FillingDisk {
    fn name(&self) -> &'static str {
        "filling-disk"
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.inner.scan(table, prefix, after, limit)
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::Unavailable { source: Arc::new(full) });
        }
        self.inner.commit(writes)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}
