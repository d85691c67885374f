//! Steps about what passes the gate, and what is known of it afterwards.

use reqwest::StatusCode;
use serde_json::Value;

use super::super::client::{Answer, NoAnswer};
use super::super::people::{ALICE, BOB};
use super::super::report::Step;
use super::super::websocket::{self, Heard};
use super::{Seen, Title, Walk, with_path};
use crate::clock::Stopwatch;

const PIECES: u32 = 5;
const PAUSE_MILLIS: u32 = 150;
const WORD: &str = "open sesame";

/// A response as it arrived.
struct Stream {
    status: StatusCode,
    pieces: u32,
    first_after: f64,
    last_after: f64,
}

impl Walk<'_> {
    pub(super) async fn streamed(&self) -> Step {
        let mut url = with_path(&self.urls.app, "/slow");
        url.set_query(Some(&format!("chunks={PIECES}&interval_ms={PAUSE_MILLIS}")));
        let seen = match self.stream(&url).await {
            Ok(stream) => {
                let half = f64::from(PIECES.saturating_sub(1).saturating_mul(PAUSE_MILLIS)) / 2000.0;
                let as_it_comes = stream.pieces >= PIECES && stream.last_after - stream.first_after >= half;
                let got = format!(
                    "{}, {} pieces: the first after {:.0} ms, the last after {:.0} ms",
                    stream.status.as_u16(),
                    stream.pieces,
                    stream.first_after * 1000.0,
                    stream.last_after * 1000.0,
                );
                Seen { ok: stream.status == StatusCode::OK && as_it_comes, got }
            }
            Err(error) => Seen::failure(&error),
        };
        let title = Title { name: "streamed", title: "A slow answer passes piece by piece" };
        title.taken(
            format!("The origin sends {PIECES} pieces with a pause of {PAUSE_MILLIS} ms before the next."),
            "200, and the pieces as they come instead of all at the end",
            seen,
            vec![self.curl_as(ALICE).flag("-N").word(url.as_str()).gives("200")],
        )
    }

    pub(super) async fn conversed(&self) -> Step {
        let url = with_path(&self.urls.app, "/ws");
        let seen = match websocket::say(&self.alice_http1, &url, WORD).await {
            Ok(Heard::Back(word)) => Seen { ok: word == WORD, got: format!("101, and `{word}` comes back") },
            Ok(Heard::Refused(status)) => Seen { ok: false, got: status.to_string() },
            Err(error) => Seen::failure(&error),
        };
        let title = Title { name: "websocket", title: "A WebSocket passes" };
        let curl = self
            .curl_as(ALICE)
            .flag("--http1.1")
            .flag("-i")
            .option("--max-time", "2")
            .option("-H", "Connection: Upgrade")
            .option("-H", "Upgrade: websocket")
            .option("-H", "Sec-WebSocket-Version: 13")
            .option("-H", &format!("Sec-WebSocket-Key: {}", websocket::KEY));
        title.taken(
            format!("{ALICE} opens a WebSocket to the origin and sends a word."),
            "101, and the word comes back",
            seen,
            vec![curl.word(url.as_str()).gives("101")],
        )
    }

    pub(super) async fn failures_read_back(&self) -> Step {
        let url = self.urls.admin(&format!("/edge/management/v1/identities/{BOB}/failed-service-requests"));
        let title = Title { name: "failures-read-back", title: "The refusals are read back" };
        title.taken(
            format!("The operator asks the admin API why {BOB} was refused."),
            "both refusals, with actual and expected value of every failing check",
            Seen::judged(self.admin.get(&url).await, judge_failures),
            vec![self.curl_as_operator().word(url.as_str()).gives("200")],
        )
    }

    pub(super) async fn metrics(&self) -> Step {
        let url = self.urls.ops("/metrics");
        let seen = Seen::judged(self.admin.get(&url).await, |answer| {
            let decisions = |decision: &str| {
                let wanted = [format!("decision=\"{decision}\""), "service=\"app\"".to_owned()];
                sum(&answer.body, "postern_decisions_total", &wanted)
            };
            let (allowed, denied) = (decisions("allow"), decisions("deny"));
            let refused = sum(&answer.body, "postern_refused_connections_total", &[]);
            let reports = sum(&answer.body, "postern_posture_reports_total", &[]);
            Seen {
                ok: answer.status == StatusCode::OK && allowed >= 1.0 && denied >= 1.0 && refused >= 1.0,
                got: format!(
                    "{}: {allowed} requests to the app allowed, {denied} denied; refused at the door: {refused}; \
                     posture reports: {reports}",
                    answer.status.as_u16(),
                ),
            }
        });
        let title = Title { name: "metrics", title: "All of it was counted" };
        title.taken(
            "Prometheus asks for the metrics. No identity is named in them.".to_owned(),
            "200, with the decisions of this walk",
            seen,
            vec![super::Command::curl().word(url.as_str()).gives("200")],
        )
    }

    async fn stream(&self, url: &reqwest::Url) -> Result<Stream, NoAnswer> {
        let mut response = self.alice.open(url).await?;
        let status = response.status();
        let clock = Stopwatch::start();
        let (mut pieces, mut first_after, mut last_after) = (0_u32, None, 0.0);
        while let Some(piece) = response.chunk().await? {
            let count = piece.iter().filter(|byte| **byte == b'\n').count();
            pieces = pieces.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            last_after = clock.seconds();
            first_after.get_or_insert(last_after);
        }
        Ok(Stream { status, pieces, first_after: first_after.unwrap_or_default(), last_after })
    }
}

fn judge_failures(answer: &Answer) -> Seen {
    let body = answer.json();
    let failures = list(body.get("data"));
    let checks: Vec<&Value> = failures
        .iter()
        .flat_map(|failure| list(failure.get("policyFailures")))
        .flat_map(|policy| list(policy.get("checks")))
        .collect();
    let complete =
        checks.iter().all(|check| check.get("actualValue").is_some() && check.get("expectedValue").is_some());
    let ok = answer.status == StatusCode::OK && failures.len() >= 2 && !checks.is_empty() && complete;
    let example = checks.iter().rev().find(|check| check.get("postureCheckType").is_some_and(|kind| kind == "OS"));
    let example = example.or(checks.last()).map_or_else(String::new, |check| {
        let name = check.get("postureCheckName").and_then(Value::as_str).unwrap_or_default();
        let value = |key| check.get(key).map(Value::to_string).unwrap_or_default();
        format!(", such as {name}: actual {}, expected {}", value("actualValue"), value("expectedValue"))
    });
    let count = failures.len();
    Seen { ok, got: format!("{}, {count} refusals{example}", answer.status.as_u16()) }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The sum of a metric over the series that carry all the labels, in Prometheus' text form.
fn sum(text: &str, metric: &str, labels: &[String]) -> f64 {
    let series = text.lines().filter(|line| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let text =
            "# HELP a_total x\na_total{d=\"allow\",s=\"app\"} 2\na_total{d=\"deny\",s=\"app\"} 3\na_total_more 9\n";
        assert_eq!(sum(text, "a_total", &[]), 5.0);
        assert_eq!(sum(text, "a_total", &["d=\"deny\"".to_owned()]), 3.0);
        assert_eq!(sum(text, "absent", &[]), 0.0);
    }
}
