//! The agent's link to its gateway: mutual TLS with one party only, and the four questions an agent has.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::SharedClock;
use crate::config::AgentSettings;
use crate::dialect::native::Wanted;
use crate::dialect::native::evidence::{EvidenceProblem, NONCE_FIELD, SIGNATURE_FIELD, TIME_FIELD, statement};
use crate::limits;
use crate::tls::client::{ClientCertificateFiles, ClientConfigError, client_config};
use crate::tls::{DeviceSigner, MaterialError, SigningError};

/// Why there is no link, or nothing came over it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The certificate, its key or the CA cannot be used.
    #[error(transparent)]
    Tls(#[from] ClientConfigError),
    /// The same, when loaded for signing.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The report cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The gateway's address cannot be used.
    #[error("`{0}` is not an address such as https://gateway.example:8444")]
    Address(String),
    /// The HTTP library refuses.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[source] reqwest::Error),
    /// Nobody answered, or not in time, or not the gateway.
    #[error("the gateway at {gateway} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        gateway: String,
        /// What happened.
        reason: String,
    },
    /// Somebody answered with a redirect, which is not followed.
    #[error("the gateway at {0} answers with a redirect, which is not followed")]
    Redirect(String),
    /// The gateway refused.
    #[error("the gateway refuses: {status} {code}{detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The stable code.
        code: String,
        /// What more it says.
        detail: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Collecting ended by a defect.
    #[error("this device's facts could not be collected")]
    Collection,
    /// The answer cannot be read.
    #[error("the gateway's answer cannot be read: {0}")]
    Unreadable(String),
}

impl LinkError {
    /// How long the gateway asks to be left alone.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            LinkError::Refused { retry_after: Some(wait), .. } => *wait,
            _ => Duration::ZERO,
        }
    }

    /// Whether the signature was refused because its number no longer counts.
    fn is_stale_number(&self) -> bool {
        matches!(self, LinkError::Refused { detail, .. } if detail.contains(EvidenceProblem::Nonce.code()))
    }
}

/// A link to one gateway, as one device.
#[derive(Debug)]
pub(super) struct Link {
    http: reqwest::Client,
    base: Url,
    signer: DeviceSigner,
    clock: SharedClock,
    /// The number for the next signature, when there is one.
    number: Option<String>,
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// A number for a signature.
#[derive(Deserialize)]
struct Number {
    nonce: String,
}

impl Link {
    /// Reads certificate, key and CAs. Nothing is sent yet. Blocks.
    pub(super) fn open(settings: &AgentSettings, clock: SharedClock) -> Result<Self, LinkError> {
        let base = base_of(&settings.gateway)?;
        Ok(Link {
            http: http_client(settings)?,
            base,
            signer: DeviceSigner::load(&settings.cert_file, &settings.key_file)?,
            clock,
            number: None,
        })
    }

    /// Where the gateway is.
    pub(super) fn gateway(&self) -> &Url {
        &self.base
    }

    /// What the gateway wants to know.
    pub(super) async fn wanted(&self) -> Result<Wanted, LinkError> {
        let answer = self.ask(Method::GET, "posture/wanted", None, HeaderMap::new()).await?;
        Ok(read::<Envelope<Wanted>>(&answer.body)?.data)
    }

    /// How this device stands with its services.
    pub(super) async fn services(&self) -> Result<Value, LinkError> {
        let answer = self.ask(Method::GET, "services", None, HeaderMap::new()).await?;
        Ok(read::<Envelope<Value>>(&answer.body)?.data)
    }

    /// Signs a report and sends it. A number that does not count any more is replaced once.
    pub(super) async fn report(&mut self, report: &Map<String, Value>) -> Result<(), LinkError> {
        let body = serde_json::to_vec(report).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let kept = self.number.take();
        let was_kept = kept.is_some();
        let number = match kept {
            Some(number) => number,
            None => self.fresh_number().await?,
        };
        match self.send(&number, body.clone()).await {
            Err(error) if was_kept && error.is_stale_number() => {
                let number = self.fresh_number().await?;
                self.send(&number, body).await
            }
            answer => answer,
        }
    }

    async fn fresh_number(&self) -> Result<String, LinkError> {
        let answer = self.ask(Method::GET, "posture/nonce", None, HeaderMap::new()).await?;
        Ok(read::<Envelope<Number>>(&answer.body)?.data.nonce)
    }

