//! The id by which one request is found again in logs, in the failure history and in its answer.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::headers::X_REQUEST_ID;
use crate::clock::Timestamp;
use crate::limits::CLIENT_REQUEST_ID_BYTES_MAX;

/// A request's id: visible ASCII without anything that would need quoting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A fresh UUID version 7: sorted by time, unguessable in the rest.
    pub fn generate(now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1000).unwrap_or(0).saturating_mul(1_000_000);
        let time = uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos);
        let mut text = Uuid::encode_buffer();
        RequestId((&*Uuid::new_v7(time).hyphenated().encode_lower(&mut text)).into())
    }

    /// The id a client sent, if it is one that can be passed around safely.
    pub fn from_client(headers: &HeaderMap) -> Option<Self> {
        let mut ids = headers.get_all(X_REQUEST_ID).iter();
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return None;
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        let id = id.to_str().ok()?;
        let fits = (1..=CLIENT_REQUEST_ID_BYTES_MAX).contains(&id.len());
        (fits && id.bytes().all(plain)).then(|| RequestId(id.into()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id's text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id as a header field value.
    pub fn to_header_value(&self) -> HeaderValue {
        // INVARIANT: both constructors let visible ASCII through only, so the fallback is never used.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("invalid"))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
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
