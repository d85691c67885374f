//! From rounds to a table.

use std::io::Write;
use std::time::Duration;

use super::Result;
use super::load::Round;

/// One round of one proxy in figures.
pub(crate) struct Measured {
    /// Microseconds of the proxy's processor time per request.
    pub(crate) processor: f64,
    pub(crate) requests_per_second: f64,
    /// Microseconds to the answer, for half of the requests and for all but one in a hundred.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
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
    /// A table with these columns, of which the first two hold words and the others figures.
    pub(crate) fn new(turns: u16, head: &[&str]) -> Self {
        let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
        let rule = head.iter().enumerate().map(|(column, _)| if column < 2 { "---" } else { "---:" }.to_owned());
        let rule = rule.collect();
        Table { turns, rows: vec![head, rule] }
    }

    pub(crate) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
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
pub(crate) fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let (Some(lowest), Some(highest)) = (values.first(), values.last()) else { return String::new() };
    format!("{:.decimals$} ({lowest:.decimals$} .. {highest:.decimals$})", median_of_sorted(&values))
}

/// The median, and not a number where there is nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values)
}

fn median_of_sorted(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    let middle = values.get(half.saturating_sub(1 - values.len() % 2)..=half).unwrap_or_default();
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// How much of `others` each round took, those of the same turn compared.
pub(crate) fn ratios<'a>(rounds: &'a [Measured], others: &'a [Measured]) -> impl Iterator<Item = f64> + 'a {
    rounds.iter().zip(others).map(|(round, other)| round.processor / other.processor)
}