    async fn send(&mut self, number: &str, body: Vec<u8>) -> Result<(), LinkError> {
        let time = self.clock.now().to_string();
        let signature = STANDARD.encode(self.signer.sign(&statement(number, &time, &body))?);
        let mut headers = HeaderMap::new();
        for (name, value) in [(NONCE_FIELD, number), (TIME_FIELD, &time), (SIGNATURE_FIELD, &signature)] {
            let value = value.parse().map_err(|_| LinkError::Unreadable(format!("{name} cannot be sent")))?;
            headers.insert(name, value);
        }
        let answer = self.ask(Method::PUT, "posture", Some(body), headers).await?;
        self.number = answer.number;
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: HeaderMap,
    ) -> Result<Answer, LinkError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.base.path().trim_end_matches('/')));
        let mut request = self.http.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.bounded(response).await?;
        if status.is_success() {
            let number = headers.get(NONCE_FIELD).and_then(|value| value.to_str().ok()).map(str::to_owned);
            return Ok(Answer { body, number });
        }
        if status.is_redirection() {
            return Err(LinkError::Redirect(self.base.to_string()));
        }
        Err(refused(status, &headers, &body))
    }

    async fn bounded(&self, mut response: reqwest::Response) -> Result<Vec<u8>, LinkError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len().saturating_add(chunk.len()) > limits::AGENT_ANSWER_BYTES_MAX {
                return Err(LinkError::Unreadable("it is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> LinkError {
        LinkError::Unreachable { gateway: self.base.to_string(), reason: reason(error) }
    }
}

/// What came back and went well.
struct Answer {
    body: Vec<u8>,
    number: Option<String>,
}

/// A client that believes servers of the agent's own CAs only, shows the device's certificate, and follows nobody elsewhere.
pub(super) fn http_client(settings: &AgentSettings) -> Result<reqwest::Client, LinkError> {
    let files = ClientCertificateFiles { certificate_file: &settings.cert_file, key_file: &settings.key_file };
    let tls = client_config(&settings.ca_file, Some(files))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(limits::AGENT_CONNECT_TIME_MAX)
        .timeout(limits::AGENT_CALL_TIME_MAX)
        .pool_max_idle_per_host(1)
        .build()
        .map_err(LinkError::Http)
}

fn base_of(address: &str) -> Result<Url, LinkError> {
    let refused = || LinkError::Address(address.to_owned());
    let url = Url::parse(address).map_err(|_| refused())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "https" && url.host().is_some() && plain { Ok(url) } else { Err(refused()) }
}

/// The last cause says what happened; those before it say only that a request failed.
pub(super) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let cause = cause.to_string();
    if cause.contains("UnknownIssuer") {
        return cause + "; no CA of `ca_file` vouches for who answers there";
    }
    if cause.contains("fatal alert") || cause.contains("connection closed") {
        return cause + "; perhaps this device's certificate is not believed there, or not any more";
    }
    cause
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> LinkError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let told = [text("/error/cause/field"), text("/error/cause/reason"), text("/error/cause/value")];
    let told: Vec<&str> = told.into_iter().filter(|text| !text.is_empty()).collect();
    let detail = match told.as_slice() {
        [] if status == StatusCode::UNAUTHORIZED => " (nobody is enrolled with this device's certificate)".to_owned(),
        [] => String::new(),
        told => format!(" ({})", printable(&told.join(" "))),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let code = printable(text("/error/code"));
    LinkError::Refused { status, code, detail, retry_after: retry_after.map(Duration::from_secs) }
}

/// What somebody else says, as it may be shown.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(limits::AGENT_EXCERPT_CHARS_MAX).collect()
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, LinkError> {
    serde_json::from_slice(body).map_err(|error| LinkError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_under_tls_are_used() {
        for good in ["https://gateway.example:8444", "https://[::1]:8444/", "https://gateway.example/under/"] {
            assert!(base_of(good).is_ok(), "{good}");
        }
        for bad in ["http://gateway.example", "gateway.example:8444", "https://", "https://me@gateway", "https://g/?q"]
        {
            assert!(base_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_code_and_without_control_characters() {
        let body = br#"{"error":{"code":"INVALID_EVIDENCE","cause":{"field":"evidence","reason":"is\u001b[31m","value":"evidence-nonce"}}}"#;
        let error = refused(StatusCode::BAD_REQUEST, &HeaderMap::new(), body);
        assert_eq!(
            error.to_string(),
            "the gateway refuses: 400 Bad Request INVALID_EVIDENCE (evidence is[31m evidence-nonce)"
        );
        assert!(error.is_stale_number());
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(refused(StatusCode::SERVICE_UNAVAILABLE, &headers, b"?").retry_after(), Duration::from_secs(7));
    }
}
