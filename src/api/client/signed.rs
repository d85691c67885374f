//! Signed reports: a signature that comes with one is verified before anything of the report is looked at.

use http::HeaderMap;

use crate::api::refusal::Refusal;
use crate::clock::Timestamp;
use crate::dialect::native::evidence::{self, EvidenceProblem, Presented};
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Connection, Device, SignatureRefused};

/// The signature in a request's header fields, if it has one.
pub(super) fn presented(headers: &HeaderMap) -> Result<Option<Presented>, EvidenceProblem> {
    let field = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(EvidenceProblem::Malformed),
            (only, None) => Ok(only.map(http::HeaderValue::as_bytes)),
        }
    };
    let (nonce, time) = (field(evidence::NONCE_FIELD)?, field(evidence::TIME_FIELD)?);
    Presented::read(nonce, time, field(evidence::SIGNATURE_FIELD)?)
}

/// Verifies a signature over `report`. Its number is used up whatever comes of it.
pub(super) fn verify(
    presented: &Presented,
    report: &[u8],
    connection: &Connection,
    device: &Device,
    now: Timestamp,
) -> Result<(), EvidenceProblem> {
    if !device.take_nonce(&presented.nonce, now) {
        return Err(EvidenceProblem::Nonce);
    }
    if !presented.is_timely(now) {
        return Err(EvidenceProblem::Time);
    }
    let credential = connection.credential().ok_or(EvidenceProblem::Signature)?;
    credential.verify(&presented.statement(report), &presented.signature).map_err(|refused| match refused {
        SignatureRefused::Mismatch => EvidenceProblem::Signature,
        SignatureRefused::UnsupportedKey => EvidenceProblem::Key,
    })
}

impl From<EvidenceProblem> for Refusal {
    fn from(problem: EvidenceProblem) -> Self {
        Refusal::because(ErrorCode::InvalidEvidence, "evidence", problem.to_string(), problem.code())
    }
}
