//! The policy folder: which files count, and a fingerprint of what they hold.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::clock::checkpoint;
use crate::config::document::file::{self, Bytes};
use crate::config::findings::{Finding, Place};
use crate::limits::{POLICY_BYTES_MAX, POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX};

/// How much is digested before somebody else may go first, in bytes.
const DIGESTED_AT_ONCE: usize = 64 * 1024;

/// A digest of the names and contents of all policy files; equal when nothing an operator wrote has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Every policy file of a folder, read.
pub(in crate::config) struct Folder {
    pub(super) files: Vec<(PathBuf, Result<Bytes, Finding>)>,
}

impl Folder {
    /// Reads `*.yaml` and `*.yml` of the folder itself, in the order of their names. Names that begin with a dot do not
    /// count: editors and Kubernetes (`..data`) keep their own things under them. Links are followed.
    pub(in crate::config) fn read(directory: &Path) -> Result<Self, Finding> {
        let refuse = |message: String| Finding::error(Place::path(directory), "", message);
        let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));

        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let path = directory.join(entry.map_err(unreadable)?.file_name());
            if is_policy_file(&path) {
                paths.push(path);
            }
        }
        if paths.len() > POLICY_FILES_MAX {
            return Err(refuse(format!("holds more than {POLICY_FILES_MAX} policy files")));
        }
        paths.sort();

        let mut files = Vec::with_capacity(paths.len());
        let mut room = POLICY_BYTES_MAX;
        for path in paths {
            let read = file::read(&path, POLICY_FILE_BYTES_MAX);
            let size = read.as_ref().map_or(0, |bytes| bytes.content.len());
            room = room
                .checked_sub(size)
                .ok_or_else(|| refuse(format!("its files hold more than {POLICY_BYTES_MAX} bytes together")))?;
            files.push((path, read));
        }
        Ok(Folder { files })
    }

    pub(in crate::config) fn fingerprint(&self) -> Fingerprint {
        let mut context = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            for piece in part.chunks(DIGESTED_AT_ONCE) {
                context.update(piece);
                checkpoint();
            }
        };
        for (path, read) in &self.files {
            add(path.file_name().unwrap_or_default().as_encoded_bytes());
            match read {
                Ok(bytes) => add(&bytes.content),
                Err(finding) => add(finding.message.as_bytes()),
            }
        }
        let mut fingerprint = [0; 32];
        let digest = context.finish();
        let bytes = fingerprint.iter_mut().zip(digest.as_ref());
        bytes.for_each(|(byte, digested)| *byte = *digested);
        Fingerprint(fingerprint)
    }
}

fn is_policy_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let extension = path.extension().unwrap_or_default();
    !name.starts_with(b".") && (extension == "yaml" || extension == "yml")
}
