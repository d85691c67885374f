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
use super::refusal::Refusal;

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
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Operator, Refusal> {
        let Some(token) = presented_token(headers) else {
            return by_certificate(access, connection, now).ok_or(ErrorCode::Unauthorized.into());
        };
        let source = connection.peer().map(|peer| peer.ip());
        if let Some(remaining) = source.and_then(|source| guessing.locked_out(source, now)) {
            return Err(Refusal::locked_out(remaining));
        }
        by_token(access, token).ok_or_else(|| {
            if let Some(source) = source {
                guessing.wrong(source, sha256(token), now);
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
fn by_token(access: &Access, presented: &[u8]) -> Option<Operator> {
    let presented = std::str::from_utf8(presented).ok()?;
    let mut found = None;
    for token in &access.tokens {
        if token.digest.matches(presented) {
            found = Some(token);
        }
    }
    found.map(|token| Operator { name: Arc::clone(&token.name), role: token.role })
}

fn by_certificate(access: &Access, connection: &Connection, now: Timestamp) -> Option<Operator> {
    let credential = connection.credential()?;
    credential.recheck(now).ok()?;
    let carried = credential.names();
    let known = access.client_certificates.iter().find(|known| carried.contains(&known.subject))?;
    Some(Operator { name: known.subject.to_string().into(), role: known.role })
}

/// The token of `Authorization: Bearer` or, as OpenZiti's clients send it, of `zt-session`.
fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
    });
    let session = || headers.get("zt-session").map(|value| value.as_bytes().trim_ascii());
    bearer.or_else(session).filter(|token| !token.is_empty())
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
        let access = Access { tokens: vec![token], client_certificates: Vec::new() };
        let known = by_token(&access, b"secret").unwrap();
        assert_eq!((&*known.name, known.role), ("ops", AdminRole::ReadOnly));
        assert!(known.must_be_admin().is_err());
        assert_eq!(by_token(&access, b"Secret"), None);
        assert_eq!(by_token(&access, b"\xff"), None);
    }
}
