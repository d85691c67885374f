//! Which requests are too ambiguous to be judged.
//!
//! A gate that understands a request differently from the server behind it guards nothing. What two honest parsers could
//! read in two ways is refused here, before routing. Pure: bytes and header fields in, a [`Fault`] or a [`Target`] out.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::{Uri, Version};

use crate::limits::{REQUEST_FIELDS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_TARGET_BYTES_MAX};

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $detail:literal;)*) => {
        /// What is wrong with a request. Codes are stable and part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            /// Every fault, for metrics, tables and tests.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Fault::$variant => $code,)* }
            }

            /// One plain sentence.
            pub const fn detail(self) -> &'static str {
                match self { $(Fault::$variant => $detail,)* }
            }
        }
    };
}

faults! {
    /// Content-Length beside Transfer-Encoding.
    TwoFramings = "content-length-and-transfer-encoding",
        "The request carries both Content-Length and Transfer-Encoding.";
    /// Content-Length more than once, or a list of lengths.
    DuplicateContentLength = "duplicate-content-length", "The request carries more than one Content-Length.";
    /// Content-Length that is not a number.
    InvalidContentLength = "invalid-content-length", "The Content-Length is not a number.";
    /// Transfer-Encoding that is not exactly `chunked`.
    UnsupportedTransferEncoding = "unsupported-transfer-encoding",
        "The only transfer coding accepted is a single `chunked`.";
    /// A header field continued on the next line.
    ObsoleteLineFolding = "obsolete-line-folding", "A header field is folded over several lines.";
    /// CR without LF, LF without CR, or NUL in the head.
    BareControlCharacter = "bare-control-character", "The request head holds a stray control character.";
    /// No Host.
    MissingHost = "missing-host", "The request does not say which host it is for.";
    /// Host more than once.
    DuplicateHost = "duplicate-host", "The request carries more than one Host.";
    /// Host that is not a host name or address with an optional port.
    InvalidHost = "invalid-host", "The Host is not a host name or an address.";
    /// The target names one host and the Host field another.
    ConflictingHost = "conflicting-host", "The request names two different hosts.";
    /// A target of the wrong form.
    InvalidTarget = "invalid-request-target", "The request target cannot be used.";
    /// A path that names different resources depending on who decodes it.
    AmbiguousPath = "ambiguous-path", "The path can be read in more than one way.";
    /// Too many header fields.
    TooManyFields = "too-many-header-fields", "The request carries too many header fields.";
    /// A head that is too large.
    HeadTooLarge = "request-head-too-large", "The request head is too large.";
    /// A target that is too long.
    TargetTooLong = "request-target-too-long", "The request target is too long.";
}

/// How large a request's head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadBounds {
    /// Bytes of the whole head.
    pub head_bytes: usize,
    /// Header fields.
    pub fields: usize,
    /// Bytes of the target: path and query.
    pub target_bytes: usize,
}

impl Default for HeadBounds {
    /// As large as can be configured.
    fn default() -> Self {
        HeadBounds {
            head_bytes: REQUEST_HEAD_BYTES_MAX,
            fields: REQUEST_FIELDS_MAX,
            target_bytes: REQUEST_TARGET_BYTES_MAX,
        }
    }
}

/// What a request is for, as routing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The host as the client wrote it, port included.
    pub authority: &'a str,
    /// The host without port and trailing dot; letter case as the client wrote it.
    pub host: &'a str,
    /// The path as the client wrote it.
    pub path: &'a str,
}

/// Looks at the raw head of an HTTP/1 request: what a parser normalises is gone afterwards.
pub fn inspect_head(head: &[u8], bounds: HeadBounds) -> Result<(), Fault> {
    if head.len() > bounds.head_bytes {
        return Err(Fault::HeadTooLarge);
    }
    let mut framing = Framing::default();
    // Every line ends in CR and LF. Where there are as many of the one as of the other, none stands alone.
    let mut line_ends = 0;
    let mut rest = 0;
    for end in memchr::memchr_iter(b'\n', head) {
        let Some(line) = head.get(rest..end).and_then(|line| line.strip_suffix(b"\r")) else {
            return Err(Fault::BareControlCharacter);
        };
        if rest > 0 {
            framing.see(line)?;
        }
        line_ends += 1;
        rest = end + 1;
    }
    let returns = memchr::memchr_iter(b'\r', head).count();
    if rest < head.len() || returns != line_ends || memchr::memchr(b'\0', head).is_some() {
        return Err(Fault::BareControlCharacter);
    }
    framing.judge()
}

/// How the head says where the body ends.
#[derive(Default)]
struct Framing {
    content_lengths: usize,
    transfer_encodings: usize,
}

