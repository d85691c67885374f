//! Header fields that say who is asking: the client's are removed, ours are added.
//!
//! Removal happens before the proxy behind the gate sees the request, addition after its own filter ran, so that neither
//! a client nor a forgetful proxy decides what an upstream believes about identity.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};
use pingora::{InvalidHTTPHeader, OrErr, Result};

use crate::id::IdentityId;
use crate::tls::VerifiedIdentity;

/// The client's certificate, in Envoy's format.
pub const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// The client's address.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The host the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The scheme the client used: always `https`.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The id of the identity that was let through.
pub const X_POSTERN_IDENTITY: HeaderName = HeaderName::from_static("x-postern-identity");
/// The id of the request, in requests to upstreams and in every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields by which servers are told who asks, from where, or for what; a client's own are never passed on.
///
/// A trailing `-` stands for every name that begins so. Names are compared with `_` read as `-`, because servers that
/// put fields into environment variables cannot tell the two apart.
pub const IDENTITY_FIELDS: &[&str] = &[
    "cf-connecting-ip",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "remote-addr",
    "remote-user",
    "ssl-client-",
    "true-client-ip",
    "x-auth-request-",
    "x-authenticated-",
    "x-client-cert",
    "x-client-dn",
    "x-client-ip",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-envoy-",
    "x-forwarded",
    "x-forwarded-",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-postern-",
    "x-real-ip",
    "x-remote-",
    "x-rewrite-url",
    "x-ssl-",
    "x-webauth-",
];

/// What `Connection` may name and keep: everything else it names is between the client and us.
const CONNECTION_OPTIONS: &[&str] = &["close", "keep-alive", "upgrade"];

/// What `Connection` may not take away.
const FRAMING_FIELDS: &[&str] = &["content-length", "host", "transfer-encoding"];

/// Removes every field by which a client could claim an identity, and what its `Connection` field names.
pub(super) fn strip_claims(fields: &mut HeaderMap) -> Result<()> {
    let claims: Vec<HeaderName> = fields.keys().filter(|name| names_identity(name)).cloned().collect();
    for name in &claims {
        fields.remove(name);
    }
    if fields.contains_key(CONNECTION) { strip_nominated(fields) } else { Ok(()) }
}

/// How identity fields begin: for each first letter, a bit for each second letter.
#[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled, which would fail")]
const BEGINNINGS: [u32; 26] = {
    let (mut beginnings, mut place) = ([0; 26], 0);
    while place < IDENTITY_FIELDS.len() {
        let (first, rest) = letter(IDENTITY_FIELDS[place].as_bytes());
        let (second, _) = letter(rest);
        beginnings[first] |= 1 << second;
        place += 1;
    }
    beginnings
};

/// The number of a name's first letter; 26 for everything else that names have. And the rest.
const fn letter(name: &[u8]) -> (usize, &[u8]) {
    match name {
        [first @ b'a'..=b'z', rest @ ..] => ((*first - b'a') as usize, rest),
        [_, rest @ ..] => (26, rest),
        [] => (26, name),
    }
}

fn names_identity(name: &HeaderName) -> bool {
    // Few fields begin like one of those, which the first two letters tell.
    let (first, rest) = letter(name.as_str().as_bytes());
    let (second, _) = letter(rest);
    if BEGINNINGS.get(first).is_none_or(|seconds| seconds & 1 << second == 0) {
        return false;
    }
    let underscored = name.as_str().contains('_').then(|| name.as_str().replace('_', "-"));
    let name = underscored.as_deref().unwrap_or(name.as_str());
    IDENTITY_FIELDS.iter().any(|field| match field.strip_suffix('-') {
        Some(_) => name.starts_with(field),
        None => name == *field,
    })
}

