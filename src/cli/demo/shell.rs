//! Command lines to repeat a step with: they can be pasted into a shell as they are printed.

use std::path::Path;

/// Where a long command is broken, in columns.
const WIDTH: usize = 80;
/// How far the lines after the first are moved in.
const INDENT: &str = "  ";

/// A command, and what it answers.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// Words that are not torn apart, already quoted.
    parts: Vec<String>,
    /// What it answers, for a person; `None` where it says nothing.
    pub(super) gives: Option<String>,
}

impl Command {
    /// A program to run.
    pub(super) fn new(program: &Path) -> Self {
        Command { parts: vec![quoted(&program.display().to_string())], gives: None }
    }

    /// `curl` with the words that come before any other.
    pub(super) fn curl() -> Self {
        let mut command = Command::new(Path::new("curl"));
        if goes_through_a_proxy() {
            command = command.option("--noproxy", "*");
        }
        command
    }

    /// Copies one file over another.
    pub(super) fn copy(from: &Path, to: &Path) -> Self {
        Command::new(Path::new("cp")).word(&from.display().to_string()).word(&to.display().to_string())
    }

    /// Adds an option without a value.
    pub(super) fn flag(mut self, name: &str) -> Self {
        self.parts.push(name.to_owned());
        self
    }

    /// Adds an option and its value.
    pub(super) fn option(mut self, name: &str, value: &str) -> Self {
        self.parts.push(format!("{name} {}", quoted(value)));
        self
    }

    /// Adds an option whose value is a file.
    pub(super) fn file(self, name: &str, path: &Path) -> Self {
        self.option(name, &path.display().to_string())
    }

    /// Adds a word.
    pub(super) fn word(mut self, word: &str) -> Self {
        self.parts.push(quoted(word));
        self
    }

    /// Says what it answers.
    pub(super) fn gives(mut self, answer: impl Into<String>) -> Self {
        self.gives = Some(answer.into());
        self
    }

    /// The command as lines that a shell reads as one.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for part in &self.parts {
            match lines.last_mut() {
                Some(line) if line.len().saturating_add(part.len()) < WIDTH => {
                    line.push(' ');
                    line.push_str(part);
                }
                Some(line) => {
                    line.push_str(" \\");
                    lines.push(format!("{INDENT}{part}"));
                }
                None => lines.push(part.clone()),
            }
        }
        lines
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@=,+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether curl would send what is meant for this machine somewhere else.
fn goes_through_a_proxy() -> bool {
    ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_tear_them_apart() {
        assert_eq!(quoted("https://app.localhost:1/a"), "https://app.localhost:1/a");
        assert_eq!(quoted("https://app.localhost:1/slow?a=1&b=2"), "'https://app.localhost:1/slow?a=1&b=2'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_long_command_is_broken_between_options_and_reads_as_one() {
        let long = "x".repeat(40);
        let lines = Command::new(Path::new("curl"))
            .option("--cacert", &long)
            .option("--cert", &long)
            .word("https://localhost/")
            .lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with(" \\") && lines[1].starts_with("  --cert "));
        assert!(lines[1].ends_with(" https://localhost/"));
    }
}
