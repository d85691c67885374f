//! The only place that writes to standard output and standard error.
//!
//! Answers go to standard output, remarks and errors to standard error. Colour is used only on a terminal, and not when
//! `NO_COLOR` is set or `TERM` is `dumb`. A reader that goes away (`postern ... | head`) ends the output quietly.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The two output streams; cheap to clone, and usable from any thread.
#[derive(Clone)]
pub struct Terminal {
    out: Arc<Mutex<Stream>>,
    err: Arc<Mutex<Stream>>,
}

struct Stream {
    writer: Box<dyn Write + Send>,
    coloured: bool,
    /// The first failure. Nothing is written after it.
    failure: Option<io::Error>,
}

/// What a piece of text says, which chooses its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As hoped.
    Good,
    /// Not as hoped.
    Bad,
    /// To be looked at.
    Warning,
    /// What a reader looks for first.
    Strong,
    /// What a reader may pass over.
    Faint,
}

impl Style {
    const fn escape(self) -> &'static str {
        match self {
            Style::Good => "\x1b[32m",
            Style::Bad => "\x1b[31m",
            Style::Warning => "\x1b[33m",
            Style::Strong => "\x1b[1m",
            Style::Faint => "\x1b[2m",
        }
    }
}

const RESET: &str = "\x1b[0m";

impl Terminal {
    /// The process's own standard output and error.
    pub fn standard() -> Self {
        let allowed = allows_colour(std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Terminal::new(
            Stream::new(io::stdout(), allowed && io::stdout().is_terminal()),
            Stream::new(io::stderr(), allowed && io::stderr().is_terminal()),
        )
    }

    fn new(out: Stream, err: Stream) -> Self {
        Terminal { out: Arc::new(Mutex::new(out)), err: Arc::new(Mutex::new(err)) }
    }

    /// Writes a line to standard output.
    pub fn line(&self, text: impl Display) {
        write(&self.out, |writer| writeln!(writer, "{text}"));
    }

    /// Writes `text` to standard output as it is.
    pub fn raw(&self, text: &[u8]) {
        write(&self.out, |writer| writer.write_all(text));
    }

    /// Writes `value` to standard output as one line of JSON.
    pub fn json(&self, value: &impl Serialize) {
        write(&self.out, |writer| {
            serde_json::to_writer(&mut *writer, value)?;
            writeln!(writer)
        });
    }

    /// Writes a value as a JSON document for people to read and programs to keep.
    pub fn json_document(&self, value: &impl Serialize) {
        write(&self.out, |writer| {
            serde_json::to_writer_pretty(&mut *writer, value)?;
            writeln!(writer)
        });
    }

    /// Writes a remark to standard error.
    pub fn remark(&self, text: impl Display) {
        write(&self.err, |writer| writeln!(writer, "{text}"));
    }

    /// Writes an error and its causes to standard error.
    pub fn error(&self, error: &dyn Error) {
        let label = paint(&self.err, Style::Bad, "error:");
        self.remark(format_args!("{label} {}", with_causes(error)));
    }

    /// `text` in the colour of `style`, for use in a [`line`](Self::line); plain where there is no colour.
    pub fn paint(&self, style: Style, text: impl Display) -> String {
        paint(&self.out, style, text)
    }

    /// Whether the reader of standard output went away, so that there is nobody left to write for.
    pub fn is_closed(&self) -> bool {
        lock(&self.out).failure.is_some()
    }

    /// Whether everything meant for standard output got there. A reader that went away on its own accord is fine.
    pub fn finish(&self) -> io::Result<()> {
        match lock(&self.out).failure.take() {
            Some(failure) if failure.kind() != io::ErrorKind::BrokenPipe => Err(failure),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Stream {
    fn new(writer: impl Write + Send + 'static, coloured: bool) -> Self {
        Stream { writer: Box::new(writer), coloured, failure: None }
    }
}

fn lock(stream: &Mutex<Stream>) -> std::sync::MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(stream: &Mutex<Stream>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut stream = lock(stream);
    if stream.failure.is_none() {
        let outcome = write(&mut *stream.writer).and_then(|()| stream.writer.flush());
        stream.failure = outcome.err();
    }
}

fn paint(stream: &Mutex<Stream>, style: Style, text: impl Display) -> String {
    if lock(stream).coloured { format!("{}{text}{RESET}", style.escape()) } else { text.to_string() }
}

/// Both variables count only when they are not empty (no-color.org).
fn allows_colour(no_color: Option<std::ffi::OsString>, term: Option<std::ffi::OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|value| value != "dumb")
}

/// The error's text and those of its causes that it does not repeat itself.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
pub(super) mod recording {
    use super::*;

    /// What was written to a terminal in a test.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Recorded(Arc<Mutex<Vec<u8>>>);

    impl Recorded {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Recorded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal without colour, and what is written to its standard output and error.
    pub(in crate::cli) fn terminal() -> (Terminal, Recorded, Recorded) {
        let (out, err) = (Recorded::default(), Recorded::default());
        let terminal = Terminal::new(Stream::new(out.clone(), false), Stream::new(err.clone(), false));
        (terminal, out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn failing(kind: io::ErrorKind) -> Terminal {
        Terminal::new(Stream::new(Failing(kind), false), Stream::new(io::sink(), false))
    }

    #[test]
    fn a_reader_that_went_away_ends_the_output_quietly() {
        let terminal = failing(io::ErrorKind::BrokenPipe);
        assert!(!terminal.is_closed());
        terminal.line("lost");
        assert!(terminal.is_closed());
        assert!(terminal.finish().is_ok());
    }

    #[test]
    fn output_that_could_not_be_written_is_an_error() {
        let terminal = failing(io::ErrorKind::StorageFull);
        terminal.json(&"lost");
        assert_eq!(terminal.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn answers_and_remarks_go_to_their_own_streams_and_json_is_one_line() {
        let (terminal, out, err) = recording::terminal();
        terminal.line("answer");
        terminal.json(&serde_json::json!({"text": "two\nlines"}));
        terminal.remark("remark");
        assert_eq!(out.text(), "answer\n{\"text\":\"two\\nlines\"}\n");
        assert_eq!(err.text(), "remark\n");
    }

    #[test]
    fn colour_is_used_only_where_it_is_shown_and_wanted() {
        let coloured = Terminal::new(Stream::new(io::sink(), true), Stream::new(io::sink(), false));
        assert_eq!(coloured.paint(Style::Good, "yes"), "\x1b[32myes\x1b[0m");
        let (plain, ..) = recording::terminal();
        assert_eq!(plain.paint(Style::Good, "yes"), "yes");

        assert!(allows_colour(None, Some("xterm".into())));
        assert!(allows_colour(Some("".into()), None));
        assert!(!allows_colour(Some("1".into()), None));
        assert!(!allows_colour(None, Some("dumb".into())));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `x`")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open: {0}")]
    struct Inner(#[source] io::Error);

    #[test]
    fn an_error_is_shown_with_each_cause_once() {
        let (terminal, _, err) = recording::terminal();
        terminal.error(&Outer(Inner(io::Error::other("no such thing"))));
        assert_eq!(err.text(), "error: cannot read `x`: cannot open: no such thing\n");
    }
}
