//! Compiling policy, which a change waits for before it takes effect, and telling what is different, which whoever is cut by it
//! waits for after that.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod world;

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use postern::id::PolicyId;
use postern::policy::Snapshot;
use postern::policy::compile::compile;
use postern::policy::diff::Changes;
use postern::policy::objects::Objects;

/// Identities, services and policies.
const DIFFERENT_SIZES: [(usize, usize, usize); 3] =
    [(1000, 1000, 1000), (10_000, 10_000, 10_000), (100_000, 10_000, 10_000)];

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

/// One policy is another one than before. Through the API everything else is the same in memory; read from files everything is
/// there anew.
fn different(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot, diff");
    group.sample_size(10);
    for (identities, services, policies) in DIFFERENT_SIZES {
        let objects = || world::objects(identities, services, policies);
        let before = objects();
        for (how, after) in
            [("through the API", without_posture(before.clone())), ("from files", without_posture(objects()))]
        {
            let (old, new) = (compiled(before.clone(), 1), compiled(after, 2));
            let size = format!("{identities} identities, {services} services, {policies} policies, {how}");
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_with_large_drop(|| Changes::between(&old, &new));
            });
        }
    }
    group.finish();
}

fn compiled(objects: Objects, generation: u64) -> Snapshot {
    compile(objects, generation).expect("the policy compiles")
}

/// The same, but for one policy that asks for nothing.
fn without_posture(mut objects: Objects) -> Objects {
    let policy = objects.policies.get_mut(&PolicyId::from("policy-000007")).expect("a policy");
    Arc::make_mut(policy).posture_check_roles.clear();
    objects
}

criterion_group!(benches, compiling, different);
criterion_main!(benches);
