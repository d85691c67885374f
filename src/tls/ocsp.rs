//! What a CA says of a server certificate (OCSP, RFC 6960), shown to clients together with it (RFC 6066, section 8).
//!
//! The response lies in a file, and somebody else fetches it. Whether its signature is good is for clients to judge. What is made
//! sure of here is that showing it does no harm: that it is a response, about this certificate, and a good one.

use std::path::Path;

use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::identity::{Certificate, timestamp};
use super::material::{Concern, MaterialError, MaterialProblem, read};
use crate::clock::Timestamp;
use crate::limits::OCSP_FILE_BYTES_MAX;

/// A response that may be shown beside the certificate it is about.
#[derive(Debug)]
pub(super) struct OcspResponse {
    der: Vec<u8>,
    next_update: Option<Timestamp>,
}

/// Why a response is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspProblem {
    /// The bytes are no DER OCSP response.
    #[error("it is not an OCSP response in DER")]
    Malformed,
    /// The responder did not answer the question.
    #[error("the responder refused to answer (status {0})")]
    Refused(u8),
    /// It is a response of a type that is not `id-pkix-ocsp-basic`.
    #[error("it is not a basic OCSP response")]
    UnknownType,
    /// It is about other certificates.
    #[error("it says nothing of this certificate")]
    OtherCertificate,
    /// The certificate is revoked, or the CA does not know it.
    #[error("it says that the certificate is not good")]
    NotGood,
}

impl OcspResponse {
    /// Reads the response of a DER file about `certificate`.
    pub(super) fn load(file: &Path, certificate: &Certificate) -> Result<Self, MaterialError> {
        let der = read(file, OCSP_FILE_BYTES_MAX)?;
        let next_update = good_until(&der, certificate.serial_der())
            .map_err(|problem| MaterialError::new(file, MaterialProblem::UnusableOcsp(problem)))?;
        Ok(OcspResponse { der, next_update })
    }

    /// Whether it should have been replaced already. Clients refuse such a response, and with it the connection.
    pub(super) fn overdue(&self, certificate: &Certificate, now: Timestamp) -> Option<Concern> {
        let next_update = self.next_update.filter(|next_update| *next_update <= now)?;
        Some(Concern::OcspExpired { subject: certificate.subject().clone(), next_update })
    }

    pub(super) fn into_der(self) -> Vec<u8> {
        self.der
    }
}

const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, not constructed: the status `good`.
const GOOD: u8 = 0x80;
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;

/// 1.3.6.1.5.5.7.48.1.1, `id-pkix-ocsp-basic`.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// Until when the response says that the certificate is good; `None` when it does not say until when.
fn good_until(der: &[u8], serial: &[u8]) -> Result<Option<Timestamp>, OcspProblem> {
    let mut whole = Elements(der);
    let mut response = whole.inside(SEQUENCE)?;
    whole.end()?;
    match response.next(ENUMERATED)? {
        [0] => {}
        [status] => return Err(OcspProblem::Refused(*status)),
        _ => return Err(OcspProblem::Malformed),
    }
    let mut bytes = response.inside(CONTEXT_0)?.inside(SEQUENCE)?;
    if bytes.next(OBJECT_IDENTIFIER)? != BASIC {
        return Err(OcspProblem::UnknownType);
    }
    let mut basic = bytes.inside(OCTET_STRING)?.inside(SEQUENCE)?;
    let mut data = basic.inside(SEQUENCE)?;
    basic.inside(SEQUENCE)?;
    basic.next(BIT_STRING)?;
    if data.tag() == Some(CONTEXT_0) {
        data.next(CONTEXT_0)?;
    }
    // Who responds, and when.
    data.skip()?;
    data.next(GENERALIZED_TIME)?;
    let mut answers = data.inside(SEQUENCE)?;
    while answers.tag().is_some() {
        let mut answer = answers.inside(SEQUENCE)?;
        let mut about = answer.inside(SEQUENCE)?;
        about.inside(SEQUENCE)?;
        about.next(OCTET_STRING)?;
        about.next(OCTET_STRING)?;
        if about.next(INTEGER)? != serial {
            continue;
        }
        if answer.tag() != Some(GOOD) {
            return Err(OcspProblem::NotGood);
        }
        answer.next(GOOD)?;
        answer.next(GENERALIZED_TIME)?;
        return if answer.tag() == Some(CONTEXT_0) { answer.inside(CONTEXT_0)?.time().map(Some) } else { Ok(None) };
    }
    Err(OcspProblem::OtherCertificate)
}

