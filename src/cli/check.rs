//! `postern check`: everything `postern run` would refuse or remark on, without opening a port.

mod material;

use super::Exit;
use super::args::{CheckArgs, OutputFormat};
use super::terminal::{Style, Terminal};
use crate::app::policy_folder::{compile_findings, lint_findings};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Environment, Finding, Findings, Settings, Severity};
use crate::policy::compile::compile;

pub(super) fn run(args: &CheckArgs, clock: &dyn Clock, terminal: &Terminal) -> Exit {
    let findings = findings(args, clock.now());
    for finding in &findings {
        match args.output {
            OutputFormat::Json => terminal.json(finding),
            OutputFormat::Text => terminal.line(terminal.paint(style(finding.severity), finding)),
        }
    }
    let refused = findings.has_errors();
    if args.output == OutputFormat::Text {
        terminal.line(summary(args, &findings));
    }
    if refused { Exit::Failure } else { Exit::Success }
}

/// Everything there is to say, in the order of the places.
fn findings(args: &CheckArgs, now: Timestamp) -> Findings {
    let mut findings = Findings::new();
    match config::load(&args.config, &Environment::of_process()) {
        Ok((settings, warnings)) => {
            findings.append(warnings);
            findings.append(material::findings(&settings, now));
            findings.append(policy_findings(&settings));
        }
        Err(refused) => findings.append(refused),
    }
    findings.sort();
    findings
}

fn policy_findings(settings: &Settings) -> Findings {
    let loaded = match config::policy::load(&settings.policy_directory, &settings.proxy.service_defaults) {
        Ok(loaded) => loaded,
        Err(refused) => return refused,
    };
    let mut findings = loaded.warnings;
    findings.append(material::upstream_findings(&loaded.objects, &loaded.places));
    match compile(loaded.objects, FIRST_GENERATION) {
        Ok(snapshot) => findings.append(lint_findings(&snapshot, &loaded.places)),
        Err(errors) => findings.append(compile_findings(&errors, &loaded.places)),
    }
    findings
}

const FIRST_GENERATION: u64 = 1;

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::Bad,
        Severity::Warning => Style::Warning,
    }
}

fn summary(args: &CheckArgs, findings: &Findings) -> String {
    let errors = findings.iter().filter(|finding: &&Finding| finding.severity == Severity::Error).count();
    let warnings = findings.len().saturating_sub(errors);
    let file = args.config.display();
    match (errors, warnings) {
        (0, 0) => format!("{file}: no findings"),
        (0, warnings) => format!("{file}: no errors, {}", counted(warnings, "warning")),
        (errors, 0) => format!("{file}: {}", counted(errors, "error")),
        (errors, warnings) => format!("{file}: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
