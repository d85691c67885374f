//! Multi-factor authentication: codes that are sent, and an enrolment as its holder sees it (`openziti.md` 1.7.1).

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::envelope::{Created, Detail, Links, detail};
use super::error::{ApiError, FieldError};
use super::members::{self, Members};
use crate::clock::Timestamp;
use crate::limits;
use crate::secret::Secret;

/// Reads the body with which a code is sent. No error repeats the code.
pub fn read_mfa_code(body: &[u8]) -> Result<Secret, ApiError> {
    let body = members::json(body)?;
    let Value::Object(_) = &body else {
        return Err(ApiError::invalid(FieldError::new("body", "must be an object", &Value::Null)));
    };
    let members = Members::of(&body, "")?;
    let wrong = |reason: &str| Err(FieldError::new("code", reason, &Value::Null).into());
    match members.get("code") {
        None => Err(members.missing("code").into()),
        Some(Value::String(code)) if code.len() <= limits::MFA_CODE_BYTES_MAX => Ok(Secret::new(code.clone())),
        Some(Value::String(_)) => wrong("is too long"),
        Some(_) => wrong("must be a string"),
    }
}

/// What an authenticator app is told: whose account, by whom, and the secret.
pub fn provisioning_url(identity: &str, issuer: &str, secret: &Secret) -> Secret {
    let (identity, issuer) = (percent_encoded(identity), percent_encoded(issuer));
    Secret::new(format!("otpauth://totp/{identity}?issuer={issuer}&secret={}", secret.expose()))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

/// An enrolment, and what is told of it until it is verified.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MfaDetail<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "_links")]
    links: Links,
    tags: Map<String, Value>,
    is_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning_url: Option<&'a str>,
}

/// Shows an enrolment. `unverified` holds the provisioning URL and the recovery codes of one that is not verified.
pub fn mfa<'a>(
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    unverified: Option<(&'a Secret, &'a [Secret])>,
) -> MfaDetail<'a> {
    let own = Links::at("./current-identity/mfa").and_at("current-identity", "./current-identity");
    let links = match unverified {
        Some(_) => own.and_at("verify", "./current-identity/mfa/verify").and_at("qr", "./current-identity/mfa/qr-code"),
        None => own.and_at("recovery-codes", "./current-identity/mfa/recovery-codes"),
    };
    MfaDetail {
        id,
        created_at,
        updated_at,
        links,
        tags: Map::new(),
        is_verified: unverified.is_none(),
        recovery_codes: unverified.map(|(_, codes)| codes.iter().map(Secret::expose).collect()),
        provisioning_url: unverified.map(|(url, _)| url.expose()),
    }
}

/// The reply to the beginning of an enrolment.
pub fn mfa_created(id: &str) -> Detail<Created> {
    detail(Created::at("./current-identity/mfa", id))
}

/// The recovery codes that are left.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "_links")]
    links: Links,
    tags: Map<String, Value>,
    recovery_codes: Vec<&'a str>,
}

/// Shows recovery codes.
pub fn recovery_codes<'a>(
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    codes: &'a [Secret],
) -> RecoveryCodes<'a> {
    let links = Links::at("./current-identity/mfa/recovery-codes").and_at("mfa", "./current-identity/mfa");
    let recovery_codes = codes.iter().map(Secret::expose).collect();
    RecoveryCodes { id, created_at, updated_at, links, tags: Map::new(), recovery_codes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_and_never_repeated() {
        assert_eq!(read_mfa_code(br#"{"code": "123456", "more": 1}"#).unwrap().expose(), "123456");
        let long = format!(r#"{{"code": "987654{}"}}"#, "9".repeat(limits::MFA_CODE_BYTES_MAX));
        for body in [r#""987654""#, r#"{"code": 987654}"#, r#"{"code": ["987654"]}"#, &long] {
            let error = read_mfa_code(body.as_bytes()).unwrap_err();
            assert!(!format!("{error:?}").contains("987654"), "{error:?}");
        }
        assert_eq!(read_mfa_code(b"{}").unwrap_err().cause.unwrap().field, "code");
    }

    #[test]
    fn names_in_a_provisioning_url_stay_names() {
        let url = provisioning_url("Ada & Söhne?", "gate.example", &Secret::new("ABC".into()));
        assert_eq!(url.expose(), "otpauth://totp/Ada%20%26%20S%C3%B6hne%3F?issuer=gate.example&secret=ABC");
    }
}
