//! `postern agent report`: one report, shown.

use std::sync::Arc;

use serde_json::{Value, json};

use super::AgentError;
use super::link::Link;
use super::run::gather;
use crate::agent::{Changes, Gathered, Gatherer};
use crate::cli::Exit;
use crate::cli::args::OutputFormat;
use crate::cli::terminal::{Style, Terminal};
use crate::clock::{SharedClock, SystemClock};
use crate::config::AgentSettings;
use crate::posture::inventory::UnknownFact;

pub(super) async fn report(
    settings: &AgentSettings,
    output: OutputFormat,
    terminal: &Terminal,
) -> Result<Exit, AgentError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let mut link = Link::open(settings, Arc::clone(&clock))?;
    let gatherer = Arc::new(Gatherer::new(clock));
    let wanted = link.wanted().await?;
    let found = gather(&gatherer, &wanted, Changes::default()).await?;
    link.report(&found.report).await?;
    match output {
        OutputFormat::Json => {
            terminal
                .json(&json!({ "gateway": link.gateway().as_str(), "report": found.report, "unknown": found.unknown }));
        }
        OutputFormat::Text => tell(&found, link.gateway().as_str(), terminal),
    }
    Ok(Exit::Success)
}

fn tell(found: &Gathered, gateway: &str, terminal: &Terminal) {
    terminal.line(terminal.paint(Style::Good, format_args!("reported to {gateway}, signed")));
    for (name, value) in found.report.iter().filter(|(name, _)| *name != "unknown") {
        match value {
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    terminal.line(format_args!("  {name:<16} {}", shown(item)));
                }
            }
            Value::Array(_) => terminal.line(format_args!("  {name:<16} none")),
            value => terminal.line(format_args!("  {name:<16} {}", shown(value))),
        }
    }
    for UnknownFact { fact, path, detail, .. } in &found.unknown {
        let fact = terminal.paint(Style::Warning, format_args!("{fact:<16}"));
        let path = path.as_ref().map(|path| format!("{path} ")).unwrap_or_default();
        terminal.line(format_args!("  {fact} {path}unknown: {detail}"));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            // A certificate is a page of letters; where it lies tells as much.
            let members = members.iter().filter(|(name, _)| *name != "pem");
            let told = members.map(|(name, value)| match value {
                Value::Object(_) => format!("{name}=({})", shown(value)),
                value => format!("{name}={}", shown(value)),
            });
            told.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
