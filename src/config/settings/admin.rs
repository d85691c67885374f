//! Who may use the admin API.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use subtle::ConstantTimeEq;

use super::sign_in::{self, AdminSession, AdminUser, RawSession, RawUser};
use crate::config::document::{Field, OrMapping, Session};
use crate::config::values::{EmailText, NameText};
use crate::policy::Subject;

/// Who may use the admin API. With neither tokens nor certificates nor users, nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Bearer tokens.
    pub tokens: Vec<AdminToken>,
    /// Client certificates.
    pub client_certificates: Vec<AdminCertificate>,
    /// Those who sign in with a password.
    pub users: Vec<AdminUser>,
    /// How long a session lasts.
    pub session: AdminSession,
}

/// A bearer token, known by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// Its name in logs.
    pub name: Arc<str>,
    /// Its SHA-256.
    pub digest: TokenDigest,
    /// The address that goes with it in `X-Auth-Email` and `X-Auth-Key`. `None` goes with any.
    pub email: Option<Arc<str>>,
    /// What it allows.
    pub role: AdminRole,
}

/// A client certificate that may use the admin API, by one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminCertificate {
    /// The name.
    pub subject: Subject,
    /// What it allows.
    pub role: AdminRole,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdminRole {
    /// Everything.
    Admin,
    /// Look, not touch.
    #[default]
    ReadOnly,
}

/// The SHA-256 of a bearer token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Whether `token` is the token of this digest. Takes the same time for every wrong token.
    pub fn matches(&self, token: &str) -> bool {
        let presented = digest(&SHA256, token.as_bytes());
        presented.as_ref().ct_eq(&self.0).into()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest(…)")
    }
}

/// The refused text is not repeated: it may be the token itself.
impl<'de> Deserialize<'de> for TokenDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        match digits {
            Some(digits) if digits.len() == 64 => {
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = pair.iter().fold(0, |high, digit| (high << 4) | digit);
                }
                Ok(TokenDigest(bytes))
            }
            _ => Err(D::Error::custom("expected the 64 hex digits of the token's SHA-256, not the token itself")),
        }
    }
}

impl JsonSchema for TokenDigest {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TokenDigest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" })
    }
}

/// Who may use the admin API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// Bearer tokens, each known by its SHA-256.
    tokens: Field<Vec<Field<RawToken>>>,
    /// Client certificates, by one of their names (`spiffe://…`, `email:…`, `dns:…`, `cn:…`, `sha256:…`).
    client_certificates: Field<Vec<Field<OrMapping<SubjectText, RawCertificate>>>>,
    /// Operators who sign in with a password, as OpenZiti's tools do.
    users: Field<Vec<Field<RawUser>>>,
    /// How long a session lasts after signing in.
    session: Field<RawSession>,
}

/// A bearer token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "sha256"]))]
struct RawToken {
    /// What logs call it.
    name: Field<NameText>,
    /// SHA-256 of the token in hex: `printf %s "$TOKEN" | sha256sum`.
    sha256: Field<TokenDigest>,
    /// The address that goes with the token where clients send both (`X-Auth-Email`, `X-Auth-Key`); another one is then
    /// refused. Default: none, any address goes.
    email: Field<EmailText>,
    /// What it allows: `admin` or `read-only`. Default: read-only.
    role: Field<AdminRole>,
}

/// A client certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RawAdminCertificate", extend("required" = ["subject"]))]
struct RawCertificate {
    /// One of its names (`spiffe://…`, `email:…`, `dns:…`, `cn:…`, `sha256:…`).
    subject: Field<SubjectText>,
    /// What it allows: `admin` or `read-only`. Default: read-only.
    role: Field<AdminRole>,
}

/// A certificate's name in its written form.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct SubjectText(pub(in crate::config) Subject);

impl JsonSchema for SubjectText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Subject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(spiffe://|email:|dns:|cn:|sha256:).",
            "examples": ["spiffe://example.org/laptop-7", "cn:laptop-7", "email:ada@example.org"],
        })
    }
}

impl RawAdmin {
    pub(super) fn check(self, session: &Session) -> Admin {
        let tokens = check_tokens(session, self.tokens);
        let mut client_certificates: Vec<AdminCertificate> = Vec::new();
        for entry in self.client_certificates.items() {
            let (subject, role) = match entry.value {
                OrMapping::Short(subject) => (Some(subject), AdminRole::default()),
                OrMapping::Mapping(raw) => {
                    let subject = raw.subject.required(session, entry.node, "subject");
                    (subject.map(|subject| subject.value), raw.role.or_default())
                }
            };
            let Some(SubjectText(subject)) = subject else {
                continue;
            };
            if client_certificates.iter().any(|other| other.subject == subject) {
                session.error(entry.node, "this certificate name is listed twice");
            }
            client_certificates.push(AdminCertificate { subject, role });
        }
        let users = sign_in::check_users(session, self.users);
        let session = self.session.or_default().check(session);
        Admin { tokens, client_certificates, users, session }
    }
}

fn check_tokens(session: &Session, list: Field<Vec<Field<RawToken>>>) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    for raw in list.items() {
        let name = raw.value.name.required(session, raw.node, "name");
        let digest = raw.value.sha256.required(session, raw.node, "sha256");
        let (Some(name), Some(digest)) = (name, digest) else {
            continue;
        };
        if tokens.iter().any(|other| *other.name == *name.value.0) {
            session.error(name.node, "another token has the same name");
        }
        if tokens.iter().any(|other| other.digest == digest.value) {
            session.error(digest.node, "another token has the same digest");
        }
        if digest.value.matches("") {
            session.error(digest.node, "this is the digest of the empty text");
        }
        tokens.push(AdminToken {
            name: name.value.0.into(),
            digest: digest.value,
            email: raw.value.email.value().map(|email| email.0.into()),
            role: raw.value.role.or_default(),
        });
    }
    tokens
}
