//! A posture provider of the operator's own: it scores devices, or does what else providers do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::process::PATIENCE;

/// What the gateway asked once.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) fn devices(&self) -> &[Value] {
        self.body["devices"].as_array().unwrap()
    }
}

/// How questions are answered.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// With these entries, whoever is asked about.
    Scores(Value),
    /// With a status and a body, when there is a device in the question; otherwise with no scores.
    Refuses(u16, Value),
    /// With a status, whatever the question.
    Broken(u16),
    /// Never, when there is a device in the question; otherwise with no scores.
    Silent,
}

#[derive(Debug)]
struct Shared {
    mood: Mutex<Mood>,
    calls: watch::Sender<Vec<Call>>,
    /// How many questions were given up while they waited for their answer.
    given_up: watch::Sender<usize>,
}

/// The provider. Ends when dropped.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start(mood: Mood) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, given_up) = (watch::Sender::default(), watch::Sender::default());
        let shared = Arc::new(Shared { mood: Mutex::new(mood), calls, given_up });
        let router = Router::new().route("/devices", any(answer)).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Provider { address, shared, _serving: serving }
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// What an integration with this provider is configured with.
    pub(crate) fn integration(&self, secret: &str) -> Value {
        let config = json!({
            "api_url": format!("http://{}/devices", self.address),
            "access_client_id": "id.access",
            "access_client_secret": secret,
        });
        json!({"name": "scores", "type": "custom_s2s", "interval": "1m", "config": config})
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// Waits for the first call after the first `seen` that is `wanted`.
    pub(crate) async fn call(&self, seen: usize, wanted: impl Fn(&Call) -> bool) -> Call {
        let mut calls = self.shared.calls.subscribe();
        let found = |calls: &Vec<Call>| calls.iter().skip(seen).find(|call| wanted(call)).cloned();
        let call = timeout(PATIENCE, calls.wait_for(|calls| found(calls).is_some())).await;
        let call = found(&call.expect("the provider is asked").unwrap());
        call.unwrap()
    }

    /// Waits until a question that got no answer was given up.
    pub(crate) async fn given_up(&self) {
        let mut given_up = self.shared.given_up.subscribe();
        timeout(PATIENCE, given_up.wait_for(|count| *count > 0)).await.expect("the question is given up").unwrap();
    }
}

/// Counts when it goes.
struct GivenUp(Arc<Shared>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.given_up.send_modify(|count| *count += 1);
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let call = Call {
        method: method.to_string(),
        client_id: header("cf-access-client-id"),
        client_secret: header("cf-access-client-secret"),
        body,
    };
    let tried_only = call.devices().is_empty();
    let mood = shared.mood.lock().unwrap().clone();
    shared.calls.send_modify(|calls| calls.push(call));
    match mood {
        Mood::Scores(entries) => Json(json!({ "result": entries })).into_response(),
        Mood::Broken(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Refuses(..) | Mood::Silent if tried_only => Json(json!({"result": {}})).into_response(),
        Mood::Refuses(status, body) => (StatusCode::from_u16(status).unwrap(), Json(body)).into_response(),
        Mood::Silent => {
            let _waiting = GivenUp(Arc::clone(&shared));
            std::future::pending().await
        }
    }
}
