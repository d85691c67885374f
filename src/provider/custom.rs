//! The protocol of custom providers: one POST with the devices, one answer with their scores.
//!
//! What is spoken is the language of Cloudflare's custom service-to-service integrations, so a provider that serves
//! those serves this gateway. The caller shows an Access service token in two headers.

mod answer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::limits::{
    PROVIDER_ANSWER_BYTES_MAX, PROVIDER_CALL_TIME_MAX, PROVIDER_CREDENTIAL_BYTES_MAX, PROVIDER_DEVICES_PER_CALL_MAX,
    PROVIDER_EXCERPT_CHARS_MAX, PROVIDER_URL_BYTES_MAX,
};
use crate::policy::integration::Integration;
use crate::secret::Secret;

pub use answer::{Answer, Ignored, IgnoredReason, Score};

const CLIENT_ID: HeaderName = HeaderName::from_static("cf-access-client-id");
const CLIENT_SECRET: HeaderName = HeaderName::from_static("cf-access-client-secret");
/// What stands in an excerpt where the provider repeated the secret.
const REDACTED: &str = "[redacted]";

/// Whom to ask, and what to show them.
#[derive(Clone, Debug)]
pub struct Target {
    api_url: Url,
    client_id: HeaderValue,
    /// Marked as sensitive, so that neither `Debug` nor header compression keeps it; overwritten when the last copy goes.
    client_secret: HeaderValue,
}

/// A provider that cannot be asked as it was described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address.
    #[error("`api_url` is not an absolute URL with a host, such as `https://posture.example/check`")]
    NotAUrl,
    /// An address past its bound.
    #[error("`api_url` is longer than {PROVIDER_URL_BYTES_MAX} bytes")]
    UrlTooLong,
    /// The secret would travel in the clear.
    #[error(
        "`api_url` does not begin with `https://`; only a loopback address, such as 127.0.0.1, is asked over plain http"
    )]
    NotHttps,
    /// A user name or password in the address, where logs and answers would show it.
    #[error("`api_url` holds credentials; they go into `access_client_id` and `access_client_secret`")]
    CredentialsInUrl,
    /// An id that does not fit into a header.
    #[error("`access_client_id` is empty, too long, or holds blanks or letters beyond ASCII")]
    UnusableClientId,
    /// A secret that does not fit into a header.
    #[error("`access_client_secret` is empty, too long, or holds blanks or letters beyond ASCII")]
    UnusableClientSecret,
}

/// A device as a provider is told of it. What is not known stays blank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KnownDevice {
    /// The id by which the answer names it.
    pub device_id: String,
    /// The address of whoever uses it.
    pub email: String,
    /// Its serial number.
    pub serial_number: String,
    /// Its hardware address, such as `74:1d:3e:23:e0:fe`.
    pub mac_address: String,
    /// Its address inside the private network.
    pub virtual_ipv4: String,
    /// Its name.
    pub hostname: String,
}

/// Why there are no scores. Holds nothing of the credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PollError {
    /// More devices than one request may carry; nothing was sent.
    #[error("{devices} devices are more than the {PROVIDER_DEVICES_PER_CALL_MAX} of one request")]
    TooManyDevices {
        /// How many there were.
        devices: usize,
    },
    /// No answer, or not the whole of it, in time.
    #[error("the provider did not answer within {}", humantime::format_duration(*.within))]
    Timeout {
        /// How long it was waited for.
        within: Duration,
    },
    /// No connection, or none that can be trusted.
    #[error("the provider cannot be reached: {}", last_cause(.source))]
    Unreachable {
        /// What the HTTP client said.
        source: Arc<reqwest::Error>,
    },
    /// The connection broke in the middle of the answer.
    #[error("the provider's answer broke off: {}", last_cause(.source))]
    Interrupted {
        /// What the HTTP client said.
        source: Arc<reqwest::Error>,
    },
    /// An answer other than 200; redirects are among them.
    #[error("the provider answered {status}{}", .said.as_ref().map(|said| format!(": `{said}`")).unwrap_or_default())]
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body's `error` text, when there is one.
        said: Option<String>,
    },
    /// An answer past its bound.
    #[error("the provider's answer is longer than {PROVIDER_ANSWER_BYTES_MAX} bytes")]
    AnswerTooLarge,
    /// A body that is not `{"result": {…}}`. What it says instead may be anything, so only the place is kept.
    #[error("the provider's answer is not JSON of the form `{{\"result\":{{…}}}}` (line {line}, column {column})")]
    AnswerUnreadable {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl PollError {
    /// The stable label of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            PollError::TooManyDevices { .. } => "provider-devices-too-many",
            PollError::Timeout { .. } => "provider-timeout",
            PollError::Unreachable { .. } => "provider-unreachable",
            PollError::Interrupted { .. } => "provider-answer-interrupted",
            PollError::Status { .. } => "provider-status",
            PollError::AnswerTooLarge => "provider-answer-too-large",
            PollError::AnswerUnreadable { .. } => "provider-answer-unreadable",
        }
    }
}

