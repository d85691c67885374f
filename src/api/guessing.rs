//! Slows down whoever guesses tokens and passwords: a source address that sends too many wrong ones is locked out for a while,
//! and so is a user name that too many wrong passwords were sent for.
//!
//! The lock-out of a name is what stops many addresses that guess together. It must not shut its owner out for good: it has a
//! bound, and it spares the addresses the user has logged in from before.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::clock::Timestamp;
use crate::limits;

/// What is kept of a token or a password: a SHA-256.
pub(super) type Digest = [u8; 32];

/// The wrong tokens and passwords of each source address, and the wrong passwords for each user name.
pub(super) struct Guessing {
    /// Goes into each fingerprint: that of a password that was almost right must tell nothing to who sees it.
    salt: [u8; 32],
    sources: Tally<Source>,
    /// By the fingerprint of the name. Names that do not exist are counted as well, or a lock-out would tell which do.
    names: Tally<Digest>,
    /// Where each user has logged in from, the latest last. Only users of the configuration ever get in here.
    familiar: Mutex<HashMap<Digest, VecDeque<Source>>>,
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

impl Guessing {
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        // Without randomness the fingerprints are those of a fixed salt, and still never leave the process.
        let _ = SystemRandom::new().fill(&mut salt);
        Guessing {
            salt,
            sources: Tally::new(limits::API_FREE_GUESSES, limits::API_GUESSING_SOURCES_MAX),
            names: Tally::new(limits::API_FREE_GUESSES_PER_NAME, limits::API_GUESSED_NAMES_MAX),
            familiar: Mutex::default(),
        }
    }

    /// What is remembered of a wrong token, or of a wrong password with its user name.
    pub(super) fn fingerprint(&self, parts: &[&[u8]]) -> Digest {
        let mut context = Context::new(&SHA256);
        context.update(&self.salt);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut value = [0; 32];
        value.copy_from_slice(context.finish().as_ref());
        value
    }

    /// How much longer `source` is locked out; `None` when it is not.
    pub(super) fn locked_out(&self, source: IpAddr, now: Timestamp) -> Option<Duration> {
        self.sources.locked_out(&source.into(), now)
    }

    /// How much longer logins as `user` from `source` are refused; `None` when they are not.
    pub(super) fn login_locked_out(&self, user: &str, source: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        let name = self.fingerprint(&[user.as_bytes()]);
        let source = source.map(Source::from);
        let of_source = source.and_then(|source| self.sources.locked_out(&source, now));
        let familiar =
            source.is_some_and(|source| lock(&self.familiar).get(&name).is_some_and(|known| known.contains(&source)));
        let of_name = self.names.locked_out(&name, now).filter(|_| !familiar);
        of_source.max(of_name)
    }

    /// Counts a wrong token.
    pub(super) fn wrong(&self, source: IpAddr, guess: Digest, now: Timestamp) {
        self.sources.wrong(source.into(), guess, now);
    }

    /// Counts a wrong password.
    pub(super) fn wrong_login(&self, user: &str, source: Option<IpAddr>, guess: Digest, now: Timestamp) {
        self.names.wrong(self.fingerprint(&[user.as_bytes()]), guess, now);
        if let Some(source) = source {
            self.sources.wrong(source.into(), guess, now);
        }
    }

    /// Remembers where a user logs in from. The source's own wrong guesses stay: who has one password may be after another.
    pub(super) fn right_login(&self, user: &str, source: Option<IpAddr>) {
        let name = self.fingerprint(&[user.as_bytes()]);
        self.names.forget(&name);
        let Some(source) = source.map(Source::from) else { return };
        let mut familiar = lock(&self.familiar);
        let known = familiar.entry(name).or_default();
        known.retain(|other| *other != source);
        known.push_back(source);
        if known.len() > limits::API_FAMILIAR_SOURCES_MAX {
            known.pop_front();
        }
    }
}

/// Shows no fingerprint.
impl fmt::Debug for Guessing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guessing").finish_non_exhaustive()
    }
}

/// Wrong guesses by what they are counted for. The same wrong guess again is no new one: a forgotten script that repeats an
/// old token must not lock out its host.
struct Tally<K> {
    free: u32,
    keys_max: usize,
    kept: Mutex<HashMap<K, Guesses>>,
}

struct Guesses {
    wrong: u32,
    latest: Timestamp,
    latest_guess: Digest,
    locked_until: Timestamp,
}

impl<K: Eq + Hash + Copy> Tally<K> {
    fn new(free: u32, keys_max: usize) -> Self {
        Tally { free, keys_max, kept: Mutex::default() }
    }

    fn locked_out(&self, key: &K, now: Timestamp) -> Option<Duration> {
        let kept = lock(&self.kept);
        let guesses = kept.get(key)?;
        (now < guesses.locked_until).then(|| guesses.locked_until.since(now))
    }