/// Acts on `Connection` as the recipient it is meant for (RFC 9110 section 7.6.1), so that nothing behind the gate does.
fn strip_nominated(fields: &mut HeaderMap) -> Result<()> {
    let nominated: Vec<String> = fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(option.trim_ascii()).to_ascii_lowercase())
        .collect();
    let is_option = |name: &String| CONNECTION_OPTIONS.contains(&name.as_str());
    for name in nominated.iter().filter(|name| !is_option(name) && !FRAMING_FIELDS.contains(&name.as_str())) {
        fields.remove(name.as_str());
    }
    let kept = nominated.iter().filter(|name| is_option(name)).cloned().collect::<Vec<_>>().join(", ");
    put(fields, CONNECTION, HeaderValue::from_str(&kept).ok().filter(|kept| !kept.is_empty()))
}

/// Which parts of the client's certificate upstreams are told, in `X-Forwarded-Client-Cert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedCertificate {
    /// `By`: a URI that names this gateway.
    pub by: Option<String>,
    /// `Hash`: the SHA-256 fingerprint.
    pub hash: bool,
    /// `Cert`: the whole certificate.
    pub cert: bool,
    /// `Chain`: the certificates as the client sent them.
    pub chain: bool,
    /// `Subject`: the distinguished name.
    pub subject: bool,
    /// `URI`: every URI among the alternative names.
    pub uri: bool,
    /// `DNS`: every DNS name among the alternative names.
    pub dns: bool,
}

impl Default for ForwardedCertificate {
    /// Fingerprint and names, not the certificate itself.
    fn default() -> Self {
        ForwardedCertificate { by: None, hash: true, cert: false, chain: false, subject: true, uri: true, dns: true }
    }
}

impl ForwardedCertificate {
    /// The field's value for a certificate, as Envoy writes it.
    pub fn describe(&self, identity: &VerifiedIdentity) -> String {
        let mut value = Elements::default();
        if let Some(by) = &self.by {
            value.add("By", by);
        }
        if self.hash {
            value.add("Hash", identity.fingerprint());
        }
        if self.cert {
            value.add_encoded("Cert", &identity.leaf_pem());
        }
        if self.chain {
            value.add_encoded("Chain", &identity.chain_pem());
        }
        if self.subject {
            value.add_quoted("Subject", identity.subject());
        }
        if self.uri {
            identity.uris().iter().for_each(|uri| value.add("URI", uri));
        }
        if self.dns {
            identity.dns_names().iter().for_each(|name| value.add("DNS", name));
        }
        value.0
    }
}

/// `Key=value` pairs joined by semicolons.
#[derive(Default)]
struct Elements(String);

impl Elements {
    fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.push_str(key);
        self.0.push('=');
    }

    fn add(&mut self, key: &str, value: &str) {
        if value.contains([',', ';', '=', '"']) {
            return self.add_quoted(key, value);
        }
        self.key(key);
        self.0.push_str(&ascii(value));
    }

    fn add_quoted(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push('"');
        self.0.push_str(&ascii(value).replace('"', "\\\""));
        self.0.push('"');
    }

    fn add_encoded(&mut self, key: &str, pem: &str) {
        self.key(key);
        self.0.push('"');
        self.0.push_str(&percent_encode(pem));
        self.0.push('"');
    }
}

/// Visible ASCII; every other byte as the hexadecimal escape of distinguished names (RFC 4514).
fn ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' => escaped.push(char::from(byte)),
            other => {
                let _ = write!(escaped, "\\{other:02X}");
            }
        }
    }
    escaped
}

/// Everything but unreserved characters as `%XX`.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

/// What upstreams are told about a connection; made once for each.
#[derive(Debug, Default)]
pub(super) struct ConnectionClaims {
    certificate: Option<HeaderValue>,
    address: Option<HeaderValue>,
    /// Whose connection it was found to be first, which hardly ever changes, and how upstreams are told.
    identity: OnceLock<(IdentityId, Option<HeaderValue>)>,
}

impl ConnectionClaims {
    /// Of somebody without a certificate.
    pub(super) fn anonymous(peer: Option<SocketAddr>) -> Self {
        ConnectionClaims { address: address_value(peer), ..ConnectionClaims::default() }
    }

