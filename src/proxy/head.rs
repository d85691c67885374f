//! Changing the fields of a head, at the price of how their names were spelled.
//!
//! For HTTP/1.1 Pingora keeps every name twice, once as it was spelled, and reads it anew at each change: a field costs 1,850
//! instructions, and a gate that puts in six would spend more on that than on everything else it does. No recipient may care
//! how a name is spelled (RFC 9110 section 5.1), and HTTP/2 knows small letters only, so the spelling is given up: from then on
//! names are small, but for a dozen well-known ones that Pingora writes in capitals by itself.

use std::mem;

use http::{HeaderMap, Request, Response, Uri};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

/// Changes the fields of a request; everything else stays as it is, whatever comes of the change.
///
/// # Errors
///
/// What the change fails with, and a target that Pingora will not take a second time.
pub(super) fn change_request(
    head: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<()>,
) -> Result<()> {
    let target = (head.raw_path() != kept(&head.uri)).then(|| head.raw_path().to_vec());
    let send_end_stream = head.send_end_stream();
    let nothing = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = http::request::Parts::from(mem::replace(head, nothing));
    let changed = change(&mut parts.headers);
    *head = RequestHeader::from(parts);
    if let Some(send_end_stream) = send_end_stream {
        head.set_send_end_stream(send_end_stream);
    }
    if let Some(target) = target {
        head.set_raw_path(&target)?;
    }
    changed
}

/// The target as far as a URI keeps it; other forms Pingora keeps beside.
fn kept(uri: &Uri) -> &[u8] {
    let origin = uri.path_and_query().map(|target| target.as_str().as_bytes());
    origin.or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes())).unwrap_or_default()
}

/// Changes the fields of a response; everything else stays as it is, whatever comes of the change.
///
/// # Errors
///
/// What the change fails with.
pub(super) fn change_response(
    head: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<()>,
) -> Result<()> {
    let phrase = head.get_reason_phrase();
    let phrase = (phrase != head.status.canonical_reason()).then(|| phrase.map(str::to_owned)).flatten();
    let nothing = ResponseHeader::from(Response::new(()).into_parts().0);
    let mut parts = http::response::Parts::from(mem::replace(head, nothing));
    let changed = change(&mut parts.headers);
    *head = ResponseHeader::from(parts);
    if phrase.is_some() {
        head.set_reason_phrase(phrase.as_deref())?;
    }
    changed
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Version};
    use proptest::prelude::*;

    use super::*;

    const FIELD: HeaderName = HeaderName::from_static("x-field");

    fn put(fields: &mut HeaderMap) -> Result<()> {
        fields.insert(FIELD, HeaderValue::from_static("new"));
        Ok(())
    }

    fn wire(head: &RequestHeader) -> String {
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        String::from_utf8(wire).unwrap()
    }

    #[test]
    fn values_stay_and_names_are_small() {
        let mut head = RequestHeader::build("PUT", b"/a?b", None).unwrap();
        head.insert_header("X-FIELD", "old").unwrap();
        head.insert_header("HOST", "a.example").unwrap();
        head.append_header("X-Many", "1").unwrap();
        head.append_header("x-many", "2").unwrap();
        change_request(&mut head, put).unwrap();
        assert_eq!(wire(&head), "x-field: new\r\nHost: a.example\r\nx-many: 1\r\nx-many: 2\r\n");
        assert_eq!((head.method.as_str(), head.raw_path()), ("PUT", &b"/a?b"[..]));
    }

    #[test]
    fn how_an_empty_request_ends_stays() {
        for ends in [true, false] {
            let mut head = RequestHeader::build_no_case("GET", b"/", None).unwrap();
            head.set_version(Version::HTTP_2);
            head.set_send_end_stream(ends);
            change_request(&mut head, put).unwrap();
            assert_eq!((head.version, head.send_end_stream()), (Version::HTTP_2, Some(ends)));
        }
    }

    #[test]
    fn a_change_that_fails_takes_nothing_with_it() {
        let mut head = RequestHeader::build("GET", b"/a", None).unwrap();
        head.insert_header("x-field", "old").unwrap();
        let failed = change_request(&mut head, |_| pingora::Error::e_explain(pingora::InvalidHTTPHeader, "no"));
        assert!(failed.is_err());
        assert_eq!((wire(&head).as_str(), head.raw_path()), ("x-field: old\r\n", &b"/a"[..]));
    }

    #[test]
    fn a_response_keeps_its_phrase() {
        for (set, told) in [(None, "Not Found"), (Some("Gone Fishing"), "Gone Fishing")] {
            let mut head = ResponseHeader::build(404, None).unwrap();
            head.set_reason_phrase(set).unwrap();
            head.insert_header("X-Other", "1").unwrap();
            change_response(&mut head, put).unwrap();
            assert_eq!((head.status.as_u16(), head.get_reason_phrase()), (404, Some(told)));
            assert_eq!((head.headers.len(), &head.headers["x-other"]), (2, &HeaderValue::from_static("1")));
        }
    }

    proptest! {
        #[test]
        fn every_target_goes_on_as_it_came(
            target in prop_oneof![
                "/[!-~]{0,20}",
                Just("*".to_owned()),
                "https?://[a-z]{1,8}(:[0-9]{1,4})?(/[a-z%?&]{0,10})?",
                "[a-z]{1,8}:[0-9]{1,4}",
                "[!-~]{1,20}",
            ],
            tail in prop::collection::vec(0x21_u8.., 0..4),
            method in prop_oneof![Just("GET"), Just("CONNECT")],
        ) {
            let target = [target.as_bytes(), &tail].concat();
            let Ok(mut head) = RequestHeader::build(method, &target, None) else { return Ok(()) };
            let before = (head.uri.clone(), head.raw_path().to_vec(), head.raw_path_is_utf8());
            change_request(&mut head, put).unwrap();
            prop_assert_eq!((head.uri.clone(), head.raw_path().to_vec(), head.raw_path_is_utf8()), before);
        }
    }
}
