//! How cost grows with what there is: identities, services, policies, checks, header fields. One line for each, so that one sees
//! what stays flat and what does not.
//!
//! Everything is done in one process on one core, each line's columns in turn. The figure is the fastest of several batches, which
//! other work on the machine spoils least; what counts is how the columns of one line compare.

#![expect(dead_code, reason = "shared with benches that use more of it")]
#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
mod credential;
mod world;

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use postern::clock::{ManualClock, Stopwatch};
use postern::decision;
use postern::enforce::{Connection, Enforcer, Published};
use postern::id::IdentityId;
use postern::policy::compile::compile;
use postern::policy::objects::Objects;
use postern::policy::{ServiceIndex, Snapshot};
use postern::proxy::hygiene;
use postern::store::Store;
use postern::telemetry::Metrics;

use self::credential::Believed;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Batches of which the fastest counts.
const BATCHES: usize = 7;
/// How long a batch lasts at least.
const BATCH: Duration = Duration::from_millis(40);

/// What is measured, for which sizes.
struct Line {
    name: &'static str,
    sizes: [usize; 3],
    /// Nanoseconds.
    cost: fn(usize) -> f64,
}

const LINES: [Line; 9] = [
    Line {
        name: "hit, by identities",
        sizes: [100, 10_000, 1_000_000],
        cost: |identities| hit(identities, 1000, 1000),
    },
    Line { name: "hit, by services", sizes: [1, 100, 10_000], cost: |services| hit(1000, services, 1000) },
    Line { name: "hit, by policies", sizes: [1000, 10_000, 100_000], cost: |policies| hit(1000, 1000, policies) },
    Line {
        name: "miss, by policies that lead to the service",
        sizes: [1, 10, 100],
        cost: |policies| miss(policies, 5),
    },
    Line { name: "miss, by checks of a policy", sizes: [1, 5, 50], cost: |checks| miss(1, checks) },
    Line { name: "route, by services", sizes: [1, 1000, 100_000], cost: route },
    Line { name: "hygiene, by header fields", sizes: [5, 20, 80], cost: request_hygiene },
    Line {
        name: "compile, by identities",
        sizes: [1000, 10_000, 100_000],
        cost: |number| compiled(number, 1000, 1000),
    },
    Line {
        name: "compile, by services and policies",
        sizes: [100, 1000, 10_000],
        cost: |number| compiled(1000, number, number),
    },
];

fn main() {
    // `cargo test` runs benches too, without saying `--bench`: there the small sizes are enough.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let mut out = std::io::stdout().lock();
    for Line { name, sizes, cost } in LINES {
        let sizes = sizes.iter().take(if whole { sizes.len() } else { 2 });
        let cells: Vec<String> = sizes.map(|size| format!("{size}: {}", written(cost(*size)))).collect();
        writeln!(out, "| {name} | {} |", cells.join(" | ")).expect("standard output is there");
    }
}

fn written(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 1e3 => format!("{short:.0} ns"),
        short if short < 1e6 => format!("{:.2} µs", short / 1e3),
        long => format!("{:.1} ms", long / 1e6),
    }
}

/// Nanoseconds `work` takes once.
fn cost(mut work: impl FnMut()) -> f64 {
    let mut times = 1u32;
    loop {
        let took = batch(times, &mut work);
        if took >= BATCH {
            break;
        }
        times = times.saturating_mul(2);
    }
    let fastest = (0..BATCHES).map(|_| batch(times, &mut work)).min().unwrap_or_default();
    fastest.as_secs_f64() * 1e9 / f64::from(times)
}

fn batch(times: u32, work: &mut impl FnMut()) -> Duration {
    let clock = Stopwatch::start();
    for _ in 0..times {
        work();
    }
    clock.elapsed()
}

/// A verdict from the cache, for a device that may.
fn hit(identities: usize, services: usize, policies: usize) -> f64 {
    let enforcer = Enforcer::new(
        ManualClock::at(world::NOW),
        Metrics::new().expect("metrics register"),
        Store::memory().expect("a memory store"),
    );
    enforcer.publish_files(world::objects(identities, services, policies)).expect("the policy compiles");
    let published = Arc::clone(&enforcer.published());
    let connection = allowed(&enforcer, &published);
    let service = service(published.snapshot());
    assert!(enforcer.decide(&published, &connection, service).is_ok());
    cost(|| drop(black_box(enforcer.decide(&published, &connection, service))))
}

fn allowed(enforcer: &Arc<Enforcer>, published: &Published) -> Connection {
    let credential = Believed::of("spiffe://bench/device/0").expect("a SPIFFE URI");
    let connection = Connection::new("bench", None, None, Some(credential));
    let device = enforcer.identify(published, &connection).expect("a device");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(enforcer.report(&device, &world::report())).expect("the report is stored");
    connection
}

fn service(snapshot: &Snapshot) -> ServiceIndex {
    snapshot.route("service-0.bench.example", "/").expect("a service")
}

/// An evaluation that has to look at everything, because the device fails.
fn miss(policies: usize, checks: usize) -> f64 {
    let mut objects = world::objects(1000, 1000, policies * 1000);
    world::give_checks(&mut objects, checks);
    let snapshot = compile(objects, 1).expect("the policy compiles");
    let (service, identity, posture) = (service(&snapshot), IdentityId::from("identity-0000000"), world::outdated());
    let asker = decision::Asker::new(&identity, &posture);
    assert!(decision::decide(&snapshot, &asker, service, world::NOW).is_err());
    cost(|| drop(black_box(decision::decide(&snapshot, &asker, service, world::NOW))))
}

fn route(services: usize) -> f64 {
    let snapshot = compile(world::objects(10, services, 10), 1).expect("the policy compiles");
    cost(|| {
        black_box(snapshot.route("service-0.bench.example", "/api/items/42"));
    })
}

/// What is looked at of a head, raw and parsed.
fn request_hygiene(fields: usize) -> f64 {
    let field = |number: usize| (format!("x-field-{number}"), "some value that is not too long");
    let fields: Vec<_> = (0..fields).map(field).collect();
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("GET /api/items/42 HTTP/1.1\r\n{lines}\r\n");
    let parsed = |(name, value): &(String, &'static str)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_static(value))
    };
    let headers: HeaderMap = fields.iter().map(parsed).collect();
    cost(|| {
        black_box(hygiene::inspect_head(head.as_bytes(), hygiene::HeadBounds::default())).expect("nothing is wrong");
        black_box(hygiene::inspect_fields(&headers, Version::HTTP_11, hygiene::HeadBounds::default()))
            .expect("nothing is wrong");
    })
}

fn compiled(identities: usize, services: usize, policies: usize) -> f64 {
    let objects: Objects = world::objects(identities, services, policies);
    let mut fastest = Duration::MAX;
    for _ in 0..BATCHES {
        let objects = objects.clone();
        let clock = Stopwatch::start();
        let snapshot = compile(objects, 1).expect("the policy compiles");
        fastest = fastest.min(clock.elapsed());
        // Let go of outside the measurement, as in the gateway.
        drop(black_box(snapshot));
    }
    fastest.as_secs_f64() * 1e9
}
