//! `postern agent status`: which services are open to this device, which are shut, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AgentError;
use super::link::{Link, LinkError, http_client, reason};
use crate::cli::Exit;
use crate::cli::args::OutputFormat;
use crate::cli::terminal::{Style, Terminal};
use crate::clock::{SystemClock, Timestamp};
use crate::config::AgentSettings;

/// What the gateway says of this device.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Own {
    identity: Named,
    time: Timestamp,
    #[serde(default)]
    checked_in_at: Option<Timestamp>,
    #[serde(default)]
    signed_in_at: Option<Timestamp>,
    #[serde(default)]
    clock_skew_millis: Option<i64>,
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    name: String,
    #[serde(default)]
    hosts: Vec<String>,
    open: bool,
    reason: String,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    valid_until: Option<Timestamp>,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    reason: String,
    #[serde(default)]
    remediation: Option<String>,
}

/// What came of asking one of the configured services.
#[derive(Debug, Serialize)]
struct Asked {
    url: String,
    answer: String,
    open: bool,
}

pub(super) async fn show(
    settings: &AgentSettings,
    called: &str,
    output: OutputFormat,
    terminal: &Terminal,
) -> Result<Exit, AgentError> {
    let link = Link::open(settings, Arc::new(SystemClock))?;
    let told = link.services().await?;
    let own: Own = serde_json::from_value(told.clone()).map_err(|error| LinkError::Unreadable(error.to_string()))?;
    let asked = ask_all(settings).await?;
    let all_open = own.services.iter().all(|service| service.open) && asked.iter().all(|asked| asked.open);
    match output {
        OutputFormat::Json => terminal.json(&with_asked(told, &asked)),
        OutputFormat::Text => tell(&own, &asked, called, terminal),
    }
    Ok(if all_open { Exit::Success } else { Exit::Failure })
}

/// Asks each configured service, as a browser of this device would.
async fn ask_all(settings: &AgentSettings) -> Result<Vec<Asked>, AgentError> {
    if settings.services.is_empty() {
        return Ok(Vec::new());
    }
    let http = http_client(settings)?;
    let mut asked = Vec::new();
    for url in &settings.services {
        let (answer, open) = match http.get(url).send().await {
            // The gate refuses with these; anything else comes from behind it.
            Ok(response) => {
                let refused = matches!(response.status().as_u16(), 400 | 403 | 404 | 421);
                (response.status().to_string(), !refused)
            }
            Err(error) => (reason(&error), false),
        };
        asked.push(Asked { url: url.clone(), answer, open });
    }
    Ok(asked)
}

fn with_asked(mut told: Value, asked: &[Asked]) -> Value {
    if let (Some(members), false) = (told.as_object_mut(), asked.is_empty()) {
        members.insert("asked".to_owned(), json!(asked));
    }
    told
}

fn tell(own: &Own, asked: &[Asked], called: &str, terminal: &Terminal) {
    terminal.line(terminal.paint(Style::Strong, &own.identity.name));
    terminal.line(format_args!("  {}", reported(own, called)));
    if let Some(skew) = own.clock_skew_millis {
        let seconds = skew.unsigned_abs() / 1000;
        let side = if skew < 0 { "behind" } else { "ahead of" };
        let shown = if seconds == 0 { "agrees with".to_owned() } else { format!("is {seconds} s {side}") };
        terminal.line(format_args!("  this device's clock {shown} the gateway's"));
    }
    if own.services.is_empty() {
        terminal.line("  no policy lets this device reach anything");
    }
    let width = own.services.iter().map(|service| service.name.chars().count()).max().unwrap_or_default();
    for service in &own.services {
        tell_service(service, own.time, width, called, terminal);
    }
    for Asked { url, answer, open } in asked {
        let style = if *open { Style::Good } else { Style::Bad };
        terminal.line(format_args!("{}  {url}", terminal.paint(style, answer)));
    }
}

fn reported(own: &Own, called: &str) -> String {
    let Some(last) = own.checked_in_at else {
        return format!("has never reported; run `{called} report`");
    };
    let signed = if own.signed_in_at == Some(last) { "signed" } else { "not signed" };
    format!("reported {} ago, {signed}", in_words(own.time.since(last)))
}

