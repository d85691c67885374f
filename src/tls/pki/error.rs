//! What can go wrong with the development CA.

use std::path::PathBuf;

use super::CERTIFICATE_DAYS_MAX;
use crate::clock::Timestamp;
use crate::tls::MaterialError;

/// A failure of the development CA.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Nothing is ever overwritten.
    #[error("{} exists already and is not overwritten", .0.display())]
    AlreadyExists(PathBuf),
    /// There is no CA in the directory.
    #[error("{} holds no CA; make one with `postern pki init`", .0.display())]
    NoCa(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", file.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A certificate file cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The index cannot be understood.
    #[error("{} is not an index of this version: {source}", file.display())]
    Index {
        /// The index file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A name that cannot stand in a certificate or a file name.
    #[error("`{value}` is not a usable {what}")]
    InvalidName {
        /// What the name is for.
        what: &'static str,
        /// The name.
        value: String,
    },
    /// A server certificate must answer to something.
    #[error("a server certificate needs at least one DNS name or IP address")]
    NoServerName,
    /// A validity outside the bounds.
    #[error("a certificate can be valid for 1 to {CERTIFICATE_DAYS_MAX} days, not {0}")]
    InvalidDays(u32),
    /// A certificate that would end after its CA.
    #[error("the certificate would outlive its CA, which ends at {ca_not_after}")]
    OutlivesCa {
        /// When the CA ends.
        ca_not_after: Timestamp,
    },
    /// No certificate with this serial number was issued here.
    #[error("no certificate with serial `{0}` was issued by this CA")]
    UnknownSerial(String),
    /// A certificate of somebody else.
    #[error("the certificate in {} is from `{issuer}`, not from this CA", file.display())]
    OtherCa {
        /// The certificate file.
        file: PathBuf,
        /// Who issued it.
        issuer: String,
    },
    /// Signing failed.
    #[error("cannot sign with the CA's key: {0}")]
    Signing(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// A time no certificate can carry.
    #[error("{0} is not a time a certificate can carry")]
    InvalidTime(Timestamp),
}
