//! Posture from the wire to the disk and back: intake, restore at start, and the room a device takes in memory.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod world;

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use postern::clock::{ManualClock, Stopwatch};
use postern::enforce::Enforcer;
use postern::store::{Store, Table};
use postern::telemetry::Metrics;
use tempfile::TempDir;

/// Devices that come back at start.
const DEVICES: usize = 1_000_000;
/// Records of one write while the store is filled.
const FILLED_AT_ONCE: usize = 256;

fn intake(criterion: &mut Criterion) {
    let posture = world::healthy();
    let report = world::report();
    let mut group = criterion.benchmark_group("posture");
    group.bench_function("take in a report", |bencher| bencher.iter(|| black_box(posture.apply(&report))));
    group.finish();
}

fn open(folder: &Path) -> Arc<Enforcer> {
    let (store, _) = Store::open(folder, world::NOW).expect("the store opens");
    Enforcer::new(ManualClock::at(world::NOW), Metrics::new().expect("metrics register"), store)
}

/// Fills a store with a typical posture for each device.
fn fill(folder: &Path, devices: usize) {
    let (store, _) = Store::open(folder, world::NOW).expect("the store opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let numbers: Vec<_> = (0..devices).collect();
    runtime.block_on(async {
        for numbers in numbers.chunks(FILLED_AT_ONCE) {
            let write = |number: &usize| {
                let posture = world::typical(*number);
                Store::put_of(Table::Postures, &format!("identity-{number:07}"), &posture).expect("it can be written")
            };
            store.write_later(numbers.iter().map(write).collect()).ok();
            store.flush().await.expect("it is written");
        }
        store.close().await.expect("the store closes");
    });
}

/// Time from opening the store until every posture is known, and the memory that takes.
fn restore(_: &mut Criterion) {
    // `cargo test` runs benches too, without saying `--bench`.
    let devices = if std::env::args().any(|argument| argument == "--bench") { DEVICES } else { 1000 };
    let folder = TempDir::new().expect("a folder");
    fill(folder.path(), devices);
    let before = resident();
    let started = Stopwatch::start();
    let enforcer = open(folder.path());
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
criterion_main!(benches);
