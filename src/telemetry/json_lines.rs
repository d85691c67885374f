//! Log lines as JSON objects: `timestamp`, `level`, the event's own fields, `target`.
//!
//! A gateway writes one for every request, so this is the request path: a line is put together in a buffer that its thread keeps,
//! and handed to the writer at once.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::limits::LOG_LINE_BYTES_KEPT_MAX;

/// Writes every event as one line of JSON.
#[derive(Debug)]
pub(super) struct JsonLines<W> {
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        JsonLines { writer }
    }
}

/// What a thread keeps from line to line.
struct Line {
    text: String,
    /// The second that was written last, and its text.
    second: (i64, String),
}

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line { text: String::new(), second: (i64::MIN, String::new()) }) };
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // A thread that is coming down has no buffer any more; and a value may log something itself while it is written.
        let _ = LINE.try_with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.write(event, &mut line),
            Err(_) => self.write(event, &mut Line { text: String::new(), second: (i64::MIN, String::new()) }),
        });
    }
}

impl<W> JsonLines<W>
where
    W: for<'a> MakeWriter<'a>,
{
    fn write(&self, event: &Event<'_>, line: &mut Line) {
        // Events of the `log` crate say in fields where they come from.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        line.text.clear();
        line.text.push_str("{\"timestamp\":\"");
        line.push_time(SystemClock.now());
        line.text.push_str("\",\"level\":\"");
        line.text.push_str(metadata.level().as_str());
        line.text.push('"');
        event.record(&mut Fields { text: &mut line.text, of_log: normalized.is_some() });
        line.text.push_str(",\"target\":");
        push_quoted(&mut line.text, metadata.target());
        line.text.push_str("}\n");
        // There is nobody left to be told that the log cannot be written.
        let _ = self.writer.make_writer_for(metadata).write_all(line.text.as_bytes());
        line.text.shrink_to(LOG_LINE_BYTES_KEPT_MAX);
    }
}

impl Line {
    /// The time as RFC 3339 with milliseconds; its seconds are put into words once.
    fn push_time(&mut self, now: Timestamp) {
        let (second, millis) = (now.as_millis().div_euclid(1000), now.as_millis().rem_euclid(1000));
        if self.second.0 != second {
            let mut text = Timestamp::from_millis(second.saturating_mul(1000)).to_string();
            text.truncate(text.find('.').unwrap_or(text.len()));
            self.second = (second, text);
        }
        self.text.push_str(&self.second.1);
        // Writing into a string does not fail.
        let _ = write!(self.text, ".{millis:03}Z");
    }
}

/// The fields of an event, each with the comma before it.
struct Fields<'a> {
    text: &'a mut String,
    of_log: bool,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) -> bool {
        if self.of_log && field.name().starts_with("log.") {
            return false;
        }
        self.text.push(',');
        push_quoted(self.text, field.name().trim_start_matches("r#"));
        self.text.push(':');
        true
    }
}

impl Fields<'_> {
    /// A value that is JSON as it is written.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if self.name(field) {
            let _ = write!(self.text, "{value}");
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.name(field) {
            push_quoted(self.text, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not a number.
        if value.is_finite() { self.plain(field, value) } else { self.plain(field, "null") }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.name(field) {
            self.text.push('"');
            let _ = write!(Escaped(self.text), "{value:?}");
            self.text.push('"');
        }
    }
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    let _ = Escaped(text).write_str(value);
    text.push('"');
}

/// Writes text as the inside of a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        if !value.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            self.0.push_str(value);
            return Ok(());
        }
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                control if u32::from(control) < 0x20 => write!(self.0, "\\u{:04x}", u32::from(control))?,
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(log: impl FnOnce()) -> Vec<serde_json::Value> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let written = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_events_fields_with_their_types() {
        let lines = lines(|| {
            tracing::info!(
                target: "postern::decision",
                request_id = %"a-b",
                absent = None::<&str>,
                status = 200_u16,
                offset = -1,
                share = 0.5,
                strange = f64::NAN,
                told = true,
                path = "/a\"b\\c\n\u{1}ü",
                error = ?Some("x"),
                "request"
            );
            tracing::warn!("once more");
        });
        let line = &lines[0];
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "postern::decision");
        assert_eq!(line["message"], "request");
        assert_eq!(line["request_id"], "a-b");
        assert!(line.get("absent").is_none());
        assert_eq!(line["status"], 200);
        assert_eq!(line["offset"], -1);
        assert_eq!(line["share"], 0.5);
        assert!(line["strange"].is_null());
        assert_eq!(line["told"], true);
        assert_eq!(line["path"], "/a\"b\\c\n\u{1}ü");
        assert_eq!(line["error"], "Some(\"x\")");
        line["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(lines[1]["level"], "WARN");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_time_is_written_as_everywhere_else() {
        for millis in [0, 1_795_000_000_007, 1_795_000_000_999, -1] {
            let mut line = Line { text: String::new(), second: (i64::MIN, String::new()) };
            line.push_time(Timestamp::from_millis(millis));
            assert_eq!(line.text, Timestamp::from_millis(millis).to_string());
        }
    }
}
