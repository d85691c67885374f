//! Certificates in the envelope that EST and OpenZiti's clients read: PKCS#7 SignedData that signs nothing (RFC 5652,
//! RFC 7030 section 4.1.3).

use rustls_pki_types::CertificateDer;

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;

/// 1.2.840.113549.1.7.1, `data`.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// 1.2.840.113549.1.7.2, `signedData`.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// Certificates as one DER structure, each once.
pub fn certificates_only(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut members: Vec<&[u8]> = certificates.iter().map(AsRef::as_ref).collect();
    // DER puts the members of a set into the order of their encodings.
    members.sort_unstable();
    members.dedup();
    let signed = element(
        SEQUENCE,
        &[
            &element(INTEGER, &[&[1]]),
            &element(SET, &[]),
            &element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[DATA])]),
            &element(CONTEXT_0, &members),
            &element(SET, &[]),
        ],
    );
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[SIGNED_DATA]), &element(CONTEXT_0, &[&signed])])
}

/// One element: tag, length, contents.
fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length = contents.iter().map(|part| part.len()).sum();
    let mut encoded = vec![tag];
    push_length(&mut encoded, length);
    contents.iter().for_each(|part| encoded.extend_from_slice(part));
    encoded
}

/// Below 128 in one byte; else the number of bytes it takes, with the highest bit set, and then those.
fn push_length(encoded: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => encoded.push(short),
        _ => {
            let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            encoded.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0x7f));
            encoded.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        let encoded = |length| {
            let mut bytes = Vec::new();
            push_length(&mut bytes, length);
            bytes
        };
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(127), [0x7f]);
        assert_eq!(encoded(128), [0x81, 0x80]);
        assert_eq!(encoded(255), [0x81, 0xff]);
        assert_eq!(encoded(256), [0x82, 0x01, 0x00]);
        assert_eq!(encoded(65_536), [0x83, 0x01, 0x00, 0x00]);
    }

    #[test]
    fn an_empty_envelope_is_the_known_bytes() {
        let expected = [
            0x30, 0x25, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x18, 0x30, 0x16, 0x02,
            0x01, 0x01, 0x31, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, 0xa0,
            0x00, 0x31, 0x00,
        ];
        assert_eq!(certificates_only(&[]), expected);
    }

    #[test]
    fn each_certificate_is_there_once_in_der_order() {
        let certificate = |byte: u8| CertificateDer::from(vec![0x30, 0x01, byte]);
        let encoded = certificates_only(&[certificate(9), certificate(3), certificate(9)]);
        let set = [0xa0, 0x06, 0x30, 0x01, 0x03, 0x30, 0x01, 0x09, 0x31, 0x00];
        assert!(encoded.ends_with(&set), "{encoded:02x?}");
    }
}
