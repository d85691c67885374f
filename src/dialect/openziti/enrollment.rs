//! Enrolments with one-time tokens, and the authenticators that come of them, shown; and the bodies about them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::envelope::{Entity, EntityRef, Links};
use super::error::{ApiError, FieldError};
use super::members::{Members, json};
use crate::clock::Timestamp;
use crate::policy::enrolment::{EnrolledCertificate, PendingEnrolment};
use crate::policy::objects::{Identity, Meta, Origin};

/// A token, in the clear and signed, for the operator who hands it over.
#[derive(Clone, Debug)]
pub struct TokenShown {
    /// The token itself.
    pub token: String,
    /// The token inside a signed statement of who gives it.
    pub jwt: String,
}

/// An identity that waits for its token to be redeemed.
#[derive(Clone, Debug)]
pub struct Enrolling<'a> {
    /// The identity.
    pub identity: &'a Identity,
    /// The enrolment.
    pub pending: &'a PendingEnrolment,
    meta: Meta,
}

/// A certificate that was issued, and whose it is.
#[derive(Clone, Debug)]
pub struct Authenticator<'a> {
    /// The identity.
    pub identity: &'a Identity,
    /// The certificate.
    pub certificate: &'a EnrolledCertificate,
    meta: Meta,
}

fn meta(created_at: Timestamp, updated_at: Timestamp) -> Meta {
    Meta { created_at, updated_at, tags: Map::new(), origin: Origin::Api }
}

impl<'a> Enrolling<'a> {
    /// The enrolment of an identity, if it has one.
    pub fn of(identity: &'a Identity) -> Option<Self> {
        let pending = identity.enrolment.as_deref()?;
        Some(Enrolling { identity, pending, meta: meta(pending.created_at, pending.updated_at) })
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// As lists and details show it; the token only where there is one to show.
    pub fn shown(&'a self, token: Option<TokenShown>) -> EnrollmentDetail<'a> {
        let (id, identity) = (&*self.pending.id, self.identity);
        let (token, jwt) = token.map_or_else(Default::default, |shown| (shown.token, shown.jwt));
        EnrollmentDetail {
            entity: Entity::new(id, &self.meta, Links::own("enrollments", id)),
            method: METHOD,
            identity_id: identity.id.as_str(),
            identity: EntityRef::new("identities", identity.id.as_str(), &identity.name),
            expires_at: self.pending.expires_at,
            token,
            jwt,
            details: Map::new(),
        }
    }
}

impl<'a> Authenticator<'a> {
    /// The authenticators of an identity.
    pub fn all_of(identity: &'a Identity) -> impl Iterator<Item = Self> {
        identity.certificates.iter().map(move |certificate| {
            let meta = meta(certificate.enrolled_at, certificate.enrolled_at);
            Authenticator { identity, certificate, meta }
        })
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// As lists and details show it.
    pub fn shown(&'a self) -> AuthenticatorDetail<'a> {
        let (id, identity) = (&*self.certificate.id, self.identity);
        AuthenticatorDetail {
            entity: Entity::new(id, &self.meta, Links::own("authenticators", id)),
            method: "cert",
            identity_id: identity.id.as_str(),
            identity: EntityRef::new("identities", identity.id.as_str(), &identity.name),
            fingerprint: &self.certificate.fingerprint,
            is_issued_by_network: true,
            not_after: self.certificate.not_after,
        }
    }
}

/// The one way to enrol with a token.
pub(super) const METHOD: &str = "ott";

/// An enrolment as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    method: &'static str,
    identity_id: &'a str,
    identity: EntityRef<'a>,
    expires_at: Timestamp,
    token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    jwt: String,
    details: Map<String, Value>,
}

/// An authenticator as lists and details show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorDetail<'a> {
    #[serde(flatten)]
    entity: Entity<'a>,
    method: &'static str,
    identity_id: &'a str,
    identity: EntityRef<'a>,
    fingerprint: &'a str,
    is_issued_by_network: bool,
    /// The last second in which it is valid; an addition of ours.
    not_after: Timestamp,
}

/// What an identity's own detail shows of its enrolment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OttShown<'a> {
    id: &'a str,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
}

impl<'a> OttShown<'a> {
    pub(super) fn of(pending: &'a PendingEnrolment, token: Option<TokenShown>) -> Self {
        let (token, jwt) = token.map(|shown| (shown.token, shown.jwt)).unzip();
        OttShown { id: &pending.id, expires_at: pending.expires_at, token, jwt }
    }
}

/// The certificates that a device gets for its token.
#[derive(Clone, Debug, Serialize)]
pub struct EnrollmentCerts {
    /// CAs to trust, as PEM.
    pub ca: String,
    /// Its own certificate and what leads from it to a CA, as PEM.
    pub cert: String,
}

/// What the body of a creation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollmentWanted {
    /// Whose it shall be.
    pub identity: String,
    /// When it shall end.
    pub expires_at: Timestamp,
}

/// Reads the body of a creation.
pub fn create_enrollment(body: &[u8], now: Timestamp) -> Result<EnrollmentWanted, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    if members.required_text("method")? != METHOD {
        return Err(members.wrong("method", "must be ott").into());
    }
    let identity = members.required_text("identityId")?.to_owned();
    Ok(EnrollmentWanted { identity, expires_at: expiry(&members, now)? })
}

/// Reads the body that moves the end of an enrolment.
pub fn refresh_enrollment(body: &[u8], now: Timestamp) -> Result<Timestamp, ApiError> {
    let body = json(body)?;
    Ok(expiry(&Members::of(&body, "")?, now)?)
}

fn expiry(members: &Members<'_>, now: Timestamp) -> Result<Timestamp, FieldError> {
    let written: Timestamp = members
        .required_text("expiresAt")?
        .parse()
        .map_err(|_| members.wrong("expiresAt", "must be a time such as 2026-01-31T12:00:00Z"))?;
    if written <= now { Err(members.wrong("expiresAt", "must be in the future")) } else { Ok(written) }
}

/// What a device sends with its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrollmentRequest {
    /// The token, where it is not in the query.
    pub token: Option<String>,
    /// The certificate signing request, as PEM.
    pub request: String,
}

/// Reads what a device sends as JSON.
pub fn read_enrollment_request(body: &[u8]) -> Result<EnrollmentRequest, ApiError> {
    let body = json(body)?;
    let members = Members::of(&body, "")?;
    let request = members.get("clientCsr").or_else(|| members.get("certCsr"));
    let request = request.and_then(Value::as_str).ok_or_else(|| members.missing("clientCsr"))?.to_owned();
    Ok(EnrollmentRequest { token: members.text("token")?.map(str::to_owned), request })
}
