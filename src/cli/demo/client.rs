//! The demo's own HTTP client: what somebody with a certificate, or a token, gets to see.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::people::{API_HOST, APP_HOST, VAULT_HOST};
use crate::limits;
use crate::tls::client::{ClientCertificateFiles, ClientConfigError, client_config};

/// Longest wait for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] ClientConfigError),
    /// The HTTP library refuses.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// What stands in a client's certificate, as files.
#[derive(Clone, Debug)]
pub(super) struct ClientFiles {
    pub(super) ca_file: PathBuf,
    /// Certificate and key; `None` comes without.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// Somebody who makes requests. Each request is a connection of its own, so that each is judged from the start.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    token: Option<Arc<str>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Nothing came back, and what is known about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

impl NoAnswer {
    /// There is no answer because of this.
    pub(super) fn because(reason: &impl ToString) -> Self {
        NoAnswer(reason.to_string())
    }
}

impl Client {
    /// A client that shows a certificate. Blocks.
    pub(super) fn new(files: &ClientFiles) -> Result<Self, ClientError> {
        Client::with_protocols(files, &[b"h2", b"http/1.1"])
    }

    /// A client that speaks HTTP/1.1 only, as WebSockets want it. Blocks.
    pub(super) fn http1(files: &ClientFiles) -> Result<Self, ClientError> {
        Client::with_protocols(files, &[b"http/1.1"])
    }

    /// The same client with a bearer token.
    pub(super) fn with_token(self, token: &str) -> Self {
        Client { token: Some(token.into()), ..self }
    }

    fn with_protocols(files: &ClientFiles, protocols: &[&[u8]]) -> Result<Self, ClientError> {
        let identity = files.identity.as_ref();
        let identity =
            identity.map(|(certificate_file, key_file)| ClientCertificateFiles { certificate_file, key_file });
        let mut tls = client_config(&files.ca_file, identity)?;
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(ANSWER_WAIT_MAX);
        // Not every resolver knows that `*.localhost` is here.
        for host in [API_HOST, APP_HOST, VAULT_HOST] {
            builder = builder.resolve(host, here);
        }
        Ok(Client { http: builder.build()?, token: None })
    }

    /// GET.
    pub(super) async fn get(&self, url: &Url) -> Result<Answer, NoAnswer> {
        read(self.request(Method::GET, url).send().await?).await
    }

    /// PUT of JSON.
    pub(super) async fn put(&self, url: &Url, body: String) -> Result<Answer, NoAnswer> {
        let request = self.request(Method::PUT, url).header("content-type", "application/json");
        read(request.body(body).send().await?).await
    }

    /// GET, with the answer to be read piece by piece.
    pub(super) async fn open(&self, url: &Url) -> Result<reqwest::Response, NoAnswer> {
        Ok(self.request(Method::GET, url).send().await?)
    }

    /// A request, to be completed.
    pub(super) fn request(&self, method: Method, url: &Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url.clone());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

impl Answer {
    /// The body as JSON; `null` when it is something else.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

async fn read(mut response: reqwest::Response) -> Result<Answer, NoAnswer> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limits::DEMO_ANSWER_BYTES_MAX {
            return Err(NoAnswer(format!("{status} with more than {} bytes", limits::DEMO_ANSWER_BYTES_MAX)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The last cause says what happened; those before it say only that a request failed.
impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return NoAnswer("no answer in time".to_owned());
        }
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        NoAnswer(cause.to_string())
    }
}
