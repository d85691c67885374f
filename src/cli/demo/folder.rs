//! The demo's folder: whose it is, what lies where, and how files in it are replaced.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Explains the folder, and marks it as one that the demo may write to.
const README: &str = "\
Made by `postern demo`. Everything here is for trying out; the keys protect nothing.

postern.yaml      how the gateway runs; `postern run --config postern.yaml` would serve the same
agent.yaml        how the agent of this machine runs; see `postern agent --help`
policy/           who may reach what, and under which posture; saved changes take effect at once
edits/            the policy as it was written, stricter, and broken: to copy over policy/policies.yaml
reports/          posture reports, to send with curl
pki/              the certificate authority and all certificates; `postern pki --dir pki` works on it
bin/              the program that plays the protection agent
data/             what the gateway keeps; emptied at each start of the demo
demo.json         addresses, identities, services and the admin token, for programs
admin.header      the admin token as a header, for curl
postern.log       the gateway's log

A file that the demo writes anew is kept beside it as NAME.previous. The folder can be deleted at any time.
";
const README_NAME: &str = "README.txt";

/// The folder of one running demo.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Held so that no second demo takes the same folder.
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something in it cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{} holds files that are not the demo's; choose a folder that is new or empty", .0.display())]
    NotOurs(PathBuf),
    /// Another demo runs in it.
    #[error("another demo is running in {}; stop it, or choose another folder with --dir", .0.display())]
    InUse(PathBuf),
    /// Its path cannot stand in a configuration file.
    #[error("the path {} is not valid UTF-8", .0.display())]
    NotUnicode(PathBuf),
}

impl FolderError {
    pub(super) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        FolderError::File { action, path: path.to_owned(), source }
    }
}

/// What writing a file meant for what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// There was nothing.
    New,
    /// It said the same already.
    Same,
    /// What was there is now `NAME.previous`.
    Replaced,
}

impl Folder {
    /// Makes the folder or takes over one that an earlier demo left.
    pub(super) fn take(dir: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(dir).map_err(|source| FolderError::new("create", dir, source))?;
        let root = fs::canonicalize(dir).map_err(|source| FolderError::new("find", dir, source))?;
        if root.to_str().is_none() {
            return Err(FolderError::NotUnicode(root));
        }
        let lock = File::open(&root).map_err(|source| FolderError::new("open", &root, source))?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(FolderError::InUse(root));
        }
        let folder = Folder { root, _lock: lock };
        let readme = folder.path(README_NAME);
        if !readme.exists() && !folder.is_empty()? {
            return Err(FolderError::NotOurs(folder.root));
        }
        folder.write(README_NAME, README)?;
        for name in ["policy", "edits", "reports", "bin"] {
            let path = folder.path(name);
            fs::create_dir_all(&path).map_err(|source| FolderError::new("create", &path, source))?;
        }
        Ok(folder)
    }

    /// The absolute path of something in the folder.
    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts `text` into a file that everybody may read, keeping what was there.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<Written, FolderError> {
        self.replace(name, text, 0o644, true)
    }

    /// Puts `text` into a file that only its owner may read. What was there is gone: it was a secret.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<Written, FolderError> {
        self.replace(name, text, 0o600, false)
    }

    /// Puts `text` into a file as somebody does who edits it: what was there is gone.
    pub(super) fn edit(&self, name: &str, text: &str) -> Result<Written, FolderError> {
        self.replace(name, text, 0o644, false)
    }

    /// Deletes a folder and all it holds.
    pub(super) fn clear(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path(name);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FolderError::new("empty", &path, source)),
            _ => Ok(()),
        }
    }

    /// Readers see the old text or the new, never a part. The new file begins with a dot, so that nobody takes it for a
    /// policy file in the meantime.
    fn replace(&self, name: &str, text: &str, mode: u32, keep: bool) -> Result<Written, FolderError> {
        let path = self.path(name);
        let before = fs::read(&path).ok();
        if before.as_deref() == Some(text.as_bytes()) {
            return Ok(Written::Same);
        }
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::File { action, path, source }
        };
        if keep && before.is_some() {
            let previous = with_name(&path, |name| format!("{name}.previous"));
            fs::copy(&path, &previous).map_err(failed("keep the earlier text in", &previous))?;
        }
        let new = with_name(&path, |name| format!(".{name}.new"));
        write_file(&new, text, mode).map_err(failed("write", &new))?;
        fs::rename(&new, &path).map_err(failed("write", &path))?;
        Ok(if before.is_some() { Written::Replaced } else { Written::New })
    }

    fn is_empty(&self) -> Result<bool, FolderError> {
        let mut entries = fs::read_dir(&self.root).map_err(|source| FolderError::new("read", &self.root, source))?;
        Ok(entries.next().is_none())
    }
}

fn with_name(path: &Path, name: impl FnOnce(&str) -> String) -> PathBuf {
    let current = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.with_file_name(name(current))
}

fn write_file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "words").unwrap();
        assert!(matches!(Folder::take(folder.path()), Err(FolderError::NotOurs(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_for_one_demo_at_a_time_and_can_be_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let first = Folder::take(&dir).unwrap();
        assert!(matches!(Folder::take(&dir), Err(FolderError::InUse(_))));
        drop(first);
        let _again = Folder::take(&dir).unwrap();
    }

    #[test]
    fn what_is_written_over_is_kept_unless_it_is_secret() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::take(folder.path()).unwrap();
        assert_eq!(folder.write("policy/a.yaml", "one").unwrap(), Written::New);
        assert_eq!(folder.write("policy/a.yaml", "one").unwrap(), Written::Same);
        assert_eq!(folder.write("policy/a.yaml", "two").unwrap(), Written::Replaced);
        assert_eq!(fs::read_to_string(folder.path("policy/a.yaml.previous")).unwrap(), "one");

        folder.write_private("token", "one").unwrap();
        assert_eq!(folder.write_private("token", "two").unwrap(), Written::Replaced);
        assert!(!folder.path("token.previous").exists());
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.path("token")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
