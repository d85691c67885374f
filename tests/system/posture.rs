//! Devices that report posture.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::process::Running;
use super::support::client::tls;
use super::support::{Authority, Issued};

/// A device at the client API.
#[derive(Clone)]
pub(crate) struct Device {
    http: reqwest::Client,
    base: String,
}

impl Device {
    pub(crate) fn new(gateway: &Running, authority: &Authority, certificate: &Issued) -> Device {
        let address = gateway.addresses.client_api;
        let tls = tls(authority, Some(certificate));
        let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
        let http = builder.tls_backend_preconfigured(tls).build().unwrap();
        Device { http, base: format!("https://localhost:{}/edge/client/v1", address.port()) }
    }

    /// Asks for a path of OpenZiti's client API.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Sends what is said to be a list of observations.
    pub(crate) async fn send(&self, body: String) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.http.post(format!("{}/posture-response-bulk", self.base));
        let response = request.header("content-type", "application/json").body(body).send().await?;
        let status = response.status();
        Ok((status, response.json().await?))
    }

    /// Reports, and expects to be thanked for it.
    pub(crate) async fn report(&self, observations: &[Value]) {
        let (status, reply) = self.send(Value::from(observations).to_string()).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{reply}");
    }
}

/// The device is in this domain.
pub(crate) fn domain(domain: &str) -> Value {
    json!({"id": "company-domain", "typeId": "DOMAIN", "domain": domain})
}

/// A program runs on the device.
pub(crate) fn process(path: &str) -> Value {
    json!({"id": "some-process", "typeId": "PROCESS", "path": path, "isRunning": true, "hash": ""})
}
