//! One line for each decision, and counters that agree with it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use postern::telemetry::logs;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::support::Origin;
use super::wiki;

/// Collects what is logged in this process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

impl Lines {
    fn collect() -> Self {
        let lines = Lines::default();
        logs::init_into(logs::Format::Json, "info", lines.clone()).unwrap();
        lines
    }

    /// The decisions of one gateway, which is known by its port.
    fn decisions(&self, port: u16) -> Vec<Value> {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = all.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = |line: &Value| line["host"].as_str().is_some_and(|host| host.ends_with(&format!(":{port}")));
        lines.filter(|line| line["target"] == "postern::decision" && own(line)).collect()
    }
}

#[tokio::test]
async fn every_request_is_told_of_once() {
    let lines = Lines::collect();
    let origin = Origin::start().await;
    let gateway = wiki(&origin).start().await;
    let allowed = gateway.client("alice").get("wiki.example.test", "/page?secret=1").await;
    let denied = gateway.client("bob").get("wiki.example.test", "/").await;
    let mut malformed = gateway.connect("alice", "wiki.example.test").await;
    let port = gateway.address.port();
    malformed.say(&format!("GET /../x HTTP/1.1\r\nHost: wiki.example.test:{port}\r\n\r\n")).await;
    malformed.rest().await;
    let id = |response: &reqwest::Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let ids = [id(&allowed), id(&denied)];
    allowed.bytes().await.unwrap();
    denied.bytes().await.unwrap();
    let enforcer = Arc::clone(&gateway.enforcer);
    gateway.stopped().await;

    let told = lines.decisions(port);
    assert_eq!(told.len(), 3, "{told:#?}");
    let by_id = |id: &str| told.iter().find(|line| line["request_id"] == id).unwrap();
    let line = by_id(&ids[0]);
    for (key, expected) in [
        ("decision", "allow"),
        ("identity", "alice"),
        ("service", "wiki"),
        ("policy", "readers"),
        ("method", "GET"),
        ("path", "/page"),
    ] {
        assert_eq!(line[key], expected, "{key} in {line:#}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["generation"], 1);
    assert!(line["host"].as_str().unwrap().starts_with("wiki.example.test"));
    assert_eq!(line["upstream"], origin.address.to_string());
    assert!(line["decision_us"].is_u64() && line["duration_ms"].is_u64());
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let line = by_id(&ids[1]);
    assert_eq!(
        (&line["decision"], &line["reason"], &line["status"]),
        (&"deny".into(), &"no-policy".into(), &403.into())
    );
    assert_eq!((&line["identity"], &line["service"]), (&"bob".into(), &"wiki".into()));
    let line = told.iter().find(|line| line["decision"] == "refuse").unwrap();
    assert_eq!((&line["reason"], &line["status"]), (&"ambiguous-path".into(), &400.into()));
    let all = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!all.contains("secret=1"), "queries may hold secrets");

    let metrics = enforcer.metrics().render().unwrap();
    for counted in [
        "postern_decisions_total{decision=\"allow\",reason=\"\",service=\"wiki\"} 1",
        "postern_decisions_total{decision=\"deny\",reason=\"no-policy\",service=\"wiki\"} 1",
        "postern_refused_requests_total{reason=\"ambiguous-path\"} 1",
        "postern_upstream_requests_total{result=\"2xx\",service=\"wiki\"} 1",
        "postern_upstream_request_seconds_count{service=\"wiki\"} 1",
        "postern_live_requests 0",
    ] {
        assert!(metrics.contains(counted), "{counted}\n{metrics}");
    }
}
