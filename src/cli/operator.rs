//! What an operator's commands have in common: where the admin API of a running gateway is, what to show there, and what it says.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;

use super::args::OperatorArgs;
use crate::limits;
use crate::secret::Secret;
use crate::tls::client::{ClientConfigError, outgoing_config};

/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "POSTERN_ADMIN_TOKEN";

/// Objects asked for at once.
const PAGE: usize = 500;

/// Why an operator's command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The address is not one.
    #[error("`{0}` is not an address such as https://127.0.0.1:9443")]
    Url(String),
    /// There is nothing to show at the door.
    #[error("no token: name a file with --token-file, or put the token into {TOKEN_VARIABLE}")]
    NoToken,
    /// The file with the token cannot be read.
    #[error("cannot read the token from `{}`: {source}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The CAs cannot be used.
    #[error(transparent)]
    Tls(#[from] ClientConfigError),
    /// The system gives no sockets.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
    /// The HTTP client cannot be made.
    #[error("cannot start: {0}")]
    Client(#[source] reqwest::Error),
    /// Nobody answered.
    #[error("no answer from {url}: {why}")]
    NoAnswer {
        /// Who was asked.
        url: Url,
        /// What went wrong, in the words of whoever noticed.
        why: String,
    },
    /// What came back is not an answer of the admin API.
    #[error("{url} answered with something else than the admin API ({status})")]
    NotTheApi {
        /// Who was asked.
        url: Url,
        /// The status.
        status: u16,
    },
    /// The gateway refused.
    #[error("refused: {message} ({code})")]
    Refused {
        /// The stable code.
        code: String,
        /// Why, for people.
        message: String,
    },
}

/// An operator at the admin API of a running gateway.
pub(super) struct Operator {
    base: Url,
    token: Secret,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Operator {
    pub(super) fn new(args: &OperatorArgs) -> Result<Self, OperatorError> {
        let base = Url::parse(&args.url).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
        let base = base.ok_or_else(|| OperatorError::Url(args.url.clone()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(outgoing_config(&args.ca_files)?)
            // The token goes to the gateway that was named and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(args.timeout))
            .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OperatorError::Client)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OperatorError::Runtime)?;
        Ok(Operator { base, token: token(args)?, client, runtime })
    }

    /// Asks for what lies under these segments of a path, and returns the `data` of the answer.
    pub(super) fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, OperatorError> {
        self.ask_for(method, path, &[], body)
    }

    /// The same with a query.
    pub(super) fn ask_for(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, OperatorError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.runtime.block_on(self.exchange(method, url, body))?;
        Ok(answer.get("data").cloned().unwrap_or(answer))
    }

    /// Every object of a collection of the management API, page by page.
    pub(super) fn list(&self, collection: &str) -> Result<Vec<Value>, OperatorError> {
        let path = ["edge", "management", "v1", collection];
        self.pages(&path, "data", |page| [("limit", PAGE.to_string()), ("offset", (page * PAGE).to_string())])
    }

    /// Every result of a collection of Cloudflare's API, page by page.
    pub(super) fn results(&self, path: &[&str]) -> Result<Vec<Value>, OperatorError> {
        self.pages(path, "result", |page| [("per_page", PAGE.to_string()), ("page", (page + 1).to_string())])
    }

    fn pages(
        &self,
        path: &[&str],
        member: &str,
        query: impl Fn(usize) -> [(&'static str, String); 2],
    ) -> Result<Vec<Value>, OperatorError> {
        let mut all: Vec<Value> = Vec::new();
        for page in 0..limits::OPERATOR_PAGES_MAX {
            let mut url = self.url(path);
            url.query_pairs_mut().extend_pairs(query(page));
            let mut answer = self.runtime.block_on(self.exchange(Method::GET, url, None))?;
            let found = answer.get_mut(member).map(Value::take);
            let Some(Value::Array(found)) = found else { break };
            let last = found.len() < PAGE;
            // A collection without pages answers each time with all of it.
            if all.first() == found.first() && !all.is_empty() {
                break;
            }
            all.extend(found);
            if last {
                break;
            }
        }
        Ok(all)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    async fn exchange(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, OperatorError> {
        let mut request = self.client.request(method, url.clone()).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let no_answer = |error: reqwest::Error| OperatorError::NoAnswer { url: url.clone(), why: innermost(&error) };
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            text.extend_from_slice(&chunk);
            if text.len() > limits::OPERATOR_ANSWER_BYTES_MAX {
                break;
            }
        }
        let answer: Value = serde_json::from_slice(&text)
            .map_err(|_| OperatorError::NotTheApi { url: url.clone(), status: status.as_u16() })?;
        if status.is_success() { Ok(answer) } else { Err(refused(&answer)) }
    }
}

fn token(args: &OperatorArgs) -> Result<Secret, OperatorError> {
    let text = match &args.token_file {
        Some(path) => {
            fs::read_to_string(path).map_err(|source| OperatorError::TokenFile { path: path.clone(), source })?
        }
        None => std::env::var(TOKEN_VARIABLE).map_err(|_| OperatorError::NoToken)?,
    };
    let token = Secret::new(text.trim().to_owned());
    if token.expose().is_empty() { Err(OperatorError::NoToken) } else { Ok(token) }
}

/// What the error envelope says, its cause included.
fn refused(answer: &Value) -> OperatorError {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let field = [text("/error/cause/field"), text("/error/cause/reason")].join(" ");
    let message = match field.trim() {
        "" if answer.get("error").is_none() => text("/errors/0/message").to_owned(),
        "" => text("/error/message").to_owned(),
        cause => format!("{}: {cause}", text("/error/message")),
    };
    OperatorError::Refused { code: text("/error/code").to_owned(), message }
}

/// The cause at the bottom: what is above it repeats the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
