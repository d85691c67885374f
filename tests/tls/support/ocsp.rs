//! OCSP responses as a CA's responder makes them, but for their signature, which only clients look at.

/// What a response says of a certificate.
#[derive(Clone, Copy)]
pub(crate) enum Status {
    Good,
    Revoked,
}

/// A response in DER about the certificate with this serial number, replaced at `next_update` (`YYYYMMDDHHMMSSZ`).
pub(crate) fn response(serial: &str, status: Status, next_update: &str) -> Vec<u8> {
    let time = |text: &str| element(0x18, text.as_bytes());
    let algorithm = sequence(&[&element(0x06, &[0x2b, 0x0e, 0x03, 0x02, 0x1a])]);
    let hash = element(0x04, &[7; 20]);
    let about = sequence(&[&algorithm, &hash, &hash, &element(0x02, &integer(serial))]);
    let status = match status {
        Status::Good => element(0x80, &[]),
        Status::Revoked => element(0xa1, &time("20260101000000Z")),
    };
    let answer = sequence(&[&about, &status, &time("20260101000000Z"), &element(0xa0, &time(next_update))]);
    let responder = element(0xa2, &hash);
    let data = sequence(&[&responder, &time("20260101000000Z"), &sequence(&[&answer])]);
    let basic = sequence(&[&data, &algorithm, &element(0x03, &[0, 1, 2, 3])]);
    let basic_type = element(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01]);
    let bytes = sequence(&[&basic_type, &element(0x04, &basic)]);
    sequence(&[&element(0x0a, &[0]), &element(0xa0, &bytes)])
}

/// A hexadecimal number as DER writes it: without a leading zero byte, but where the number would be negative.
fn integer(hex: &str) -> Vec<u8> {
    let digits = if hex.len().is_multiple_of(2) { hex.to_owned() } else { format!("0{hex}") };
    let bytes = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
    let mut bytes: Vec<u8> = bytes.skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    bytes
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut encoded = match contents.len() {
        short @ ..0x80 => vec![tag, short as u8],
        long => vec![tag, 0x82, (long >> 8) as u8, long as u8],
    };
    encoded.extend_from_slice(contents);
    encoded
}
