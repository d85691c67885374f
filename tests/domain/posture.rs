//! Checks over random devices: what never passes, and for how long an answer holds.

use std::time::Duration;

use postern::clock::Timestamp;
use postern::posture::Posture;
use postern::posture::check::{Check, Predicate};
use postern::posture::outcome::{FailReason, NoResultReason, Outcome};
use postern::posture::version::{VersionRange, VersionReading};
use proptest::prelude::*;

use crate::devices::{self, SPAN};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_answer_holds_until_exactly_the_moment_it_changes(
        check in devices::check(), posture in devices::posture(), now in devices::moment(),
    ) {
        let answer = check.assess(&posture, now);
        prop_assert!(answer.valid_until > now);
        let horizon = Timestamp::from_millis(4 * SPAN).min(answer.valid_until);
        let mut later = now;
        while later < horizon {
            prop_assert_eq!(check.assess(&posture, later).outcome, answer.outcome, "at {}", later.as_millis());
            later = later.after(Duration::from_millis(1));
        }
        if answer.valid_until < Timestamp::MAX {
            let next = check.assess(&posture, answer.valid_until);
            prop_assert_ne!(next.outcome, answer.outcome);
            prop_assert!(next.valid_until > answer.valid_until);
        }
    }

    #[test]
    fn a_device_that_never_reported_passes_nothing(check in devices::check(), now in devices::moment()) {
        let outcome = check.assess(&Posture::default(), now).outcome;
        prop_assert!(matches!(outcome, Outcome::NoResult(_)), "{:?}", outcome);
        prop_assert_eq!(outcome.negate(), outcome);
        prop_assert_eq!(check.observed_at(&Posture::default()), None);
    }

    #[test]
    fn stale_facts_give_no_result(mut check in devices::check(), posture in devices::posture()) {
        check.max_age = Some(Duration::from_millis(1));
        let outcome = check.assess(&posture, Timestamp::from_millis(10 * SPAN)).outcome;
        prop_assert!(matches!(outcome, Outcome::NoResult(_)), "{:?}", outcome);
    }

    #[test]
    fn a_pass_rests_on_facts_that_are_shown(
        check in devices::check(), posture in devices::posture(), now in devices::moment(),
    ) {
        if check.assess(&posture, now).outcome.is_pass() {
            prop_assert!(check.observed_at(&posture).is_some());
        }
    }

    #[test]
    fn reading_a_range_never_panics(text in "\\PC*", odd in "[0-9.x<>=!| \\-+a]{0,24}") {
        for text in [text, odd] {
            if let Ok(range) = VersionRange::parse(&text) {
                prop_assert_eq!(range.as_str(), text.as_str());
                range.warnings();
            }
        }
    }

    #[test]
    fn tolerant_reading_extends_strict_reading(text in "\\PC*", odd in "[0-9.\\-+a ]{0,16}") {
        for text in [text, odd] {
            let tolerant = VersionReading::Tolerant.read(&text);
            if let Some(strict) = VersionReading::Strict.read(&text) {
                prop_assert_eq!(Some(strict), tolerant);
            }
        }
    }

    #[test]
    fn ranges_order_versions_as_numbers(parts in [0u64..4, 0u64..4, 0u64..4], bound in [0u64..4, 0u64..4, 0u64..4]) {
        let text = |parts: [u64; 3]| format!("{}.{}.{}", parts[0], parts[1], parts[2]);
        let version = VersionReading::Strict.read(&text(parts)).unwrap();
        for (operator, expected) in [
            ("", parts == bound), ("!=", parts != bound), ("<", parts < bound),
            ("<=", parts <= bound), (">", parts > bound), (">=", parts >= bound),
        ] {
            let range = VersionRange::parse(&format!("{operator}{}", text(bound))).unwrap();
            prop_assert_eq!(range.matches(&version), expected, "{}", range);
        }
    }
}

/// Silence about the digest or the signer is not a mismatch: NOT of the check must not pass on it.
#[test]
fn a_digest_that_was_not_reported_is_no_mismatch() {
    let check: Check = serde_json::from_value(serde_json::json!({
        "id": "c", "name": "c", "maxAge": null, "remediation": null,
        "predicate": {"process": {"process": {
            "platform": "Linux", "path": "/p", "hashes": ["aa"], "signerFingerprints": ["bb"]}}},
    }))
    .unwrap();
    assert!(matches!(check.predicate, Predicate::Process(_)));
    let seen = |running: bool, hash: &str, signers: &[&str]| -> Posture {
        serde_json::from_value(serde_json::json!({"processes": [{
            "observedAt": "2026-01-02T03:04:05Z", "source": "device", "askedBy": "c",
            "value": {"path": "/p", "running": running, "hash": hash, "signerFingerprints": signers}}]}))
        .unwrap()
    };
    let now = Timestamp::from_millis(1_800_000_000_000);
    let outcome = |posture: Posture| check.assess(&posture, now).outcome;
    assert_eq!(outcome(seen(true, "aa", &["bb"])), Outcome::Pass);
    assert_eq!(outcome(seen(true, "", &["bb"])), Outcome::NoResult(NoResultReason::NotReported));
    assert_eq!(outcome(seen(true, "aa", &[])), Outcome::NoResult(NoResultReason::NotReported));
    assert_eq!(outcome(seen(true, "", &["cc"])), Outcome::Fail(FailReason::ProcessSignerMismatch));
    assert_eq!(outcome(seen(true, "bb", &[])), Outcome::Fail(FailReason::ProcessHashMismatch));
    assert_eq!(outcome(seen(false, "", &[])), Outcome::Fail(FailReason::ProcessNotRunning));
}
