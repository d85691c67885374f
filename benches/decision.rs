//! The decision: from the cache, evaluated, with a million identities, and while postures are written.

#![expect(dead_code, reason = "shared with benches that use more of it")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up should stop")]

mod allocator;
mod credential;
mod world;

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use postern::clock::{ManualClock, Stopwatch};
use postern::decision;
use postern::enforce::{Connection, Device, Enforcer, Entry, Protocol, Published};
use postern::id::IdentityId;
use postern::policy::ServiceIndex;
use postern::policy::compile::compile;
use postern::store::Store;
use postern::telemetry::Metrics;

use self::credential::{Authority, Believed};

const IDENTITIES: usize = 1_000_000;
const SERVICES: usize = 10_000;
const POLICIES: usize = 10_000;

/// Lines of the processor's cache in the gigabyte of which one is read at a time.
const LINES: u64 = 1 << 24;
/// Numbers of eight bytes in a line.
const LINE: usize = 8;

/// Posture reports a second while decisions are timed.
const WRITES_PER_SECOND: u32 = 10_000;
/// Decisions that are timed meanwhile.
const TIMED: usize = 2_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn connection(identity: usize) -> Connection {
    let credential = Believed::of(&format!("spiffe://bench/device/{identity}")).expect("a SPIFFE URI");
    Connection::new("bench", None, None, Some(credential))
}

/// A gateway's state, with a posture for every device that passes every check.
struct Loaded {
    enforcer: Arc<Enforcer>,
    published: Arc<Published>,
    runtime: tokio::runtime::Runtime,
}

impl Loaded {
    fn new(identities: usize, services: usize, policies: usize) -> Self {
        let enforcer = Enforcer::new(
            ManualClock::at(world::NOW),
            Metrics::new().expect("metrics register"),
            Store::memory().expect("a memory store"),
        );
        enforcer.publish_files(world::objects(identities, services, policies)).expect("the policy compiles");
        let published = Arc::clone(&enforcer.published());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Loaded { enforcer, published, runtime }
    }

    fn service(&self, number: usize) -> ServiceIndex {
        self.published.snapshot().route(&format!("service-{number}.bench.example"), "/").expect("a service")
    }

    fn report(&self, connection: &Connection) -> Arc<Device> {
        let device = self.enforcer.identify(&self.published, connection).expect("a device");
        self.runtime.block_on(self.enforcer.report(&device, &world::report())).expect("the report is stored");
        device
    }
}

/// Numbers in no order that could be foreseen, the same in every run.
struct Shuffled(u64);

impl Shuffled {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// What a cold decision is to be compared with: a read of memory that has to be waited for, each where the one before says.
fn memory(criterion: &mut Criterion) {
    // Every line is the end of one way and the beginning of another, in an order that no processor foresees.
    let after =
        |line: u64| line.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) % LINES;
    let mut lines = vec![0_u64; LINES as usize * LINE];
    for line in 0..LINES {
        lines[line as usize * LINE] = after(line);
    }
    let mut at = 0;
    criterion.bench_function("memory/one read of a random line in a gigabyte", |bencher| {
        bencher.iter(|| {
            at = lines[at as usize * LINE];
            black_box(at)
        });
    });
}

fn cached(criterion: &mut Criterion) {
    let loaded = Loaded::new(IDENTITIES, SERVICES, POLICIES);
    let mut group = criterion.benchmark_group("decision, 1,000,000 identities");
    let authority = Authority::new(world::NOW).expect("a CA");
    let credential = authority.credential("spiffe://bench/device/7").expect("a certificate");
    let warm = Arc::new(Connection::new("bench", None, None, Some(credential)));
    let service = loaded.service(7);
    loaded.report(&warm);
    assert!(loaded.enforcer.decide(&loaded.published, &warm, service).is_ok());
    // What is looked at is whether it is a permit: a whole verdict, kept from the optimiser, would go through memory in halves and
    // be waited for, which costs a third of what is measured.
    group.bench_function("hit, warm", |bencher| {
        bencher.iter(|| black_box(loaded.enforcer.decide(&loaded.published, &warm, service).is_ok()));
    });
    // What a request takes beside the decision to be found by whoever cuts: its place among the sessions, and its signal.
    let request_id: Arc<str> = "bench".into();
    group.bench_function("hit, warm, entered among the sessions and over", |bencher| {
        bencher.iter(|| {
            let entry = Entry {
                request_id: Arc::clone(&request_id),
                began: world::NOW,
                protocol: Protocol::Http1,
                signal: Arc::default(),
            };
            drop(black_box(loaded.enforcer.enter(&loaded.published, &warm, service, entry)));
        });
    });
    let refused = connection(8);
    let other = loaded.service(8);
    group.bench_function("hit of a refusal, warm", |bencher| {
        bencher.iter(|| black_box(loaded.enforcer.decide(&loaded.published, &refused, other).is_ok()));
    });

    // Nothing of a connection that is drawn from a million is in the processor's caches.
    let cold: Vec<_> = (0..IDENTITIES).map(connection).collect();
    let routes: Vec<_> = (0..1000).map(|number| loaded.service(number)).collect();
    for (number, connection) in cold.iter().enumerate() {
        loaded.report(connection);
        assert!(loaded.enforcer.decide(&loaded.published, connection, routes[number % 1000]).is_ok());
    }
    let mut shuffled = Shuffled(88_172_645_463_325_252);
    group.bench_function("hit, cold: a random identity each time", |bencher| {
        bencher.iter(|| {
            let number = shuffled.below(IDENTITIES);
            black_box(loaded.enforcer.decide(&loaded.published, &cold[number], routes[number % 1000]).is_ok())
        });
    });
    group.bench_function("route", |bencher| {
        bencher.iter(|| black_box(loaded.published.snapshot().route("service-7.bench.example", "/some/path")));
    });
    group.finish();
    contended(&loaded, &cold, &routes);
}

