//! A model of everything that can happen to what is under way: devices report, operators edit, lock and end, certificates are
//! revoked and grow old, the clock goes on and is set back, and clients connect meanwhile.
//!
//! Walks of random steps are taken through a town in which the enforcer is the real one, and only certificates and clock are
//! the model's. Beside it the model keeps what answers rest on, and answers from first principles. After each walk, and
//! whenever everything was decided in between:
//!
//! * what is under way is allowed, and has a permit that holds;
//! * what was ended was not allowed at some moment since it began;
//! * who was refused was to be refused at some moment meanwhile, and who was let through was allowed.
//!
//! A walk that goes wrong is made as short as it can be and told with its seed; `POSTERN_MODEL_SEED` takes that one alone, and
//! `POSTERN_MODEL_SECONDS` takes walks from a random seed on for as long.

mod edits;
mod interruption;
mod oracle;
mod steps;
mod threads;
mod town;
mod trust;
mod walk;

use std::time::Duration;

use postern::clock::Stopwatch;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use steps::{Step, steps};
use walk::{Tally, Walk};

/// How many walks are taken each time.
const WALKS: u64 = 300;

/// Tries to make a walk that goes wrong shorter.
const SHRINKS_MAX: u32 = 3000;

fn random(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Takes the walk of a seed, and adds what happened on it.
fn take(seed: u64, tally: &mut Tally) {
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, random(seed));
    let seen = std::cell::RefCell::new(Tally::new());
    let taken = runner.run(&steps(), |steps: Vec<Step>| match Walk::of(&steps) {
        Ok(tally) => {
            *seen.borrow_mut() = tally;
            Ok(())
        }
        Err(wrong) => Err(TestCaseError::fail(wrong)),
    });
    match taken {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("seed {seed}: {why}\nafter {steps:#?}"),
        Err(TestError::Abort(why)) => panic!("seed {seed}: {why}"),
    }
    for (what, count) in seen.into_inner() {
        *tally.entry(what).or_default() += count;
    }
}

/// The number in an environment variable.
fn asked_for(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn what_goes_on_is_allowed_and_what_was_ended_was_not() {
    let mut tally = Tally::new();
    if let Some(seed) = asked_for("POSTERN_MODEL_SEED") {
        take(seed, &mut tally);
        return;
    }
    let (first, took) = match asked_for("POSTERN_MODEL_SECONDS") {
        None => (0, None),
        Some(seconds) => {
            (u64::from(std::process::id()) << 32, Some((Stopwatch::start(), Duration::from_secs(seconds))))
        }
    };
    let mut walks = 0;
    while took.map_or(walks < WALKS, |(since, most)| since.elapsed() < most) {
        take(first + walks, &mut tally);
        walks += 1;
    }
    println!("{walks} walks from seed {first}: {tally:?}");
    // Walks that never get anywhere would show nothing.
    for what in
        ["let through", "denied", "turned away", "interrupted", "posture", "policy", "deadline", "trust", "operator"]
    {
        assert!(tally.get(what).is_some_and(|count| *count >= WALKS / 10), "{what}: {tally:?}");
    }
}