    pub(super) fn new(
        rule: Option<&ForwardedCertificate>,
        identity: &VerifiedIdentity,
        peer: Option<SocketAddr>,
    ) -> Self {
        let certificate = rule.map(|rule| rule.describe(identity)).filter(|value| !value.is_empty());
        ConnectionClaims {
            certificate: certificate.and_then(|value| HeaderValue::try_from(value).ok()),
            address: address_value(peer),
            identity: OnceLock::new(),
        }
    }

    fn identity(&self, identity: &IdentityId) -> Option<HeaderValue> {
        let (known, value) = self.identity.get_or_init(|| (identity.clone(), identity_value(identity.as_str())));
        if known == identity { value.clone() } else { identity_value(identity.as_str()) }
    }
}

fn address_value(peer: Option<SocketAddr>) -> Option<HeaderValue> {
    peer.and_then(|peer| HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok())
}

/// The addresses a trusted proxy has seen, in one line.
pub(super) fn forwarded_for(headers: &HeaderMap) -> Option<String> {
    let seen: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    (!seen.is_empty()).then(|| seen.join(", "))
}

/// What an upstream is told about one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'a> {
    pub(super) connection: &'a ConnectionClaims,
    pub(super) identity: &'a IdentityId,
    /// Addresses seen by trusted proxies before us.
    pub(super) forwarded_for: Option<&'a str>,
    pub(super) authority: Option<&'a HeaderValue>,
    pub(super) request_id: &'a HeaderValue,
}

/// How many fields there are of ours.
const CLAIMS: usize = 6;

impl Claims<'_> {
    /// Puts our fields in, in place of whatever is there under their names.
    ///
    /// # Errors
    ///
    /// When there are too many fields; what then is there must not be sent.
    pub(super) fn add_to(&self, fields: &mut HeaderMap) -> Result<()> {
        // Made once instead of twice; where it is too much, putting them in says so.
        let _ = fields.try_reserve(CLAIMS);
        put(fields, X_FORWARDED_CLIENT_CERT, self.connection.certificate.clone())?;
        put(fields, X_FORWARDED_FOR, self.addresses())?;
        put(fields, X_FORWARDED_HOST, self.authority.cloned())?;
        put(fields, X_FORWARDED_PROTO, Some(HeaderValue::from_static("https")))?;
        put(fields, X_REQUEST_ID, Some(self.request_id.clone()))?;
        put(fields, X_POSTERN_IDENTITY, self.connection.identity(self.identity))
    }
}

impl Claims<'_> {
    /// Every address on the way, the client's own last.
    fn addresses(&self) -> Option<HeaderValue> {
        let own = self.connection.address.as_ref()?;
        match (self.forwarded_for, own.to_str()) {
            (Some(before), Ok(own)) => HeaderValue::try_from(format!("{before}, {own}")).ok(),
            _ => Some(own.clone()),
        }
    }
}

/// An identity's id as a field value; ids that are not visible ASCII are percent-encoded.
fn identity_value(identity: &str) -> Option<HeaderValue> {
    if identity.bytes().all(|byte| byte.is_ascii_graphic()) {
        HeaderValue::from_str(identity).ok()
    } else {
        HeaderValue::try_from(percent_encode(identity)).ok()
    }
}

