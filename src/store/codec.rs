//! How a record is written in bytes: one byte that names the format, then the record.
//!
//! Format 1 is JSON, so that a record from a newer build with an added field still reads here. A record that does not
//! read is an error value that says which one it is; it never quotes the record, which may hold a secret.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::Table;

/// The format that [`encode`] writes.
const FORMAT_JSON: u8 = 1;

/// A record that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record `{table}/{key}` {fault}")]
pub struct RecordError {
    /// The table the record is in.
    pub table: Table,
    /// The record's key.
    pub key: String,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// There is not even a format byte.
    #[error("is empty")]
    Empty,
    /// Written in a format this build does not know.
    #[error("has format {0}, which this build does not know")]
    UnknownFormat(u8),
    /// Not the text its format promises.
    #[error("is broken at line {line} column {column}")]
    Broken {
        /// The line in the record's text.
        line: usize,
        /// The column in the record's text.
        column: usize,
    },
    /// Sound text, but not of the shape that was asked for.
    #[error("does not have the expected shape at line {line} column {column}")]
    Mismatched {
        /// The line in the record's text.
        line: usize,
        /// The column in the record's text.
        column: usize,
    },
    /// Sound, but it refers to another record that is not there, or does not read.
    #[error("refers to a record that cannot be read")]
    Dangling,
    /// A value that has no representation in the format.
    #[error("cannot be represented")]
    Unrepresentable,
}

/// What most records have room in.
const USUAL_BYTES: usize = 1024;

/// Writes `record` in the current format.
pub(super) fn encode<T: Serialize>(table: Table, key: &str, record: &T) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.push(FORMAT_JSON);
    match serde_json::to_writer(&mut bytes, record) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(broken(table, key, RecordFault::Unrepresentable)),
    }
}

/// Reads a record of any format this build knows.
pub(super) fn decode<T: DeserializeOwned>(table: Table, key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    let read = match bytes.split_first() {
        Some((&FORMAT_JSON, text)) => serde_json::from_slice(text).map_err(|error| fault_of(&error)),
        Some((&format, _)) => Err(RecordFault::UnknownFormat(format)),
        None => Err(RecordFault::Empty),
    };
    read.map_err(|fault| broken(table, key, fault))
}

fn broken(table: Table, key: &str, fault: RecordFault) -> RecordError {
    RecordError { table, key: key.to_owned(), fault }
}

/// Keeps the place of the error and drops its message, which may quote the record.
fn fault_of(error: &serde_json::Error) -> RecordFault {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => RecordFault::Mismatched { line, column },
        _ => RecordFault::Broken { line, column },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_starts_with_its_format() {
        assert_eq!(encode(Table::Objects, "k", &[1, 2]).unwrap(), b"\x01[1,2]");
    }

    #[test]
    fn an_unreadable_record_is_named_and_not_quoted() {
        let cases: [(&[u8], &str); 5] = [
            (b"", "record `postures/alice` is empty"),
            (b"\x02{}", "record `postures/alice` has format 2, which this build does not know"),
            (b"{}", "record `postures/alice` has format 123, which this build does not know"),
            (b"\x01{\"a\":", "record `postures/alice` is broken at line 1 column 5"),
            (b"\x01{\"a\":\"hush\"}", "record `postures/alice` does not have the expected shape at line 1 column 11"),
        ];
        for (bytes, expected) in cases {
            let error = decode::<BTreeMap<String, u32>>(Table::Postures, "alice", bytes).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused_when_written() {
        let unnamed = BTreeMap::from([(vec![1_u8], 1_u8)]);
        let error = encode(Table::Objects, "k", &unnamed).unwrap_err();
        assert_eq!(error.fault, RecordFault::Unrepresentable);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_written_reads_back(record: BTreeMap<String, Vec<Option<i64>>>) {
            let bytes = encode(Table::Objects, "k", &record).unwrap();
            prop_assert_eq!(decode::<BTreeMap<_, _>>(Table::Objects, "k", &bytes).unwrap(), record);
        }

        #[test]
        fn any_bytes_are_an_answer(bytes: Vec<u8>) {
            let _ = decode::<BTreeMap<String, u32>>(Table::Objects, "k", &bytes);
        }
    }
}