impl TargetError {
    /// The member of an integration's configuration that is wrong.
    pub fn member(self) -> &'static str {
        match self {
            TargetError::NotAUrl | TargetError::UrlTooLong | TargetError::NotHttps | TargetError::CredentialsInUrl => {
                "api_url"
            }
            TargetError::UnusableClientId => "access_client_id",
            TargetError::UnusableClientSecret => Target::SECRET,
        }
    }
}

impl Target {
    /// The member of an integration's configuration that is its secret.
    pub const SECRET: &str = "access_client_secret";

    /// The provider that an integration is a connection to, with its secret in clear.
    pub fn of(integration: &Integration, secret: Secret) -> Result<Target, TargetError> {
        let member = |name: &str| integration.config.get(name).map_or("", |value| value);
        Target::parse(member("api_url"), member("access_client_id"), secret)
    }

    /// A provider at `api_url` that knows this gateway by an Access service token.
    pub fn parse(api_url: &str, access_client_id: &str, access_client_secret: Secret) -> Result<Target, TargetError> {
        let api_url = parse_url(api_url)?;
        let client_id = Some(access_client_id).filter(|id| is_credential(id));
        let client_id = client_id.and_then(|id| HeaderValue::from_str(id).ok()).ok_or(TargetError::UnusableClientId)?;
        let client_secret = Some(access_client_secret).filter(|secret| is_credential(secret.expose()));
        let client_secret = client_secret.map(|secret| Bytes::from_owner(InHeader(secret)));
        let mut client_secret = client_secret
            .and_then(|bytes| HeaderValue::from_maybe_shared(bytes).ok())
            .ok_or(TargetError::UnusableClientSecret)?;
        client_secret.set_sensitive(true);
        Ok(Target { api_url, client_id, client_secret })
    }

    /// Where the provider is asked.
    pub fn api_url(&self) -> &str {
        self.api_url.as_str()
    }
}

/// Asks the provider for the scores of `devices`, at most [`PROVIDER_DEVICES_PER_CALL_MAX`] of them; more are asked for
/// in several requests. Takes at most [`PROVIDER_CALL_TIME_MAX`].
///
/// `client` must follow no redirects and use no proxy that the operator did not choose; [`super::http_client`] makes
/// one.
pub async fn ask(client: &reqwest::Client, target: &Target, devices: &[KnownDevice]) -> Result<Answer, PollError> {
    ask_within(client, target, devices, PROVIDER_CALL_TIME_MAX).await
}

/// As [`ask`], with less patience.
pub async fn ask_within(
    client: &reqwest::Client,
    target: &Target,
    devices: &[KnownDevice],
    patience: Duration,
) -> Result<Answer, PollError> {
    if devices.len() > PROVIDER_DEVICES_PER_CALL_MAX {
        return Err(PollError::TooManyDevices { devices: devices.len() });
    }
    let patience = patience.min(PROVIDER_CALL_TIME_MAX);
    let request = client
        .post(target.api_url.clone())
        .timeout(patience)
        .header(CLIENT_ID, target.client_id.clone())
        .header(CLIENT_SECRET, target.client_secret.clone())
        .json(&Question { devices });
    let mut response = request.send().await.map_err(|error| match error.is_timeout() {
        true => PollError::Timeout { within: patience },
        false => PollError::Unreachable { source: Arc::new(error.without_url()) },
    })?;
    let status = response.status();
    let body = read(&mut response, patience).await;
    if status != StatusCode::OK {
        // The status counts, whatever became of the body.
        let said = body.ok().and_then(|body| excerpt(&body, target));
        return Err(PollError::Status { status: status.as_u16(), said });
    }
    answer::read(&body?, devices)
}

#[derive(Serialize)]
struct Question<'a> {
    devices: &'a [KnownDevice],
}

/// Lends a secret's text to a header value without a copy that would stay in memory.
struct InHeader(Secret);

