//! Log output.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::document::Field;
use crate::config::values::LogFilter;

/// Log output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines are written, such as `info` or `warn,postern=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Pretty,
}

/// Log output.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLog {
    /// `json` for machines, `pretty` for people. Default: json.
    format: Field<LogFormat>,
    /// Which lines are written: a level, or levels by module (`warn,postern=debug`). Default: info.
    level: Field<LogFilter>,
}

impl RawLog {
    pub(in crate::config) fn check(self) -> Log {
        Log {
            format: self.format.or_default(),
            level: self.level.value().map_or_else(|| "info".to_owned(), |level| level.0),
        }
    }
}
