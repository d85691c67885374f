//! One-time passwords by time (RFC 6238): SHA-1, six digits, thirty seconds, as every authenticator app has them.

use std::time::Duration;

use ring::hmac;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;

/// How long one password is shown.
const STEP: Duration = Duration::from_secs(30);
/// Steps before and after the present one whose passwords count, for clocks that differ and fingers that take their time.
const STEPS_AROUND: i64 = 2;

/// The step of `code` among those that count now and come after `used`; `None` when it is the password of none of them.
pub(super) fn matching_step(secret: &[u8], code: &str, used: Option<i64>, now: Timestamp) -> Option<i64> {
    let present = step_at(now);
    let mut found = None;
    // Every step is tried, so that the time taken tells nothing about which one was met.
    for step in present - STEPS_AROUND..=present + STEPS_AROUND {
        let right: bool = password(secret, step).as_bytes().ct_eq(code.as_bytes()).into();
        if right && used.is_none_or(|used| step > used) {
            found = Some(step);
        }
    }
    found
}

fn step_at(now: Timestamp) -> i64 {
    let step = i64::try_from(STEP.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().div_euclid(step)
}

fn password(secret: &[u8], step: i64) -> String {
    format!("{:06}", truncated(secret, step) % 1_000_000)
}

/// The truncated HMAC of RFC 4226.
fn truncated(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0x0f);
    let four = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    u32::from_be_bytes(four) & 0x7fff_ffff
}

/// RFC 4648 base32 in capitals, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let index = usize::try_from((buffer >> bits) & 31).unwrap_or_default();
            text.push(ALPHABET.get(index).copied().map_or('A', char::from));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        let index = usize::try_from((buffer << (5 - bits)) & 31).unwrap_or_default();
        text.push(ALPHABET.get(index).copied().map_or('A', char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// The values of RFC 6238, appendix B, which has eight digits of which the last six are those of six.
    #[test]
    fn the_vectors_of_the_standard() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(password(SECRET, step_at(at(seconds))), code, "{seconds}");
            assert_eq!(matching_step(SECRET, code, None, at(seconds)), Some(seconds / 30));
        }
    }

    #[test]
    fn codes_count_two_steps_around_and_once() {
        let code = password(SECRET, 100);
        for (step, counts) in [(97, false), (98, true), (100, true), (102, true), (103, false)] {
            assert_eq!(matching_step(SECRET, &code, None, at(step * 30)).is_some(), counts, "{step}");
        }
        assert_eq!(matching_step(SECRET, &code, Some(99), at(3000)), Some(100));
        assert_eq!(matching_step(SECRET, &code, Some(100), at(3000)), None, "used");
        assert_eq!(matching_step(SECRET, &password(SECRET, 99), Some(100), at(3000)), None, "older than the one used");
        for wrong in ["", "28708", "2870820", "abcdef", "２８７０８２"] {
            assert_eq!(matching_step(SECRET, wrong, None, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn base32_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
