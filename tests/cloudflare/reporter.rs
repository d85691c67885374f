//! A device that reports everything there is, in Postern's own words.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::process::Running;
use super::support::client::tls;
use super::support::{Authority, Issued};

/// A device at the client API.
#[derive(Clone)]
pub(crate) struct Reporter {
    http: reqwest::Client,
    base: String,
}

impl Reporter {
    pub(crate) fn new(gateway: &Running, authority: &Authority, certificate: &Issued) -> Reporter {
        let address = gateway.addresses.client_api;
        let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
        let http = builder.tls_backend_preconfigured(tls(authority, Some(certificate))).build().unwrap();
        Reporter { http, base: format!("https://localhost:{}", address.port()) }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    /// Sends what is said to be a report.
    pub(crate) async fn send(&self, body: String) -> (StatusCode, Value) {
        let request = self.request("PUT", "/api/v1/posture").header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Reports, and expects to be thanked for it.
    pub(crate) async fn report(&self, report: &Value) {
        let (status, reply) = self.send(report.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
    }
}

/// The operating system as a report has it.
pub(crate) fn os(name: &str, version: &str) -> Value {
    json!({ "name": name, "version": version })
}
