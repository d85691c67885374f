//! Who may use the admin API: bearer tokens, known by their digest, and client certificates, known by their names.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{SHA256, digest};

use crate::clock::Timestamp;
use crate::config::{Admin as Access, AdminRole};
use crate::dialect::openziti::ErrorCode;
use crate::enforce::Connection;

use super::guessing::{Digest, Guessing};
use super::refusal::{Language, Refusal};

/// Who a request to the admin API comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) name: Arc<str>,
    pub(super) role: AdminRole,
}

impl Operator {
    /// The operator behind a request. A token that is sent must be right, whatever certificate comes with it.
    pub(super) fn of(
        access: &Access,
        guessing: &Guessing,
        headers: &HeaderMap,
        language: Language,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Operator, Refusal> {
        let Some(presented) = Presented::of(headers, language) else {
            return by_certificate(access, connection, now).ok_or(ErrorCode::Unauthorized.into());
        };
        let source = connection.peer().map(|peer| peer.ip());
        if let Some(remaining) = source.and_then(|source| guessing.locked_out(source, now)) {
            return Err(Refusal::locked_out(remaining));
        }
        by_token(access, presented).ok_or_else(|| {
            if let Some(source) = source {
                guessing.wrong(source, sha256(presented.token), now);
            }
            ErrorCode::Unauthorized.into()
        })
    }

    /// Lets through only who may change something.
    pub(super) fn must_be_admin(&self) -> Result<(), Refusal> {
        match self.role {
            AdminRole::Admin => Ok(()),
            AdminRole::ReadOnly => Err(ErrorCode::Unauthorized.into()),
        }
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
    found.map(|token| Operator { name: Arc::clone(&token.name), role: token.role })
}

fn by_certificate(access: &Access, connection: &Connection, now: Timestamp) -> Option<Operator> {
    let credential = connection.credential()?;
    credential.recheck(now).ok()?;
    let carried = credential.names();
    let known = access.client_certificates.iter().find(|known| carried.contains(&known.subject))?;
    Some(Operator { name: known.subject.to_string().into(), role: known.role })
}

/// A token as it was sent, with the e-mail address that came with it where one must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Presented<'a> {
    token: &'a [u8],
    email: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// The token of `Authorization: Bearer` or, as OpenZiti's clients send it, of `zt-session`.
    ///
    /// Cloudflare's clients may send `X-Auth-Email` with `X-Auth-Key`, which count before a bearer token, or
    /// `X-Auth-User-Service-Key`.
    fn of(headers: &'a HeaderMap, language: Language) -> Option<Self> {
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

fn sha256(bytes: &[u8]) -> Digest {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
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