/// Sets a field, or removes it where there is nothing to say: an absent claim must not leave somebody else's standing.
///
/// # Errors
///
/// At a head's limit of 32,768 fields.
pub(super) fn put(fields: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) -> Result<()> {
    match value {
        Some(value) => drop(fields.try_insert(name, value).or_err(InvalidHTTPHeader, "too many fields")?),
        None => drop(fields.remove(name)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn names(fields: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn claims_of_clients_are_removed_in_every_spelling() {
        let mut request = fields(&[
            ("X-Forwarded-Client-Cert", "Hash=00"),
            ("X_Forwarded_Client_Cert", "Hash=00"),
            ("x_forwarded-for", "1.2.3.4"),
            ("X-Forwarded-Whatever", "x"),
            ("x-postern-identity", "root"),
            ("X-Postern-Anything", "x"),
            ("Forwarded", "for=1.2.3.4"),
            ("X-Real-IP", "1.2.3.4"),
            ("SSL_CLIENT_S_DN", "CN=root"),
            ("X-Original-URL", "/admin"),
            ("Accept", "*/*"),
            ("X-Forward", "kept"),
        ]);
        strip_claims(&mut request).unwrap();
        assert_eq!(names(&request), ["accept", "x-forward"]);
    }

    #[test]
    fn every_identity_field_is_noticed() {
        for field in IDENTITY_FIELDS {
            let name = if field.ends_with('-') { format!("{field}x") } else { (*field).to_owned() };
            assert!(names_identity(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn connection_takes_nothing_away_that_it_should_not() {
        let mut hops = fields(&[
            ("Connection", "keep-alive, X-Postern-Identity"),
            ("Connection", "X-Hop, Host , Upgrade"),
            ("X-Hop", "1"),
            ("Host", "a"),
            ("Upgrade", "websocket"),
        ]);
        strip_claims(&mut hops).unwrap();
        assert_eq!(hops.get("connection").unwrap(), "keep-alive, upgrade");
        assert_eq!(hops.get("host").unwrap(), "a");
        assert!(hops.get("x-hop").is_none());
        assert_eq!(hops.get_all("connection").iter().count(), 1);

        let mut only_hops = fields(&[("Connection", "x-a"), ("x-a", "1")]);
        strip_claims(&mut only_hops).unwrap();
        assert!(names(&only_hops).is_empty());
    }

    #[test]
    fn ours_replace_what_is_there() {
        let mut request = fields(&[
            ("X-Forwarded-Client-Cert", "Hash=forged"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Postern-Identity", "root"),
            ("X-Postern-Identity", "root"),
        ]);
        let address = Some(HeaderValue::from_static("192.0.2.7"));
        let connection = ConnectionClaims { address, ..ConnectionClaims::default() };
        let claims = Claims {
            connection: &connection,
            identity: &"zoë's laptop".into(),
            forwarded_for: None,
            authority: Some(&HeaderValue::from_static("wiki.example:8443")),
            request_id: &HeaderValue::from_static("r-1"),
        };
        claims.add_to(&mut request).unwrap();
        let field = |name: &str| request.get_all(name).iter().collect::<Vec<_>>();
        assert!(field("x-forwarded-client-cert").is_empty());
        assert_eq!(field("x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(field("x-forwarded-host"), ["wiki.example:8443"]);
        assert_eq!(field("x-forwarded-proto"), ["https"]);
        assert_eq!(field("x-request-id"), ["r-1"]);
        assert_eq!(field("x-postern-identity"), ["zo%C3%AB%27s%20laptop"]);

        let other = "somebody else".into();
        Claims { identity: &other, ..claims }.add_to(&mut request).unwrap();
        assert_eq!(request.get("x-postern-identity").unwrap(), "somebody%20else");

        let claims = Claims { forwarded_for: Some("203.0.113.9, 10.0.0.1"), ..claims };
        let mut behind_a_proxy = fields(&[]);
        claims.add_to(&mut behind_a_proxy).unwrap();
        assert_eq!(behind_a_proxy.get("x-forwarded-for").unwrap(), "203.0.113.9, 10.0.0.1, 192.0.2.7");
    }

    #[test]
    fn elements_are_quoted_and_escaped_as_envoy_does() {
        let mut value = Elements::default();
        value.add("Hash", "00ff");
        value.add_quoted("Subject", "CN=a \"b\"\\, c,O=Zoë");
        value.add("URI", "spiffe://a/b");
        value.add("URI", "urn:a;b=c");
        value.add_encoded("Cert", "-----BEGIN\n+/=");
        assert_eq!(
            value.0,
            "Hash=00ff;Subject=\"CN=a \\\"b\\\"\\, c,O=Zo\\C3\\AB\";URI=spiffe://a/b;URI=\"urn:a;b=c\";\
             Cert=\"-----BEGIN%0A%2B%2F%3D\""
        );
    }
}
