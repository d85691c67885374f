//! The authenticator app of a test: RFC 6238 read once more, so that a mistake of the gateway is not made twice.

use postern::clock::Timestamp;
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};

/// The secret of a provisioning URL.
pub(crate) fn secret_of(url: &str) -> Vec<u8> {
    let text = url.split(['?', '&']).find_map(|part| part.strip_prefix("secret=")).unwrap();
    let letter = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'2'..=b'7' => letter - b'2' + 26,
        other => panic!("{} in a secret", char::from(other)),
    };
    let bits: Vec<bool> =
        text.bytes().map(letter).flat_map(|five| (0..5).rev().map(move |bit| five >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

/// The password that the app shows.
pub(crate) fn code(secret: &[u8], now: Timestamp) -> String {
    let counter = u64::try_from(now.as_millis() / 30_000).unwrap();
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