impl AsRef<[u8]> for InHeader {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

fn parse_url(text: &str) -> Result<Url, TargetError> {
    if text.len() > PROVIDER_URL_BYTES_MAX {
        return Err(TargetError::UrlTooLong);
    }
    let url = Url::parse(text).map_err(|_| TargetError::NotAUrl)?;
    let host = url.host_str().ok_or(TargetError::NotAUrl)?;
    // A name, even `localhost`, is for the resolver to say; an address is what it is.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err(TargetError::NotHttps),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::CredentialsInUrl);
    }
    Ok(url)
}

fn is_credential(text: &str) -> bool {
    !text.is_empty() && text.len() <= PROVIDER_CREDENTIAL_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The body, up to the bound.
async fn read(response: &mut reqwest::Response, patience: Duration) -> Result<Vec<u8>, PollError> {
    let mut body = Vec::new();
    let broken_off = |error: reqwest::Error| match error.is_timeout() {
        true => PollError::Timeout { within: patience },
        false => PollError::Interrupted { source: Arc::new(error.without_url()) },
    };
    while let Some(chunk) = response.chunk().await.map_err(broken_off)? {
        if body.len().saturating_add(chunk.len()) > PROVIDER_ANSWER_BYTES_MAX {
            return Err(PollError::AnswerTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The beginning of the body's `error` text, without the secret if the provider repeats that, and without line breaks.
fn excerpt(body: &[u8], target: &Target) -> Option<String> {
    #[derive(Deserialize)]
    struct Failure {
        error: String,
    }
    let said = serde_json::from_slice::<Failure>(body).ok()?.error;
    let secret = target.client_secret.to_str().ok()?;
    let said = said.replace(secret, REDACTED).replace(char::is_control, " ");
    let said: String = said.trim().chars().take(PROVIDER_EXCERPT_CHARS_MAX).collect();
    Some(said).filter(|said| !said.is_empty())
}

/// The last cause says what happened; those before it say only that a request failed.
fn last_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, TargetError> {
        Target::parse(url, "id.access", Secret::new("hunter2".to_owned()))
    }

    #[test]
    fn the_secret_does_not_travel_in_the_clear() {
        for url in [
            "https://posture.example/check",
            "https://posture.example:8443/",
            "https://10.0.0.7",
            "http://127.0.0.1:8787/",
            "http://127.9.9.9",
            "http://[::1]:8787/check",
        ] {
            assert!(target(url).is_ok(), "{url}");
        }
        for (url, expected) in [
            ("http://posture.example/check", TargetError::NotHttps),
            ("http://localhost:8787/", TargetError::NotHttps),
            ("http://10.0.0.7/", TargetError::NotHttps),
            ("http://127.0.0.1.example/", TargetError::NotHttps),
            ("http://[::2]/", TargetError::NotHttps),
            ("ftp://127.0.0.1/", TargetError::NotHttps),
            ("https://ada@posture.example/", TargetError::CredentialsInUrl),
            ("https://ada:hunter2@posture.example/", TargetError::CredentialsInUrl),
            ("https://:hunter2@posture.example/", TargetError::CredentialsInUrl),
            ("https://", TargetError::NotAUrl),
            ("https:///", TargetError::NotAUrl),
            ("data:text/plain,x", TargetError::NotAUrl),
            ("posture.example/check", TargetError::NotAUrl),
            ("/check", TargetError::NotAUrl),
            ("", TargetError::NotAUrl),
        ] {
            assert_eq!(target(url).unwrap_err(), expected, "{url}");
        }
        let long = format!("https://posture.example/{}", "x".repeat(PROVIDER_URL_BYTES_MAX));
        assert_eq!(target(&long).unwrap_err(), TargetError::UrlTooLong);
    }

    #[test]
    fn credentials_fit_into_a_header() {
        let parse = |id: &str, secret: &str| {
            Target::parse("https://posture.example/", id, Secret::new(secret.to_owned())).map(drop)
        };
        let long = "x".repeat(PROVIDER_CREDENTIAL_BYTES_MAX + 1);
        for text in ["", " ", "a b", "a\r\nx-evil: 1", "é", "\0", &long] {
            assert_eq!(parse(text, "hunter2"), Err(TargetError::UnusableClientId), "{text:?}");
            assert_eq!(parse("id.access", text), Err(TargetError::UnusableClientSecret), "{text:?}");
        }
        assert_eq!(TargetError::UnusableClientSecret.member(), "access_client_secret");
    }

    #[test]
    fn a_target_does_not_show_its_secret() {
        let shown = format!("{:?}", target("https://posture.example/").unwrap());
        assert!(shown.contains("posture.example") && !shown.contains("hunter2"), "{shown}");
    }
}
