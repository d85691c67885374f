//! Files that somebody asks for: whether they are there, and their digest.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::digest::{DigestCache, Digests};
use super::{Collected, Obstacle};

/// A file that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundFile {
    /// Whether it is there. A directory is not a file.
    pub exists: bool,
    /// Its digests, when it is there.
    pub digests: Option<Collected<Digests>>,
}

/// Looks at files, and remembers digests from one look to the next.
#[derive(Debug, Default)]
pub struct Files {
    digests: DigestCache,
}

impl Files {
    /// Looks for a file. One whose folder may not be searched may be there or not.
    pub fn find(&self, path: &Path) -> Collected<FoundFile> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Collected::Known(FoundFile { exists: false, digests: None }),
            Ok(metadata) => {
                let digests = if metadata.is_file() { self.digests_at(path) } else { no_content(path) };
                Collected::Known(FoundFile { exists: true, digests: Some(digests.into()) })
            }
            Err(error) if is_absent(&error) => Collected::Known(FoundFile { exists: false, digests: None }),
            Err(error) => Collected::Unknown { reason: Obstacle::from_io(path, &error) },
        }
    }

    fn digests_at(&self, path: &Path) -> Result<Digests, Obstacle> {
        let mut file = File::open(path).map_err(|error| Obstacle::from_io(path, &error))?;
        self.digests.digests_of(&mut file, path)
    }
}

/// Sockets, pipes and devices are there without a content that could be compared.
fn no_content(path: &Path) -> Result<Digests, Obstacle> {
    Err(Obstacle::Malformed { path: path.display().to_string(), expected: "a content that can be digested" })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_with_its_digest_or_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        let files = Files::default();
        let found = files.find(&path);
        let digests = found.known().unwrap().digests.clone().unwrap();
        assert!(digests.known().unwrap().sha256.starts_with("ba7816bf"));
        for absent in [folder.path().to_owned(), folder.path().join("none"), path.join("below")] {
            assert_eq!(files.find(&absent), Collected::Known(FoundFile { exists: false, digests: None }));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_content_is_there_all_the_same() {
        let found = Files::default().find(Path::new("/dev/null"));
        let found = found.known().unwrap();
        assert!(found.exists && found.digests.as_ref().unwrap().known().is_none());
    }
}
