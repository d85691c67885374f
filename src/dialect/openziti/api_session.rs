//! Logging in: what a client sends, and the session it gets.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config::WantedConfigTypes;
use super::envelope::Links;
use super::error::{ApiError, FieldError};
use super::members::{self, Members};
use crate::clock::Timestamp;
use crate::limits;
use crate::posture::facts::Sdk;
use crate::secret::Secret;

/// A name and a password. What clients tell about their software beside these is read over.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// Who wants in.
    pub username: String,
    /// By which password.
    pub password: Secret,
    /// The types of configs whose data is to be shown with services.
    pub config_types: WantedConfigTypes,
}

/// Reads the body of a login by password. No error repeats the password.
pub fn read_password_login(body: &[u8]) -> Result<PasswordLogin, ApiError> {
    let body = members::json(body)?;
    let Value::Object(_) = &body else {
        // Whatever this is, it may hold the password.
        return Err(ApiError::invalid(unshown("body", "must be an object")));
    };
    let members = Members::of(&body, "")?;
    let username = members.required_text("username")?;
    if username.len() > limits::NAME_BYTES_MAX {
        return Err(members.wrong("username", format!("is longer than {} bytes", limits::NAME_BYTES_MAX)).into());
    }
    let password = match members.get("password") {
        None => return Err(members.missing("password").into()),
        Some(Value::String(password)) if password.len() <= limits::PASSWORD_BYTES_MAX => password.clone(),
        Some(Value::String(_)) => {
            let reason = format!("is longer than {} bytes", limits::PASSWORD_BYTES_MAX);
            return Err(unshown("password", reason).into());
        }
        Some(_) => return Err(unshown("password", "must be a string").into()),
    };
    let config_types = WantedConfigTypes::of_login(&members)?;
    Ok(PasswordLogin { username: username.to_owned(), password: Secret::new(password), config_types })
}

/// An error about a value that must not be shown.
fn unshown(field: &str, reason: impl Into<String>) -> FieldError {
    FieldError::new(field, reason, &Value::Null)
}

/// What a client tells of itself when it logs in by certificate. What else it tells is read over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateLogin {
    /// Its software.
    pub sdk: Option<Sdk>,
    /// The types of configs whose data is to be shown with services.
    pub config_types: WantedConfigTypes,
}

/// Reads the body of a login by certificate, if there is one.
pub fn read_certificate_login(body: &[u8]) -> Result<CertificateLogin, ApiError> {
    if body.is_empty() {
        return Ok(CertificateLogin::default());
    }
    let body = members::json(body)?;
    let members = Members::of(&body, "")?;
    let sdk = members.object("sdkInfo")?.map(|told| sdk(&told)).transpose()?;
    let config_types = WantedConfigTypes::of_login(&members)?;
    Ok(CertificateLogin { sdk: sdk.filter(|sdk| *sdk != Sdk::default()), config_types })
}

fn sdk(told: &Members<'_>) -> Result<Sdk, FieldError> {
    let text = |name: &str| -> Result<Option<String>, FieldError> {
        let text = told.text(name)?.filter(|text| !text.is_empty());
        match text {
            Some(text) if text.len() > limits::SDK_TEXT_BYTES_MAX => {
                Err(told.wrong(name, format!("is longer than {} bytes", limits::SDK_TEXT_BYTES_MAX)))
            }
            text => Ok(text.map(str::to_owned)),
        }
    };
    Ok(Sdk {
        app_id: text("appId")?,
        app_version: text("appVersion")?,
        branch: text("branch")?,
        revision: text("revision")?,
        kind: text("type")?,
        version: text("version")?,
    })
}

/// A session, and whose it is.
#[derive(Clone, Debug)]
pub struct ApiSession<'a> {
    /// Its id, which opens nothing.
    pub id: &'a str,
    /// What opens with it; empty where the caller needs no session.
    pub token: &'a str,
    /// The id of whoever logged in.
    pub identity_id: &'a str,
    /// The name of whoever logged in.
    pub identity_name: &'a str,
    /// What was shown at the login, by its id.
    pub authenticator_id: &'a str,
    /// From where.
    pub ip_address: String,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_activity_at: Timestamp,
    /// Until when it is good if it is not used again.
    pub expires_at: Timestamp,
    /// How long it lasts from one use to the next.
    pub idle: Duration,
    /// How its holder stands with multi-factor authentication.
    pub second_factor: SecondFactor,
    /// The ids of the types of configs whose data is shown with services, or `all`.
    pub config_types: Vec<&'a str>,
}

/// Whether a session's holder has a second factor, and has shown it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondFactor {
    /// There is a verified enrolment.
    pub enrolled: bool,
    /// It was shown with the certificate the session belongs to.
    pub passed: bool,
}

