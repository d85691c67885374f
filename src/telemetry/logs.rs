//! Log output: one line per event, as JSON for machines or aligned for people.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::json_lines::JsonLines;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// Aligned and, on a terminal, coloured.
    Pretty,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("log filter `{filter}` cannot be read")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in the process already receives logs.
    #[error("log output is already taken")]
    Taken(#[from] TryInitError),
}

/// Sends every log line of the process to standard error, Pingora's included; in colour where that is a terminal.
///
/// `filter` is in `tracing_subscriber::EnvFilter` syntax, for example `info,postern=debug`.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    start(format, filter, std::io::stderr, std::io::stderr().is_terminal())
}

/// Sends every log line of the process to `writer` instead, without colour.
pub fn init_into<W>(format: Format, filter: &str, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    start(format, filter, writer, false)
}

fn start<W>(format: Format, filter: &str, writer: W, coloured: bool) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let env_filter =
        EnvFilter::try_new(filter).map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(env_filter);
    match format {
        Format::Json => registry.with(JsonLines::new(writer)).try_init()?,
        Format::Pretty => {
            let lines = tracing_subscriber::fmt::layer().with_ansi(coloured).with_writer(writer);
            registry.with(lines.compact()).try_init()?;
        }
    }
    Ok(())
}
