//! Uploaded certificates that sign those of devices: Cloudflare's `mtls_certificates` (`cloudflare.md` 1.14 and 1.15).

use std::sync::Arc;

use serde::Serialize;
use serde_json::Map;

use super::error::ApiError;
use super::members::{Members, object};
use super::notes::Notes;
use super::source::source;
use super::written::Written;
use crate::clock::Timestamp;
use crate::id::CertificateId;
use crate::limits;
use crate::policy::objects::{Meta, Origin};
use crate::policy::signing_certificate::SigningCertificate;
use crate::posture::certificate::{Signer, certificate_block};

const MEMBERS: [&str; 4] = ["certificates", "ca", "name", "private_key"];
/// What replies say about a certificate.
const READ_ONLY: [&str; 9] =
    ["id", "expires_on", "issuer", "serial_number", "signature", "type", "uploaded_on", "updated_at", "source"];

/// Reads the body of an upload. Nothing is kept but the certificate: no private key, be it a member of its own or pasted into
/// the same text.
pub fn create_certificate(
    body: &[u8],
    id: CertificateId,
    now: Timestamp,
) -> Result<Written<SigningCertificate>, ApiError> {
    let body = object(body)?;
    let members = Members::of_body(&body);
    let text = members.required_text_within("certificates", limits::CERTIFICATE_TEXT_BYTES_MAX)?;
    let wrong = |problem| members.wrong("certificates", problem);
    let signer = Signer::from_pem(text).map_err(wrong)?;
    let pem = certificate_block(text).map_err(wrong)?;
    must_be_an_authority(&members)?;
    let name = members.text_within("name", limits::NAME_BYTES_MAX)?.filter(|name| !name.is_empty()).map(Arc::from);
    let mut notes = Notes::default();
    if pem.trim() != text.trim() {
        notes.add("certificates holds more than a certificate: nothing else of it is kept".to_owned());
    }
    if let Some(details) = signer.details().ok().filter(|details| details.not_after < now) {
        notes
            .add(format!("certificates expired at {}, and vouches for what it signed all the same", details.not_after));
    }
    if members.get("private_key").is_some() {
        notes.add("private_key is not kept: nothing here signs with it".to_owned());
    }
    notes.ignored(&members, "a certificate", |name| MEMBERS.contains(&name) || READ_ONLY.contains(&name));
    let meta = Meta { created_at: now, updated_at: now, tags: Map::new(), origin: Origin::Api };
    let certificate = SigningCertificate { id, name, pem: pem.into(), signer, meta };
    Ok(Written { object: certificate, warnings: notes.into_messages() })
}

fn must_be_an_authority(members: &Members<'_>) -> Result<(), ApiError> {
    match members.flag("ca")? {
        Some(true) => Ok(()),
        Some(false) => Err(members.wrong("ca", "must be true: only the certificate of an authority signs others")),
        None => Err(members.missing("ca")),
    }
}

/// Whether two certificates were uploaded alike. Clients send an upload again when they did not see the answer to the first.
pub fn same_certificate_content(one: &SigningCertificate, other: &SigningCertificate) -> bool {
    one.name == other.name && one.signer == other.signer
}

/// A certificate as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct MtlsCertificate<'a> {
    id: &'a CertificateId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    ca: bool,
    certificates: &'a str,
    #[serde(flatten)]
    details: Option<Details>,
    uploaded_on: Timestamp,
    updated_at: Timestamp,
    source: String,
}

/// What is read out of the certificate itself.
#[derive(Clone, Debug, Serialize)]
struct Details {
    expires_on: Timestamp,
    issuer: String,
    serial_number: String,
    signature: String,
}

/// Shows a certificate.
pub fn certificate(certificate: &SigningCertificate) -> MtlsCertificate<'_> {
    let details = certificate.signer.details().ok().map(|details| Details {
        expires_on: details.not_after,
        issuer: details.issuer,
        serial_number: details.serial_number,
        signature: signature(details.signature_algorithm),
    });
    MtlsCertificate {
        id: &certificate.id,
        name: certificate.name.as_deref(),
        ca: true,
        certificates: &certificate.pem,
        details,
        uploaded_on: certificate.meta.created_at,
        updated_at: certificate.meta.updated_at,
        source: source(&certificate.meta.origin),
    }
}

/// The name of a signature's algorithm, spelled as in Cloudflare's example `SHA256WithRSA`; else its identifier.
fn signature(identifier: String) -> String {
    let name = match identifier.as_str() {
        "1.2.840.113549.1.1.5" => "SHA1WithRSA",
        "1.2.840.113549.1.1.11" => "SHA256WithRSA",
        "1.2.840.113549.1.1.12" => "SHA384WithRSA",
        "1.2.840.113549.1.1.13" => "SHA512WithRSA",
        "1.2.840.10045.4.1" => "ECDSAWithSHA1",
        "1.2.840.10045.4.3.2" => "ECDSAWithSHA256",
        "1.2.840.10045.4.3.3" => "ECDSAWithSHA384",
        "1.2.840.10045.4.3.4" => "ECDSAWithSHA512",
        "1.3.101.112" => "Ed25519",
        _ => return identifier,
    };
    name.to_owned()
}
