//! Why a certificate is not, or no longer, believed: the closed list of reasons and their stable codes.

use rustls::CertificateError;

use crate::decision::DenialReason;

/// Why a certificate that was presented is not, or no longer, believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum DistrustReason {
    /// It is past its end.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// It is before its beginning.
    #[error("the certificate is not valid yet")]
    CertificateNotYetValid,
    /// Its CA has revoked it, or a CA between has been revoked.
    #[error("the certificate has been revoked")]
    CertificateRevoked,
    /// No trusted CA vouches for it.
    #[error("the certificate is not from a trusted CA")]
    CertificateUntrustedCa,
    /// It was not issued for authenticating clients.
    #[error("the certificate was not issued for client authentication")]
    CertificateWrongPurpose,
    /// It cannot be read, or is of a form that is not accepted.
    #[error("the certificate is malformed")]
    CertificateMalformed,
    /// The revocation list that would speak of it is past its next update.
    #[error("the revocation list of the certificate's CA is out of date")]
    CrlExpired,
    /// Revocation lists are in use but none speaks of its CA.
    #[error("no revocation list covers the certificate's CA")]
    CrlMissing,
    /// The revocation list that would speak of it cannot be believed.
    #[error("the revocation list of the certificate's CA cannot be believed")]
    CrlInvalid,
}

impl DistrustReason {
    /// Every reason, for metrics that want to begin at zero.
    pub const ALL: [DistrustReason; 9] = [
        DistrustReason::CertificateExpired,
        DistrustReason::CertificateNotYetValid,
        DistrustReason::CertificateRevoked,
        DistrustReason::CertificateUntrustedCa,
        DistrustReason::CertificateWrongPurpose,
        DistrustReason::CertificateMalformed,
        DistrustReason::CrlExpired,
        DistrustReason::CrlMissing,
        DistrustReason::CrlInvalid,
    ];

    /// The stable code in logs, metrics and answers.
    pub fn code(self) -> &'static str {
        match self {
            DistrustReason::CertificateExpired => "certificate-expired",
            DistrustReason::CertificateNotYetValid => "certificate-not-yet-valid",
            DistrustReason::CertificateRevoked => "certificate-revoked",
            DistrustReason::CertificateUntrustedCa => "certificate-untrusted-ca",
            DistrustReason::CertificateWrongPurpose => "certificate-wrong-purpose",
            DistrustReason::CertificateMalformed => "certificate-malformed",
            DistrustReason::CrlExpired => "crl-expired",
            DistrustReason::CrlMissing => "crl-missing",
            DistrustReason::CrlInvalid => "crl-invalid",
        }
    }

    /// The reason behind an error of the TLS library's verifier.
    pub(super) fn of(error: &rustls::Error) -> Self {
        use CertificateError as Bad;
        match error {
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::Expired | Bad::ExpiredContext { .. } => DistrustReason::CertificateExpired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => DistrustReason::CertificateNotYetValid,
                Bad::Revoked => DistrustReason::CertificateRevoked,
                // A CA with the right name and another key shows as a signature that does not fit.
                Bad::UnknownIssuer | Bad::BadSignature => DistrustReason::CertificateUntrustedCa,
                Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => DistrustReason::CertificateWrongPurpose,
                Bad::ExpiredRevocationList | Bad::ExpiredRevocationListContext { .. } => DistrustReason::CrlExpired,
                Bad::UnknownRevocationStatus => DistrustReason::CrlMissing,
                _ => DistrustReason::CertificateMalformed,
            },
            rustls::Error::InvalidCertRevocationList(_) => DistrustReason::CrlInvalid,
            _ => DistrustReason::CertificateMalformed,
        }
    }
}

/// A denial speaks to the client, so it keeps to what the client can do something about; the log has the exact code.
impl From<DistrustReason> for DenialReason {
    fn from(reason: DistrustReason) -> Self {
        match reason {
            DistrustReason::CertificateExpired => DenialReason::CertificateExpired,
            DistrustReason::CertificateNotYetValid => DenialReason::CertificateNotYetValid,
            DistrustReason::CertificateRevoked => DenialReason::CertificateRevoked,
            DistrustReason::CertificateUntrustedCa
            | DistrustReason::CertificateWrongPurpose
            | DistrustReason::CertificateMalformed => DenialReason::CertificateUntrusted,
            DistrustReason::CrlExpired | DistrustReason::CrlMissing | DistrustReason::CrlInvalid => {
                DenialReason::CrlExpired
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reason_codes_are_distinct_and_kebab_case() {
        let codes: HashSet<_> = DistrustReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), DistrustReason::ALL.len());
        assert!(codes.iter().all(|code| { code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') }));
    }
    #[test]
    fn denials_carry_the_same_codes_where_they_have_them() {
        use DistrustReason as Reason;
        for reason in [
            Reason::CertificateExpired,
            Reason::CertificateNotYetValid,
            Reason::CertificateRevoked,
            Reason::CertificateUntrustedCa,
            Reason::CrlExpired,
        ] {
            assert_eq!(DenialReason::from(reason).code(), reason.code());
        }
    }
}
