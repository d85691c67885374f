//! Random devices and checks, over a few values and a short time, so that things often meet.

use std::time::Duration;

use postern::clock::Timestamp;
use postern::id::CheckId;
use postern::posture::check::domain::{DomainMatching, DomainRule};
use postern::posture::check::mac::MacRule;
use postern::posture::check::mfa::MfaRule;
use postern::posture::check::os::{OsRequirement, OsRule};
use postern::posture::check::process::{ProcessRequirement, ProcessRule, ProcessesRule, Semantic};
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::{Endpoint, Fact, Mfa, Os, Process, Source};
use postern::posture::version::{VersionRange, VersionReading};
use postern::posture::{Evidence, Platform, Posture};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// The time everything here happens in, in milliseconds.
pub(crate) const SPAN: i64 = 40;

pub(crate) fn moment() -> impl Strategy<Value = Timestamp> {
    (0..SPAN).prop_map(Timestamp::from_millis)
}

fn length() -> impl Strategy<Value = Duration> {
    (0..SPAN.unsigned_abs()).prop_map(Duration::from_millis)
}

pub(crate) fn check_id() -> impl Strategy<Value = CheckId> {
    select(vec!["one", "two"]).prop_map(CheckId::from)
}

fn fact<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Fact<T>> {
    let source = select(vec![Source::Device, Source::DeviceSigned]);
    (value, moment(), source, option::of(check_id())).prop_map(|(value, observed_at, source, asked_by)| Fact {
        value,
        observed_at,
        source,
        asked_by,
    })
}

fn text(choices: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(choices.to_vec()).prop_map(str::to_owned)
}

const DOMAINS: &[&str] = &["", "corp.example", "CORP.example", "other.example"];
const ADDRESSES: &[&str] = &["", "aa", "bb"];
const PATHS: &[&str] = &["", "/a", "/b"];
const DIGESTS: &[&str] = &["", "aa", "AA", "bb"];
const VERSIONS: &[&str] = &["", "1", "1.2.3", "01.2", "2.0.0.9", "1.2.3-rc.1", "soon"];
const RANGES: &[&str] = &["1.x", ">=1.2.0", "!=1.2.x", "! 1.2.3", "<1.2.3 || >2.0.0"];

pub(crate) fn posture() -> impl Strategy<Value = Posture> {
    let os = (text(&["", "linux", "Windows", "beos"]), text(VERSIONS)).prop_map(|(name, version)| Os {
        name,
        version,
        ..Os::default()
    });
    let process = (text(PATHS), any::<bool>(), text(&["", "aa", "bb"]), vec(text(&["", "aa", "bb"]), 0..3)).prop_map(
        |(path, running, hash, signer_fingerprints)| Process {
            path,
            running,
            hash,
            more_hashes: Vec::new(),
            signer_fingerprints,
        },
    );
    let facts = (
        option::of(fact(os)),
        option::of(fact(text(DOMAINS))),
        option::of(fact(vec(text(ADDRESSES), 0..3))),
        vec(fact(process), 0..5),
    );
    let times = (option::of(moment()), option::of(moment()), option::of(moment()));
    (facts, times).prop_map(|((os, domain, macs, processes), (woken_at, unlocked_at, passed_at))| Posture {
        os,
        domain,
        macs,
        processes,
        endpoint: Endpoint { woken_at, unlocked_at },
        mfa: Mfa { passed_at },
        ..Posture::default()
    })
}

pub(crate) fn check() -> impl Strategy<Value = Check> {
    let evidence = select(Evidence::ALL.to_vec());
    (check_id(), predicate(), option::of(length()), evidence).prop_map(|(id, predicate, max_age, evidence)| Check {
        name: id.as_str().into(),
        id,
        predicate,
        applies_to: None,
        max_age,
        evidence,
        remediation: None,
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    prop_oneof![
        os_rule().prop_map(Predicate::Os),
        vec(text(DOMAINS), 0..3)
            .prop_map(|domains| Predicate::Domain(DomainRule { domains, matching: DomainMatching::Folded })),
        vec(text(ADDRESSES), 0..3).prop_map(|addresses| Predicate::Mac(MacRule { addresses })),
        requirement().prop_map(|process| Predicate::Process(ProcessRule { process })),
        (semantic(), vec(requirement(), 0..4))
            .prop_map(|(semantic, processes)| Predicate::Processes(ProcessesRule { semantic, processes })),
        mfa_rule().prop_map(Predicate::Mfa),
        Just(Predicate::Missing),
    ]
}

fn os_rule() -> impl Strategy<Value = OsRule> {
    let ranges = vec(select(RANGES.to_vec()), 0..3)
        .prop_map(|ranges| ranges.into_iter().map(|range| VersionRange::parse(range).unwrap()).collect());
    let system =
        (select(Platform::ALL.to_vec()), ranges).prop_map(|(platform, versions)| OsRequirement { platform, versions });
    let reading = select(vec![VersionReading::Strict, VersionReading::Tolerant]);
    (vec(system, 0..4), reading).prop_map(|(systems, version_reading)| OsRule { systems, version_reading })
}

fn requirement() -> impl Strategy<Value = ProcessRequirement> {
    let parts = (select(Platform::ALL.to_vec()), text(PATHS), vec(text(DIGESTS), 0..3), vec(text(DIGESTS), 0..3));
    parts.prop_map(|(platform, path, hashes, signer_fingerprints)| ProcessRequirement {
        platform,
        path,
        hashes,
        signer_fingerprints,
    })
}

fn semantic() -> impl Strategy<Value = Semantic> {
    select(vec![Semantic::AllOf, Semantic::AnyOf])
}

fn mfa_rule() -> impl Strategy<Value = MfaRule> {
    (option::of(length()), any::<bool>(), any::<bool>(), length()).prop_map(
        |(timeout, prompt_on_wake, prompt_on_unlock, grace)| MfaRule {
            timeout,
            prompt_on_wake,
            prompt_on_unlock,
            grace,
            ignore_legacy_endpoints: false,
        },
    )
}
