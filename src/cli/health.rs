//! `postern health`: one question to a running gateway, one line, one exit code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use reqwest::Url;

use super::Exit;
use super::args::HealthArgs;
use super::terminal::{Style, Terminal};
use crate::config::{self, Environment, Findings};
use crate::limits;

/// The readiness endpoint where nothing says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:9901/readyz";
const READINESS_PATH: &str = "/readyz";

/// Why the question could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is not one.
    #[error("`{url}` is not an address such as {DEFAULT_URL}")]
    Url {
        /// What was given.
        url: String,
    },
    /// The configuration that should say where to ask cannot be used.
    #[error("the configuration does not say where to ask:\n{0}")]
    Configuration(Findings),
    /// The system gives no sockets.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
    /// The HTTP client cannot be made.
    #[error("cannot start: {0}")]
    Client(#[source] reqwest::Error),
}

pub(super) fn run(args: &HealthArgs, terminal: &Terminal) -> Result<Exit, HealthError> {
    let url = url(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HealthError::Runtime)?;
    let client = reqwest::Client::builder()
        // The question is about this machine; a proxy for the way out has no part in it.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(args.timeout))
        .build()
        .map_err(HealthError::Client)?;
    let answer = runtime.block_on(ask(&client, url.clone()));
    let (exit, style, said) = match answer {
        Ok((true, said)) => (Exit::Success, Style::Good, said),
        Ok((false, said)) | Err(said) => (Exit::Failure, Style::Bad, said),
    };
    terminal.line(format_args!("{url}: {}", terminal.paint(style, said)));
    Ok(exit)
}

/// Whether the answer is yes, and what it says, or why there is none.
async fn ask(client: &reqwest::Client, url: Url) -> Result<(bool, String), String> {
    let mut response = client.get(url).send().await.map_err(|error| unanswered(&error))?;
    let status = response.status();
    let first_line = first_line(&mut response).await;
    let said = if first_line.is_empty() { status.to_string() } else { first_line };
    Ok((status.is_success(), said))
}

/// The first line of the beginning of a body; whoever answers may be anybody.
async fn first_line(response: &mut reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= limits::HEALTH_ANSWER_BYTES_MAX {
            body.truncate(limits::HEALTH_ANSWER_BYTES_MAX);
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect()
}

fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "nobody is listening".to_owned()
    } else {
        "no usable answer".to_owned()
    }
}

fn url(args: &HealthArgs) -> Result<Url, HealthError> {
    match (&args.url, &args.config) {
        (Some(url), _) => parse(url),
        (None, Some(config)) => parse(&format!("http://{}", reachable(ops_address(config)?))),
        (None, None) => parse(DEFAULT_URL),
    }
}

/// Reads a URL; one without a path asks for readiness.
fn parse(text: &str) -> Result<Url, HealthError> {
    let refused = || HealthError::Url { url: text.to_owned() };
    let mut url = Url::parse(text).map_err(|_| refused())?;
    if url.scheme() != "http" || url.host().is_none() {
        return Err(refused());
    }
    if url.path() == "/" {
        url.set_path(READINESS_PATH);
    }
    Ok(url)
}

fn ops_address(config: &Path) -> Result<SocketAddr, HealthError> {
    let (settings, _) = config::load(config, &Environment::of_process()).map_err(HealthError::Configuration)?;
    Ok(settings.listeners.ops.address)
}

/// Where to knock for a listener that listens everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_asks_for_readiness() {
        for (given, asked) in [
            ("http://127.0.0.1:9901", "http://127.0.0.1:9901/readyz"),
            ("http://localhost:1/", "http://localhost:1/readyz"),
            ("http://127.0.0.1:9901/livez", "http://127.0.0.1:9901/livez"),
        ] {
            assert_eq!(parse(given).unwrap().as_str(), asked);
        }
        for refused in ["127.0.0.1:9901", "https://127.0.0.1/", "unix:/run/x", ""] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_listener_that_listens_everywhere_is_asked_here() {
        assert_eq!(reachable("0.0.0.0:9901".parse().unwrap()).to_string(), "127.0.0.1:9901");
        assert_eq!(reachable("[::]:9901".parse().unwrap()).to_string(), "[::1]:9901");
        assert_eq!(reachable("10.1.2.3:9901".parse().unwrap()).to_string(), "10.1.2.3:9901");
    }
}
