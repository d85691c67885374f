//! Certificates that sign those of devices, in policy files.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::{Register, Source, Tags};
use crate::config::document::file;
use crate::config::document::{Field, Located};
use crate::config::values::{NameText, PathText};
use crate::id::CertificateId;
use crate::limits::CERTIFICATE_FILE_BYTES_MAX;
use crate::policy::signing_certificate::SigningCertificate;
use crate::posture::certificate::Signer;

/// A certificate that signs those of devices, for rules about client certificates. It has no say in whom the gateway believes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "file"]))]
pub(super) struct RawSigningCertificate {
    /// Its name, unique over signing certificates.
    name: Field<NameText>,
    /// Its id, unique over signing certificates; rules name it. Default: the name.
    id: Field<NameText>,
    /// PEM file that holds the one certificate, relative to this policy file.
    file: Field<PathText>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// Reads one signing certificate and its file. Relative paths start at `folder`.
pub(super) fn read(
    source: &Source<'_>,
    register: &mut Register,
    folder: &Path,
    raw: Located<RawSigningCertificate>,
) -> Option<SigningCertificate> {
    let Located { node, value: raw } = raw;
    let session = source.session;
    let named = raw.file.required(session, node, "file");
    let head = source.head(register, node, raw.name, raw.id, raw.tags)?;
    let named = named?;
    let read = file::read(&folder.join(named.value.0), CERTIFICATE_FILE_BYTES_MAX);
    let bytes = read.map_err(|finding| session.error(named.node, finding.message)).ok()?;
    let text = String::from_utf8_lossy(&bytes.content);
    let signer = Signer::from_pem(&text).map_err(|problem| session.error(named.node, problem.to_string())).ok()?;
    Some(SigningCertificate {
        id: CertificateId::new(head.id),
        name: Some(head.name),
        pem: signer.to_pem().into(),
        signer,
        meta: head.meta,
    })
}
