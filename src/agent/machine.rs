//! The machine under inspection: its platform, and bounded reads below its root folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::obstacle::{Collected, Obstacle};
use crate::limits;
use crate::posture::Platform;

/// A machine as its file system shows it.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    platform: Option<Platform>,
}

impl Machine {
    /// The machine this program runs on.
    pub fn this() -> Self {
        Machine { root: root_of_this_machine(), platform: platform_of_this_build() }
    }

    /// A machine of `platform` whose file system lies below the folder `root`.
    pub fn at(root: impl Into<PathBuf>, platform: Platform) -> Self {
        Machine { root: root.into(), platform: Some(platform) }
    }

    /// Which operating system it runs; `None` when OpenZiti has no name for it.
    pub const fn platform(&self) -> Option<Platform> {
        self.platform
    }

    /// Whether the Linux kernel's `/proc` and `/sys` are to be expected.
    pub(super) const fn has_linux_kernel(&self) -> bool {
        matches!(self.platform, Some(Platform::Linux | Platform::Android))
    }

    /// What `read` finds where there is a Linux kernel. Elsewhere nobody here knows how to read `what`.
    pub(super) fn on_linux<'m, T>(
        &'m self,
        what: &'static str,
        read: impl FnOnce(&'m Machine) -> Result<T, Obstacle>,
    ) -> Collected<T> {
        if self.has_linux_kernel() { read(self).into() } else { Collected::unsupported(what) }
    }

    /// Where `path`, written relative to the root (`etc/os-release`), lies.
    pub(super) fn locate(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// Reads a small text file whole; what is not UTF-8 becomes the replacement character.
    pub(super) fn read_text(&self, path: impl AsRef<Path>) -> Result<String, Obstacle> {
        let path = self.locate(path);
        let max = limits::AGENT_FILE_BYTES_MAX;
        let bytes = read_at_most(&path, max + 1).map_err(|error| Obstacle::from_io(&path, &error))?;
        if bytes.len() > max {
            return Err(Obstacle::TooLarge { path: path.display().to_string(), max: max as u64 });
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder, sorted; more than `max` of them are an obstacle.
    pub(super) fn names_in(
        &self,
        path: impl AsRef<Path>,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<String>, Obstacle> {
        let path = self.locate(path);
        let entries = fs::read_dir(&path).map_err(|error| Obstacle::from_io(&path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Obstacle::from_io(&path, &error))?;
            if names.len() == max {
                return Err(Obstacle::TooMany { what, max });
            }
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Reads the first `max` bytes of a file. The size a file claims is not trusted: those of `/proc` claim none.
pub(super) fn read_at_most(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Windows has a root for each drive; its own is where it was started from.
fn root_of_this_machine() -> PathBuf {
    if cfg!(windows) {
        let drive = std::env::var("SystemDrive").unwrap_or_else(|_| "C:".to_owned());
        return PathBuf::from(drive + "\\");
    }
    PathBuf::from("/")
}

const fn platform_of_this_build() -> Option<Platform> {
    if cfg!(target_os = "linux") {
        Some(Platform::Linux)
    } else if cfg!(target_os = "macos") {
        Some(Platform::MacOs)
    } else if cfg!(target_os = "windows") {
        Some(Platform::Windows)
    } else if cfg!(target_os = "android") {
        Some(Platform::Android)
    } else if cfg!(target_os = "ios") {
        Some(Platform::Ios)
    } else {
        None
    }
}

#[cfg(test)]
impl Machine {
    /// A machine of a test's own with these files, for as long as the folder is kept.
    pub(super) fn with_files(platform: Platform, files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let machine = Machine::at(folder.path(), platform);
        (folder, machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine_with(path: &str, content: &str) -> (tempfile::TempDir, Machine) {
        Machine::with_files(Platform::Linux, &[(path, content)])
    }

    #[test]
    fn a_file_at_the_bound_is_read_and_one_byte_more_is_refused() {
        let (_folder, machine) = machine_with("file", &"a".repeat(limits::AGENT_FILE_BYTES_MAX));
        assert_eq!(machine.read_text("file").unwrap().len(), limits::AGENT_FILE_BYTES_MAX);

        let (_folder, machine) = machine_with("file", &"a".repeat(limits::AGENT_FILE_BYTES_MAX + 1));
        assert_eq!(machine.read_text("file").unwrap_err().code(), "too-large");
    }

    #[test]
    fn a_missing_file_is_absent_and_a_crowded_folder_too_many() {
        let (_folder, machine) = machine_with("file", "");
        assert_eq!(machine.read_text("other").unwrap_err().code(), "absent");
        assert_eq!(machine.names_in("", "files", 1).unwrap(), ["file"]);
        assert_eq!(machine.names_in("", "files", 0).unwrap_err().code(), "too-many");
    }
}
