//! What was read, or what stood in the way of reading it.

use std::io;
use std::path::Path;

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A fact that was read, or the reason why it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected<T> {
    /// The fact.
    Known(T),
    /// It could not be established. This is not a value: nothing may be concluded from it.
    Unknown {
        /// What stood in the way.
        reason: Obstacle,
    },
}

impl<T> Collected<T> {
    /// Nobody here knows how to read `what` on this platform.
    pub(super) const fn unsupported(what: &'static str) -> Self {
        Collected::Unknown { reason: Obstacle::Unsupported { what } }
    }

    /// The fact, when it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Collected::Known(fact) => Some(fact),
            Collected::Unknown { .. } => None,
        }
    }

    /// The fact in another form.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Collected<U> {
        match self {
            Collected::Known(fact) => Collected::Known(change(fact)),
            Collected::Unknown { reason } => Collected::Unknown { reason },
        }
    }

    /// Why the fact is not known.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        match self {
            Collected::Known(_) => None,
            Collected::Unknown { reason } => Some(reason),
        }
    }

    /// Borrows the fact as a result.
    pub fn as_result(&self) -> Result<&T, &Obstacle> {
        match self {
            Collected::Known(fact) => Ok(fact),
            Collected::Unknown { reason } => Err(reason),
        }
    }
}

impl<T> From<Result<T, Obstacle>> for Collected<T> {
    fn from(result: Result<T, Obstacle>) -> Self {
        match result {
            Ok(fact) => Collected::Known(fact),
            Err(reason) => Collected::Unknown { reason },
        }
    }
}

/// `{"state":"known","value":..}` or `{"state":"unknown","reason":code,"detail":text}`.
impl<T: Serialize> Serialize for Collected<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Collected::Known(value) => {
                let mut fields = serializer.serialize_struct("Collected", 2)?;
                fields.serialize_field("state", "known")?;
                fields.serialize_field("value", value)?;
                fields.end()
            }
            Collected::Unknown { reason } => {
                let mut fields = serializer.serialize_struct("Collected", 3)?;
                fields.serialize_field("state", "unknown")?;
                fields.serialize_field("reason", reason.code())?;
                fields.serialize_field("detail", &reason.to_string())?;
                fields.end()
            }
        }
    }
}

/// Why a fact could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The file or folder is not there.
    #[error("`{path}` does not exist")]
    Absent {
        /// Which one.
        path: String,
    },
    /// The user this program runs as may not read it.
    #[error("`{path}` may not be read by this user")]
    Forbidden {
        /// Which file or folder.
        path: String,
    },
    /// It is larger than this program is willing to read.
    #[error("`{path}` is larger than the {max} bytes that are read")]
    TooLarge {
        /// Which file.
        path: String,
        /// The bound.
        max: u64,
    },
    /// Reading failed in another way.
    #[error("`{path}` could not be read: {kind}")]
    Failed {
        /// Which file or folder.
        path: String,
        /// How.
        kind: io::ErrorKind,
    },
    /// It was read and does not say what it should.
    #[error("`{path}` does not hold {expected}")]
    Malformed {
        /// Which file.
        path: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The file was modified between the first byte read and the last.
    #[error("`{path}` changed while it was read")]
    Changed {
        /// Which file.
        path: String,
    },
    /// There is more of something than is looked at, so nothing can be said about the rest.
    #[error("there are more than the {max} {what} that are looked at")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A process that may not be inspected could be the one asked for.
    #[error("process {pid} could be `{path}` and may not be inspected by this user")]
    HiddenProcess {
        /// The process.
        pid: u32,
        /// The executable asked for.
        path: String,
    },
    /// The system does not show other users' processes to this user at all.
    #[error("the processes of other users are hidden from this user")]
    HiddenProcesses,
    /// A process that does not run has no running binary to digest.
    #[error("`{path}` is not running")]
    NotRunning {
        /// The executable asked for.
        path: String,
    },
    /// A program of the system did not answer as it should, or not in time.
    #[error("`{program}` gave no usable answer; it may need more rights")]
    Unanswered {
        /// The program.
        program: String,
    },
    /// This platform has no collector for it.
    #[error("{what} cannot be read on this platform")]
    Unsupported {
        /// The fact.
        what: &'static str,
    },
}

impl Obstacle {
    /// The stable name of this kind of obstacle.
    pub const fn code(&self) -> &'static str {
        match self {
            Obstacle::Absent { .. } => "absent",
            Obstacle::Forbidden { .. } => "forbidden",
            Obstacle::TooLarge { .. } => "too-large",
            Obstacle::Failed { .. } => "failed",
            Obstacle::Malformed { .. } => "malformed",
            Obstacle::Changed { .. } => "changed",
            Obstacle::TooMany { .. } => "too-many",
            Obstacle::HiddenProcess { .. } => "hidden-process",
            Obstacle::HiddenProcesses => "hidden-processes",
            Obstacle::NotRunning { .. } => "not-running",
            Obstacle::Unanswered { .. } => "unanswered",
            Obstacle::Unsupported { .. } => "unsupported",
        }
    }

    /// What an input/output error at `path` means.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound => Obstacle::Absent { path },
            io::ErrorKind::PermissionDenied => Obstacle::Forbidden { path },
            kind => Obstacle::Failed { path, kind },
        }
    }

    /// Whether it only says that the thing is not there.
    pub(super) const fn is_absence(&self) -> bool {
        matches!(self, Obstacle::Absent { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fact_serialises_with_its_code_and_never_as_a_value() {
        let unknown: Collected<String> = Collected::Unknown { reason: Obstacle::Unsupported { what: "the domain" } };
        let json = serde_json::to_value(&unknown).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"state": "unknown", "reason": "unsupported", "detail": "the domain cannot be read on this platform"})
        );
        let known = serde_json::to_value(Collected::Known("x")).unwrap();
        assert_eq!(known, serde_json::json!({"state": "known", "value": "x"}));
    }
}
