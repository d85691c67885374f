//! Posture from the wire to the disk and back: intake, restore at start, and the room a device takes in memory.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod credential;
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod world;

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use criterion::{Criterion, criterion_group};
use futures_util::future::join_all;
use postern::clock::{ManualClock, Stopwatch};
use postern::enforce::{Connection, Enforcer};
use postern::store::Store;
use postern::telemetry::Metrics;
use tempfile::TempDir;

use self::credential::Believed;

/// Devices that come back at start.
const DEVICES: usize = 1_000_000;
/// Devices that report at the same time while the store is filled.
const FILLED_AT_ONCE: usize = 256;
/// Has this process fill a store and do nothing else.
const FILL: &str = "--fill";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn intake(criterion: &mut Criterion) {
    let posture = world::healthy();
    let report = world::report();
    let mut group = criterion.benchmark_group("posture");
    group.bench_function("take in a report", |bencher| bencher.iter(|| black_box(posture.apply(&report))));
    group.finish();
}

fn open(folder: &Path) -> (Arc<Enforcer>, Store) {
    let (store, _) = Store::open(folder, world::NOW).expect("the store opens");
    let metrics = Metrics::new().expect("metrics register");
    (Enforcer::new(ManualClock::at(world::NOW), metrics, store.clone()), store)
}

/// Fills a store as a gateway does, with a typical report of each device.
fn fill(folder: &Path, devices: usize) {
    let (enforcer, store) = open(folder);
    enforcer.publish_files(world::objects(devices, 1, 1)).expect("the policy compiles");
    let published = enforcer.published();
    let report = |number| {
        let credential = Believed::of(&format!("spiffe://bench/device/{number}")).expect("a SPIFFE URI");
        let connection = Connection::new("bench", None, None, Some(credential));
        let device = enforcer.identify(&published, &connection).expect("a device");
        let enforcer = &enforcer;
        async move { enforcer.report(&device, &world::typical_report(number)).await.expect("the report is stored") }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        for first in (0..devices).step_by(FILLED_AT_ONCE) {
            join_all((first..devices.min(first + FILLED_AT_ONCE)).map(report)).await;
        }
        store.close().await.expect("the store closes");
    });
}

/// Time from opening the store until every posture is known, and the memory that takes.
fn restore(_: &mut Criterion) {
    // `cargo test` runs benches too, without saying `--bench`.
    let devices = if std::env::args().any(|argument| argument == "--bench") { DEVICES } else { 1000 };
    let folder = TempDir::new().expect("a folder");
    // In another process: what it took in memory is nothing to this one's.
    let this = std::env::current_exe().expect("this program has a file");
    let filled = Command::new(this).arg(FILL).arg(folder.path()).arg(devices.to_string()).status();
    assert!(filled.expect("it can be started").success());
    let before = resident();
    let started = Stopwatch::start();
    let (enforcer, _store) = open(folder.path());
    let opened = started.seconds();
    let restored = enforcer.restore().expect("the store can be read");
    let ready = started.seconds();
    assert_eq!(restored.postures, devices);
    let _ = writeln!(
        std::io::stdout(),
        "restore: {devices} postures in {ready:.2} s, {opened:.2} s of it to open the store; {} bytes of memory for each",
        resident().saturating_sub(before) / devices
    );
}

/// Memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux tells");
    let anonymous = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("there is some");
    anonymous.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

criterion_group!(benches, intake, restore);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [first, folder, devices] = arguments.as_slice()
        && first == FILL
    {
        return fill(Path::new(folder), devices.parse().expect("a number"));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
