//! Checks that demand signed evidence: what nobody signed never opens them, and what was signed counts as it always did.

use postern::clock::Timestamp;
use postern::id::CheckId;
use postern::posture::check::process::{ProcessRequirement, ProcessRule};
use postern::posture::check::{Check, Predicate};
use postern::posture::facts::{Fact, Process, Source};
use postern::posture::outcome::{NoResultReason, Outcome};
use postern::posture::platform::Platform;
use postern::posture::{Evidence, Posture};
use proptest::prelude::*;

use crate::devices;

/// The same device, as if it had sent all of it so.
fn sent_as(posture: &Posture, source: Source) -> Posture {
    fn all<T: Clone>(fact: Option<&Fact<T>>, source: Source) -> Option<Fact<T>> {
        fact.map(|fact| Fact { source, ..fact.clone() })
    }
    Posture {
        os: all(posture.os.as_ref(), source),
        domain: all(posture.domain.as_ref(), source),
        macs: all(posture.macs.as_ref(), source),
        processes: posture.processes.iter().map(|fact| Fact { source, ..fact.clone() }).collect(),
        ..posture.clone()
    }
}

fn demanding(check: &Check, evidence: Evidence) -> Check {
    Check { evidence, ..check.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_nobody_signed_opens_nothing_that_demands_it(
        check in devices::check(), posture in devices::posture(), now in devices::moment(),
    ) {
        let unsigned = sent_as(&posture, Source::Device);
        let outcome = demanding(&check, Evidence::Signed).assess(&unsigned, now).outcome;
        let by_any = demanding(&check, Evidence::Any).assess(&unsigned, now).outcome;
        if matches!(check.predicate, Predicate::Mfa(_)) {
            prop_assert_eq!(outcome, by_any, "the gateway itself saw the pass");
        } else {
            prop_assert!(matches!(outcome, Outcome::NoResult(_)), "{:?}", outcome);
            if by_any.is_pass() {
                prop_assert_eq!(outcome, Outcome::NoResult(NoResultReason::NotSigned));
            }
        }
    }

    #[test]
    fn what_is_signed_counts_as_if_nothing_were_demanded(
        check in devices::check(), posture in devices::posture(), now in devices::moment(),
    ) {
        let signed = sent_as(&posture, Source::DeviceSigned);
        let answer = demanding(&check, Evidence::Signed).assess(&signed, now);
        prop_assert_eq!(answer, demanding(&check, Evidence::Any).assess(&signed, now));
    }

    #[test]
    fn demanding_more_never_opens_more(
        check in devices::check(), posture in devices::posture(), now in devices::moment(),
    ) {
        if demanding(&check, Evidence::Signed).assess(&posture, now).outcome.is_pass() {
            let by_any = demanding(&check, Evidence::Any).assess(&posture, now).outcome;
            // With several reports about one path, one that is not signed may hide another, and never the other way round.
            prop_assert!(by_any.is_pass(), "{:?}", by_any);
        }
    }
}

/// A report that nobody signed said that the program of a check had stopped, at another path than the signed one before it. The
/// signed one counted again, and whoever stopped the program got in.
#[test]
fn a_signed_process_does_not_outlive_what_was_said_of_its_check_without_signing() {
    let process = |path: &str, running, source| Fact {
        value: Process {
            path: path.to_owned(),
            running,
            hash: String::new(),
            more_hashes: Vec::new(),
            signer_fingerprints: Vec::new(),
        },
        observed_at: Timestamp::from_millis(1_795_000_000_000),
        source,
        asked_by: Some(CheckId::from("edr")),
    };
    let requirement = ProcessRequirement {
        platform: Platform::Linux,
        path: "/usr/bin/edr".to_owned(),
        hashes: Vec::new(),
        signer_fingerprints: Vec::new(),
    };
    let check = Check {
        id: CheckId::from("edr"),
        name: "edr".into(),
        predicate: Predicate::Process(ProcessRule { process: requirement }),
        applies_to: None,
        max_age: None,
        evidence: Evidence::Signed,
        remediation: None,
    };
    let signed = process("/usr/bin/edr", true, Source::DeviceSigned);
    let now = Timestamp::from_millis(1_795_000_001_000);
    let asked = |processes| {
        let posture = Posture { processes, ..Posture::default() };
        check.assess(&posture, now).outcome
    };
    assert_eq!(asked(vec![signed.clone()]), Outcome::Pass);
    let unsigned = process("/opt/edr", false, Source::Device);
    assert!(matches!(asked(vec![signed, unsigned]), Outcome::NoResult(_)));
}