/// When what a session's holder may reach last changed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceUpdates {
    /// The time.
    pub last_change_at: Timestamp,
}

/// What is still asked of a session's holder: a code.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthQuery {
    type_id: &'static str,
    provider: &'static str,
    http_method: &'static str,
    http_url: &'static str,
    format: &'static str,
    min_length: u8,
    max_length: u8,
    is_totp_enrolled: bool,
}

/// A code of an authenticator, or one for recovery: both have six characters.
const MFA_QUERY: AuthQuery = AuthQuery {
    type_id: "MFA",
    provider: "ziti",
    http_method: "POST",
    http_url: "./authenticate/mfa",
    format: "alphaNumeric",
    min_length: 6,
    max_length: 6,
    is_totp_enrolled: true,
};

/// A session as its holder sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiSessionDetail<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "_links")]
    links: Links,
    tags: Map<String, Value>,
    token: &'a str,
    identity: Holder<'a>,
    identity_id: &'a str,
    config_types: Vec<&'a str>,
    ip_address: String,
    auth_queries: Vec<AuthQuery>,
    authenticator_id: &'a str,
    is_mfa_required: bool,
    is_mfa_complete: bool,
    is_cert_extendable: bool,
    last_activity_at: Timestamp,
    cached_last_activity_at: Timestamp,
    cached_updated_at: Timestamp,
    expires_at: Timestamp,
    expiration_seconds: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Holder<'a> {
    #[serde(rename = "_links")]
    links: Links,
    entity: &'static str,
    id: &'a str,
    name: &'a str,
}

/// Shows a session to its holder.
pub fn api_session(session: ApiSession<'_>) -> ApiSessionDetail<'_> {
    let (used, factor) = (session.last_activity_at, session.second_factor);
    ApiSessionDetail {
        id: session.id,
        created_at: session.created_at,
        updated_at: used,
        links: Links::at("./current-api-session"),
        tags: Map::new(),
        token: session.token,
        identity: Holder {
            links: Links::own("identities", session.identity_id),
            entity: "identities",
            id: session.identity_id,
            name: session.identity_name,
        },
        identity_id: session.identity_id,
        config_types: session.config_types,
        ip_address: session.ip_address,
        auth_queries: (factor.enrolled && !factor.passed).then_some(MFA_QUERY).into_iter().collect(),
        authenticator_id: session.authenticator_id,
        is_mfa_required: factor.enrolled,
        is_mfa_complete: factor.enrolled && factor.passed,
        is_cert_extendable: false,
        last_activity_at: used,
        cached_last_activity_at: used,
        cached_updated_at: used,
        expires_at: session.expires_at,
        expiration_seconds: session.idle.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openziti::ErrorCode;

    #[test]
    fn a_login_names_user_and_password_and_may_tell_more() {
        let body = br#"{"username":"grace","password":"correct horse","configTypes":["all"],"envInfo":{"os":"linux"}}"#;
        let login = read_password_login(body).unwrap();
        assert_eq!((login.username.as_str(), login.password.expose()), ("grace", "correct horse"));
        assert!(!format!("{login:?}").contains("correct horse"));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let long = "x".repeat(limits::PASSWORD_BYTES_MAX + 1);
        for (body, code, field) in [
            ("hunter2".to_owned(), ErrorCode::CouldNotParseBody, "body"),
            (r#"{"username":"a","password":"hunter2""#.to_owned(), ErrorCode::CouldNotParseBody, "body"),
            (r#""hunter2""#.to_owned(), ErrorCode::CouldNotValidate, "body"),
            (r#"["a","hunter2"]"#.to_owned(), ErrorCode::CouldNotValidate, "body"),
            (r#"{"password":"hunter2"}"#.to_owned(), ErrorCode::CouldNotValidate, "username"),
            (r#"{"username":7,"password":"hunter2"}"#.to_owned(), ErrorCode::CouldNotValidate, "username"),
            (format!(r#"{{"username":"{long}","password":"hunter2"}}"#), ErrorCode::CouldNotValidate, "username"),
            (r#"{"username":"a"}"#.to_owned(), ErrorCode::CouldNotValidate, "password"),
            (r#"{"username":"a","password":["hunter2"]}"#.to_owned(), ErrorCode::CouldNotValidate, "password"),
            (format!(r#"{{"username":"a","password":"hunter2{long}"}}"#), ErrorCode::CouldNotValidate, "password"),
        ] {
            let error = read_password_login(body.as_bytes()).unwrap_err();
            let cause = error.cause.clone().unwrap();
            assert_eq!((error.code, cause.field.as_str()), (code, field), "{body}");
            assert!(!format!("{error} {cause:?}").contains("hunter2"), "{error}");
        }
    }
}
