//! Compiling policy: what a reload costs before it takes effect.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod world;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use postern::policy::compile::compile;

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot, compile");
    group.sample_size(10);
    for (identities, services, policies) in [
        (1000, 1000, 1000),
        (10_000, 10_000, 10_000),
        (100_000, 1000, 1000),
        (100_000, 10_000, 1000),
        (100_000, 1000, 10_000),
        (100_000, 10_000, 10_000),
    ] {
        let objects = world::objects(identities, services, policies);
        let size = format!("{identities} identities, {services} services, {policies} policies");
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            // What is replaced is let go of outside the measurement, as in the gateway, where requests may still use it.
            bencher.iter_batched(
                || objects.clone(),
                |objects| compile(objects, 1).expect("the policy compiles"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, compiling);
criterion_main!(benches);
