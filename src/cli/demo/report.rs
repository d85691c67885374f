//! How the demo tells what happens: step by step, for people or for programs.

use std::fmt::Display;

use serde::Serialize;

use super::shell::Command;
use crate::cli::args::OutputFormat;
use crate::cli::terminal::{Style, Terminal};

/// Where prose is broken, in columns.
const WIDTH: usize = 92;
/// Where the text of a step begins.
const MARGIN: &str = "     ";
/// How wide the labels beside the text are.
const LABEL: usize = 8;

/// One step of the walk, after it was taken.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// Its stable name.
    #[serde(rename = "step")]
    pub(super) name: &'static str,
    /// What happens, in a line.
    #[serde(skip)]
    pub(super) title: &'static str,
    /// What was done.
    #[serde(skip)]
    pub(super) story: String,
    /// What should come.
    pub(super) expected: String,
    /// What came.
    pub(super) got: String,
    /// Whether that is the same.
    pub(super) ok: bool,
    /// How to repeat it.
    #[serde(skip)]
    pub(super) repeat: Vec<Command>,
}

/// Tells steps, and keeps count.
#[derive(Debug)]
pub(super) struct Report {
    terminal: Terminal,
    output: OutputFormat,
    taken: usize,
    as_expected: usize,
}

impl Report {
    pub(super) fn new(terminal: &Terminal, output: OutputFormat) -> Self {
        Report { terminal: terminal.clone(), output, taken: 0, as_expected: 0 }
    }

    /// Whether every step went as expected, and there was one.
    pub(super) fn is_good(&self) -> bool {
        self.taken > 0 && self.taken == self.as_expected
    }

    /// Whether there is nobody left to tell.
    pub(super) fn is_unheard(&self) -> bool {
        self.terminal.is_closed()
    }

    /// Tells one step.
    pub(super) fn step(&mut self, step: &Step) {
        self.taken = self.taken.saturating_add(1);
        self.as_expected = self.as_expected.saturating_add(usize::from(step.ok));
        match self.output {
            OutputFormat::Json => self.terminal.json(step),
            OutputFormat::Text => self.step_in_words(step),
        }
    }

    fn step_in_words(&self, step: &Step) {
        let mark = if step.ok { self.paint(Style::Good, "✔") } else { self.paint(Style::Bad, "✘") };
        let title = self.paint(Style::Strong, step.title);
        self.text("");
        self.text(format_args!("{mark} {:>2}. {title}", self.taken));
        for line in wrapped(&step.story, WIDTH - MARGIN.len()) {
            self.text(format_args!("{MARGIN}{line}"));
        }
        self.labelled("expected", &step.expected, None);
        let style = if step.ok { Style::Good } else { Style::Bad };
        self.labelled("got", &step.got, Some(style));
        let mut label = "repeat";
        for command in &step.repeat {
            for line in command.lines() {
                self.text(format_args!("{MARGIN}{} {line}", self.label(label)));
                label = "";
            }
            if let Some(answer) = &command.gives {
                let answer = self.paint(Style::Faint, format_args!("→ {answer}"));
                self.text(format_args!("{MARGIN}{} {answer}", self.label("")));
            }
        }
    }

    /// A heading, for people only.
    pub(super) fn heading(&self, text: impl Display) {
        self.text("");
        self.text(self.paint(Style::Strong, text));
    }

    /// A name and what it stands for, for people only.
    pub(super) fn entry(&self, name: &str, value: impl Display) {
        self.text(format_args!("  {name:<20} {value}"));
    }

    /// A name and a command, for people only.
    pub(super) fn command(&self, name: &str, command: &Command) {
        let mut name = name;
        for line in command.lines() {
            self.entry(name, line);
            name = "";
        }
    }

    /// A line, for people only.
    pub(super) fn text(&self, line: impl Display) {
        if self.output == OutputFormat::Text {
            self.terminal.line(line);
        }
    }

    /// Sums up.
    pub(super) fn summary(&self) {
        let style = if self.is_good() { Style::Good } else { Style::Bad };
        let sum = format!("{} of {} steps went as expected.", self.as_expected, self.taken);
        self.text("");
        self.text(self.paint(style, sum));
    }

    fn labelled(&self, label: &str, text: &str, style: Option<Style>) {
        let mut label = label;
        for line in wrapped(text, WIDTH - MARGIN.len() - LABEL - 1) {
            let line = style.map_or_else(|| line.clone(), |style| self.paint(style, &line));
            self.text(format_args!("{MARGIN}{} {line}", self.label(label)));
            label = "";
        }
    }

    fn label(&self, label: &str) -> String {
        self.paint(Style::Faint, format_args!("{label:<LABEL$}"))
    }

    fn paint(&self, style: Style, text: impl Display) -> String {
        self.terminal.paint(style, text)
    }
}

/// Breaks a text between words so that no line is wider than `width`, unless one word is.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = line.chars().count().saturating_add(1).saturating_add(word.chars().count());
        if !line.is_empty() && needed > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::recording;

    fn step(ok: bool) -> Step {
        Step {
            name: "allowed",
            title: "Allowed",
            story: "Somebody asks.".to_owned(),
            expected: "200".to_owned(),
            got: "200".to_owned(),
            ok,
            repeat: vec![Command::curl().word("http://127.0.0.1/").gives("200")],
        }
    }

    #[test]
    fn for_programs_a_step_is_one_line_with_four_members_and_nothing_else_is_said() {
        let (terminal, out, _) = recording::terminal();
        let mut report = Report::new(&terminal, OutputFormat::Json);
        report.heading("Walk");
        report.step(&step(true));
        report.summary();
        assert_eq!(out.text(), "{\"step\":\"allowed\",\"expected\":\"200\",\"got\":\"200\",\"ok\":true}\n");
    }

    #[test]
    fn for_people_a_step_says_what_to_type() {
        let (terminal, out, _) = recording::terminal();
        let mut report = Report::new(&terminal, OutputFormat::Text);
        report.step(&step(true));
        report.step(&step(false));
        report.summary();
        let text = out.text();
        assert!(text.contains("✔  1. Allowed\n") && text.contains("✘  2. Allowed\n"), "{text}");
        assert!(text.contains("http://127.0.0.1/\n") && text.contains("→ 200\n"), "{text}");
        assert!(text.ends_with("1 of 2 steps went as expected.\n"), "{text}");
        assert!(!report.is_good());
    }

    #[test]
    fn prose_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
        assert!(wrapped("", 3).is_empty());
    }
}
