//! The id by which one request is found again in logs, in the failure history and in its answer.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::headers::X_REQUEST_ID;
use crate::clock::Timestamp;
use crate::limits::CLIENT_REQUEST_ID_BYTES_MAX;

/// A request's id: visible ASCII without anything that would need quoting.
///
/// Cheap to clone, and a field's value as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// A fresh UUID version 7: sorted by time, unguessable in the rest.
    pub fn generate(now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &unguessable()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        // Owned bytes are shared without another allocation by those who clone them.
        RequestId::of(HeaderValue::from_maybe_shared(Bytes::from_owner(text)).ok())
    }

    fn of(plain: Option<HeaderValue>) -> Self {
        // INVARIANT: both constructors let visible ASCII through only, so the fallback is never used.
        RequestId(plain.unwrap_or(HeaderValue::from_static("invalid")))
    }

    /// The id a client sent, if it is one that can be passed around safely.
    pub fn from_client(headers: &HeaderMap) -> Option<Self> {
        let mut ids = headers.get_all(X_REQUEST_ID).iter();
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return None;
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        let fits = (1..=CLIENT_REQUEST_ID_BYTES_MAX).contains(&id.len());
        (fits && id.as_bytes().iter().copied().all(plain)).then(|| RequestId(id.clone()))
    }

    /// The id of a request that has one.
    pub(super) fn known(id: &Arc<str>) -> Self {
        RequestId::of(HeaderValue::from_str(id).ok())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id's text, to be kept.
    pub fn shared(&self) -> Arc<str> {
        self.as_str().into()
    }

    /// The id as a header field value.
    pub fn to_header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Random bytes of an id.
const RANDOM_BYTES: usize = 10;
/// Ids for which randomness is fetched at once: asking the system costs more than all the rest of an id.
const IDS_AT_ONCE: usize = 100;

/// Random bytes that were fetched, and how many of them are used up.
struct Fetched {
    bytes: [u8; RANDOM_BYTES * IDS_AT_ONCE],
    used: usize,
}

thread_local! {
    static FETCHED: RefCell<Fetched> =
        const { RefCell::new(Fetched { bytes: [0; RANDOM_BYTES * IDS_AT_ONCE], used: RANDOM_BYTES * IDS_AT_ONCE }) };
}

/// Bytes of the system's generator that nobody else gets.
fn unguessable() -> [u8; RANDOM_BYTES] {
    FETCHED.with_borrow_mut(Fetched::take).unwrap_or_else(|| {
        // The generator failed; this asks again, and insists.
        let [.., a, b, c, d, e, f, g, h, i, j] = Uuid::new_v4().into_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    })
}

impl Fetched {
    fn take(&mut self) -> Option<[u8; RANDOM_BYTES]> {
        if self.used == self.bytes.len() {
            SystemRandom::new().fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let taken = self.bytes.get(self.used..)?.first_chunk().copied()?;
        self.used += RANDOM_BYTES;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_tells_its_time() {
        let id = RequestId::generate(Timestamp::from_millis(1_767_323_045_678));
        let uuid = Uuid::parse_str(id.as_str()).unwrap();
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_timestamp().unwrap().to_unix(), (1_767_323_045, 678_000_000));
        assert_ne!(id, RequestId::generate(Timestamp::from_millis(1_767_323_045_678)));
    }

    #[test]
    fn ids_never_come_twice_however_many_are_made() {
        let made = 5 * IDS_AT_ONCE;
        let ids: std::collections::HashSet<_> =
            (0..made).map(|_| RequestId::generate(Timestamp::from_millis(0)).to_string()).collect();
        assert_eq!(ids.len(), made);
    }

    #[test]
    fn only_plain_ids_of_clients_are_kept() {
        let from = |ids: &[&str]| {
            let headers: HeaderMap = ids.iter().map(|id| (X_REQUEST_ID, id.parse().unwrap())).collect();
            RequestId::from_client(&headers).map(|id| id.to_string())
        };
        assert_eq!(from(&["trace_1.a:B-2"]), Some("trace_1.a:B-2".to_owned()));
        assert_eq!(from(&[]), None);
        assert_eq!(from(&[""]), None);
        assert_eq!(from(&["a", "b"]), None);
        assert_eq!(from(&["a b"]), None);
        assert_eq!(from(&["<script>"]), None);
        assert_eq!(from(&[&"a".repeat(CLIENT_REQUEST_ID_BYTES_MAX + 1)]), None);
    }
}
