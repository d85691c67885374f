//! The CAs a client of this gateway should know, for clients that ask before they believe anything.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;

use crate::tls::{ReloadableResolver, TrustStore, pkcs7};

/// Where the CAs come from, as they are at the moment of asking.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// The certificates the listener shows; the CAs that issued them count, where their files hold those.
    pub shown: Arc<ReloadableResolver>,
    /// The CAs that vouch for clients.
    pub clients: Arc<TrustStore>,
}

impl Authorities {
    /// Answers without credentials, in base64 on one line as OpenZiti's clients read it.
    pub(super) fn show(&self) -> Response {
        let mut certificates = self.shown.issuers();
        certificates.extend_from_slice(self.clients.current().authorities());
        let body = STANDARD.encode(pkcs7::certificates_only(&certificates));
        let headers = [(CONTENT_TYPE.as_str(), "application/pkcs7-mime"), ("content-transfer-encoding", "base64")];
        (headers, body).into_response()
    }
}
