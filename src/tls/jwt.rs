//! JSON web tokens signed with a server certificate's key, for clients that check them against the certificate they are shown.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};

/// Ways to sign, each with its name and, where a signature is two numbers, the bytes of one.
const WAYS: [(SignatureScheme, &str, Option<usize>); 5] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, "ES256", Some(32)),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "ES384", Some(48)),
    (SignatureScheme::ECDSA_NISTP521_SHA512, "ES512", Some(66)),
    (SignatureScheme::RSA_PKCS1_SHA256, "RS256", None),
    (SignatureScheme::ED25519, "EdDSA", None),
];

/// Signs claims; `None` if the key cannot. `key_id` tells the reader which key it is.
pub(super) fn sign(key: &CertifiedKey, key_id: &str, claims: &Value) -> Option<String> {
    let (signer, name, width) = WAYS.iter().find_map(|(scheme, name, width)| {
        let signer = key.key.choose_scheme(&[*scheme])?;
        Some((signer, *name, *width))
    })?;
    let header = json!({"alg": name, "kid": key_id, "typ": "JWT"});
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encoded(&header), encoded(claims));
    let signature = signer.sign(text.as_bytes()).ok()?;
    let signature = match width {
        Some(width) => two_numbers(&signature, width)?,
        None => signature,
    };
    Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// An ECDSA signature as two numbers of `width` bytes, out of its DER form (RFC 7518, 3.4).
fn two_numbers(der: &[u8], width: usize) -> Option<Vec<u8>> {
    let (content, _) = element(der, 0x30)?;
    let (first, rest) = element(content, 0x02)?;
    let (second, _) = element(rest, 0x02)?;
    let mut numbers = Vec::with_capacity(width.saturating_mul(2));
    for number in [first, second] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..)?;
        numbers.resize(numbers.len() + width.checked_sub(digits.len())?, 0);
        numbers.extend_from_slice(digits);
    }
    Some(numbers)
}

/// What is in the first DER element, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        short if *short < 0x80 => (usize::from(*short), rest),
        _ => return None,
    };
    (*found == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_padded_and_stripped() {
        let der = [0x30, 0x07, 0x02, 0x02, 0x00, 0x81, 0x02, 0x01, 0x05];
        assert_eq!(two_numbers(&der, 2), Some(vec![0, 0x81, 0, 5]));
        assert_eq!(two_numbers(&der, 1), Some(vec![0x81, 5]));
        assert_eq!(two_numbers(&[0x30, 0x03, 0x02, 0x01], 2), None);
        assert_eq!(two_numbers(&[0x30, 0x04, 0x02, 0x02, 0x01, 0x01], 1), None);
        assert_eq!(two_numbers(&[], 32), None);
    }
}
