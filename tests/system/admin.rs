//! An operator: admin API, metrics and health.

use reqwest::StatusCode;
use serde_json::Value;

use super::process::Running;
use super::support::Authority;
use super::support::client::tls;
use super::world::ADMIN_TOKEN;

/// Somebody with the admin token.
pub(crate) struct Admin {
    http: reqwest::Client,
    base: String,
    ops: String,
}

impl Admin {
    pub(crate) fn new(gateway: &Running, authority: &Authority) -> Admin {
        let address = gateway.addresses.admin;
        let builder = reqwest::Client::builder().resolve("localhost", address).no_proxy();
        let http = builder.tls_backend_preconfigured(tls(authority, None)).build().unwrap();
        let base = format!("https://localhost:{}", address.port());
        Admin { http, base, ops: format!("http://{}", gateway.addresses.ops) }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(ADMIN_TOKEN)
    }

    /// What is in the envelope.
    async fn data(&self, path: &str) -> Value {
        let response = self.request("GET", path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let mut envelope: Value = response.json().await.unwrap();
        envelope["data"].take()
    }

    /// The policy in force, and how its last loads went.
    pub(crate) async fn policy(&self) -> Value {
        self.data("/api/v1/policy").await
    }

    /// What is known of an identity's device.
    pub(crate) async fn posture(&self, identity: &str) -> Value {
        self.data(&format!("/edge/management/v1/identities/{identity}/posture-data")).await
    }

    /// What an identity was refused, oldest first.
    pub(crate) async fn failures(&self, identity: &str) -> Vec<Value> {
        let failures = self.data(&format!("/edge/management/v1/identities/{identity}/failed-service-requests")).await;
        failures.as_array().unwrap().clone()
    }

    /// The value of a metric, written with its labels; 0 when there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.http.get(format!("{}/metrics", self.ops)).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// What `/readyz` answers.
    pub(crate) async fn readiness(&self) -> (u16, String) {
        let response = self.http.get(format!("{}/readyz", self.ops)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}
