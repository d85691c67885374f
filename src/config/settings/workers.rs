//! Threads that serve.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::limits::WORKERS_MAX;

/// How many threads serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor the process may use.
    #[default]
    PerProcessor,
    /// This many.
    Count(usize),
}

impl Workers {
    /// The number of threads, at least one.
    pub fn count(self) -> usize {
        match self {
            Workers::PerProcessor => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            Workers::Count(count) => count.max(1),
        }
    }
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WorkersVisitor;

        impl Visitor<'_> for WorkersVisitor {
            type Value = Workers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "`auto` or a whole number from 1 to {WORKERS_MAX}")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Workers, E> {
                self.visit_u64(u64::try_from(value).unwrap_or(0))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Workers, E> {
                match usize::try_from(value) {
                    Ok(count) if (1..=WORKERS_MAX).contains(&value) => Ok(Workers::Count(count)),
                    _ => Err(E::custom(format!("expected `auto` or a whole number from 1 to {WORKERS_MAX}"))),
                }
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Workers, E> {
                match value.parse() {
                    Ok(count) => self.visit_u64(count),
                    Err(_) if value == "auto" => Ok(Workers::PerProcessor),
                    Err(_) => self.visit_u64(0),
                }
            }
        }

        deserializer.deserialize_any(WorkersVisitor)
    }
}

impl JsonSchema for Workers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Workers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "const": "auto" },
                { "type": "integer", "minimum": 1, "maximum": WORKERS_MAX },
            ],
        })
    }
}
