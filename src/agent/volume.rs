//! Mounted volumes, and whether what is under them is encrypted.
//!
//! On Linux a volume is a mounted block device, with its mount point as its name. It is encrypted when it is a dm-crypt mapping
//! (LUKS or plain), or when everything it is made of is: LVM on LUKS, RAID over LUKS. Images that the vendor signed and nobody
//! writes to (squashfs, iso9660, erofs) hold nothing of the user's and are left out, and so are file systems without a device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Collected, Collector, Machine, Obstacle};
use crate::limits;

const MOUNTS: &str = "proc/self/mountinfo";
const BLOCK_DEVICES: &str = "sys/dev/block";
const IMAGES: [&str; 3] = ["squashfs", "iso9660", "erofs"];
/// How many devices deep a volume may be built.
const DEPTH_MAX: usize = 16;

/// A mounted volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its mount point.
    pub name: String,
    /// Whether it is encrypted; `None` when that cannot be told.
    pub encrypted: Option<bool>,
}

/// Reads the mounted volumes, in the order of their names.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeCollector;

impl Collector for VolumeCollector {
    type Fact = Vec<Volume>;

    fn collect(&self, machine: &Machine) -> Collected<Vec<Volume>> {
        machine.on_linux("mounted volumes", volumes)
    }
}

fn volumes(machine: &Machine) -> Result<Vec<Volume>, Obstacle> {
    let mut found = BTreeMap::new();
    for mount in machine.read_text(MOUNTS)?.lines().filter_map(Mount::parse) {
        if found.len() == limits::INVENTORY_ENTRIES_MAX {
            return Err(Obstacle::TooMany { what: "volumes", max: limits::INVENTORY_ENTRIES_MAX });
        }
        // A single file that is mounted, as containers do, is no volume.
        if machine.locate(mount.point.trim_start_matches('/')).is_dir() {
            let encrypted = mount.device(machine).map(|device| is_encrypted(machine, &device, DEPTH_MAX));
            found.insert(mount.point, encrypted.flatten());
        }
    }
    Ok(found.into_iter().map(|(name, encrypted)| Volume { name, encrypted }).collect())
}

/// A line about a mount that has a device.
struct Mount {
    point: String,
    number: String,
    source: String,
}

impl Mount {
    /// `36 35 98:0 /root /mount/point options - type source more` (proc(5)); `None` for what is no volume.
    fn parse(line: &str) -> Option<Self> {
        let (about, system) = line.split_once(" - ")?;
        let mut about = about.split(' ').skip(2);
        let (number, _, point) = (about.next()?, about.next()?, about.next()?);
        let mut system = system.split(' ');
        let (kind, source) = (system.next()?, system.next()?);
        let on_a_device = !number.starts_with("0:") || source.starts_with("/dev/");
        let counts = on_a_device && !IMAGES.contains(&kind);
        counts.then(|| Mount { point: unescaped(point), number: number.to_owned(), source: unescaped(source) })
    }

