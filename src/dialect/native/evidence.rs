//! Signed reports: what a device's key signs, and how the signature travels beside the report.
//!
//! A report is signed over its bytes, a number that the gateway gave out for one use, and the time by the device's clock. The
//! three travel in header fields, so that the report itself reads the same with and without them.
//!
//! The gateway is not named in what is signed. It need not be: a number is 24 random bytes that one gateway gave to one identity, over
//! a connection that the device's own key made, so no other gateway takes it, and nobody else can fetch one for the device to sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use crate::clock::Timestamp;
use crate::limits;

/// The header field that carries the number: in a reply the next one, in a report the one that is used up.
pub const NONCE_FIELD: &str = "postern-evidence-nonce";
/// The header field that carries the time by the device's clock, in RFC 3339.
pub const TIME_FIELD: &str = "postern-evidence-time";
/// The header field that carries the signature, in base64.
pub const SIGNATURE_FIELD: &str = "postern-evidence-signature";

/// What the first line of every signed text says, so that a signature made for something else never fits.
const PURPOSE: &str = "postern posture evidence 1";

/// The text that is signed: four lines, each ended by a line feed. They are the purpose, the number, the time as it is sent,
/// and the SHA-256 of the report's bytes in lower-case hex.
pub fn statement(nonce: &str, time: &str, report: &[u8]) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut text = format!("{PURPOSE}\n{nonce}\n{time}\n");
    for byte in digest(&SHA256, report).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text.into_bytes()
}

/// A signature as it came with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The number it uses up.
    pub nonce: String,
    /// The time by the device's clock.
    pub time: Timestamp,
    /// The time as it was sent.
    pub time_as_sent: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Presented {
    /// Reads the three header fields; `None` when there is none of them.
    pub fn read(
        nonce: Option<&[u8]>,
        time: Option<&[u8]>,
        signature: Option<&[u8]>,
    ) -> Result<Option<Self>, EvidenceProblem> {
        let (nonce, time, signature) = match (nonce, time, signature) {
            (None, None, None) => return Ok(None),
            (Some(nonce), Some(time), Some(signature)) => (text(nonce)?, text(time)?, text(signature)?),
            _ => return Err(EvidenceProblem::Incomplete),
        };
        let malformed = EvidenceProblem::Malformed;
        Ok(Some(Presented {
            nonce: nonce.to_owned(),
            time: time.parse().map_err(|_| malformed)?,
            time_as_sent: time.to_owned(),
            signature: STANDARD.decode(signature).map_err(|_| malformed)?,
        }))
    }

    /// What must have been signed for the signature to be good.
    pub fn statement(&self, report: &[u8]) -> Vec<u8> {
        statement(&self.nonce, &self.time_as_sent, report)
    }

    /// Whether the device's clock is near enough to the gateway's for the time to mean anything.
    pub fn is_timely(&self, now: Timestamp) -> bool {
        let apart = now.since(self.time).max(self.time.since(now));
        apart <= limits::EVIDENCE_CLOCK_WINDOW
    }

    /// How far the device's clock is ahead of the gateway's, in milliseconds; the report's way here makes it seem behind.
    pub fn clock_skew_millis(&self, now: Timestamp) -> i64 {
        self.time.as_millis().saturating_sub(now.as_millis())
    }
}

/// A header field's value as text that can stand in a line.
fn text(value: &[u8]) -> Result<&str, EvidenceProblem> {
    let text = std::str::from_utf8(value).map_err(|_| EvidenceProblem::Malformed)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= limits::EVIDENCE_FIELD_BYTES_MAX;
    if plain { Ok(text) } else { Err(EvidenceProblem::Malformed) }
}

/// Why a signature does not count. The report it came with is refused whole: whoever meant to sign did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceProblem {
    /// One or two of the three header fields.
    #[error("needs the three header fields {NONCE_FIELD}, {TIME_FIELD} and {SIGNATURE_FIELD}")]
    Incomplete,
    /// A header field cannot be read.
    #[error("cannot be read: a printable number, a time in RFC 3339 and a signature in base64 belong here")]
    Malformed,
    /// The number was never given to this device, is used up, or is too old.
    #[error("uses a number that this gateway did not give to this device, or that is used up or too old")]
    Nonce,
    /// The device's clock is too far from the gateway's.
    #[error("has a time that is too far from this gateway's")]
    Time,
    /// Another key signed, or signed something else.
    #[error("is not by the key of the certificate this connection was made with, or not over this report")]
    Signature,
    /// The certificate's key is of a kind that cannot be verified.
    #[error(
        "is by a key of a kind that is not supported; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits and more"
    )]
    Key,
}

impl EvidenceProblem {
    /// Every problem.
    pub const ALL: [EvidenceProblem; 6] = [
        EvidenceProblem::Incomplete,
        EvidenceProblem::Malformed,
        EvidenceProblem::Nonce,
        EvidenceProblem::Time,
        EvidenceProblem::Signature,
        EvidenceProblem::Key,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            EvidenceProblem::Incomplete => "evidence-incomplete",
            EvidenceProblem::Malformed => "evidence-malformed",
            EvidenceProblem::Nonce => "evidence-nonce",
            EvidenceProblem::Time => "evidence-time",
            EvidenceProblem::Signature => "evidence-signature",
            EvidenceProblem::Key => "evidence-key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_text_is_four_lines_and_stays_as_it_is() {
        let text = String::from_utf8(statement("n-1", "2026-01-02T03:04:05.000Z", b"abc")).unwrap();
        assert_eq!(
            text,
            "postern posture evidence 1\nn-1\n2026-01-02T03:04:05.000Z\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
        );
    }

    #[test]
    fn all_three_fields_or_none() {
        let time = Some(&b"2026-01-02T03:04:05Z"[..]);
        assert_eq!(Presented::read(None, None, None), Ok(None));
        assert_eq!(Presented::read(Some(b"n"), time, None), Err(EvidenceProblem::Incomplete));
        assert_eq!(Presented::read(None, None, Some(b"aa==")), Err(EvidenceProblem::Incomplete));
        assert!(Presented::read(Some(b"n"), time, Some(b"YWJj")).unwrap().is_some());
        for (nonce, time, signature) in [
            (&b"a b"[..], &b"2026-01-02T03:04:05Z"[..], &b"YWJj"[..]),
            (b"n\n", b"2026-01-02T03:04:05Z", b"YWJj"),
            (b"n", b"yesterday", b"YWJj"),
            (b"n", b"2026-01-02T03:04:05Z", b"?"),
            (b"\xff", b"2026-01-02T03:04:05Z", b"YWJj"),
        ] {
            let read = Presented::read(Some(nonce), Some(time), Some(signature));
            assert_eq!(read, Err(EvidenceProblem::Malformed));
        }
    }

    #[test]
    fn the_window_reaches_both_ways() {
        let at = |millis| Presented {
            nonce: String::new(),
            time: Timestamp::from_millis(millis),
            time_as_sent: String::new(),
            signature: Vec::new(),
        };
        let now = Timestamp::from_millis(1_000_000_000);
        let window = i64::try_from(limits::EVIDENCE_CLOCK_WINDOW.as_millis()).unwrap();
        for (apart, timely) in [(0, true), (window, true), (-window, true), (window + 1, false), (-window - 1, false)] {
            assert_eq!(at(now.as_millis() + apart).is_timely(now), timely, "{apart}");
            assert_eq!(at(now.as_millis() + apart).clock_skew_millis(now), apart);
        }
    }
}
