//! Who may use the admin API: bearer tokens, known by their digest, client certificates, known by their names, and users.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{SHA256, digest};

use crate::clock::Timestamp;
use crate::config::{Admin as Access, AdminRole};
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Author, Connection, Credential};

use super::edge::RequestId;
use super::language::Language;
use super::refusal::Refusal;

/// Who a request to the admin API comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) name: Arc<str>,
    pub(super) role: AdminRole,
    pub(super) means: Means,
    pub(super) origin: Origin,
}

/// Where a request comes from, for the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    source_address: Option<SocketAddr>,
    request_id: Option<Arc<str>>,
}

impl Origin {
    /// As the listener and the edge left it with the request.
    pub(super) fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        Origin {
            source_address: extensions.get::<Arc<Connection>>().and_then(|connection| connection.peer()),
            request_id: extensions.get::<RequestId>().map(|id| Arc::clone(&id.0)),
        }
    }
}

/// What an operator is known by in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// A token.
    Token,
    /// A client certificate.
    Certificate,
    /// A user name and its password.
    Password,
}

/// Bytes of the digest in an operator's id.
const OPERATOR_ID_BYTES: usize = 16;

impl Operator {
    fn new(name: &Arc<str>, role: AdminRole, means: Means) -> Self {
        Operator { name: Arc::clone(name), role, means, origin: Origin::default() }
    }

    /// The operator of a token.
    pub(super) fn of_token(access: &Access, presented: Presented<'_>) -> Option<Operator> {
        by_token(access, presented)
    }

    /// The operator whose certificate this is, trusted now.
    pub(super) fn of_credential(access: &Access, credential: &dyn Credential, now: Timestamp) -> Option<Operator> {
        credential.recheck(now).ok()?;
        let carried = credential.names();
        let known = access.client_certificates.iter().find(|known| carried.contains(&known.subject))?;
        Some(Operator::new(&known.subject.to_string().into(), known.role, Means::Certificate))
    }

    /// The operator with a user name, who has shown the password before.
    pub(super) fn of_user(access: &Access, name: &str) -> Option<Operator> {
        let known = access.users.iter().find(|user| *user.name == *name)?;
        Some(Operator::new(&known.name, known.role, Means::Password))
    }

    /// An id that stays the same as long as the configuration names the operator so.
    pub(super) fn id(&self) -> String {
        let means = match self.means {
            Means::Token => "token",
            Means::Certificate => "certificate",
            Means::Password => "user",
        };
        let digest = digest(&SHA256, format!("{means}:{}", self.name).as_bytes());
        digest.as_ref().iter().take(OPERATOR_ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the operator may change something.
    pub(super) fn may_write(&self) -> bool {
        match self.role {
            AdminRole::Admin => true,
            AdminRole::ReadOnly => false,
        }
    }

    /// The operator as the audit trail names them.
    pub(super) fn author(&self) -> Author {
        let Origin { source_address, request_id } = self.origin.clone();
        Author { name: Arc::clone(&self.name), source_address, request_id }
    }

    /// Lets through only who may change something.
    pub(super) fn must_be_admin(&self) -> Result<(), Refusal> {
        if self.may_write() { Ok(()) } else { Err(ErrorCode::Unauthorized.into()) }
    }
}

/// Compares with every token and each in constant time, so that the time of the answer tells nothing.
fn by_token(access: &Access, presented: Presented<'_>) -> Option<Operator> {
    let text = std::str::from_utf8(presented.token).ok()?;
    let mut found = None;
    for token in &access.tokens {
        if token.digest.matches(text) {
            found = Some(token);
        }
    }
    let found = found.filter(|token| match (presented.email, &token.email) {
        (None, _) => true,
        (Some(given), Some(own)) => given.eq_ignore_ascii_case(own.as_bytes()),
        (Some(given), None) => !given.is_empty(),
    });
    found.map(|token| Operator::new(&token.name, token.role, Means::Token))
}

/// A token as it was sent, with the e-mail address that came with it where one must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    pub(super) token: &'a [u8],
    pub(super) email: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// The token of `Authorization: Bearer` or, as OpenZiti's clients send it, of `zt-session`.
    ///
    /// Cloudflare's clients may send `X-Auth-Email` with `X-Auth-Key`, which count before a bearer token, or
    /// `X-Auth-User-Service-Key`.
    pub(super) fn of(headers: &'a HeaderMap, language: Language) -> Option<Self> {
        let header =
            |name: &str| headers.get(name).map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty());
        let bearer = || {
            let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
        };
        let alone = |token| Presented { token, email: None };
        match language {
            Language::OpenZiti => bearer().or_else(|| header("zt-session")).map(alone),
            Language::Cloudflare => {
                let email = header("x-auth-email").unwrap_or_default();
                let keyed = header("x-auth-key").map(|token| Presented { token, email: Some(email) });
                keyed.or_else(|| bearer().or_else(|| header("x-auth-user-service-key")).map(alone))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminToken;

    /// SHA-256 of `secret`.
    const SECRET_SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
        Presented::of(headers, Language::OpenZiti).map(|presented| presented.token)
    }

    #[test]
    fn tokens_are_read_from_either_header() {
        for (name, value) in
            [("authorization", "Bearer secret"), ("authorization", "bearer  secret "), ("zt-session", "secret")]
        {
            assert_eq!(presented_token(&headers(name, value)), Some(&b"secret"[..]), "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Basic c2VjcmV0"),
            ("authorization", "Bearer "),
            ("authorization", "B"),
            ("zt-session", ""),
        ] {
            assert_eq!(presented_token(&headers(name, value)), None, "{name}: {value}");
        }
    }

    #[test]
    fn a_token_is_known_by_its_digest_only() {
        let token = AdminToken {
            name: "ops".into(),
            digest: serde_json::from_value(SECRET_SHA256.into()).unwrap(),
            email: None,
            role: AdminRole::ReadOnly,
        };
        let access = Access { tokens: vec![token], ..Access::default() };
        let by_token = |token| by_token(&access, Presented { token, email: None });
        let known = by_token(b"secret").unwrap();
        assert_eq!((&*known.name, known.role), ("ops", AdminRole::ReadOnly));
        assert!(known.must_be_admin().is_err());
        assert_eq!(by_token(b"Secret"), None);
        assert_eq!(by_token(b"\xff"), None);
    }

    #[test]
    fn a_key_comes_with_the_address_it_belongs_to() {
        let token = |email: Option<&str>| AdminToken {
            name: "ops".into(),
            digest: serde_json::from_value(SECRET_SHA256.into()).unwrap(),
            role: AdminRole::Admin,
            email: email.map(Into::into),
        };
        let known = |own: Option<&str>, fields: &[(&'static str, &str)]| {
            let headers =
                fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            let access = Access { tokens: vec![token(own)], ..Access::default() };
            Presented::of(&headers, Language::Cloudflare)
                .is_some_and(|presented| by_token(&access, presented).is_some())
        };
        let (key, email) = (("x-auth-key", "secret"), ("x-auth-email", "Ada@example.org"));
        assert!(known(None, &[key, email]));
        assert!(known(Some("ada@example.org"), &[key, email]));
        assert!(!known(Some("bob@example.org"), &[key, email]));
        assert!(!known(None, &[key]), "a key without an address");
        assert!(known(Some("bob@example.org"), &[("x-auth-user-service-key", "secret")]));
        assert!(known(Some("bob@example.org"), &[("authorization", "Bearer secret")]));
        assert!(
            !known(None, &[("x-auth-key", "wrong"), email, ("authorization", "Bearer secret")]),
            "key and address win"
        );
    }
}
