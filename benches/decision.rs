//! The decision and what it stands on: verdict hit and miss, snapshot compile, posture intake.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up should stop")]

mod world;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use postern::clock::ManualClock;
use postern::decision;
use postern::enforce::{Connection, Credential, Enforcer, Enrollment};
use postern::id::IdentityId;
use postern::policy::Subject;
use postern::policy::compile::compile;
use postern::store::Store;
use postern::telemetry::Metrics;

const IDENTITIES: usize = 100_000;
const SERVICES: usize = 10_000;
const POLICIES: usize = 10_000;

/// A certificate that is always trusted: the trust re-check has a bench of its own.
#[derive(Debug)]
struct Trusted(Vec<Subject>);

impl Credential for Trusted {
    fn recheck(&self, _: postern::clock::Timestamp) -> Result<(), decision::DenialReason> {
        Ok(())
    }
    fn names(&self) -> &[Subject] {
        &self.0
    }
    fn fingerprint(&self) -> &str {
        "bench"
    }
    fn describe(&self) -> &str {
        "bench"
    }
    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), postern::enforce::SignatureRefused> {
        Err(postern::enforce::SignatureRefused::UnsupportedKey)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        None
    }
}

fn connection(identity: usize) -> Connection {
    let name = format!("spiffe://bench/device/{identity}").parse().expect("a SPIFFE URI");
    Connection::new("bench", None, None, Some(Arc::new(Trusted(vec![name]))))
}

fn decisions(criterion: &mut Criterion) {
    let enforcer = Enforcer::new(
        ManualClock::at(world::NOW),
        Metrics::new().expect("metrics register"),
        Store::memory().expect("a memory store"),
    );
    enforcer.publish_files(world::objects(IDENTITIES, SERVICES, POLICIES)).expect("the policy compiles");
    let published = Arc::clone(&enforcer.published());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");

    let mut group = criterion.benchmark_group("decision");
    let service = published.snapshot().route("service-7.bench.example", "/").expect("a service");
    let warm = connection(7);
    let device = enforcer.identify(&published, &warm).expect("a device");
    runtime.block_on(enforcer.report(&device, &world::report())).expect("the report is stored");
    group.bench_function("hit, one connection", |bencher| {
        bencher.iter(|| black_box(enforcer.decide(&published, &warm, service)));
    });

    // Connections of many identities in turn, so that nothing of theirs is in the processor's caches.
    let cold: Vec<_> = (0..IDENTITIES).map(connection).collect();
    let routes: Vec<_> = (0..1000)
        .map(|n| published.snapshot().route(&format!("service-{n}.bench.example"), "/").expect("a service"))
        .collect();
    for (n, connection) in cold.iter().enumerate() {
        let _ = enforcer.decide(&published, connection, routes[n % 1000]);
    }
    let mut turn = 0usize;
    group.bench_function("hit, 100,000 identities at random", |bencher| {
        bencher.iter(|| {
            turn = (turn.wrapping_mul(1_103_515_245).wrapping_add(12_345)) % IDENTITIES;
            black_box(enforcer.decide(&published, &cold[turn], routes[turn % 1000]))
        });
    });

    let identity = IdentityId::from("identity-0000007");
    for (name, posture) in [("miss, allowed", world::healthy()), ("miss, denied with evidence", world::outdated())] {
        group.bench_function(name, |bencher| {
            let asker = decision::Asker::new(&identity, &posture);
            bencher.iter(|| black_box(decision::decide(published.snapshot(), &asker, service, world::NOW)));
        });
    }
    group.bench_function("route", |bencher| {
        bencher.iter(|| black_box(published.snapshot().route("service-7.bench.example", "/some/path")));
    });
    group.finish();
}

fn snapshots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    for (name, identities, services, policies) in [
        ("compile, 1,000 each", 1000, 1000, 1000),
        ("compile, 100,000 identities, 10,000 services, 10,000 policies", IDENTITIES, SERVICES, POLICIES),
    ] {
        let objects = world::objects(identities, services, policies);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| objects.clone(), |objects| compile(objects, 1), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn intake(criterion: &mut Criterion) {
    let posture = world::healthy();
    let report = world::report();
    let mut group = criterion.benchmark_group("posture");
    group.bench_function("take in a report", |bencher| bencher.iter(|| black_box(posture.apply(&report))));
    group.finish();
}

criterion_group!(benches, decisions, snapshots, intake);
criterion_main!(benches);
