//! What the admin API answers from a large policy: pages of lists, and policy advice. Objects lie about in memory as they do after a
//! long life: each made at another time than its neighbours in the list.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

mod allocator;
#[expect(dead_code, reason = "shared with the bench of decisions, which uses all of it")]
mod world;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use postern::dialect::openziti::{self, ListQuery, RoleAttribute};
use postern::id::{IdentityId, ServiceId};
use postern::policy::Snapshot;
use postern::policy::compile::compile;
use postern::policy::objects::{Identity, Objects};
use serde_json::json;

const IDENTITIES: usize = 100_000;
const SERVICES: usize = 10_000;
const POLICIES: usize = 10_000;

/// The policy of the other benches, its identities made anew in an order that has nothing to do with that of their ids, with tags.
fn scattered() -> Objects {
    let mut objects = world::objects(IDENTITIES, SERVICES, POLICIES);
    let ids: Vec<IdentityId> = objects.identities.keys().cloned().collect();
    let mut place = 0usize;
    for _ in 0..ids.len() {
        // A full cycle: the step has no factor in common with the number of identities.
        place = (place + 61_803) % ids.len();
        let Some(known) = ids.get(place).and_then(|id| objects.identities.get_mut(id)) else { continue };
        let mut made = Identity::clone(known);
        let tags =
            json!({"env": if place.is_multiple_of(3) { "prod" } else { "test" }, "floor": place % 20, "owner": "ops"});
        made.meta.tags = tags.as_object().cloned().unwrap_or_default();
        made.role_attributes.push("staff".into());
        *known = Arc::new(made);
    }
    objects
}

/// A page as it goes out.
fn page(snapshot: &Snapshot, parameters: &[(&str, &str)]) -> Vec<u8> {
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let query = ListQuery::<Identity>::read(&parameters).expect("the query can be read");
    let all = snapshot.objects().identities.values().map(Arc::as_ref);
    let page = query.page(all).map(openziti::identity);
    serde_json::to_vec(&openziti::list::<Identity, _>(page)).expect("the page is JSON")
}

fn lists(criterion: &mut Criterion) {
    let snapshot = compile(scattered(), 1).expect("the policy compiles");
    let mut group = criterion.benchmark_group("of 100,000 identities");
    group.sample_size(20);
    for (name, parameters) in [
        ("a page", &[("limit", "500"), ("offset", "50000")][..]),
        ("sorted by name", &[("sort", "name desc"), ("offset", "99000")]),
        ("sorted by two fields", &[("sort", "createdAt, name desc")]),
        ("filtered by name", &[("filter", r#"name contains "77" and not disabled"#)]),
        ("filtered by a tag", &[("filter", r#"tags.env = "prod""#)]),
        ("filtered by two tags and sorted", &[("filter", r#"tags.env = "prod" and tags.floor > 5 sort by name"#)]),
        ("filtered by attributes", &[("filter", r#"anyOf(roleAttributes) = "group-7""#)]),
        ("by roleFilter", &[("roleFilter", "#staff"), ("roleFilter", "#group-7")]),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| page(&snapshot, parameters)));
    }
    group.bench_function("attributes in use", |bencher| {
        bencher.iter(|| {
            let identities = snapshot.objects().identities.values().map(Arc::as_ref);
            RoleAttribute::in_use(identities, |identity| &identity.role_attributes).len()
        });
    });
    let (asker, asked) = (IdentityId::from("identity-0000007"), ServiceId::from("service-000007"));
    group.bench_function("policy advice", |bencher| bencher.iter(|| advice(&snapshot, &asker, &asked)));
    group.finish();
}

fn advice(snapshot: &Snapshot, asker: &IdentityId, asked: &ServiceId) -> Vec<u8> {
    let asker = snapshot.find_identity(asker).expect("the identity is there");
    let asked = snapshot.find_service(asked).expect("the service is there");
    let granted = snapshot.permissions(asker, asked);
    let identity = snapshot.identity(asker).expect("the identity is there");
    let service = snapshot.service(asked).expect("the service is there");
    let advice = openziti::policy_advice(identity, service, &granted);
    serde_json::to_vec(&openziti::detail(advice)).expect("the advice is JSON")
}

criterion_group!(benches, lists);
criterion_main!(benches);
