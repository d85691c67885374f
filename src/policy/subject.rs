//! The names a certificate can carry.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One name by which a certificate is recognised.
///
/// Written in policy files as `spiffe:…`, `email:…`, `dns:…`, `cn:…` or `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// The one SPIFFE URI, `spiffe://trust-domain/path`.
    SpiffeUri(Arc<str>),
    /// An e-mail subject alternative name, ASCII lower-cased.
    Email(Arc<str>),
    /// A DNS subject alternative name, ASCII lower-cased.
    Dns(Arc<str>),
    /// The subject's common name, exact.
    CommonName(Arc<str>),
    /// SHA-256 of the certificate's DER, lower-case hex without separators.
    Fingerprint(Arc<str>),
}

/// Which of a certificate's names identify it, in the order they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// The SPIFFE URI.
    Spiffe,
    /// E-mail names.
    Email,
    /// DNS names.
    Dns,
    /// The common name.
    CommonName,
    /// The SHA-256 fingerprint.
    Fingerprint,
}

impl SubjectKind {
    /// Every kind, the most specific first.
    pub const ALL: [SubjectKind; 5] =
        [SubjectKind::Spiffe, SubjectKind::Fingerprint, SubjectKind::Email, SubjectKind::Dns, SubjectKind::CommonName];
}

impl Subject {
    /// Which kind of name this is.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Subject::SpiffeUri(_) => SubjectKind::Spiffe,
            Subject::Email(_) => SubjectKind::Email,
            Subject::Dns(_) => SubjectKind::Dns,
            Subject::CommonName(_) => SubjectKind::CommonName,
            Subject::Fingerprint(_) => SubjectKind::Fingerprint,
        }
    }

    fn prefix_and_name(&self) -> (&'static str, &str) {
        match self {
            Subject::SpiffeUri(name) => ("", name),
            Subject::Email(name) => ("email:", name),
            Subject::Dns(name) => ("dns:", name),
            Subject::CommonName(name) => ("cn:", name),
            Subject::Fingerprint(name) => ("sha256:", name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, name) = self.prefix_and_name();
        write!(formatter, "{prefix}{name}")
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidSubject { text: text.to_owned(), reason };
        if text.starts_with("spiffe://") {
            return if text.len() > "spiffe://".len() {
                Ok(Subject::SpiffeUri(text.into()))
            } else {
                Err(invalid("a SPIFFE URI names a trust domain"))
            };
        }
        let (kind, name) =
            text.split_once(':').ok_or_else(|| invalid("expected spiffe://…, email:…, dns:…, cn:… or sha256:…"))?;
        if name.is_empty() {
            return Err(invalid("the name is empty"));
        }
        match kind {
            "email" => Ok(Subject::Email(name.to_ascii_lowercase().into())),
            "dns" => Ok(Subject::Dns(name.to_ascii_lowercase().into())),
            "cn" => Ok(Subject::CommonName(name.into())),
            "sha256" => fingerprint(name).ok_or_else(|| invalid("a SHA-256 fingerprint has 64 hex digits")),
            _ => Err(invalid("expected spiffe://…, email:…, dns:…, cn:… or sha256:…")),
        }
    }
}

fn fingerprint(text: &str) -> Option<Subject> {
    let hex: String = text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let valid = hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit());
    valid.then(|| Subject::Fingerprint(hex.into()))
}

/// A text that names no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a certificate name: {reason}")]
pub struct InvalidSubject {
    text: String,
    reason: &'static str,
}
