//! Header fields that say who is asking: the client's are removed, ours are added.
//!
//! Removal happens before the proxy behind the gate sees the request, addition after its own filter ran, so that neither
//! a client nor a forgetful proxy decides what an upstream believes about identity.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;

use crate::id::IdentityId;
use crate::tls::VerifiedIdentity;

/// The fields' names as texts: a field that is put in under a static text needs no copy of it.
pub(super) mod names {
    pub(crate) const FORWARDED_CLIENT_CERT: &str = "x-forwarded-client-cert";
    pub(crate) const FORWARDED_FOR: &str = "x-forwarded-for";
    pub(crate) const FORWARDED_HOST: &str = "x-forwarded-host";
    pub(crate) const FORWARDED_PROTO: &str = "x-forwarded-proto";
    pub(crate) const POSTERN_IDENTITY: &str = "x-postern-identity";
    pub(crate) const REQUEST_ID: &str = "x-request-id";
}

/// The client's certificate, in Envoy's format.
pub const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static(names::FORWARDED_CLIENT_CERT);
/// The client's address.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static(names::FORWARDED_FOR);
/// The host the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static(names::FORWARDED_HOST);
/// The scheme the client used: always `https`.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static(names::FORWARDED_PROTO);
/// The id of the identity that was let through.
pub const X_POSTERN_IDENTITY: HeaderName = HeaderName::from_static(names::POSTERN_IDENTITY);
/// The id of the request, in requests to upstreams and in every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static(names::REQUEST_ID);

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
pub(super) fn strip_claims(request: &mut RequestHeader) {
    let claims: Vec<HeaderName> = request.headers.keys().filter(|name| names_identity(name)).cloned().collect();
    for name in &claims {
        request.remove_header(name);
    }
    if request.headers.contains_key(CONNECTION) {
        strip_nominated(request);
    }
}

fn names_identity(name: &HeaderName) -> bool {
    // Few fields begin like one of those, and telling so takes one look at each.
    let begins_like = |field: &str| match (name.as_str().as_bytes(), field.as_bytes()) {
        ([a, b, ..], [first, second, ..]) => a == first && (b == second || *b == b'_'),
        _ => false,
    };
    if !IDENTITY_FIELDS.iter().any(|field| begins_like(field)) {
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
fn strip_nominated(request: &mut RequestHeader) {
    let nominated: Vec<String> = request
        .headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(option.trim_ascii()).to_ascii_lowercase())
        .collect();
    let is_option = |name: &String| CONNECTION_OPTIONS.contains(&name.as_str());
    for name in nominated.iter().filter(|name| !is_option(name) && !FRAMING_FIELDS.contains(&name.as_str())) {
        request.remove_header(name.as_str());
    }
    let kept = nominated.iter().filter(|name| is_option(name)).cloned().collect::<Vec<_>>().join(", ");
    request.remove_header(&CONNECTION);
    if let Ok(kept) = HeaderValue::from_str(&kept)
        && !kept.is_empty()
    {
        set(request, "Connection", kept);
    }
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

impl Claims<'_> {
    /// Puts our fields in, in place of whatever is there under their names.
    pub(super) fn add_to(&self, request: &mut RequestHeader) {
        put(request, names::FORWARDED_CLIENT_CERT, self.connection.certificate.clone());
        put(request, names::FORWARDED_FOR, self.addresses());
        put(request, names::FORWARDED_HOST, self.authority.cloned());
        put(request, names::FORWARDED_PROTO, Some(HeaderValue::from_static("https")));
        if request.headers.get_all(X_REQUEST_ID).iter().ne([self.request_id]) {
            put(request, names::REQUEST_ID, Some(self.request_id.clone()));
        }
        put(request, names::POSTERN_IDENTITY, self.connection.identity(self.identity));
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
fn put(request: &mut RequestHeader, name: &'static str, value: Option<HeaderValue>) {
    match value {
        Some(value) => set(request, name, value),
        None => drop(request.remove_header(name)),
    }
}

pub(super) fn set(request: &mut RequestHeader, name: &'static str, value: HeaderValue) {
    // INVARIANT: inserting a value that is a `HeaderValue` already fails only at the map's limit of 32768 fields, and
    // requests with more than `REQUEST_FIELDS_MAX` never get here.
    let inserted = request.insert_header(name, value);
    debug_assert!(inserted.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            request.append_header((*name).to_owned(), *value).unwrap();
        }
        request
    }

    fn names(request: &RequestHeader) -> Vec<&str> {
        let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn claims_of_clients_are_removed_in_every_spelling() {
        let mut request = request(&[
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
        strip_claims(&mut request);
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
        let mut hops = request(&[
            ("Connection", "keep-alive, X-Postern-Identity"),
            ("Connection", "X-Hop, Host , Upgrade"),
            ("X-Hop", "1"),
            ("Host", "a"),
            ("Upgrade", "websocket"),
        ]);
        strip_claims(&mut hops);
        assert_eq!(hops.headers.get("connection").unwrap(), "keep-alive, upgrade");
        assert_eq!(hops.headers.get("host").unwrap(), "a");
        assert!(hops.headers.get("x-hop").is_none());
        assert_eq!(hops.headers.get_all("connection").iter().count(), 1);

        let mut only_hops = request(&[("Connection", "x-a"), ("x-a", "1")]);
        strip_claims(&mut only_hops);
        assert!(names(&only_hops).is_empty());
    }

    #[test]
    fn ours_replace_what_is_there() {
        let mut request = request(&[
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
        claims.add_to(&mut request);
        let field = |name: &str| request.headers.get_all(name).iter().collect::<Vec<_>>();
        assert!(field("x-forwarded-client-cert").is_empty());
        assert_eq!(field("x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(field("x-forwarded-host"), ["wiki.example:8443"]);
        assert_eq!(field("x-forwarded-proto"), ["https"]);
        assert_eq!(field("x-request-id"), ["r-1"]);
        assert_eq!(field("x-postern-identity"), ["zo%C3%AB%27s%20laptop"]);

        let other = "somebody else".into();
        Claims { identity: &other, ..claims }.add_to(&mut request);
        assert_eq!(request.headers.get("x-postern-identity").unwrap(), "somebody%20else");

        let claims = Claims { forwarded_for: Some("203.0.113.9, 10.0.0.1"), ..claims };
        let mut behind_a_proxy = self::request(&[]);
        claims.add_to(&mut behind_a_proxy);
        assert_eq!(behind_a_proxy.headers.get("x-forwarded-for").unwrap(), "203.0.113.9, 10.0.0.1, 192.0.2.7");
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
