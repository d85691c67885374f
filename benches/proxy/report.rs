//! From rounds to a table.

use std::io::Write;
use std::time::Duration;

use super::Result;
use super::load::{Load, Round};

/// One round of one proxy in figures.
pub(crate) struct Measured {
    /// Microseconds of the proxy's processor time per request.
    processor: f64,
    requests_per_second: f64,
    /// Microseconds to the answer, for half of the requests and for all but one in a hundred.
    p50: f64,
    p99: f64,
}

impl Measured {
    pub(crate) fn new(mut round: Round, processor_time: Duration) -> Self {
        round.latencies.sort_unstable();
        let requests = round.latencies.len() as f64;
        let percentile = |hundredths: usize| {
            round.latencies.get(round.latencies.len() * hundredths / 100).map_or(f64::NAN, |latency| micros(*latency))
        };
        Measured {
            processor: micros(processor_time) / requests,
            requests_per_second: requests / round.elapsed.as_secs_f64(),
            p50: percentile(50),
            p99: percentile(99),
        }
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// What is printed in the end: medians, and from where to where the rounds went.
pub(crate) struct Table {
    turns: u16,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(turns: u16) -> Self {
        let head = ["load", "proxy", "CPU µs/request", "ratio to bare Pingora", "requests/s", "p50 µs", "p99 µs"];
        let head: Vec<String> = head.map(str::to_owned).into();
        let rule = head.iter().enumerate().map(|(column, _)| if column < 2 { "---" } else { "---:" }.to_owned());
        let rule = rule.collect();
        Table { turns, rows: vec![head, rule] }
    }

    /// The rounds of every proxy under one load; the first proxy is the one the others are compared with.
    pub(crate) fn add<'a>(&mut self, load: Load, proxies: impl Iterator<Item = (&'a str, Vec<Measured>)>) {
        let proxies: Vec<_> = proxies.collect();
        let Some((_, bare)) = proxies.first() else { return };
        for (number, (name, rounds)) in proxies.iter().enumerate() {
            let ratios = rounds.iter().zip(bare).map(|(round, bare)| round.processor / bare.processor);
            self.rows.push(vec![
                if number == 0 { load.describe() } else { String::new() },
                (*name).to_owned(),
                spread(rounds.iter().map(|round| round.processor), 1),
                if number == 0 { "1".to_owned() } else { spread(ratios, 3) },
                spread(rounds.iter().map(|round| round.requests_per_second), 0),
                spread(rounds.iter().map(|round| round.p50), 0),
                spread(rounds.iter().map(|round| round.p99), 0),
            ]);
        }
    }

    pub(crate) fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nMedian (lowest .. highest) of {} rounds each, taken in turn.\n", self.turns)?;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < 2 { write!(out, "| {cell:<width$} ")? } else { write!(out, "| {cell:>width$} ")? }
            }
            writeln!(out, "|")?;
        }
        Ok(())
    }
}

/// `median (lowest .. highest)`.
fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let (Some(lowest), Some(highest)) = (values.first(), values.last()) else { return String::new() };
    let half = values.len() / 2;
    let middle = values.get(half.saturating_sub(1 - values.len() % 2)..=half).unwrap_or_default();
    let median = middle.iter().sum::<f64>() / middle.len() as f64;
    format!("{median:.decimals$} ({lowest:.decimals$} .. {highest:.decimals$})")
}
