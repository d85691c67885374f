//! How a verified certificate becomes an identity.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{positive, resolve_all};
use crate::config::document::{Field, NodeId, Session};
use crate::config::values::{AttributeText, DurationText, PathText, Whole};
use crate::policy::address;
use crate::policy::subject::SubjectKind;

/// Which names identify a client, and who is enrolled without being written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// The kinds of names tried, in this order; the first that belongs to an identity decides. Never empty.
    pub subjects: Vec<SubjectKind>,
    /// Enrolment on first sight.
    pub auto_enroll: AutoEnroll,
    /// Enrolment by one-time token; `None` when no CA is named for it.
    pub enrollment: Option<Enrollment>,
}

/// Certificates for one-time tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrollment {
    /// PEM file of the CA's certificate chain, its own first.
    pub cert_file: PathBuf,
    /// PEM file of the CA's private key.
    pub key_file: PathBuf,
    /// Where devices redeem tokens: scheme, host and maybe port of the client API, as devices see it.
    pub url: Arc<str>,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// How long a certificate is good for, in days.
    pub certificate_days: u32,
}

/// Enrolment of clients that no policy file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoEnroll {
    /// Whether it happens at all.
    pub enabled: bool,
    /// PEM files of the CAs whose clients are enrolled; not empty when enabled.
    pub ca_files: Vec<PathBuf>,
    /// Role attributes of an enrolled identity, sorted, each once.
    pub role_attributes: Vec<Arc<str>>,
    /// What an enrolled identity is called.
    pub name_from: NameFrom,
}

/// What an enrolled identity is called. Where the certificate has no such name, the name that identified it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameFrom {
    /// The name that identified the certificate.
    #[default]
    Subject,
    /// The SPIFFE URI.
    Spiffe,
    /// The first e-mail name.
    Email,
    /// The first DNS name.
    Dns,
    /// The common name.
    CommonName,
    /// The SHA-256 fingerprint.
    Fingerprint,
}

/// How a certificate becomes an identity.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIdentification {
    /// Which names of a certificate identify its holder, in the order they are tried. `common-name` counts only where it
    /// is listed: it is free text and CAs differ in how they check it. Default: spiffe, fingerprint, email, dns.
    subjects: Field<Vec<Field<SubjectKind>>>,
    /// Enrol clients that no policy file names, when they come with a certificate of a CA listed here.
    auto_enroll: Field<RawAutoEnroll>,
    /// Issue certificates to devices that redeem a one-time token, which operators make over the admin API. Default: none
    /// are issued.
    enrollment: Field<RawEnrollment>,
}

/// Certificates for one-time tokens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert_file", "key_file", "url"]))]
struct RawEnrollment {
    /// PEM file of the CA that signs, with what leads from it to one of `tls.client_ca_files`.
    cert_file: Field<PathText>,
    /// PEM file of its private key, unencrypted PKCS #8.
    key_file: Field<PathText>,
    /// Where devices find the client API, such as `https://gateway.example:8444`. Tokens carry it.
    url: Field<String>,
    /// How long a token is good for. Default: 3h.
    token_lifetime: Field<DurationText>,
    /// How long a certificate is good for, in days. Default: 365.
    certificate_days: Field<Whole<1, 3650>>,
}

/// Enrolment on first sight.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawAutoEnroll {
    /// Whether unknown clients are enrolled. Default: false.
    enabled: Field<bool>,
    /// PEM files of the CAs whose clients are enrolled; they must be among `tls.client_ca_files`.
    ca_files: Field<Vec<Field<PathText>>>,
    /// Role attributes every enrolled identity gets.
    role_attributes: Field<Vec<Field<AttributeText>>>,
    /// What an enrolled identity is called: `subject` is the name that identified it. Default: subject.
    name_from: Field<NameFrom>,
}

impl RawIdentification {
    pub(super) fn check(self, session: &Session, folder: &Path) -> Identification {
        let subjects = check_subjects(session, self.subjects);
        let enrollment = self.enrollment.located().and_then(|raw| {
            if !subjects.contains(&SubjectKind::Fingerprint) {
                let reason =
                    "needs `fingerprint` among `identity.subjects`: certificates it issues are known by theirs";
                session.error(raw.node, reason);
            }
            raw.value.check(session, raw.node, folder)
        });
        Identification { subjects, auto_enroll: self.auto_enroll.or_default().check(session, folder), enrollment }
    }
}

fn check_subjects(session: &Session, list: Field<Vec<Field<SubjectKind>>>) -> Vec<SubjectKind> {
    if !list.is_given() {
        return vec![SubjectKind::Spiffe, SubjectKind::Fingerprint, SubjectKind::Email, SubjectKind::Dns];
    }
    super::tls::refuse_empty(session, &list);
    let mut kinds = Vec::new();
    for kind in list.items() {
        if kinds.contains(&kind.value) {
            session.error(kind.node, "is listed twice");
        } else {
            kinds.push(kind.value);
        }
    }
    kinds
}

impl RawEnrollment {
    fn check(self, session: &Session, node: NodeId, folder: &Path) -> Option<Enrollment> {
        let cert_file = self.cert_file.required(session, node, "cert_file");
        let key_file = self.key_file.required(session, node, "key_file");
        let url = self.url.required(session, node, "url");
        if let Some(url) = &url
            && !is_origin(&url.value)
        {
            session.error(url.node, "is not an address such as `https://gateway.example:8444`");
        }
        let token_lifetime = positive(session, self.token_lifetime, Duration::from_secs(3 * 60 * 60));
        Some(Enrollment {
            cert_file: folder.join(cert_file?.value.0),
            key_file: folder.join(key_file?.value.0),
            url: url?.value.trim_end_matches('/').into(),
            token_lifetime,
            certificate_days: self.certificate_days.value().map_or(365, Whole::to),
        })
    }
}

/// Whether a text is `https://host[:port]` and nothing else.
fn is_origin(url: &str) -> bool {
    let Some(authority) = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/')) else {
        return false;
    };
    let with_port = if authority.ends_with(']') || !authority.contains(':') { "" } else { authority };
    let with_port = if with_port.is_empty() { format!("{authority}:443") } else { with_port.to_owned() };
    address::host_and_port(&with_port).is_ok()
}

impl RawAutoEnroll {
    fn check(self, session: &Session, folder: &Path) -> AutoEnroll {
        let enabled = self.enabled.as_ref() == Some(&true);
        let ca_files_node = self.ca_files.node();
        let nothing_listed = self.ca_files.as_ref().is_none_or(Vec::is_empty);
        if let Some(node) = self.enabled.node()
            && enabled
            && nothing_listed
        {
            session
                .error(ca_files_node.unwrap_or(node), "enrolment needs `ca_files`: the CAs whose clients are enrolled");
        }
        let attributes = self.role_attributes.items().into_iter();
        let mut role_attributes: Vec<Arc<str>> = attributes.map(|attribute| attribute.value.0.into()).collect();
        role_attributes.sort();
        role_attributes.dedup();
        AutoEnroll {
            enabled,
            ca_files: resolve_all(folder, self.ca_files),
            role_attributes,
            name_from: self.name_from.or_default(),
        }
    }
}
