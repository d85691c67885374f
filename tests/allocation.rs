//! A decision answered from the verdict cache allocates nothing, and neither does looking at a sound request: asked with a
//! counting allocator, which is why these tests have a binary of their own.

#![cfg(test)]
#![expect(dead_code, reason = "shared with tests that use more of it")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/policy.rs"]
mod policy;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use postern::clock::{Clock, SystemClock};
use postern::enforce::{Connection, Enforcer};
use postern::policy::subject::SubjectKind;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::Source;
use postern::posture::report::{Observation, Report, Seen};
use postern::proxy::hygiene;
use postern::store::Store;
use postern::telemetry::Metrics;
use postern::tls::{CredentialFactory, ReloadableVerifier, SilentObserver, TrustStore, load_certificates};

use self::authority::{Authority, now};
use self::policy::{Policy, identity, policy, service};

const HITS: u64 = 1000;

/// The connection of `name` with a certificate of `authority`.
fn connection(authority: &Authority, name: &str) -> Connection {
    let trust = TrustStore::load(authority.trusted_with_crl(), now()).unwrap();
    let verifier = ReloadableVerifier::new(Arc::clone(&trust), Arc::new(SystemClock), Arc::new(SilentObserver));
    let chain = load_certificates(&authority.client(name).certificate_file).unwrap();
    let identity = verifier.identify(&chain).unwrap();
    let credential = CredentialFactory::new(trust, &[SubjectKind::Spiffe], None).credential(&identity);
    Connection::new(name, None, Some("app.example.test"), Some(credential))
}

#[tokio::test]
async fn a_cached_verdict_allocates_nothing() {
    let domain =
        Predicate::Domain(DomainRule { domains: vec!["corp.example".into()], matching: DomainMatching::Folded });
    let domain = Check {
        id: "domain".into(),
        name: "domain".into(),
        predicate: domain,
        applies_to: None,
        max_age: None,
        evidence: postern::posture::Evidence::Any,
        remediation: None,
    };
    let enforcer = Enforcer::new(Arc::new(SystemClock), Metrics::new().unwrap(), Store::memory().unwrap());
    let objects = Policy::default()
        .identity(identity("compliant"))
        .identity(identity("silent"))
        .service(service("app", "app.example.test", &[]))
        .check(domain)
        .policy(policy("everybody", &["#all"], &["@app"], &["@domain"]));
    enforcer.publish_files(objects.0).unwrap();

    let authority = Authority::new("Test CA");
    let compliant = connection(&authority, "compliant");
    let device = enforcer.identify(&enforcer.published(), &compliant).unwrap();
    let observations = vec![Observation { asked_by: None, seen: Seen::Domain("corp.example".into()) }];
    let report = Report { received_at: SystemClock.now(), source: Source::Device, observations };
    enforcer.report(&device, &report).await.unwrap();

    for (connection, open) in [(compliant, true), (connection(&authority, "silent"), false)] {
        let ask = || {
            let published = enforcer.published();
            let service = published.snapshot().route("app.example.test", "/some/path").unwrap();
            enforcer.decide(&published, &connection, service).is_ok()
        };
        assert_eq!(ask(), open, "the first time it is evaluated");
        assert_eq!(ask(), open, "the first hit of a thread makes the cells it counts in");
        let hits = enforcer.metrics().verdict_cache_hits.get();
        let allocated = allocation_counter::measure(|| assert!((0..HITS).all(|_| ask() == open)));
        assert_eq!(enforcer.metrics().verdict_cache_hits.get() - hits, HITS);
        assert_eq!(allocated.count_total, 0, "allowed: {open}");
    }
}

#[test]
fn looking_at_a_sound_request_allocates_nothing() {
    let head =
        b"GET /api/items/42?fields=name HTTP/1.1\r\nhost: app.example.test\r\naccept: */*\r\ncookie: a=b\r\n\r\n";
    let fields = [("host", "app.example.test"), ("accept", "*/*"), ("cookie", "a=b")];
    let fields = fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let headers = HeaderMap::from_iter(fields);
    let uri = "/api/items/42?fields=name".parse().unwrap();
    let bounds = hygiene::HeadBounds::default();
    let look = || {
        hygiene::inspect_head(head, bounds).unwrap();
        hygiene::inspect_fields(&headers, Version::HTTP_11, bounds).unwrap();
        let target = hygiene::target(&uri, &headers, bounds).unwrap();
        assert_eq!(hygiene::decoded_path(target.path).unwrap(), target.path);
    };
    // Once before: what finds bytes looks at the processor when it is first used.
    look();
    assert_eq!(allocation_counter::measure(look).count_total, 0);
}
