//! A large policy for benches: many identities, services and policies, and a posture that satisfies or fails it.

use std::sync::Arc;
use std::time::Duration;

use postern::clock::Timestamp;
use postern::id::{CheckId, IdentityId, PolicyId, ServiceId};
use postern::policy::objects::{Identity, Meta, Objects, Origin, PolicyType, PostureCheck, Service, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::policy::service::{Balance, Disclosure, Match, ServiceProtocol, Transport, UpstreamProtocol};
use postern::posture::Platform;
use postern::posture::check::os::{OsRequirement, OsRule};
use postern::posture::check::process::{ProcessRequirement, ProcessesRule, Semantic as ProcessSemantic};
use postern::posture::check::{
    Check, Predicate,
    domain::{DomainMatching, DomainRule},
    mac::MacRule,
};
use postern::posture::facts::{Os, Process, Source};
use postern::posture::report::{Observation, Report, Seen};
use postern::posture::version::{VersionRange, VersionReading};
use postern::posture::{Fact, Posture};

/// The instant everything happens at.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// Groups that identities, services and policies are spread over: `policies / GROUPS` policies lead to each service.
const GROUPS: usize = 1000;

fn meta() -> Meta {
    Meta { created_at: NOW, updated_at: NOW, tags: serde_json::Map::new(), origin: Origin::Api }
}

/// `identities` x `services` x `policies` with five checks a policy.
pub(crate) fn objects(identities: usize, services: usize, policies: usize) -> Objects {
    let mut objects = Objects::default();
    for n in 0..identities {
        let id = IdentityId::new(format!("identity-{n:07}"));
        let subject = format!("spiffe://bench/device/{n}").parse().expect("a SPIFFE URI");
        let identity = Identity {
            name: id.as_str().into(),
            subjects: vec![subject],
            role_attributes: vec![format!("group-{}", n % GROUPS).into()],
            disabled: false,
            enrolment: None,
            certificates: Vec::new(),
            service_configs: Vec::new(),
            kept: serde_json::Map::new(),
            meta: meta(),
            id: id.clone(),
        };
        objects.identities.insert(id, Arc::new(identity));
    }
    for n in 0..services {
        let service = service(n);
        objects.services.insert(service.id.clone(), Arc::new(service));
    }
    for (name, predicate) in predicates() {
        objects.checks.insert(CheckId::from(name), Arc::new(check(name, predicate)));
    }
    for n in 0..policies {
        let policy = policy(n);
        objects.policies.insert(policy.id.clone(), Arc::new(policy));
    }
    objects
}

/// Every policy asks for so many checks instead of five, of the same five kinds.
pub(crate) fn give_checks(objects: &mut Objects, number: usize) {
    objects.checks.clear();
    for (n, (name, predicate)) in predicates().into_iter().cycle().take(number).enumerate() {
        let name = format!("{name}-{n}");
        objects.checks.insert(CheckId::new(name.clone()), Arc::new(check(&name, predicate)));
    }
}

fn check(name: &str, predicate: Predicate) -> PostureCheck {
    let check = Check {
        id: CheckId::new(name.to_owned()),
        name: name.into(),
        predicate,
        applies_to: None,
        max_age: None,
        evidence: postern::posture::Evidence::Any,
        remediation: None,
    };
    PostureCheck { check: Arc::new(check), role_attributes: vec!["baseline".into()], meta: meta(), as_written: None }
}

fn service(n: usize) -> Service {
    let id = ServiceId::new(format!("service-{n:06}"));
    Service {
        name: id.as_str().into(),
        protocol: ServiceProtocol::default(),
        matching: Match { hosts: vec![format!("service-{n}.bench.example")], path_prefix: "/".into() },
        upstreams: vec![],
        configs: Vec::new(),
        transport: Transport {
            tls: None,
            protocol: UpstreamProtocol::Auto,
            balance: Balance::RoundRobin,
            health_check: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            retries: 1,
        },
        role_attributes: vec![format!("group-{}", n % GROUPS).into()],
        concealed: false,
        disclosure: Disclosure::Checks,
        kept: serde_json::Map::new(),
        meta: meta(),
        id,
    }
}

fn policy(n: usize) -> ServicePolicy {
    let group = Role::Attribute(format!("group-{}", n % GROUPS));
    let id = PolicyId::new(format!("policy-{n:06}"));
    ServicePolicy {
        anonymous: false,
        name: id.as_str().into(),
        policy_type: PolicyType::Dial,
        semantic: Semantic::AnyOf,
        identity_roles: vec![group.clone()],
        service_roles: vec![group],
        posture_check_roles: vec![Role::Attribute("baseline".into())],
        expression: None,
        meta: meta(),
        id,
    }
}

fn predicates() -> Vec<(&'static str, Predicate)> {
    let range = |text: &str| VersionRange::try_from(text.to_owned()).expect("a version range");
    let process = |path: &str| ProcessRequirement {
        platform: Platform::Linux,
        path: path.to_owned(),
        hashes: vec!["ab".repeat(32)],
        signer_fingerprints: vec![],
    };
    vec![
        (
            "os",
            Predicate::Os(OsRule {
                systems: vec![OsRequirement { platform: Platform::Linux, versions: vec![range(">=6.1.0 <7.0.0")] }],
                version_reading: VersionReading::default(),
            }),
        ),
        (
            "domain",
            Predicate::Domain(DomainRule { domains: vec!["corp.example".into()], matching: DomainMatching::Folded }),
        ),
        ("mac", Predicate::Mac(MacRule { addresses: vec!["020000000001".into(), "020000000002".into()] })),
        (
            "agent",
            Predicate::Processes(ProcessesRule {
                semantic: ProcessSemantic::AllOf,
                processes: vec![process("/usr/bin/agent")],
            }),
        ),
        (
            "shield",
            Predicate::Processes(ProcessesRule {
                semantic: ProcessSemantic::AnyOf,
                processes: vec![process("/usr/bin/shield"), process("/opt/shield")],
            }),
        ),
    ]
}

/// What runs on a device: the first two are asked for.
const PROCESSES: [&str; 5] =
    ["/usr/bin/agent", "/usr/bin/shield", "/usr/bin/other-agent", "/usr/bin/updater", "/usr/bin/inventory"];

/// A posture that passes every check.
pub(crate) fn healthy() -> Posture {
    posture("6.1.0")
}

/// What a device of a fleet reports: its own addresses, and the same software as the others.
pub(crate) fn typical(number: usize) -> Posture {
    let mut posture = healthy();
    if let Some(macs) = &mut posture.macs {
        macs.value = vec![format!("02{number:010x}"), format!("06{number:010x}")];
    }
    for process in &mut posture.processes {
        // A few versions of each program are out there.
        process.value.hash = format!("{:02x}", number % 5).repeat(32);
    }
    posture
}

/// A report after which a device is in its typical posture.
pub(crate) fn typical_report(number: usize) -> Report {
    let Posture { os, domain, macs, processes, .. } = typical(number);
    let single = [
        os.map(|fact| Seen::Os(fact.value)),
        domain.map(|fact| Seen::Domain(fact.value)),
        macs.map(|fact| Seen::Macs(fact.value)),
    ];
    let processes = processes.into_iter().map(|fact| Seen::Process(fact.value));
    let observations = single.into_iter().flatten().chain(processes);
    let observations = observations.map(|seen| Observation { asked_by: None, seen }).collect();
    Report { received_at: NOW, source: Source::Device, observations }
}

/// A posture that fails the OS check.
pub(crate) fn outdated() -> Posture {
    posture("5.10.0")
}

fn posture(version: &str) -> Posture {
    fn fact<T>(value: T) -> Fact<T> {
        Fact { value, observed_at: NOW, source: Source::Device, asked_by: None }
    }
    let process = |path: &str| {
        fact(Process {
            path: path.into(),
            running: true,
            hash: "ab".repeat(32),
            more_hashes: vec![],
            signer_fingerprints: vec![],
        })
    };
    Posture {
        os: Some(fact(Os { name: "Linux".into(), version: version.into(), build: None, ..Os::default() })),
        domain: Some(fact("corp.example".into())),
        macs: Some(fact(vec!["020000000002".into(), "020000000009".into()])),
        processes: PROCESSES.map(process).into(),
        ..Posture::default()
    }
}

/// A report of about 1 KB, as a client sends it, which passes every check.
pub(crate) fn report() -> Report {
    let observation = |seen| Observation { asked_by: None, seen };
    let process = |path: &str| {
        observation(Seen::Process(Process {
            path: path.to_owned(),
            running: true,
            hash: "ab".repeat(32),
            more_hashes: vec![],
            signer_fingerprints: vec![],
        }))
    };
    let mut observations = vec![
        observation(Seen::Os(Os { name: "Linux".into(), version: "6.1.0".into(), build: None, ..Os::default() })),
        observation(Seen::Domain("corp.example".into())),
        observation(Seen::Macs(vec!["02:00:00:00:00:02".into(), "02:00:00:00:00:09".into()])),
    ];
    observations.extend(PROCESSES.map(process));
    Report { received_at: NOW, source: Source::Device, observations }
}
