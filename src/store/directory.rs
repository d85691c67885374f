//! The data directory: one process at a time, files for the owner's eyes only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::error::StoreError;

/// The data directory, held by this process until the value is dropped.
///
/// Taken before the store's file is looked at: two starting processes could otherwise move each other's file aside.
pub(super) struct DataDirectory {
    handle: File,
}

impl DataDirectory {
    /// Makes `path` if it is missing and takes hold of it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let handle = fs::create_dir_all(path).and_then(|()| File::open(path));
        let handle = handle.map_err(|source| StoreError::cannot_open(path, source))?;
        match handle.try_lock() {
            // Where directories cannot be locked, the engine's own lock on its file has to do.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(DataDirectory { handle }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: path.to_owned() }),
        }
    }

    /// Makes the names in the directory as durable as the files they lead to.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// An empty file that only its owner can read, in the place of whatever file was there.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
