//! What vendors say of devices, as far as it travels over the wire: asking, and when to ask again.
//!
//! One file for each vendor's protocol. Nothing here knows who is asked about or what comes of the answer: the caller
//! chooses the devices, keeps the scores and decides how long they hold. A vendor may be anybody: every answer is read
//! up to a bound, and what it says about devices that were not asked for is not heard.
//!
//! Credentials leave this room in one header of one request, to the address the operator gave. They are in no error, no
//! log line and no `Debug`.

mod connectors;
pub mod custom;
mod retry;

pub use connectors::Connectors;
pub use retry::Backoff;

use crate::limits::PROVIDER_IDLE_TIME_MAX;

/// The HTTP client to ask vendors with, one for all of them. It believes the servers that `tls` believes.
///
/// It follows no redirect and uses no proxy from the environment: either would carry the credentials somewhere that the
/// operator did not name.
pub fn http_client(mut tls: rustls::ClientConfig) -> Result<reqwest::Client, ClientError> {
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_idle_timeout(PROVIDER_IDLE_TIME_MAX)
        .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(ClientError)
}

/// An HTTP client that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the HTTP client for posture providers: {0}")]
pub struct ClientError(#[source] reqwest::Error);
