//! The gateway's Prometheus metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::decision::DenialReason;
use crate::limits;

use super::tally::Tally;

/// Why metrics cannot be registered or rendered.
pub use prometheus::Error as MetricsError;

/// A number that goes up.
pub use prometheus::IntCounter as Counter;

/// A number that goes up and down.
pub use prometheus::IntGauge as Gauge;

/// All metrics of one gateway, in a registry of its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// By service.
    allowed: Arc<Mutex<HashMap<String, Tally>>>,
    decisions: IntCounterVec,
    check_failures: IntCounterVec,
    upstream_requests: IntCounterVec,
    upstream_seconds: HistogramVec,
    handshakes: IntCounterVec,
    refused_connections: IntCounterVec,
    refused_requests: IntCounterVec,
    ended_requests: IntCounterVec,
    ended_connections: IntCounterVec,
    live_sessions: IntGaugeVec,
    revocation_seconds: HistogramVec,
    tcp_bytes: IntCounterVec,
    posture_reports: IntCounterVec,
    evidence: IntCounterVec,
    store_writes: IntCounterVec,
    provider_polls: IntCounterVec,
    reloads: IntCounterVec,
    reload_seconds: HistogramVec,
    reload_successful: IntGaugeVec,
    reload_success_timestamp: IntGaugeVec,
    /// Time taken to evaluate one decision that no cached verdict answered; measuring a hit would cost more than the hit.
    pub decision_seconds: Histogram,
    /// Verdicts answered from the cache.
    pub verdict_cache_hits: Tally,
    /// Verdicts that had to be evaluated.
    pub verdict_cache_misses: IntCounter,
    /// Age of the newest posture fact when a decision was evaluated.
    pub posture_age_seconds: Histogram,
    /// Client connections open now.
    pub live_connections: IntGauge,
    /// Requests in flight now.
    pub live_requests: IntGauge,
    /// Time taken to decide what is under way again after one piece of news or several at once.
    pub redecision_seconds: Histogram,
    /// The generation of the snapshot in force.
    pub snapshot_generation: IntGauge,
    /// Identities in the snapshot in force.
    pub snapshot_identities: IntGauge,
    /// Devices with live state in memory.
    pub devices: IntGauge,
    /// Time one commit of the store took.
    pub store_commit_seconds: Histogram,
    /// Writes joined in one commit.
    pub store_commit_records: Histogram,
    /// Failure records that could not be kept on disk.
    pub failures_dropped: IntCounter,
}

/// The decision counters of one service, resolved once.
#[derive(Debug)]
pub struct DecisionCounters {
    allowed: Tally,
    /// By the place of their reason; each looked up when it is first needed.
    denied: [OnceLock<IntCounter>; DenialReason::ALL.len()],
    decisions: IntCounterVec,
    service: String,
}

impl DecisionCounters {
    /// Counts a request that was let through.
    pub fn allow(&self) {
        self.allowed.inc();
    }

    /// Counts a refusal.
    pub fn deny(&self, reason: DenialReason) {
        let look_up = || self.decisions.with_label_values(&[self.service.as_str(), "deny", reason.code()]);
        match self.denied.get(reason as usize) {
            Some(counter) => counter.get_or_init(look_up).inc(),
            None => look_up().inc(),
        }
    }
}

/// What becomes of nearly every request.
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The upstream metrics of one service, resolved once.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// By status class; each looked up when it is first needed.
    answered: [OnceLock<IntCounter>; STATUS_CLASSES.len()],
    requests: IntCounterVec,
    service: String,
    /// Time from the permit to the last byte of the response.
    pub seconds: Histogram,
    bytes: IntCounterVec,
}

impl UpstreamMetrics {
    /// The counters of bytes passed on to the service and back from it. Bytes are for TCP services only.
    pub fn bytes(&self) -> (IntCounter, IntCounter) {
        let bytes = |direction| self.bytes.with_label_values(&[self.service.as_str(), direction]);
        (bytes("up"), bytes("down"))
    }

