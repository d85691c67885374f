//! From ends and answers to a table.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use super::Result;
use super::crowd::End;
use super::gateway::Told;
use super::news::Accepted;
use super::steady::Answer;

/// What one kind of news led to.
pub(crate) struct Outcome {
    title: String,
    target: Duration,
    /// From the acknowledgement of the change to the end, each.
    since_acknowledged: Vec<Duration>,
    /// From the moment at which the change was asked for.
    since_asked: Vec<Duration>,
    told: Told,
    calm: Traffic,
    meanwhile: Traffic,
    /// Processor time of the gateway, where it was measured.
    used: Option<Duration>,
}

/// The undisturbed traffic of some time.
#[derive(Default)]
struct Traffic {
    per_second: f64,
    took: Vec<Duration>,
}

impl Outcome {
    pub(crate) fn new(
        title: String,
        target: Duration,
        accepted: HashMap<usize, Accepted>,
        ends: &[End],
        told: Told,
    ) -> Self {
        let since = |moment: fn(&Accepted) -> Duration| {
            let of = |end: &End| Some(end.at.saturating_sub(moment(accepted.get(&end.identity)?)));
            let mut since: Vec<_> = ends.iter().filter_map(of).collect();
            since.sort_unstable();
            since
        };
        Outcome {
            since_acknowledged: since(|accepted| accepted.acknowledged),
            since_asked: since(|accepted| accepted.asked),
            title,
            target,
            told,
            calm: Traffic::default(),
            meanwhile: Traffic::default(),
            used: None,
        }
    }

    /// The same with the gateway's processor time, for everything that it did meanwhile.
    #[must_use]
    pub(crate) fn having_used(self, used: Duration) -> Self {
        Outcome { used: Some(used), ..self }
    }

    /// The same with the traffic before and meanwhile.
    #[must_use]
    pub(crate) fn beside(self, answers: &[Answer], calm: [Duration; 2], window: [Duration; 2]) -> Self {
        Outcome { calm: Traffic::within(answers, calm), meanwhile: Traffic::within(answers, window), ..self }
    }

    fn row(&self) -> Vec<String> {
        let shares = |times: &[Duration]| [0.5, 0.99, 1.0].map(|share| format!("{:.1}", at(times, share)));
        let [p50, p99, max] = shares(&self.since_acknowledged);
        let [_, asked_p99, asked_max] = shares(&self.since_asked);
        let verdict = if at(&self.since_acknowledged, 0.99) <= millis(self.target) { "met" } else { "missed" };
        vec![
            self.title.clone(),
            self.since_acknowledged.len().to_string(),
            format!("{p50} / {p99} / {max}"),
            format!("{asked_p99} / {asked_max}"),
            format!("{} in {} / {}", self.told.count, self.told.p50, self.told.p99),
            format!("p99 {} ms: {verdict}", millis(self.target)),
            format!("{:.0} -> {:.0}", self.calm.per_second, self.meanwhile.per_second),
            format!("{:.1} -> {:.1}", at(&self.calm.took, 0.99), at(&self.meanwhile.took, 0.99)),
            self.used.map_or_else(String::new, |used| {
                format!("{:.0}", millis(used) * 1e3 / self.since_acknowledged.len() as f64)
            }),
        ]
    }
}

impl Traffic {
    fn within(answers: &[Answer], [from, to]: [Duration; 2]) -> Self {
        let there = |answer: &&Answer| from <= answer.at && answer.at < to;
        let mut took: Vec<_> = answers.iter().filter(there).map(|answer| answer.took).collect();
        took.sort_unstable();
        Traffic { per_second: took.len() as f64 / to.saturating_sub(from).as_secs_f64(), took }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The time within which this share of sorted times lies, in milliseconds.
fn at(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(f64::NAN, |time| millis(*time))
}

/// Everything that is printed.
pub(crate) struct Report {
    open: usize,
    opened_in: Duration,
    memory: u64,
    memory_in_all: u64,
    outcomes: Vec<Outcome>,
    lost_records: f64,
}

impl Report {
    pub(crate) fn new(open: usize, opened_in: Duration, memory: u64, memory_in_all: u64) -> Self {
        Report { open, opened_in, memory, memory_in_all, outcomes: Vec::new(), lost_records: 0.0 }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(crate) fn lost_records(&mut self, count: f64) {
        self.lost_records = count;
    }

    pub(crate) fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{} connections opened in {:.1} s; the gateway has {:.0} MB, {:.1} KB of it for each.\n",
            self.open,
            self.opened_in.as_secs_f64(),
            self.memory_in_all as f64 / 1e6,
            self.memory as f64 / 1e3 / self.open as f64
        )?;
        let head = [
            "news",
            "ended",
            "ms since acknowledged: p50 / p99 / max",
            "ms since asked for: p99 / max",
            "the gateway's own count, p50 / p99 in ms at most",
            "target",
            "undisturbed requests/s",
            "their p99 in ms",
            "gateway's CPU µs per end",
        ];
        writeln!(out, "| {} |", head.join(" | "))?;
        writeln!(out, "|---|---:|---:|---:|---:|---|---:|---:|---:|")?;
        for outcome in &self.outcomes {
            writeln!(out, "| {} |", outcome.row().join(" | "))?;
        }
        Ok(writeln!(out, "\nFailure records that did not reach the disk: {}", self.lost_records)?)
    }
}