    /// Where the kernel shows the device. A file system over several devices (btrfs) has a number of its own and names one.
    fn device(&self, machine: &Machine) -> Option<PathBuf> {
        let by_number = Path::new(BLOCK_DEVICES).join(&self.number);
        if machine.locate(&by_number).exists() {
            return Some(by_number);
        }
        let name = self.source.strip_prefix("/dev/")?.replace('/', "!");
        let by_name = Path::new("sys/class/block").join(name);
        machine.locate(&by_name).exists().then_some(by_name)
    }
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

fn is_encrypted(machine: &Machine, device: &Path, depth: usize) -> Option<bool> {
    match machine.read_text(device.join("dm/uuid")) {
        Ok(uuid) if uuid.starts_with("CRYPT-") => return Some(true),
        Ok(_) => {}
        Err(reason) if reason.is_absence() => {}
        Err(_) => return None,
    }
    let parts = match machine.names_in(device.join("slaves"), "parts of a volume", limits::INVENTORY_ENTRIES_MAX) {
        Ok(parts) => parts,
        Err(reason) if reason.is_absence() => Vec::new(),
        Err(_) => return None,
    };
    // What a loop device shows lies in a file somewhere else.
    if parts.is_empty() {
        return if machine.locate(device.join("loop")).exists() { None } else { Some(false) };
    }
    if depth == 0 {
        return None;
    }
    let answers: Vec<Option<bool>> =
        parts.iter().map(|part| is_encrypted(machine, &device.join("slaves").join(part), depth - 1)).collect();
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::posture::Platform;

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Self {
            Fixture(tempfile::tempdir().unwrap())
        }

        fn folder(&self, path: &str) {
            fs::create_dir_all(self.0.path().join(path)).unwrap();
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// A block device made of `parts`; a mapping of this uuid when there is one.
        fn device(&self, number: &str, uuid: Option<&str>, parts: &[&str]) {
            self.folder(&format!("{BLOCK_DEVICES}/{number}"));
            if let Some(uuid) = uuid {
                self.write(&format!("{BLOCK_DEVICES}/{number}/dm/uuid"), uuid);
            }
            for part in parts {
                self.folder(&format!("{BLOCK_DEVICES}/{number}/slaves"));
                let (target, link) = (format!("../../{part}"), format!("{BLOCK_DEVICES}/{number}/slaves/{part}"));
                symlink(target, self.0.path().join(link)).unwrap();
            }
        }

        fn mounts(&self, lines: &str) -> Collected<Vec<Volume>> {
            for line in lines.lines() {
                if let Some(point) = line.split(' ').nth(4) {
                    self.folder(unescaped(point).trim_start_matches('/'));
                }
            }
            self.write(MOUNTS, lines);
            VolumeCollector.collect(&Machine::at(self.0.path(), Platform::Linux))
        }
    }

    fn told(volumes: &Collected<Vec<Volume>>) -> Vec<(&str, Option<bool>)> {
        volumes.known().unwrap().iter().map(|volume| (volume.name.as_str(), volume.encrypted)).collect()
    }

    #[test]
    fn luks_is_found_under_lvm_and_raid_and_a_plain_disk_is_not_encrypted() {
        let machine = Fixture::new();
        machine.device("8:1", None, &[]);
        machine.device("8:2", None, &[]);
        machine.device("253:0", Some("CRYPT-LUKS2-0123-luks\n"), &["8:1"]);
        machine.device("253:1", Some("LVM-abc\n"), &["253:0"]);
        machine.device("9:0", None, &["253:0", "8:2"]);
        let found = machine.mounts(
            "1 0 253:1 / / rw - ext4 /dev/mapper/vg-root rw\n\
             2 1 8:2 / /boot rw - ext4 /dev/sda2 rw\n\
             3 1 253:0 / /home rw shared:1 - xfs /dev/mapper/home rw\n\
             4 1 9:0 / /data rw - ext4 /dev/md0 rw\n\
             5 1 0:20 / /proc rw - proc proc rw\n\
             6 1 0:21 / /tmp rw - tmpfs tmpfs rw\n\
             7 1 7:0 / /snap/core ro - squashfs /dev/loop0 ro\n",
        );
        let expected = [("/", Some(true)), ("/boot", Some(false)), ("/data", Some(false)), ("/home", Some(true))];
        assert_eq!(told(&found), expected);
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        let machine = Fixture::new();
        machine.device("7:1", None, &[]);
        machine.folder(&format!("{BLOCK_DEVICES}/7:1/loop"));
        let found = machine.mounts(
            "1 0 7:1 / /image rw - ext4 /dev/loop1 rw\n\
             2 0 8:9 / /with\\040blank rw - ext4 /dev/sdz9 rw\n\
             garbage\n3 0 8:1 /\n",
        );
        assert_eq!(told(&found), [("/image", None), ("/with blank", None)]);
    }

    #[test]
    fn a_device_that_is_made_of_itself_ends_somewhere() {
        let machine = Fixture::new();
        machine.device("253:7", Some("LVM-x"), &["253:7"]);
        let found = machine.mounts("1 0 253:7 / /odd rw - ext4 /dev/dm-7 rw\n");
        assert_eq!(told(&found), [("/odd", None)]);
    }

    #[test]
    fn a_btrfs_volume_is_looked_up_by_the_device_it_names() {
        let machine = Fixture::new();
        machine.folder("sys/class/block/sda3");
        let found = machine.mounts("1 0 0:33 /@home /home rw - btrfs /dev/sda3 rw\n");
        assert_eq!(told(&found), [("/home", Some(false))]);
    }
}
