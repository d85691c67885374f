//! Files, read whole within a bound and refused with words a person can act on.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use crate::clock::{Timestamp, checkpoint};
use crate::config::findings::{Finding, Place};

/// A file's bytes and the time it was last written.
pub(in crate::config) struct Bytes {
    pub(in crate::config) content: Vec<u8>,
    pub(in crate::config) modified: Timestamp,
}

/// How much of a file is read at once, in bytes.
const PIECE: u64 = 64 * 1024;

/// Reads a regular file of at most `limit` bytes; links are followed, pipes and sockets are not opened.
pub(in crate::config) fn read(path: &Path, limit: u64) -> Result<Bytes, Finding> {
    let refuse = |message: String| Finding::error(Place::path(path), "", message);
    let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));

    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(refuse("is a folder, expected a file".to_owned()));
    }
    if !metadata.is_file() {
        return Err(refuse("is not a regular file".to_owned()));
    }
    let mut content = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?.take(limit.saturating_add(1));
    while file.by_ref().take(PIECE).read_to_end(&mut content).map_err(unreadable)? > 0 {
        checkpoint();
    }
    if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
        return Err(refuse(format!("is larger than {limit} bytes")));
    }
    let modified = metadata.modified().map_or_else(|_| Timestamp::default(), timestamp);
    Ok(Bytes { content, modified })
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::default().after(since_epoch.unwrap_or_default())
}
