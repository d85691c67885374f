//! An operator who speaks Cloudflare's language to the admin API.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::admin::Admin;
use super::process::Running;
use super::support::Authority;

/// An account. Any will do, as long as the configuration names none.
const ACCOUNT: &str = "699d98642c564d2e855e9661899b7252";

pub(crate) const RULES: &str = "devices/posture";
pub(crate) const INTEGRATIONS: &str = "devices/posture/integration";
pub(crate) const LISTS: &str = "gateway/lists";
pub(crate) const CERTIFICATES: &str = "mtls_certificates";

/// Somebody with the admin token and Cloudflare's documentation.
pub(crate) struct Operator {
    pub(crate) admin: Admin,
}

/// A reply, whatever it is.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) envelope: Value,
}

impl Reply {
    /// What was done, when it was.
    pub(crate) fn result(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.envelope);
        let mut envelope = self.envelope;
        assert_eq!(envelope["success"], true, "{envelope}");
        envelope["result"].take()
    }

    /// The first error of a refusal with this status and code.
    pub(crate) fn refused(&self, status: StatusCode, code: u16) -> &Value {
        let error = &self.envelope["errors"][0];
        assert_eq!((self.status, &error["code"]), (status, &json!(code)), "{}", self.envelope);
        error
    }
}

impl Operator {
    pub(crate) fn new(gateway: &Running, authority: &Authority) -> Operator {
        Operator { admin: Admin::new(gateway, authority) }
    }

    /// A request for something of the account's.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.admin.request(method, &format!("/client/v4/accounts/{ACCOUNT}/{path}"))
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> Reply {
        reply(self.request(method, path)).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        reply(self.request(method, path).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask("GET", path).await.result()
    }

    /// Makes something and returns it.
    pub(crate) async fn create(&self, collection: &str, body: &Value) -> Value {
        self.send("POST", collection, body).await.result()
    }

    /// Makes something and returns its id.
    pub(crate) async fn make(&self, collection: &str, body: &Value) -> String {
        self.create(collection, body).await["id"].as_str().unwrap().to_owned()
    }

    /// Writes what a provider says of a device.
    pub(crate) async fn provider_says(&self, identity: &str, connection: &str, values: &Value) {
        let path = format!("/api/v1/identities/{identity}/posture/providers/{connection}");
        let response = self.admin.request("PUT", &path).json(values).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap());
    }

    /// Loads the policy files again, and returns what is in force then.
    pub(crate) async fn reload(&self) -> Value {
        let response = self.admin.request("POST", "/api/v1/reload").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap());
        self.admin.policy().await
    }

    /// The checks that the newest refusal of `identity` names, of both languages.
    pub(crate) async fn newest_refusal(&self, identity: &str) -> (Value, Vec<Value>) {
        let failure = self.admin.failures(identity).await.pop().unwrap();
        let checks = checks(&failure);
        (failure, checks)
    }
}

/// The checks that stood in the way, of both languages.
pub(crate) fn checks(failure: &Value) -> Vec<Value> {
    let mut checks = Vec::new();
    for policy in failure["policyFailures"].as_array().unwrap() {
        for kind in ["checks", "otherChecks"] {
            checks.extend(policy[kind].as_array().into_iter().flatten().cloned());
        }
    }
    checks
}

pub(crate) async fn reply(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let envelope: Value = response.json().await.unwrap();
    assert_eq!(envelope["success"], status.is_success(), "{envelope}");
    Reply { status, headers, envelope }
}