    /// Counts one finished request: `result` is `1xx` … `5xx` or a reason code.
    pub fn count(&self, result: &str) {
        let look_up = || self.requests.with_label_values(&[self.service.as_str(), result]);
        let class = STATUS_CLASSES.iter().position(|class| *class == result);
        match class.and_then(|class| self.answered.get(class)) {
            Some(counter) => counter.get_or_init(look_up).inc(),
            None => look_up().inc(),
        }
    }
}

/// Counts something as live for as long as it exists.
#[derive(Debug)]
pub struct Live(IntGauge);

impl Live {
    fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Live(gauge.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Label value for services past [`limits::METRIC_SERVICES_MAX`].
const OTHER: &str = "_other";

impl Metrics {
    /// Registers every metric in a fresh registry.
    ///
    /// # Errors
    ///
    /// Only when a name or label here is malformed or registered twice, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let register = Registrar(&registry);
        register
            .gauge_vec("postern_build_info", "Constant 1, labelled with the version.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Ok(Metrics {
            allowed: Arc::default(),
            decisions: register.counters(
                "postern_decisions_total",
                "Requests decided, by service, decision (allow or deny) and reason code.",
                &["service", "decision", "reason"],
            )?,
            check_failures: register.counters(
                "postern_check_failures_total",
                "Posture checks that stood in the way of a refused request, by check, kind and reason code.",
                &["check", "kind", "reason"],
            )?,
            upstream_requests: register.counters(
                "postern_upstream_requests_total",
                "Requests sent upstream, by service and result (status class or reason code).",
                &["service", "result"],
            )?,
            upstream_seconds: register.histograms(
                "postern_upstream_request_seconds",
                "Time from the permit to the end of the upstream's response, by service.",
                &["service"],
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            )?,
            handshakes: register.counters(
                "postern_tls_handshakes_total",
                "TLS handshakes finished, by listener and result.",
                &["listener", "result"],
            )?,
            refused_connections: register.counters(
                "postern_refused_connections_total",
                "Connections closed at admission, by reason code.",
                &["reason"],
            )?,
            refused_requests: register.counters(
                "postern_refused_requests_total",
                "Requests refused before any decision, by reason code.",
                &["reason"],
            )?,
            ended_requests: register.counters(
                "postern_ended_requests_total",
                "Requests under way that were cut because they were no longer allowed, by reason code.",
                &["reason"],
            )?,
            evidence: register.counters(
                "postern_posture_evidence_total",
                "Posture reports by how they were vouched for (signed, unsigned, or the code of a refused signature).",
                &["result"],
            )?,
            ended_connections: register.counters(
                "postern_ended_connections_total",
                "Client connections that were ended because nothing is allowed on them any more, by reason code.",
                &["reason"],
            )?,
            live_sessions: register.gauge_vec(
                "postern_live_sessions",
                "Requests, streams and connections under way now, by protocol.",
                &["protocol"],
            )?,
            revocation_seconds: register.histograms(
                "postern_revocation_seconds",
                "Time from the moment a change was accepted to the last byte of what it ended, by cause.",
                &["cause"],
                &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
            )?,
            redecision_seconds: register.histogram(
                "postern_redecision_seconds",
                "Time taken to decide what is under way again, all news that came together at once.",
                &[10e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 500e-3, 1.0],
            )?,
            tcp_bytes: register.counters(
                "postern_tcp_bytes_total",
                "Bytes passed on over connections to TCP services, by service and direction (up to the service, down to the client).",
                &["service", "direction"],
            )?,
            posture_reports: register.counters(
                "postern_posture_reports_total",
                "Posture reports received, by result (stored, invalid, too-large, too-many, bad-evidence, unavailable).",
                &["result"],
            )?,
            store_writes: register.counters(
                "postern_store_writes_total",
                "Records handed to the store, by result (ok, failed, refused).",
                &["result"],
            )?,
            provider_polls: register.counters(
                "postern_provider_polls_total",
                "Times a posture provider was asked, by provider and result (ok or error code).",
                &["provider", "result"],
            )?,
            reloads: register.counters(
                "postern_reloads_total",
                "Reloads tried, by what was reloaded and result (ok, failed).",
                &["subject", "result"],
            )?,
            reload_seconds: register.histograms(
                "postern_reload_seconds",
                "Time a reload took, reading and compiling included, by what was reloaded.",
                &["subject"],
                &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            )?,
            reload_successful: register.gauge_vec(
                "postern_reload_last_successful",
                "Whether the last reload succeeded (1) or the previous state stays in force (0), by what was reloaded.",
                &["subject"],
            )?,
            reload_success_timestamp: register.gauge_vec(
                "postern_reload_last_success_timestamp_seconds",
                "Unix time of the last successful reload, by what was reloaded.",
                &["subject"],
            )?,
            decision_seconds: register.histogram(
                "postern_decision_seconds",
                "Time taken to evaluate one decision that no cached verdict answered.",
                &[50e-9, 100e-9, 250e-9, 500e-9, 1e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 1e-3, 10e-3],
            )?,
            verdict_cache_hits: Tally::new(
                register.counter("postern_verdict_cache_hits_total", "Decisions answered by a cached verdict.")?,
            ),
            verdict_cache_misses: register
                .counter("postern_verdict_cache_misses_total", "Decisions that had to be evaluated.")?,
            posture_age_seconds: register.histogram(
                "postern_posture_age_seconds",
                "Age of the device's newest posture fact when a decision was evaluated.",
                &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0],
            )?,
            live_connections: register.gauge("postern_live_connections", "Client connections open now.")?,
            live_requests: register.gauge("postern_live_requests", "Requests in flight now.")?,
            snapshot_generation: register
                .gauge("postern_snapshot_generation", "Generation of the policy snapshot in force.")?,
            snapshot_identities: register
                .gauge("postern_snapshot_identities", "Identities in the policy snapshot in force.")?,
            devices: register.gauge("postern_devices", "Devices with live state in memory.")?,
            store_commit_seconds: register.histogram(
                "postern_store_commit_seconds",
                "Time one commit of the store took.",
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0],
            )?,
            store_commit_records: register.histogram(
                "postern_store_commit_records",
                "Writes joined in one commit of the store.",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
            )?,
            failures_dropped: register
                .counter("postern_failure_records_dropped_total", "Failure records that could not be kept on disk.")?,
            registry,
        })
    }

    /// The decision counters of the service at `position` in its snapshot.
    pub fn decision_counters(&self, position: usize, service: &str) -> DecisionCounters {
        let service = if position < limits::METRIC_SERVICES_MAX { service } else { OTHER };
        let counter = || Tally::new(self.decisions.with_label_values(&[service, "allow", ""]));
        DecisionCounters {
            allowed: self.allowed().entry(service.to_owned()).or_insert_with(counter).clone(),
            denied: [const { OnceLock::new() }; DenialReason::ALL.len()],
            decisions: self.decisions.clone(),
            service: service.to_owned(),
        }
    }

    fn allowed(&self) -> MutexGuard<'_, HashMap<String, Tally>> {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal for which no service is known.
    pub fn deny_unrouted(&self, reason: DenialReason) {
        self.decisions.with_label_values(&["", "deny", reason.code()]).inc();
    }

    /// The upstream metrics of the service at `position` in its snapshot.
    pub fn upstream(&self, position: usize, service: &str) -> UpstreamMetrics {
        let service = if position < limits::METRIC_SERVICES_MAX { service } else { OTHER };
        UpstreamMetrics {
            answered: [const { OnceLock::new() }; STATUS_CLASSES.len()],
            requests: self.upstream_requests.clone(),
            service: service.to_owned(),
            seconds: self.upstream_seconds.with_label_values(&[service]),
            bytes: self.tcp_bytes.clone(),
        }
    }

    /// Counts a check that stood in the way; `position` is the check's in its snapshot.
    pub fn check_failed(&self, position: usize, check: &str, kind: &str, reason: &str) {
        let check = if position < limits::METRIC_CHECKS_MAX { check } else { OTHER };
        self.check_failures.with_label_values(&[check, kind, reason]).inc();
    }

    /// Counts a finished handshake.
    pub fn handshake(&self, listener: &str, result: &str) {
        self.handshakes.with_label_values(&[listener, result]).inc();
    }

    /// Counts a client connection as open until the value returned is dropped.
    pub fn live_connection(&self) -> Live {
        Live::begin(&self.live_connections)
    }

    /// Counts a request as in flight until the value returned is dropped.
    pub fn live_request(&self) -> Live {
        Live::begin(&self.live_requests)
    }

    /// Counts a connection closed at admission.
    pub fn connection_refused(&self, reason: &str) {
        self.refused_connections.with_label_values(&[reason]).inc();
    }

    /// Counts a request refused before any decision.
    pub fn request_refused(&self, reason: &str) {
        self.refused_requests.with_label_values(&[reason]).inc();
    }

    /// Counts a request that was cut while it was under way.
    pub fn request_ended(&self, reason: &str) {
        self.ended_requests.with_label_values(&[reason]).inc();
    }

    /// Counts a connection that was ended while it was open.
    pub fn connection_ended(&self, reason: &str) {
        self.ended_connections.with_label_values(&[reason]).inc();
    }

    /// The gauge of what is under way over a protocol.
    pub fn live_sessions(&self, protocol: &str) -> IntGauge {
        self.live_sessions.with_label_values(&[protocol])
    }

    /// Records how long it took from a change to the end of something that it no longer allows.
    pub fn revoked(&self, cause: &str, seconds: f64) {
        self.revocation_seconds.with_label_values(&[cause]).observe(seconds);
    }

    /// Counts a posture report.
    pub fn posture_report(&self, result: &str) {
        self.posture_reports.with_label_values(&[result]).inc();
    }

    /// Counts how a posture report was vouched for.
    pub fn evidence(&self, result: &str) {
        self.evidence.with_label_values(&[result]).inc();
    }

    /// Counts records handed to the store.
    pub fn store_writes(&self, result: &str, count: u64) {
        self.store_writes.with_label_values(&[result]).inc_by(count);
    }

    /// Counts that a posture provider was asked.
    pub fn provider_poll(&self, provider: &str, result: &str) {
        self.provider_polls.with_label_values(&[provider, result]).inc();
    }

    /// Records a reload: what, how long it took, and at which Unix second when it succeeded.
    pub fn reload(&self, subject: &str, seconds: f64, succeeded_at: Option<i64>) {
        let result = if succeeded_at.is_some() { "ok" } else { "failed" };
        self.reloads.with_label_values(&[subject, result]).inc();
        self.reload_seconds.with_label_values(&[subject]).observe(seconds);
        self.reload_successful.with_label_values(&[subject]).set(i64::from(succeeded_at.is_some()));
        if let Some(second) = succeeded_at {
            self.reload_success_timestamp.with_label_values(&[subject]).set(second);
        }
    }

    /// All metrics in Prometheus' text form.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.verdict_cache_hits.publish();
        self.allowed().values().for_each(Tally::publish);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let metric = IntCounter::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let metric = IntGauge::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_once_and_renders() {
        let metrics = Metrics::new().unwrap();
        metrics.decision_counters(0, "web").deny(DenialReason::PostureFailed);
        metrics.decision_counters(limits::METRIC_SERVICES_MAX, "late").allow();
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"postern_decisions_total{decision="deny",reason="posture-failed",service="web"} 1"#));
        assert!(text.contains(r#"postern_decisions_total{decision="allow",reason="",service="_other"} 1"#));
        assert!(!text.contains("late"));
    }
}
