//! Digests of executables, computed once for each version of a file.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ring::digest::{Context, SHA256, SHA512};
use serde::Serialize;

use super::obstacle::Obstacle;
use crate::limits;

const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The digests of one file, in bare lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digests {
    /// SHA-256, 64 hex digits.
    pub sha256: String,
    /// SHA-512, 128 hex digits; what OpenZiti's clients report.
    pub sha512: String,
}

/// Remembers digests by what tells one version of a file from another.
#[derive(Debug, Default)]
pub(super) struct DigestCache(Mutex<HashMap<FileVersion, Digests>>);

impl DigestCache {
    /// The digests of an open file, named `path` in errors.
    ///
    /// A file that changes while it is read has no digest: mixing two versions would yield that of neither.
    pub(super) fn digests_of(&self, file: &mut File, path: &Path) -> Result<Digests, Obstacle> {
        // A new link to the file changes it as much as a new content does, so a change alone is no reason to give up.
        for _ in 0..limits::AGENT_DIGEST_TRIES {
            if let Some(digests) = self.try_digests_of(file, path)? {
                return Ok(digests);
            }
        }
        Err(Obstacle::Changed { path: path.display().to_string() })
    }

    /// `None` when the file changed while it was read.
    fn try_digests_of(&self, file: &mut File, path: &Path) -> Result<Option<Digests>, Obstacle> {
        let failed = |error: io::Error| Obstacle::from_io(path, &error);
        let metadata = file.metadata().map_err(failed)?;
        let too_large =
            || Obstacle::TooLarge { path: path.display().to_string(), max: limits::AGENT_EXECUTABLE_BYTES_MAX };
        if metadata.len() > limits::AGENT_EXECUTABLE_BYTES_MAX {
            return Err(too_large());
        }
        let version = FileVersion::of(&metadata);
        if let Some(digests) = version.and_then(|version| self.recall(version)) {
            return Ok(Some(digests));
        }
        file.rewind().map_err(failed)?;
        let digests = digest(file, limits::AGENT_EXECUTABLE_BYTES_MAX).map_err(failed)?.ok_or_else(too_large)?;
        if FileVersion::of(&file.metadata().map_err(failed)?) != version {
            return Ok(None);
        }
        if let Some(version) = version {
            self.remember(version, &digests);
        }
        Ok(Some(digests))
    }

    fn recall(&self, version: FileVersion) -> Option<Digests> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&version).cloned()
    }

    fn remember(&self, version: FileVersion, digests: &Digests) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::AGENT_DIGESTS_MAX {
            known.clear();
        }
        known.insert(version, digests.clone());
    }
}

/// What tells one version of a file from another.
///
/// The time of the last status change is among it because the time of the last modification can be set back at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(FileVersion {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Reads to the end, or gives up with `None` after `max` bytes.
fn digest(source: &mut impl Read, max: u64) -> io::Result<Option<Digests>> {
    let (mut sha256, mut sha512) = (Context::new(&SHA256), Context::new(&SHA512));
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut total: u64 = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total = total.saturating_add(count as u64);
        if total > max {
            return Ok(None);
        }
        let chunk = buffer.get(..count).unwrap_or_default();
        sha256.update(chunk);
        sha512.update(chunk);
    }
    Ok(Some(Digests { sha256: hex(sha256.finish().as_ref()), sha512: hex(sha512.finish().as_ref()) }))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn digests_at(cache: &DigestCache, path: &Path) -> Digests {
        cache.digests_of(&mut File::open(path).unwrap(), path).unwrap()
    }

    #[test]
    fn digests_agree_with_the_published_examples() {
        let digests = digest(&mut b"abc".as_slice(), 3).unwrap().unwrap();
        assert_eq!(digests.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            digests.sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert_eq!(digest(&mut b"abcd".as_slice(), 3).unwrap(), None);
    }

    #[test]
    fn a_second_look_at_the_same_version_is_answered_from_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "one").unwrap();
        let cache = DigestCache::default();
        let first = digests_at(&cache, &path);

        let version = FileVersion::of(&fs::metadata(&path).unwrap());
        if let Some(version) = version {
            let marked = Digests { sha256: "remembered".to_owned(), ..first.clone() };
            cache.remember(version, &marked);
            assert_eq!(digests_at(&cache, &path), marked);
        }

        fs::write(&path, "longer").unwrap();
        assert_ne!(digests_at(&cache, &path), first);
    }

    #[test]
    fn a_replaced_file_with_the_old_time_put_back_is_digested_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "good").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let cache = DigestCache::default();
        let before = digests_at(&cache, &path);

        let replacement = folder.path().join("replacement");
        fs::write(&replacement, "evil").unwrap();
        File::options().write(true).open(&replacement).unwrap().set_modified(modified).unwrap();
        fs::rename(&replacement, &path).unwrap();
        assert_ne!(digests_at(&cache, &path), before);
    }

    /// Two demos at once link the same executable; one of them took the other's new link for a changed file and reported no
    /// digest, so that a healthy device was refused.
    #[test]
    fn a_new_link_to_a_file_does_not_keep_it_from_being_digested() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, vec![7; 8 * 1024 * 1024]).unwrap();
        let expected = digest(&mut File::open(&path).unwrap(), u64::MAX).unwrap().unwrap();
        std::thread::scope(|scope| {
            let links = scope.spawn(|| {
                for number in 1..limits::AGENT_DIGEST_TRIES {
                    fs::hard_link(&path, folder.path().join(number.to_string())).unwrap();
                    assert_eq!(digests_at(&DigestCache::default(), &path), expected);
                }
            });
            assert_eq!(digests_at(&DigestCache::default(), &path), expected);
            links.join().unwrap();
        });
    }

    #[test]
    fn the_cache_does_not_grow_past_its_bound() {
        let cache = DigestCache::default();
        let digests = Digests { sha256: String::new(), sha512: String::new() };
        for inode in 0..=limits::AGENT_DIGESTS_MAX as u64 {
            let version = FileVersion { device: 1, inode, bytes: 1, modified: (0, 0), changed: (0, 0) };
            cache.remember(version, &digests);
        }
        assert!(cache.0.lock().unwrap().len() <= limits::AGENT_DIGESTS_MAX);
    }
}