impl Framing {
    fn see(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            Some(b' ' | b'\t') => return Err(Fault::ObsoleteLineFolding),
            // A field that begins like one of those that matter, after whatever a lenient parser would pass over.
            Some(b'c' | b'C' | b't' | b'T') => {}
            Some(byte) if byte.is_ascii_whitespace() => {}
            _ => return Ok(()),
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes()) {
            self.content_lengths += 1;
        } else if name.eq_ignore_ascii_case(TRANSFER_ENCODING.as_str().as_bytes()) {
            self.transfer_encodings += 1;
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), Fault> {
        match (self.content_lengths, self.transfer_encodings) {
            (0, 0 | 1) | (1, 0) => Ok(()),
            (0, _) => Err(Fault::UnsupportedTransferEncoding),
            (_, 0) => Err(Fault::DuplicateContentLength),
            (_, _) => Err(Fault::TwoFramings),
        }
    }
}

/// Looks at the parsed header fields of a request of any version.
pub fn inspect_fields(headers: &HeaderMap, version: Version, bounds: HeadBounds) -> Result<(), Fault> {
    if headers.len() > bounds.fields {
        return Err(Fault::TooManyFields);
    }
    let mut size = 0;
    let (mut coding, mut length) = (Single::Absent, Single::Absent);
    for (name, value) in headers {
        size += name.as_str().len() + value.len() + 4;
        if *name == CONTENT_LENGTH {
            length = length.and(value.as_bytes());
        } else if *name == TRANSFER_ENCODING {
            coding = coding.and(value.as_bytes());
        }
    }
    if size > bounds.head_bytes {
        return Err(Fault::HeadTooLarge);
    }
    match coding {
        Single::Absent => {}
        Single::Here(coding) if version == Version::HTTP_11 && coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            if !matches!(length, Single::Absent) {
                return Err(Fault::TwoFramings);
            }
        }
        Single::Here(_) | Single::Repeated => return Err(Fault::UnsupportedTransferEncoding),
    }
    match length {
        Single::Repeated => Err(Fault::DuplicateContentLength),
        Single::Here(length) if length.contains(&b',') => Err(Fault::DuplicateContentLength),
        Single::Here(length) if length.is_empty() || !length.iter().all(u8::is_ascii_digit) => {
            Err(Fault::InvalidContentLength)
        }
        Single::Here(_) | Single::Absent => Ok(()),
    }
}

/// The value of a field that may occur once.
enum Single<'a> {
    Absent,
    Here(&'a [u8]),
    Repeated,
}

impl<'a> Single<'a> {
    fn and(self, value: &'a [u8]) -> Self {
        match self {
            Single::Absent => Single::Here(value),
            Single::Here(_) | Single::Repeated => Single::Repeated,
        }
    }
}

/// What the request is for.
pub fn target<'a>(uri: &'a Uri, headers: &'a HeaderMap, bounds: HeadBounds) -> Result<Target<'a>, Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    let field = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::DuplicateHost);
    }
    let field = field.map(|host| std::str::from_utf8(host.as_bytes()).map_err(|_| Fault::InvalidHost)).transpose()?;
    let named = uri.authority().map(http::uri::Authority::as_str);
    let authority = match (named, field) {
        (Some(named), Some(field)) if !named.eq_ignore_ascii_case(field) => return Err(Fault::ConflictingHost),
        (Some(named), _) => named,
        (None, Some(field)) => field,
        (None, None) => return Err(Fault::MissingHost),
    };
    if authority.is_empty() {
        return Err(Fault::MissingHost);
    }
    if uri.scheme().is_some_and(|scheme| *scheme != http::uri::Scheme::HTTP && *scheme != http::uri::Scheme::HTTPS) {
        return Err(Fault::InvalidTarget);
    }
    let path = uri.path();
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > bounds.target_bytes) {
        return Err(Fault::TargetTooLong);
    }
    if !path.starts_with('/') && path != "*" {
        return Err(Fault::InvalidTarget);
    }
    Ok(Target { authority, host: host_of(authority).ok_or(Fault::InvalidHost)?, path })
}

/// The host of an authority: no user, no port, no trailing dot.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (authority.strip_suffix(after)?, after)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, authority.strip_prefix(host).filter(|_| !port.contains(':'))?),
            None => (authority, ""),
        },
    };
    if !port.is_empty() && !port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    (!host.is_empty() && host.bytes().all(allowed)).then_some(host)
}

/// The path as a server that decodes, merges slashes and drops parameters would see it.
///
/// Borrowed when that is the path itself. Whoever routes compares both readings: where they lead to different services
/// the request is [`Fault::AmbiguousPath`]. Dot segments, in any disguise, are always that.
pub fn decoded_path(path: &str) -> Result<Cow<'_, str>, Fault> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = Cow::<str>::Owned(flatten(path));
    if decoded.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Fault::AmbiguousPath);
    }
    if decoded.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Fault::AmbiguousPath);
    }
    Ok(decoded)
}

