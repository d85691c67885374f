//! How a verified certificate becomes an identity.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve_all;
use crate::config::document::{Field, Session};
use crate::config::values::{AttributeText, PathText};
use crate::policy::subject::SubjectKind;

/// Which names identify a client, and who is enrolled without being written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// The kinds of names tried, in this order; the first that belongs to an identity decides. Never empty.
    pub subjects: Vec<SubjectKind>,
    /// Enrolment on first sight.
    pub auto_enroll: AutoEnroll,
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
        Identification {
            subjects: check_subjects(session, self.subjects),
            auto_enroll: self.auto_enroll.or_default().check(session, folder),
        }
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