/// To the second.
fn in_words(duration: Duration) -> impl std::fmt::Display {
    humantime::format_duration(Duration::from_secs(duration.as_secs()))
}

fn tell_service(service: &Service, now: Timestamp, width: usize, called: &str, terminal: &Terminal) {
    let (style, state) = if service.open { (Style::Good, "open") } else { (Style::Bad, "shut") };
    let until = service.valid_until.filter(|_| service.open);
    let until = until.map(|until| format!("for {} unless something changes", in_words(until.since(now))));
    let words = service.hosts.iter().cloned().chain(until).collect::<Vec<_>>().join(", ");
    let line = format!("{:width$}  {words}", service.name);
    terminal.line(format_args!("{}  {}", terminal.paint(style, state), line.trim_end()));
    if service.open {
        return;
    }
    let checks = service.checks.as_deref().unwrap_or_default();
    if checks.is_empty() {
        let detail = service.detail.as_deref().unwrap_or_default();
        terminal.line(format_args!("      {}: {detail}", service.reason));
    }
    for check in checks {
        let what_to_do = check.remediation.clone().unwrap_or_else(|| advice(&check.reason, called));
        terminal.line(format_args!("      {} ({}): {what_to_do}", check.name, check.reason));
    }
}

/// What to do about a check of which its operator said nothing.
fn advice(reason: &str, called: &str) -> String {
    let plain = match reason {
        "not-reported" | "unreadable" | "fact-missing" | "fact-unreadable" => {
            return format!("`{called} report` says why this device does not tell it");
        }
        "stale" | "not-signed" | "no-client-session" => {
            return format!("report now by `{called} report`, and keep `{called} run` running");
        }
        "mfa-not-passed" | "mfa-timed-out" | "mfa-required-after-wake" | "mfa-required-after-unlock" => {
            "enter a code of your authenticator app"
        }
        "os-version-not-allowed" => "install a supported version of the operating system",
        "domain-not-allowed" | "domain-not-joined" => "join this device to the domain",
        "process-not-running" => "start the program",
        "volume-not-encrypted" => "encrypt the disk",
        "firewall-off" => "turn the firewall on",
        "antivirus-off" => "turn the antivirus on",
        "antivirus-outdated" => "update the antivirus' signatures",
        _ => "ask whoever runs the gateway",
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::recording;

    #[test]
    fn a_person_reads_what_is_shut_and_what_to_do() {
        let own: Own = serde_json::from_value(json!({
            "identity": {"id": "a", "name": "alice-laptop"},
            "time": "2026-01-02T03:04:05.000Z",
            "checkedInAt": "2026-01-02T03:03:55.000Z",
            "signedInAt": "2026-01-02T03:03:55.000Z",
            "clockSkewMillis": -2500,
            "services": [
                {"name": "app", "hosts": ["app.example"], "open": true, "reason": "allowed"},
                {"name": "safe", "hosts": [], "open": true, "reason": "allowed", "validUntil": "2026-01-02T03:09:06.500Z"},
                {"name": "wiki", "hosts": ["wiki.example"], "open": false, "reason": "posture-failed", "checks": [
                    {"name": "disk", "type": "disk_encryption", "reason": "volume-not-encrypted", "remediation": "Turn on LUKS."},
                    {"name": "os", "type": "os", "reason": "os-version-not-allowed"},
                    {"name": "code", "type": "mfa", "reason": "mfa-timed-out"}]},
                {"name": "vault", "hosts": [], "open": false, "reason": "posture-failed", "detail": "This device is not ready."},
            ],
        }))
        .unwrap();
        let (terminal, out, _) = recording::terminal();
        let asked = [Asked { url: "https://app.example/".to_owned(), answer: "200 OK".to_owned(), open: true }];
        tell(&own, &asked, "postern agent", &terminal);
        let expected = "\
alice-laptop
  reported 10s ago, signed
  this device's clock is 2 s behind the gateway's
open  app    app.example
open  safe   for 5m 1s unless something changes
shut  wiki   wiki.example
      disk (volume-not-encrypted): Turn on LUKS.
      os (os-version-not-allowed): install a supported version of the operating system
      code (mfa-timed-out): enter a code of your authenticator app
shut  vault
      posture-failed: This device is not ready.
200 OK  https://app.example/
";
        assert_eq!(out.text(), expected);
    }
}
