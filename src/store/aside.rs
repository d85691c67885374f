//! Moving an unusable store file out of the way, so that the program starts and nothing is destroyed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use crate::clock::Timestamp;
use crate::limits::STORE_ASIDE_NAMES_MAX;

/// A store file that could not be used and now lies under another name.
///
/// What it held is not in the running store: the operator must hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedAside {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// What is wrong with it.
    pub reason: Unusable,
}

impl fmt::Display for MovedAside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MovedAside { from, to, reason } = self;
        write!(
            formatter,
            "`{}` {reason}; it was moved to `{}` and an empty store took its place",
            from.display(),
            to.display()
        )
    }
}

/// What makes a store file unusable for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Something other than a file is in its place.
    NotAFile,
    /// Damaged or cut short.
    Corrupt(String),
    /// Not a store, or a store of another program.
    Foreign(String),
    /// Written by a newer build.
    NewerSchema {
        /// The schema the file has.
        found: u32,
        /// The newest schema this build knows.
        known: u32,
    },
}

impl Unusable {
    /// The stable label of this kind of defect.
    pub fn code(&self) -> &'static str {
        match self {
            Unusable::NotAFile => "store-not-a-file",
            Unusable::Corrupt(_) => "store-corrupt",
            Unusable::Foreign(_) => "store-foreign",
            Unusable::NewerSchema { .. } => "store-schema-newer",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::NotAFile => formatter.write_str("is not a file"),
            Unusable::Corrupt(detail) => write!(formatter, "is corrupt: {detail}"),
            Unusable::Foreign(detail) => write!(formatter, "is not a postern store: {detail}"),
            Unusable::NewerSchema { found, known } => {
                write!(formatter, "was written by a newer postern (schema {found}; this build knows {known})")
            }
        }
    }
}

/// Renames `path` to `<path>.corrupt-<now>`, never over something that exists.
///
/// INVARIANT: the caller holds the data directory, so nobody takes the free name in between.
pub(super) fn move_aside(path: &Path, now: Timestamp, reason: Unusable) -> Result<MovedAside, StoreError> {
    let renamed = free_name(path, now).and_then(|to| std::fs::rename(path, &to).map(|()| to));
    match renamed {
        Ok(to) => Ok(MovedAside { from: path.to_owned(), to, reason }),
        Err(source) => {
            Err(StoreError::MoveAside { path: path.to_owned(), reason: reason.to_string(), source: Arc::new(source) })
        }
    }
}

fn free_name(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    // Colons are awkward in shells and forbidden on some file systems.
    let stamp = now.to_string().replace([':', '-'], "");
    for attempt in 0..STORE_ASIDE_NAMES_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".corrupt-{stamp}"));
        if attempt > 0 {
            name.push(format!("-{attempt}"));
        }
        let name = PathBuf::from(name);
        match name.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}
