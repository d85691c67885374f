//! The files of the CA's directory: their names, their modes, and how they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::PkiError;
use super::index::Index;

/// The directory of a CA.
pub(super) struct CaDirectory {
    dir: PathBuf,
}

impl CaDirectory {
    /// A directory that holds a CA already.
    pub(super) fn at(dir: &Path) -> Self {
        CaDirectory { dir: dir.to_owned() }
    }

    /// A directory for a new CA; refused when any part of one is there.
    pub(super) fn create(dir: &Path) -> Result<Self, PkiError> {
        fs::create_dir_all(dir).map_err(|source| failed("create", dir, source))?;
        let directory = CaDirectory::at(dir);
        for file in [directory.key_file(), directory.ca_file(), directory.index_file(), directory.crl_file()] {
            if file.exists() {
                return Err(PkiError::AlreadyExists(file));
            }
        }
        Ok(directory)
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.dir.join("ca.key")
    }

    pub(super) fn crl_file(&self) -> PathBuf {
        self.dir.join("crl.pem")
    }

    fn index_file(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    /// Where the certificate and key called `name` belong.
    pub(super) fn certificate_files(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{name}.pem")), self.dir.join(format!("{name}.key")))
    }

    /// Reads the CA's key, holding it locked until the file is dropped.
    pub(super) fn lock_and_read_key(&self) -> Result<(String, File), PkiError> {
        let path = self.key_file();
        let mut file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => PkiError::NoCa(self.dir.clone()),
            _ => failed("read", &path, source),
        })?;
        file.lock().map_err(|source| failed("lock", &path, source))?;
        let mut pem = String::new();
        file.read_to_string(&mut pem).map_err(|source| failed("read", &path, source))?;
        Ok((pem, file))
    }

    pub(super) fn read_index(&self) -> Result<Index, PkiError> {
        let file = self.index_file();
        let text = fs::read(&file).map_err(|source| failed("read", &file, source))?;
        serde_json::from_slice(&text).map_err(|source| PkiError::Index { file, source })
    }

    pub(super) fn write_index(&self, index: &Index) -> Result<(), PkiError> {
        let file = self.index_file();
        match serde_json::to_string_pretty(index) {
            Ok(text) => replace_public(&file, &text),
            Err(source) => Err(PkiError::Index { file, source }),
        }
    }
}

/// Creates a file only its owner may read.
pub(super) fn create_private(file: &Path, text: &str) -> Result<(), PkiError> {
    create(file, text, 0o600)
}

/// Creates a file everybody may read.
pub(super) fn create_public(file: &Path, text: &str) -> Result<(), PkiError> {
    create(file, text, 0o644)
}

/// Replaces a file so that readers see the old text or the new, never a part.
pub(super) fn replace_public(file: &Path, text: &str) -> Result<(), PkiError> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // Left behind by a process that was stopped; the CA is locked, so nobody is writing it now.
    if new.exists() {
        fs::remove_file(&new).map_err(|source| failed("remove", &new, source))?;
    }
    create_public(&new, text)?;
    fs::rename(&new, file).map_err(|source| failed("replace", file, source))
}

fn create(file: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut opened = options.open(file).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => PkiError::AlreadyExists(file.to_owned()),
        _ => failed("create", file, source),
    })?;
    let written = opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all());
    written.map_err(|source| failed("write", file, source))
}

fn failed(action: &'static str, file: &Path, source: io::Error) -> PkiError {
    PkiError::File { action, file: file.to_owned(), source }
}