    fn wrong(&self, key: K, guess: Digest, now: Timestamp) {
        let mut kept = lock(&self.kept);
        self.make_room(&mut kept, key, now);
        let guesses = kept.entry(key).or_insert(Guesses {
            wrong: 0,
            latest: now,
            latest_guess: guess,
            locked_until: Timestamp::default(),
        });
        if guesses.wrong > 0 && guesses.latest_guess == guess {
            guesses.latest = now;
            return;
        }
        if now.since(guesses.latest) >= limits::API_GUESSES_REMEMBERED {
            guesses.wrong = 0;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        guesses.latest = now;
        guesses.latest_guess = guess;
        guesses.locked_until = now.after(lock_out(guesses.wrong, self.free));
    }

    fn forget(&self, key: &K) {
        lock(&self.kept).remove(key);
    }

    fn make_room(&self, kept: &mut HashMap<K, Guesses>, newcomer: K, now: Timestamp) {
        if kept.len() < self.keys_max || kept.contains_key(&newcomer) {
            return;
        }
        kept.retain(|_, guesses| now.since(guesses.latest) < limits::API_GUESSES_REMEMBERED);
        if kept.len() < self.keys_max {
            return;
        }
        let quietest = kept.iter().min_by_key(|(_, guesses)| guesses.latest).map(|(key, _)| *key);
        if let Some(quietest) = quietest {
            kept.remove(&quietest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock-out after this many wrong guesses.
fn lock_out(wrong: u32, free: u32) -> Duration {
    let Some(beyond) = wrong.checked_sub(free.saturating_add(1)) else {
        return Duration::ZERO;
    };
    let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
    limits::API_LOCK_OUT_FIRST.saturating_mul(factor).min(limits::API_LOCK_OUT_MAX)
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
        let guessing = Guessing::new();
        guess(&guessing, 0..limits::API_FREE_GUESSES, START);
        assert_eq!(guessing.locked_out(SOMEWHERE, START), None);
    }

    #[test]
    fn lock_outs_double_up_to_a_bound_and_end() {
        let guessing = Guessing::new();
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
        let guessing = Guessing::new();
        (0..100).for_each(|_| guessing.wrong(SOMEWHERE, token(1), START));
        assert_eq!(guessing.locked_out(SOMEWHERE, START), None);
    }

    #[test]
    fn quiet_sources_start_afresh() {
        let guessing = Guessing::new();
        guess(&guessing, 0..limits::API_FREE_GUESSES, START);
        let later = START.after(limits::API_GUESSES_REMEMBERED);
        guess(&guessing, 100..101, later);
        assert_eq!(guessing.locked_out(SOMEWHERE, later), None);
    }

    #[test]
    fn other_sources_are_not_locked_out() {
        let guessing = Guessing::new();
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
        let guessing = Guessing::new();
        for number in 0..u32::try_from(limits::API_GUESSING_SOURCES_MAX).unwrap() + 10 {
            let now = START.after(Duration::from_millis(u64::from(number)));
            guessing.wrong(IpAddr::V4(Ipv4Addr::from(number)), token(number), now);
        }
        assert_eq!(guessing.sources.kept.lock().unwrap().len(), limits::API_GUESSING_SOURCES_MAX);
    }

    fn somewhere(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn many_sources_that_guess_for_one_name_lock_out_the_name() {
        let guessing = Guessing::new();
        guessing.right_login("grace", somewhere(7));
        for number in 100..=100 + limits::API_FREE_GUESSES_PER_NAME {
            assert_eq!(guessing.login_locked_out("grace", somewhere(1), START), None);
            guessing.wrong_login("grace", somewhere(number), token(number), START);
        }
        assert_eq!(guessing.login_locked_out("grace", somewhere(1), START), Some(Duration::from_secs(1)));
        assert_eq!(guessing.login_locked_out("grace", None, START), Some(Duration::from_secs(1)));
        assert_eq!(guessing.login_locked_out("alan", somewhere(1), START), None, "another name");
        assert_eq!(guessing.login_locked_out("grace", somewhere(7), START), None, "a place grace comes from");

        (1000..2000).for_each(|number| guessing.wrong_login("grace", somewhere(number), token(number), START));
        assert_eq!(guessing.login_locked_out("grace", somewhere(1), START), Some(limits::API_LOCK_OUT_MAX));
        let later = START.after(limits::API_LOCK_OUT_MAX);
        assert_eq!(guessing.login_locked_out("grace", somewhere(1), later), None, "never for good");
        guessing.right_login("grace", somewhere(1));
        guessing.wrong_login("grace", somewhere(2), token(1), later);
        assert_eq!(guessing.login_locked_out("grace", somewhere(3), later), None, "counted afresh");
    }

    #[test]
    fn a_password_of_ones_own_does_not_excuse_guessing_anothers() {
        let guessing = Guessing::new();
        for number in 0..=limits::API_FREE_GUESSES {
            guessing.wrong_login("grace", somewhere(1), token(number), START);
            guessing.right_login("mallory", somewhere(1));
        }
        assert!(guessing.login_locked_out("grace", somewhere(1), START).is_some());
        assert_eq!(guessing.login_locked_out("grace", somewhere(2), START), None, "others are not locked out");
    }

    #[test]
    fn familiar_sources_and_names_are_bounded() {
        let guessing = Guessing::new();
        (0..100).for_each(|number| guessing.right_login("grace", somewhere(number)));
        let name = guessing.fingerprint(&[b"grace"]);
        assert_eq!(guessing.familiar.lock().unwrap()[&name].len(), limits::API_FAMILIAR_SOURCES_MAX);
        assert!(!format!("{guessing:?}").contains("salt"));
    }
}