/// Elements of DER that follow each other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// What the next one is; `None` at the end.
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The contents of the next one, which must be a `tag`.
    fn next(&mut self, tag: u8) -> Result<&'a [u8], OcspProblem> {
        if self.tag() == Some(tag) { self.skip() } else { Err(OcspProblem::Malformed) }
    }

    /// The elements inside the next one, which must be a `tag`.
    fn inside(&mut self, tag: u8) -> Result<Elements<'a>, OcspProblem> {
        self.next(tag).map(Elements)
    }

    /// The contents of the next one, whatever it is.
    fn skip(&mut self) -> Result<&'a [u8], OcspProblem> {
        let (contents, rest) = split(self.0).ok_or(OcspProblem::Malformed)?;
        self.0 = rest;
        Ok(contents)
    }

    fn time(&self) -> Result<Timestamp, OcspProblem> {
        match ASN1Time::from_der(self.0) {
            Ok(([], time)) => Ok(timestamp(time)),
            _ => Err(OcspProblem::Malformed),
        }
    }

    fn end(&self) -> Result<(), OcspProblem> {
        if self.0.is_empty() { Ok(()) } else { Err(OcspProblem::Malformed) }
    }
}

/// The contents of the first element, and what follows it. Nothing here has a tag of several bytes.
fn split(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.get(1..)?.split_first()?;
    if length < 0x80 {
        return rest.split_at_checked(usize::from(length));
    }
    let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    if length.is_empty() || length.len() > 4 {
        return None;
    }
    let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &[u8] = &[0x00, 0xfe, 0x42];

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let mut encoded = vec![tag, 0x82];
        encoded.extend_from_slice(&u16::try_from(contents.len()).unwrap().to_be_bytes());
        encoded.extend(contents);
        encoded
    }

    fn time(text: &str) -> Vec<u8> {
        element(GENERALIZED_TIME, &[text.as_bytes()])
    }

    fn answer(serial: &[u8], status: &[u8], next_update: &[u8]) -> Vec<u8> {
        let hash = element(OCTET_STRING, &[&[7; 20]]);
        let about = element(SEQUENCE, &[&element(SEQUENCE, &[]), &hash, &hash, &element(INTEGER, &[serial])]);
        element(SEQUENCE, &[&about, status, &time("20261101000000Z"), next_update])
    }

    fn response(kind: &[u8], answers: &[&[u8]]) -> Vec<u8> {
        let responder = element(0xa2, &[&element(OCTET_STRING, &[&[9; 20]])]);
        let data = element(SEQUENCE, &[&responder, &time("20261101000000Z"), &element(SEQUENCE, answers)]);
        let basic = element(SEQUENCE, &[&data, &element(SEQUENCE, &[]), &element(BIT_STRING, &[&[0, 1, 2]])]);
        let bytes = element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[kind]), &element(OCTET_STRING, &[&basic])]);
        element(SEQUENCE, &[&element(ENUMERATED, &[&[0]]), &element(CONTEXT_0, &[&bytes])])
    }

    #[test]
    fn a_good_answer_about_the_certificate_is_found_among_others() {
        let other = answer(&[1], &[GOOD, 0], &[]);
        let until = element(CONTEXT_0, &[&time("20261201000000Z")]);
        let own = answer(SERIAL, &[GOOD, 0], &until);
        let found = good_until(&response(BASIC, &[&other, &own]), SERIAL).unwrap().unwrap();
        assert_eq!(found.to_string(), "2026-12-01T00:00:00.000Z");
        let endless = answer(SERIAL, &[GOOD, 0], &[]);
        assert_eq!(good_until(&response(BASIC, &[&endless]), SERIAL), Ok(None));
    }

    #[test]
    fn everything_else_is_refused_for_its_reason() {
        let own = answer(SERIAL, &[GOOD, 0], &[]);
        let problem = |der: &[u8]| good_until(der, SERIAL).unwrap_err();
        assert_eq!(problem(&response(BASIC, &[&answer(&[1], &[GOOD, 0], &[])])), OcspProblem::OtherCertificate);
        let revoked = element(0xa1, &[&time("20261101000000Z")]);
        assert_eq!(problem(&response(BASIC, &[&answer(SERIAL, &revoked, &[])])), OcspProblem::NotGood);
        assert_eq!(problem(&response(BASIC, &[&answer(SERIAL, &[0x82, 0], &[])])), OcspProblem::NotGood);
        assert_eq!(problem(&response(&[1, 2, 3], &[&own])), OcspProblem::UnknownType);
        assert_eq!(problem(&element(SEQUENCE, &[&element(ENUMERATED, &[&[3]])])), OcspProblem::Refused(3));
        let whole = response(BASIC, &[&own]);
        // Cut anywhere, or with something behind it, it is no response; and no cut makes it panic.
        for end in 0..whole.len() {
            assert_eq!(problem(&whole[..end]), OcspProblem::Malformed, "{end}");
        }
        assert_eq!(problem(&[&whole[..], &[0]].concat()), OcspProblem::Malformed);
    }
}
