//! DER to PEM, for the header that carries a client's certificate to an upstream, and for certificates that are handed out.

/// The certificate as a PEM block, ending in a line break.
pub(super) fn certificate_block(der: &[u8]) -> String {
    let encoded = base64(der);
    let mut text = String::with_capacity(encoded.len().saturating_add(128));
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    for (position, character) in encoded.chars().enumerate() {
        if position > 0 && position % LINE_CHARACTERS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

const LINE_CHARACTERS: usize = 64;

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let byte = |position: usize| u32::from(group.get(position).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        // Three bytes are four digits of six bits; a short last group is padded to four.
        for digit in 0..4_usize {
            match digit > group.len() {
                true => text.push('='),
                false => text.push(base64_digit((bits >> (18 - 6 * digit)) & 0x3f)),
            }
        }
    }
    text
}

fn base64_digit(value: u32) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = usize::try_from(value).ok().and_then(|index| DIGITS.get(index));
    // INVARIANT: six bits always find a digit.
    char::from(digit.copied().unwrap_or(b'='))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn known_encodings() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    proptest::proptest! {
        #[test]
        fn a_pem_reader_gets_the_same_bytes_back(der in proptest::collection::vec(proptest::num::u8::ANY, 1..300)) {
            let block = certificate_block(&der);
            proptest::prop_assert!(block.lines().all(|line| line.len() <= LINE_CHARACTERS));
            let read = CertificateDer::from_pem_slice(block.as_bytes()).unwrap();
            proptest::prop_assert_eq!(read.as_ref(), &der[..]);
        }
    }
}