/// Whether a path has nothing in it that anybody could read differently; one look at each byte.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    for byte in path.bytes() {
        match (before, byte) {
            (_, b'%' | b'\\' | b';' | 0..=0x1f | 0x7f) | (b'/', b'/' | b'.') => return false,
            _ => before = byte,
        }
    }
    !path.starts_with('.')
}

fn flatten(path: &str) -> String {
    let decoded = String::from_utf8_lossy(&percent_decode(path.as_bytes())).replace('\\', "/");
    let mut flat = String::with_capacity(decoded.len());
    for segment in decoded.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        if !name.is_empty() {
            flat.push('/');
            flat.push_str(name);
        }
    }
    if flat.is_empty() || decoded.ends_with('/') {
        flat.push('/');
    }
    flat
}

/// One round of percent-decoding; what does not decode stays as it is.
fn percent_decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first_chunk::<2>()) {
            (b'%', Some((digits, beyond))) => match hex_pair(*digits) {
                Some(value) => {
                    decoded.push(value);
                    rest = beyond;
                }
                None => decoded.push(b'%'),
            },
            (byte, _) => decoded.push(*byte),
        }
    }
    decoded
}

fn hex_pair([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANY: HeadBounds = HeadBounds {
        head_bytes: REQUEST_HEAD_BYTES_MAX,
        fields: REQUEST_FIELDS_MAX,
        target_bytes: REQUEST_TARGET_BYTES_MAX,
    };

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn fields(fields: &[(&'static str, &str)]) -> Result<(), Fault> {
        inspect_fields(&headers(fields), Version::HTTP_11, ANY)
    }

    #[test]
    fn codes_are_distinct_kebab_case() {
        let mut codes: Vec<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }

    #[test]
    fn the_raw_head_shows_what_a_parser_would_hide() {
        let head = |fields: &str| inspect_head(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), ANY);
        assert_eq!(head(""), Ok(()));
        assert_eq!(head("Content-Length: 3\r\n"), Ok(()));
        assert_eq!(head("Transfer-Encoding: chunked\r\n"), Ok(()));
        assert_eq!(head("Content-Length: 3\r\ntransfer-encoding: chunked\r\n"), Err(Fault::TwoFramings));
        assert_eq!(head("Content-Length: 3\r\nCONTENT-LENGTH: 3\r\n"), Err(Fault::DuplicateContentLength));
        assert_eq!(
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
            Err(Fault::UnsupportedTransferEncoding)
        );
        assert_eq!(head("X: a\r\n b\r\n"), Err(Fault::ObsoleteLineFolding));
        assert_eq!(head("X: a\r\n\tb\r\n"), Err(Fault::ObsoleteLineFolding));
        assert_eq!(head("X: a\nY: b\r\n"), Err(Fault::BareControlCharacter));
        assert_eq!(head("X: a\rY: b\r\n"), Err(Fault::BareControlCharacter));
        assert_eq!(inspect_head(&[b'a'; REQUEST_HEAD_BYTES_MAX + 1], ANY), Err(Fault::HeadTooLarge));
    }

    #[test]
    fn bounds_hold_to_the_byte() {
        let head = b"GET /abc HTTP/1.1\r\nhost: a\r\n\r\n";
        let uri = "/abc?d".parse().unwrap();
        let given = headers(&[("host", "a"), ("x", "bc")]);
        let inspect = |bounds: HeadBounds| {
            inspect_head(head, bounds)?;
            inspect_fields(&given, Version::HTTP_2, bounds)?;
            target(&uri, &given, bounds).map(drop)
        };
        let just = HeadBounds { head_bytes: head.len(), fields: 2, target_bytes: 6 };
        assert_eq!(inspect(just), Ok(()));
        assert_eq!(inspect(HeadBounds { head_bytes: head.len() - 1, ..just }), Err(Fault::HeadTooLarge));
        assert_eq!(inspect(HeadBounds { fields: 1, ..just }), Err(Fault::TooManyFields));
        assert_eq!(inspect(HeadBounds { target_bytes: 5, ..just }), Err(Fault::TargetTooLong));
        let of_fields = HeadBounds { head_bytes: 15, ..just };
        assert_eq!(inspect_fields(&given, Version::HTTP_2, of_fields), Err(Fault::HeadTooLarge));
    }

    #[test]
    fn framing_fields_must_be_single_and_plain() {
        assert_eq!(fields(&[("content-length", "0")]), Ok(()));
        assert_eq!(fields(&[("content-length", "5, 5")]), Err(Fault::DuplicateContentLength));
        assert_eq!(fields(&[("content-length", "5"), ("content-length", "5")]), Err(Fault::DuplicateContentLength));
        assert_eq!(fields(&[("content-length", "+5")]), Err(Fault::InvalidContentLength));
        assert_eq!(fields(&[("content-length", "")]), Err(Fault::InvalidContentLength));
        assert_eq!(fields(&[("transfer-encoding", "gzip, chunked")]), Err(Fault::UnsupportedTransferEncoding));
        assert_eq!(fields(&[("transfer-encoding", "chunked"), ("content-length", "1")]), Err(Fault::TwoFramings));
        let http10 = inspect_fields(&headers(&[("transfer-encoding", "chunked")]), Version::HTTP_10, ANY);
        assert_eq!(http10, Err(Fault::UnsupportedTransferEncoding));
    }

    #[test]
    fn too_much_is_refused() {
        let many: HeaderMap = (0..=REQUEST_FIELDS_MAX)
            .map(|number| (format!("x-{number}").parse().unwrap(), http::HeaderValue::from_static("")))
            .collect::<HeaderMap>();
        assert_eq!(inspect_fields(&many, Version::HTTP_2, ANY), Err(Fault::TooManyFields));
        let long = "a".repeat(REQUEST_HEAD_BYTES_MAX);
        assert_eq!(fields(&[("x", &long)]), Err(Fault::HeadTooLarge));
        let uri: Uri = format!("/{}", "a".repeat(REQUEST_TARGET_BYTES_MAX)).parse().unwrap();
        assert_eq!(target(&uri, &headers(&[("host", "a")]), ANY), Err(Fault::TargetTooLong));
    }

    #[test]
    fn the_host_comes_from_one_place() {
        let of = |uri: &str, hosts: &[(&'static str, &str)]| {
            let uri: Uri = uri.parse().unwrap();
            target(&uri, &headers(hosts), ANY).map(|target| (target.host.to_owned(), target.path.to_owned()))
        };
        let ok = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        assert_eq!(of("/p?q", &[("host", "wiki.example:8443")]), ok("wiki.example", "/p"));
        assert_eq!(of("/", &[("host", "wiki.example.")]), ok("wiki.example", "/"));
        assert_eq!(of("/", &[("host", "[::1]:8443")]), ok("[::1]", "/"));
        assert_eq!(of("https://wiki.example/p", &[]), ok("wiki.example", "/p"));
        assert_eq!(of("https://wiki.example/p", &[("host", "WIKI.example")]), ok("wiki.example", "/p"));
        assert_eq!(of("https://a.example/", &[("host", "b.example")]), Err(Fault::ConflictingHost));
        assert_eq!(of("/", &[]), Err(Fault::MissingHost));
        assert_eq!(of("/", &[("host", "")]), Err(Fault::MissingHost));
        assert_eq!(of("/", &[("host", "a"), ("host", "a")]), Err(Fault::DuplicateHost));
        for bad in ["a b", "user@a", "a,b", "a/b", "a:b", "a:1:2", "[::1", "[x]", ".", "a:80x"] {
            assert_eq!(of("/", &[("host", bad)]), Err(Fault::InvalidHost), "{bad}");
        }
        assert_eq!(of("ftp://a/", &[]), Err(Fault::InvalidTarget));
    }

    #[test]
    fn a_path_has_one_reading_or_none() {
        let read = |path| decoded_path(path).map(Cow::into_owned);
        assert_eq!(read("/a/b/"), Ok("/a/b/".to_owned()));
        assert_eq!(read("/%61dmin"), Ok("/admin".to_owned()));
        assert_eq!(read("//admin///x"), Ok("/admin/x".to_owned()));
        assert_eq!(read("/a%2Fb\\c"), Ok("/a/b/c".to_owned()));
        assert_eq!(read("/admin;v=1/x;y"), Ok("/admin/x".to_owned()));
        assert_eq!(read("/100%"), Ok("/100%".to_owned()));
        assert_eq!(read("/"), Ok("/".to_owned()));
        for bad in ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/a/..;x/b", "/a/..%2fb", "/a\\..\\b", "/..", "/a%00b", "/%0d"]
        {
            assert_eq!(read(bad), Err(Fault::AmbiguousPath), "{bad}");
        }
        assert_eq!(read("/a..b/...c"), Ok("/a..b/...c".to_owned()));
    }

    proptest! {
        #[test]
        fn no_input_is_too_strange(head: Vec<u8>, path in "/[ -~]{0,40}", host in "[ -~]{0,20}") {
            let _ = inspect_head(&head, ANY);
            let _ = decoded_path(&path);
            let _ = host_of(&host);
        }

        #[test]
        fn a_flat_path_stays_flat(path in "(/[a-z0-9._~-]{1,8}){1,5}") {
            if let Ok(read) = decoded_path(&path) {
                prop_assert_eq!(&read, &path);
                prop_assert_eq!(flatten(&path), path);
            }
        }
    }
}
