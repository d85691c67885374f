//! The CA's memory: which certificates it issued, which of them are revoked, and the number of its last list.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The contents of `index.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub(super) crl_number: u64,
    pub(super) certificates: Vec<CertificateRecord>,
}

impl Index {
    /// Serial number and time of every revocation.
    pub(super) fn revoked(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.certificates.iter().filter_map(|record| record.revoked_at.map(|at| (record.serial.as_str(), at)))
    }
}

/// One certificate that was issued.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateRecord {
    pub(super) serial: String,
    pub(super) name: String,
    pub(super) kind: CertificateKind,
    pub(super) fingerprint: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revoked_at: Option<Timestamp>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CertificateKind {
    Server,
    Client,
}

/// The one spelling of a serial number: lower-case hexadecimal, no colons, no leading zero bytes.
pub(super) fn normal_serial(text: &str) -> String {
    let digits: String = text.chars().filter(|character| *character != ':').collect();
    let digits = digits.trim().trim_start_matches("0x").trim_start_matches('0').to_ascii_lowercase();
    if digits.len() % 2 == 1 { format!("0{digits}") } else { digits }
}

/// The bytes of a serial number as [`normal_serial`] spells it.
pub(super) fn serial_bytes(serial: &str) -> Option<Vec<u8>> {
    if serial.is_empty() || serial.len() % 2 == 1 {
        return None;
    }
    (0..serial.len())
        .step_by(2)
        .map(|start| serial.get(start..start.saturating_add(2)).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_have_one_spelling() {
        for text in ["0a1b2c", "A1B2C", "0x0a1b2c", "00:0A:1B:2C", " 0a1b2c "] {
            assert_eq!(normal_serial(text), "0a1b2c", "{text}");
        }
        assert_eq!(serial_bytes("0a1b2c"), Some(vec![0x0a, 0x1b, 0x2c]));
        assert_eq!(serial_bytes("zz"), None);
        assert_eq!(serial_bytes(""), None);
    }
}