/// How long single decisions take while another thread takes reports in.
fn contended(loaded: &Loaded, connections: &[Connection], routes: &[ServiceIndex]) {
    let stop = AtomicBool::new(false);
    let mut took = Vec::with_capacity(TIMED);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&stop, loaded, connections));
        let mut shuffled = Shuffled(424_242);
        for _ in 0..TIMED {
            // A few identities, so that decisions meet writes to the same device.
            let number = shuffled.below(1000);
            let asked = Stopwatch::start();
            black_box(loaded.enforcer.decide(&loaded.published, &connections[number], routes[number])).ok();
            took.push(asked.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer ends")
    });
    took.sort_unstable();
    let percentile = |share: f64| took[(took.len() as f64 * share) as usize].as_nanos();
    let _ = writeln!(
        std::io::stdout(),
        "decision under {written:.0} posture writes a second, the clock's two readings included: p50 {} ns, p99 {} ns, p99.9 {} ns",
        percentile(0.5),
        percentile(0.99),
        percentile(0.999)
    );
}

/// Takes reports in at the wanted pace; returns how many there were a second.
fn write_until(stop: &AtomicBool, loaded: &Loaded, connections: &[Connection]) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let devices: Vec<_> = connections[..1000]
        .iter()
        .map(|connection| loaded.enforcer.identify(&loaded.published, connection).expect("a device"))
        .collect();
    let started = Stopwatch::start();
    let mut written = 0;
    let mut shuffled = Shuffled(99);
    while !stop.load(Ordering::Relaxed) {
        let due = started.elapsed().as_secs_f64() * f64::from(WRITES_PER_SECOND);
        while f64::from(written) < due {
            let device = &devices[shuffled.below(devices.len())];
            runtime.block_on(loaded.enforcer.report(device, &world::report())).expect("the report is stored");
            written += 1;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    f64::from(written) / started.seconds()
}

fn evaluated(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("miss");
    // One policy leads to each service for every thousand of them.
    for policies in [1, 10, 100] {
        let snapshot = compile(world::objects(1000, 1000, policies * 1000), 1).expect("the policy compiles");
        let service = snapshot.route("service-7.bench.example", "/").expect("a service");
        let identity = IdentityId::from("identity-0000007");
        for (name, posture) in [("allowed", world::healthy()), ("denied with evidence", world::outdated())] {
            let asker = decision::Asker::new(&identity, &posture);
            group.bench_function(BenchmarkId::new(name, format!("{policies} policies of 5 checks")), |bencher| {
                bencher.iter(|| black_box(decision::decide(&snapshot, &asker, service, world::NOW)));
            });
        }
    }
    // The same as a request meets it: the posture put together, the verdict counted and kept.
    let loaded = Loaded::new(1000, 1000, 10_000);
    let asker = connection(7);
    let device = loaded.report(&asker);
    let service = loaded.service(7);
    group.bench_function("after each report, report included", |bencher| {
        bencher.iter(|| {
            loaded.runtime.block_on(loaded.enforcer.report(&device, &world::report())).expect("the report is stored");
            black_box(loaded.enforcer.decide(&loaded.published, &asker, service))
        });
    });
    group.bench_function("the report alone", |bencher| {
        bencher.iter(|| loaded.runtime.block_on(loaded.enforcer.report(&device, &world::report())));
    });
    after_reload(&mut group, &loaded);
    group.finish();
}

/// The first decision on a connection after policy was read anew: whose it is is looked up, and the answer evaluated.
fn after_reload(group: &mut BenchmarkGroup<'_, WallTime>, loaded: &Loaded) {
    let connections: Vec<_> = (0..1000).map(connection).collect();
    connections.iter().for_each(|connection| drop(loaded.report(connection)));
    let service = loaded.service(7);
    group.bench_function("the first after a reload, on each of 1,000 connections", |bencher| {
        bencher.iter_custom(|decisions| {
            let (mut left, mut took) = (usize::try_from(decisions).expect("they can be counted"), Duration::ZERO);
            while left > 0 {
                loaded.enforcer.publish_files(world::objects(1000, 1000, 10_000)).expect("the policy compiles");
                let published = Arc::clone(&loaded.enforcer.published());
                let asked = left.min(connections.len());
                let clock = Stopwatch::start();
                for connection in &connections[..asked] {
                    black_box(loaded.enforcer.decide(&published, connection, service).is_ok());
                }
                took += clock.elapsed();
                left -= asked;
            }
            took
        });
    });
}

criterion_group!(benches, evaluated, memory, cached);
criterion_main!(benches);
