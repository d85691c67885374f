//! The workloads: each sets up what it needs, then does one thing a number of times inside [`measured`].

use std::hint::black_box;
use std::sync::Arc;

use postern::clock::ManualClock;
use postern::decision;
use postern::enforce::{Connection, Enforcer, Entry, Protocol};
use postern::id::IdentityId;
use postern::policy::compile::compile;
use postern::posture::Posture;
use postern::proxy::hygiene;
use postern::store::Store;
use postern::telemetry::Metrics;

use super::credential::Authority;
use super::policy;

/// One thing, done `times` times.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) times: u64,
    pub(crate) run: fn(),
}

/// How often the cheap ones are done.
const MANY: u64 = 1000;
/// How often those are done that go through many objects.
const FEW: u64 = 2;

const IDENTITIES: usize = 2000;
const SERVICES: usize = 1000;
/// Ten lead to each service, with five checks each.
const POLICIES: usize = 10_000;

impl Workload {
    pub(crate) fn all() -> Vec<Workload> {
        let many = |name, run| Workload { name, times: MANY, run };
        let few = |name, run| Workload { name, times: FEW, run };
        vec![
            many("decision, hit", || hit(true)),
            many("decision, hit of a refusal", || hit(false)),
            many("decision, hit, as a session", session),
            many("decision, miss, allowed", || miss(&policy::healthy())),
            many("decision, miss, denied", || miss(&policy::outdated())),
            many("route", route),
            many("request hygiene", request_hygiene),
            many("posture intake", intake),
            few("snapshot compile", snapshot),
        ]
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured(times: u64, work: &mut dyn FnMut()) {
    for _ in 0..times {
        work();
    }
}

fn enforcer() -> Arc<Enforcer> {
    let enforcer = Enforcer::new(
        ManualClock::at(policy::NOW),
        Metrics::new().expect("metrics register"),
        Store::memory().expect("a memory store"),
    );
    enforcer.publish_files(policy::objects(IDENTITIES, SERVICES, SERVICES)).expect("the policy compiles");
    enforcer
}

/// A connection with a real certificate, the trust in which is asked as with every request.
fn connection() -> Arc<Connection> {
    let authority = Authority::new(policy::NOW).expect("a CA");
    let credential = authority.credential("spiffe://bench/device/7").expect("a certificate");
    Arc::new(Connection::new("bench", None, None, Some(credential)))
}

/// The connection's device reports what satisfies every check.
fn report(enforcer: &Enforcer, connection: &Connection) {
    let device = enforcer.identify(&enforcer.published(), connection).expect("a device");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(enforcer.report(&device, &policy::report())).expect("the report is stored");
}

/// A verdict from the cache.
fn hit(allowed: bool) {
    let (enforcer, connection) = (enforcer(), connection());
    if allowed {
        report(&enforcer, &connection);
    }
    let published = Arc::clone(&enforcer.published());
    let service = published.snapshot().route("service-7.bench.example", "/").expect("a service");
    assert_eq!(enforcer.decide(&published, &connection, service).is_ok(), allowed);
    measured(MANY, &mut || {
        black_box(enforcer.decide(&published, &connection, service)).ok();
    });
}

/// The same for a request that is entered among the sessions first, and over at once.
fn session() {
    let (enforcer, connection) = (enforcer(), connection());
    report(&enforcer, &connection);
    let published = Arc::clone(&enforcer.published());
    let service = published.snapshot().route("service-7.bench.example", "/").expect("a service");
    let request_id: Arc<str> = "bench".into();
    let enter = || {
        let (request_id, signal) = (Arc::clone(&request_id), Arc::default());
        let entry = Entry { request_id, began: policy::NOW, protocol: Protocol::Http1, signal };
        enforcer.enter(&published, &connection, service, entry)
    };
    assert!(enter().is_ok());
    measured(MANY, &mut || drop(black_box(enter())));
}

fn miss(posture: &Posture) {
    let snapshot = compile(policy::objects(IDENTITIES, SERVICES, POLICIES), 1).expect("the policy compiles");
    let service = snapshot.route("service-7.bench.example", "/").expect("a service");
    let identity = IdentityId::from("identity-0000007");
    let asker = decision::Asker::new(&identity, posture);
    measured(MANY, &mut || {
        black_box(decision::decide(&snapshot, &asker, service, policy::NOW)).ok();
    });
}

fn route() {
    let snapshot = compile(policy::objects(10, SERVICES, 10), 1).expect("the policy compiles");
    measured(MANY, &mut || {
        black_box(snapshot.route("service-7.bench.example", "/api/items/42"));
    });
}

fn request_hygiene() {
    let head = super::load::head();
    let headers = super::load::fields().collect();
    let uri = super::load::PATH.parse().expect("a path");
    measured(MANY, &mut || {
        black_box(hygiene::inspect_head(head.as_bytes(), hygiene::HeadBounds::default())).expect("nothing is wrong");
        black_box(hygiene::inspect_fields(&headers, http::Version::HTTP_11, hygiene::HeadBounds::default()))
            .expect("nothing is wrong");
        black_box(hygiene::target(&uri, &headers, hygiene::HeadBounds::default())).expect("nothing is wrong");
    });
}

fn intake() {
    let (posture, report) = (policy::healthy(), policy::report());
    measured(MANY, &mut || {
        black_box(posture.apply(&report)).expect("the report is in order");
    });
}

fn snapshot() {
    let mut objects: Vec<_> = (0..FEW).map(|_| policy::objects(IDENTITIES, SERVICES, SERVICES)).collect();
    measured(FEW, &mut || {
        black_box(compile(objects.pop().expect("one for each time"), 1)).expect("the policy compiles");
    });
}
