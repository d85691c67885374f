//! Slows down whoever guesses tokens: a source address that sends too many wrong ones is locked out for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::limits;

/// A token's SHA-256.
pub(super) type Digest = [u8; 32];

/// The wrong tokens of each source address. The same wrong token again is no new guess: a forgotten script that repeats an
/// old token must not lock out its host.
#[derive(Debug, Default)]
pub(super) struct Guessing {
    sources: Mutex<HashMap<Source, Guesses>>,
}

/// An IPv4 address or an IPv6 network of 64 bits, which one host can have for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(u128);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Source(u128::from(u32::from(address))),
            IpAddr::V6(address) => Source(u128::from(address) >> 64 << 64),
        }
    }
}

#[derive(Debug)]
struct Guesses {
    wrong: u32,
    latest: Timestamp,
    latest_token: Digest,
    locked_until: Timestamp,
}

impl Guessing {
    /// How much longer `source` is locked out; `None` when it is not.
    pub(super) fn locked_out(&self, source: IpAddr, now: Timestamp) -> Option<Duration> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let guesses = sources.get(&source.into())?;
        (now < guesses.locked_until).then(|| guesses.locked_until.since(now))
    }

    /// Counts a wrong token.
    pub(super) fn wrong(&self, source: IpAddr, token: Digest, now: Timestamp) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let source = source.into();
        make_room(&mut sources, source, now);
        let guesses = sources.entry(source).or_insert(Guesses {
            wrong: 0,
            latest: now,
            latest_token: token,
            locked_until: Timestamp::default(),
        });
        if guesses.wrong > 0 && guesses.latest_token == token {
            guesses.latest = now;
            return;
        }
        if now.since(guesses.latest) >= limits::API_GUESSES_REMEMBERED {
            guesses.wrong = 0;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        guesses.latest = now;
        guesses.latest_token = token;
        guesses.locked_until = now.after(lock_out(guesses.wrong));
    }
}

/// The lock-out after this many wrong tokens.
fn lock_out(wrong: u32) -> Duration {
    let Some(beyond) = wrong.checked_sub(limits::API_FREE_GUESSES.saturating_add(1)) else {
        return Duration::ZERO;
    };
    let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
    limits::API_LOCK_OUT_FIRST.saturating_mul(factor).min(limits::API_LOCK_OUT_MAX)
}

fn make_room(sources: &mut HashMap<Source, Guesses>, newcomer: Source, now: Timestamp) {
    if sources.len() < limits::API_GUESSING_SOURCES_MAX || sources.contains_key(&newcomer) {
        return;
    }
    sources.retain(|_, guesses| now.since(guesses.latest) < limits::API_GUESSES_REMEMBERED);
    if sources.len() < limits::API_GUESSING_SOURCES_MAX {
        return;
    }
    let quietest = sources.iter().min_by_key(|(_, guesses)| guesses.latest).map(|(source, _)| *source);
    if let Some(quietest) = quietest {
        sources.remove(&quietest);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn token(number: u32) -> Digest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn guess(guessing: &Guessing, numbers: std::ops::Range<u32>, now: Timestamp) {
        numbers.for_each(|number| guessing.wrong(SOMEWHERE, token(number), now));
    }

    #[test]
    fn a_few_wrong_tokens_are_forgiven() {
        let guessing = Guessing::default();
        guess(&guessing, 0..limits::API_FREE_GUESSES, START);
        assert_eq!(guessing.locked_out(SOMEWHERE, START), None);
    }

    #[test]
    fn lock_outs_double_up_to_a_bound_and_end() {
        let guessing = Guessing::default();
        guess(&guessing, 0..limits::API_FREE_GUESSES + 1, START);
        assert_eq!(guessing.locked_out(SOMEWHERE, START), Some(Duration::from_secs(1)));
        guess(&guessing, 100..101, START);
        assert_eq!(guessing.locked_out(SOMEWHERE, START), Some(Duration::from_secs(2)));
        assert_eq!(guessing.locked_out(SOMEWHERE, START.after(Duration::from_secs(2))), None);
        guess(&guessing, 200..300, START);
        assert_eq!(guessing.locked_out(SOMEWHERE, START), Some(limits::API_LOCK_OUT_MAX));
    }

    #[test]
    fn repeating_one_wrong_token_is_one_guess() {
        let guessing = Guessing::default();
        (0..100).for_each(|_| guessing.wrong(SOMEWHERE, token(1), START));
        assert_eq!(guessing.locked_out(SOMEWHERE, START), None);
    }

    #[test]
    fn quiet_sources_start_afresh() {
        let guessing = Guessing::default();
        guess(&guessing, 0..limits::API_FREE_GUESSES, START);
        let later = START.after(limits::API_GUESSES_REMEMBERED);
        guess(&guessing, 100..101, later);
        assert_eq!(guessing.locked_out(SOMEWHERE, later), None);
    }

    #[test]
    fn other_sources_are_not_locked_out() {
        let guessing = Guessing::default();
        guess(&guessing, 0..50, START);
        assert_eq!(guessing.locked_out(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8)), START), None);
    }

    #[test]
    fn one_host_is_one_source_however_it_is_written() {
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert_eq!(Source::from(mapped), Source::from(SOMEWHERE));
        let one = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1));
        let other = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9));
        assert_eq!(Source::from(one), Source::from(other));
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let guessing = Guessing::default();
        for number in 0..u32::try_from(limits::API_GUESSING_SOURCES_MAX).unwrap() + 10 {
            let now = START.after(Duration::from_millis(u64::from(number)));
            guessing.wrong(IpAddr::V4(Ipv4Addr::from(number)), token(number), now);
        }
        assert_eq!(guessing.sources.lock().unwrap().len(), limits::API_GUESSING_SOURCES_MAX);
    }
}
